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
from tests.unit.simulation import replay
from tests.unit.test_engine_invariants import play

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.unit.simulation import Simulation

CHUNK = 50
TOLD_EVERY = 30.0
_TROUBLE = (Unanswered, NotTaken, LinkBusy, Blocked, Rejected, Expired)
Outcome = tuple[Counter[str], Counter[str], list[tuple[int, str]]]


def figures(sim: Simulation) -> Counter[str]:
    """Count what one history held."""
    answers = sum(isinstance(what, _TROUBLE) for _, what in sim._log)
    return Counter(campaigns=1, steps=sim.steps, orders=len(sim.panel.orders), troubled_answers=answers)


def play_some(seeds: Sequence[int]) -> Outcome:
    """Play these seeds; give the figures, and the seeds that failed with why."""
    counted: Counter[str] = Counter()
    drawn: Counter[str] = Counter()
    failed: list[tuple[int, str]] = []
    for seed in seeds:
        try:
            sim = play(seed)
            counted += figures(sim)
            drawn += sim.tally
            drawn["another body for an id"] += len(sim.panel.violations)
        except Exception as error:  # noqa: BLE001 - whatever it is, the seed is what counts
            failed.append((seed, "".join(traceback.format_exception_only(error)).strip()))
    return counted, drawn, failed


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
    tally: Counter[str] = Counter()
    failed: list[tuple[int, str]] = []
    began = told = time.monotonic()
    with multiprocessing.Pool(given.processes) as pool:
        for counted, drawn, wrong in pool.imap_unordered(play_some, chunks):
            total += counted
            tally += drawn
            failed += wrong
            for seed, why in wrong:
                print(f"seed {seed} fails; replay it with: {replay(seed)}\n{why[:2000]}", file=sys.stderr, flush=True)
            if time.monotonic() - told >= TOLD_EVERY:
                told = time.monotonic()
                print(f"… {total['campaigns']:,} of {len(seeds):,}", file=sys.stderr, flush=True)
    seconds = time.monotonic() - began
    report = dict(total) | {"failed": len(failed), "seconds": round(seconds, 1)}
    report["seeds_per_second"] = round(len(seeds) / seconds)
    if given.json:
        print(json.dumps(report | {"drawn": dict(sorted(tally.items()))}))
    else:
        print(_table(report), _table(dict(sorted(tally.items()))), sep="\n\nwhat was drawn:\n")
    return 1 if failed else 0


def _table(rows: Mapping[str, float]) -> str:
    return "\n".join(f"{name.replace('_', ' '):>28}  {value:>14,}" for name, value in rows.items())


if __name__ == "__main__":
    sys.exit(main())
