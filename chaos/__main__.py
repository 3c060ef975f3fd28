"""``make chaos``: real faults on the real system, a table of figures, exit 1 if anything is off.

python -m chaos                              everything at once, 600 orders, then an upgrade in the middle
python -m chaos --orders 10000 --kills 200   as big as you like; --minutes 30 for as long as you like
python -m chaos --only resets                one kind of trouble
python -m chaos --baseline                   the same load on plain defaults, without our request ids
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from chaos.baseline import baseline
from chaos.figures import show
from chaos.running import Wanted, chaos

WITHOUT_END = 10**9
SCENARIOS = {
    "everything": "all of it at once",
    "faults": "lost, broken and late answers of the panel, and nothing else",
    "kills": "workers killed, at any moment and at the four named points",
    "server": "the Temporal server killed, and back on the same file",
    "panel": "the panel down for seconds",
    "resets": "campaigns reset to every kind of point",
    "again": "campaigns terminated and started again",
    "upgrade": "a new build of the worker in the middle",
}


def _wanted(given: argparse.Namespace, scenario: str) -> Wanted:
    everything = scenario == "everything"
    wanted = Wanted(
        orders=given.orders or (600 if given.minutes is None else WITHOUT_END),
        minutes=given.minutes,
        workers=given.workers,
        faults=given.faults,
        seed=given.seed,
        hasty=given.hasty,
        size=given.size,
        at_once=given.at_once,
        kills=given.kills if everything or scenario == "kills" else 0,
        server_kills=given.server_kills if everything or scenario == "server" else 0,
        outages=given.outages if everything or scenario == "panel" else 0,
        resets=given.resets if everything or scenario == "resets" else 0,
        again=given.again if everything or scenario == "again" else 0,
        upgrade=scenario == "upgrade",
    )
    # Beside the run with everything, an upgrade of a few hundred orders says as much as one of many.
    small = scenario == "upgrade" and given.only is None
    return replace(wanted, orders=min(wanted.orders, 300), minutes=None) if small else wanted


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, help="orders in all (600, or as many as the minutes allow)")
    parser.add_argument("--minutes", type=float, help="at most so long: whichever comes first")
    parser.add_argument("--size", type=int, default=100, help="orders in a campaign (100)")
    parser.add_argument("--at-once", type=int, default=4, help="campaigns that run together (4)")
    parser.add_argument("--workers", type=int, default=3, help="worker processes (3)")
    parser.add_argument("--kills", type=int, default=16, help="kill -9 of a worker, half of them at named points (16)")
    parser.add_argument("--server-kills", type=int, default=3, help="kill -9 of the Temporal server (3)")
    parser.add_argument("--outages", type=int, default=2, help="times that the panel is down for seconds (2)")
    parser.add_argument("--resets", type=int, default=5, help="workflow resets, to every kind of point in turn (5)")
    parser.add_argument("--again", type=int, default=1, help="campaigns terminated and started again (1)")
    parser.add_argument("--faults", type=float, default=0.3, help="share of `add` requests that go wrong (0.3)")
    parser.add_argument("--seed", type=int, default=1, help="draws the load and the mischief (1)")
    parser.add_argument("--hasty", action="store_true", help="give a killed worker's request up after 5 s, not 45")
    parser.add_argument("--baseline", action="store_true", help="the same on plain defaults, without request ids")
    told = "; ".join(f"{name}: {what}" for name, what in SCENARIOS.items())
    parser.add_argument("--only", choices=[*SCENARIOS], metavar="SCENARIO", help=told)
    parser.add_argument("--folder", type=Path, help="keep stores and logs there")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser


async def _run(given: argparse.Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    if given.baseline:
        return {"baseline": await baseline(_wanted(given, given.only or "everything"), folder)}
    results = {}
    for scenario in [given.only] if given.only else ["everything", "upgrade"]:
        place = folder / scenario
        place.mkdir(parents=True, exist_ok=True)
        results[scenario] = (await chaos(_wanted(given, scenario), place)).as_json()
        if not given.json:
            show(f"{scenario}: {SCENARIOS[scenario]}", results[scenario])
    return results


def main() -> int:
    """Run what is asked; 1 if anything is off."""
    given = _parser().parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as temporary:
        folder = given.folder or Path(temporary)
        results = asyncio.run(_run(given, folder))
    if given.json:
        print(json.dumps(results, indent=2))
    elif given.baseline:
        show("plain defaults, without our request ids", results["baseline"])
    return 0 if all(each.get("holds", True) for each in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
