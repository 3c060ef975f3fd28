"""A rehearsal, held against what then really happens: the same file, the real workflows, the sandbox over HTTP."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.accounts import AccountFacts
from campaigns.definition import Definition
from campaigns.outlook import Mood, Outlook
from campaigns.plan import ServiceFacts
from campaigns.planning import make_plan
from campaigns.rehearsal import rehearse
from panel import PanelClient
from tests.system.rig import ledger_agrees
from tests.workflows.timelapse import LINK

if TYPE_CHECKING:
    from campaigns.rehearsed import Rehearsal
    from tests.workflows.timelapse import Timelapse

POLL = timedelta(hours=1)
MONTH: list[dict[str, Any]] = [
    {"id": "seed", "service": 101, "quantity": 500},
    {
        "id": "views",
        "service": 101,
        "quantity": 49_900,
        "after": {"order": "seed", "delay": "2h"},
        "drip": {"runs": 499, "every": "86m"},
        "concurrent": True,
    },
]
ELSEWHERE = {"on_shortfall": "reorder", "fallback": [101]}
PARTIAL: list[dict[str, Any]] = [
    {"id": "likes", "service": 103, "quantity": 4000, "drip": {"runs": 4, "every": "3d"}, **ELSEWHERE}
]
STALLING: list[dict[str, Any]] = [
    {"id": "fans", "service": 105, "quantity": 1000, "cancel": {"stalled_for": "12h"}, **ELSEWHERE}
]
ALL = Decimal(100)
HOUR = timedelta(minutes=61)


async def _rehearsed(lapse: Timelapse, began: datetime, orders: list[dict[str, Any]], outlook: Outlook) -> Rehearsal:
    filled = [{"link": LINK, **order} for order in orders]
    document = {"version": 1, "name": "month", "account": "main", "orders": filled}
    async with PanelClient(lapse.box.url, "sandbox-key") as client:
        catalog = {service.service: ServiceFacts(**service.model_dump()) for service in await client.services()}
    facts = AccountFacts(name="main", allowed_targets=["https://example.com/*"], poll_every=POLL)
    planned = make_plan(Definition.model_validate(document), facts, catalog, began)
    assert planned.plan is not None
    return rehearse(planned.plan, began, outlook)


@pytest.mark.parametrize(
    ("orders", "runs", "outlook"),
    [
        (MONTH, 500, Outlook(Mood.ALL_COMPLETE, takes=HOUR)),
        (PARTIAL, 8, Outlook(Mood.SOME_PARTIAL, share=ALL, takes=HOUR, delivered=Decimal(60))),
        (STALLING, 2, Outlook(Mood.SOME_STALL, share=ALL, takes=HOUR)),
    ],
    ids=["500 runs in thirty days", "all partial and bought elsewhere", "stalls, is asked back and bought elsewhere"],
)
async def test_a_rehearsed_month_is_the_month_that_comes(
    lapse: Timelapse, orders: list[dict[str, Any]], runs: int, outlook: Outlook
) -> None:
    began = await lapse.env.get_current_time()
    rehearsal = await _rehearsed(lapse, began, orders, outlook)
    handle = await lapse.start(orders)
    async with asyncio.timeout(200):
        report = await lapse.result(handle)
    ledger_agrees(lapse.box.ledger(), report)
    really = {row["key"]: row for row in report["orders"]}
    assert len(really) == runs
    assert rehearsal.finished
    assert rehearsal.spent == Decimal(report["spent"])
    assert {ending.key: ending.state.value for ending in rehearsal.endings} == {
        key: row["state"] for key, row in really.items()
    }
    for ending in rehearsal.endings:
        row = really[ending.key]
        assert (ending.charge, ending.delivered) == (Decimal(row["charge"]), row["delivered"]), ending.key
        # A status is read once a poll: what waits for one may come that much earlier or later, never more; for what
        # replaces a stalled order two are waited for, the one that shows the stall and the one that confirms its end.
        assert ending.placed_at is not None
        late = 4 if orders is STALLING else 2
        assert abs(ending.placed_at - datetime.fromisoformat(row["placed_at"])) <= late * POLL, ending.key
