"""``make simulate SEEDS=100000``: as many whole campaigns against the model panel as asked, on every core.

``python -m tests.unit.simulate 100000 [--first 0] [--processes 2] [--json]``. Exit 1 when a seed breaks an invariant.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter
from typing import TYPE_CHECKING

from campaigns.messages import Blocked, Expired, LinkBusy, NotTaken, Rejected, Unanswered
from tests.unit.test_engine_invariants import play

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.simulation import Simulation

CHUNK = 50
TOLD_EVERY = 30.0
_TROUBLE = (Unanswered, NotTaken, LinkBusy, Blocked, Rejected, Expired)
Outcome = tuple[Counter[str], list[tuple[int, str]]]


def figures(sim: Simulation) -> Counter[str]:
    """Count what one history held."""
    recovered = sum(isinstance(what, str) for _, what in sim._log)
    answers = sum(isinstance(what, _TROUBLE) for _, what in sim._log)
    return Counter(
        campaigns=1,
        steps=sim.steps,
        orders=len(sim.panel.orders),
        troubled_answers=answers,
        resets=sim.resets,
        recoveries=recovered,
    )


def play_some(seeds: Sequence[int]) -> Outcome:
    """Play these seeds; give the figures, and the seeds that failed with why."""
    counted: Counter[str] = Counter()
    failed: list[tuple[int, str]] = []
    for seed in seeds:
        try:
            counted += figures(play(seed))
        except Exception as error:  # noqa: BLE001 - whatever it is, the seed is what counts
            failed.append((seed, "".join(traceback.format_exception_only(error)).strip()))
    return counted, failed


def main() -> int:
    """Play, tell, and give the exit code."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("seeds", type=int, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    seeds = range(given.first, given.first + given.seeds)
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    total: Counter[str] = Counter()
    failed: list[tuple[int, str]] = []
    began = told = time.monotonic()
    with multiprocessing.Pool(given.processes) as pool:
        for counted, wrong in pool.imap_unordered(play_some, chunks):
            total += counted
            failed += wrong
            for seed, why in wrong:
                print(f"seed {seed} fails; replay it with: {command(seed)}\n{why[:2000]}", file=sys.stderr, flush=True)
            if time.monotonic() - told >= TOLD_EVERY:
                told = time.monotonic()
                print(f"… {total['campaigns']:,} of {len(seeds):,}", file=sys.stderr, flush=True)
    seconds = time.monotonic() - began
    report = dict(total) | {"failed": len(failed), "seconds": round(seconds, 1)}
    report["seeds_per_second"] = round(len(seeds) / seconds)
    if given.json:
        print(json.dumps(report))
    else:
        print("\n".join(f"{name.replace('_', ' '):>18}  {value:>14,}" for name, value in report.items()))
    return 1 if failed else 0


def command(seed: int) -> str:
    """Give the one command that replays a seed."""
    return f"SEED={seed} .venv/bin/pytest -s tests/unit/test_engine_invariants.py -k one_seed"


if __name__ == "__main__":
    sys.exit(main())
