"""How the engine's work for one event grows with the campaign: it should hardly."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from benchmarks.plans import CATALOG, document, facts
from campaigns.definition import Definition
from campaigns.engine import apply, begin, decide, finished
from campaigns.messages import News, Place, Placed, Reading, Status
from campaigns.planning import make_plan

ROOT = "5a1e1e35-5f8a-4f0e-9d7c-2b1c2c1f6f10"
START = datetime(2026, 12, 4, 15, 0, tzinfo=UTC)
DRIPS = 10
"""Orders of the campaign, whatever the number of its runs: a file has at most 500."""


def decisions_per_second(runs: int) -> float:
    """Play a campaign of so many runs, all open at once, from the first placement to the last end."""
    rows = document(DRIPS)
    for order in rows["orders"]:
        each = runs // DRIPS
        order |= {"quantity": each * 100, "drip": {"runs": each, "every": "1s"}, "concurrent": True}
    plan = make_plan(Definition.model_validate(rows), facts(), CATALOG, START).plan
    assert plan is not None
    state, now, events, placed = begin(plan, ROOT, START), START, 0, 0
    began = time.perf_counter()
    while placed < runs:
        decision = decide(state, now)
        places = [command for command in decision.commands if isinstance(command, Place)]
        for command in places:
            placed += 1
            apply(state, Placed(key=command.key, panel_order=f"ord_{placed}"), now)
            events += 1
        if not places and decision.look_again is not None:
            now = decision.look_again
    for number in range(1, runs + 1):
        now += timedelta(milliseconds=10)
        reading = Reading(
            panel_order=f"ord_{number}", status=Status.COMPLETED, raw="Completed", charge=Decimal("0.09"), remains=0,
            observed_at=now,
        )  # fmt: skip
        apply(state, News(readings=[reading]), now)
        decide(state, now)
        events += 1
    seconds = time.perf_counter() - began
    assert finished(state)
    return events / seconds
