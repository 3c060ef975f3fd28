"""A rehearsal, held against what then really happens: the same file, the real workflows, the sandbox over HTTP."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

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
ORDERS: list[dict[str, Any]] = [
    {"id": "seed", "service": 101, "quantity": 500},
    {
        "id": "views",
        "service": 101,
        "quantity": 118_000,
        "after": {"order": "seed", "delay": "2h"},
        "drip": {"runs": 59, "every": "12h"},
    },
]


async def _rehearsed(lapse: Timelapse, began: datetime) -> Rehearsal:
    orders = [{"link": LINK, **order} for order in ORDERS]
    document = {"version": 1, "name": "month", "account": "main", "orders": orders}
    async with PanelClient(lapse.box.url, "sandbox-key") as client:
        catalog = {service.service: ServiceFacts(**service.model_dump()) for service in await client.services()}
    facts = AccountFacts(name="main", allowed_targets=["https://example.com/*"], poll_every=POLL)
    planned = make_plan(Definition.model_validate(document), facts, catalog, began)
    assert planned.plan is not None
    return rehearse(planned.plan, began, Outlook(Mood.ALL_COMPLETE, takes=timedelta(minutes=61)))


async def test_a_rehearsed_month_is_the_month_that_comes(lapse: Timelapse) -> None:
    began = await lapse.env.get_current_time()
    rehearsal = await _rehearsed(lapse, began)
    handle = await lapse.start(ORDERS)
    async with asyncio.timeout(200):
        report = await handle.result()
    ledger_agrees(lapse.box.ledger(), report)
    really = {f"{row['order']}/{row['run']}": row for row in report["orders"]}
    assert len(really) == 60
    assert rehearsal.finished
    assert rehearsal.spent == Decimal(report["spent"])
    assert {ending.key: ending.state.value for ending in rehearsal.endings} == {
        key: row["state"] for key, row in really.items()
    }
    for ending in rehearsal.endings:
        row = really[ending.key]
        assert (ending.charge, ending.delivered) == (Decimal(row["charge"]), row["delivered"]), ending.key
        # A status is read once a poll: what waits for one may come that much earlier or later, never more.
        assert ending.placed_at is not None
        assert abs(ending.placed_at - datetime.fromisoformat(row["placed_at"])) <= 2 * POLL, ending.key
