"""A campaign of a month: its calendar, its windows and its refills, in seconds."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tests.system.rig import ledger_agrees, states

if TYPE_CHECKING:
    from tests.workflows.timelapse import Timelapse

ISTANBUL = ZoneInfo("Europe/Istanbul")


async def test_a_month_of_drips_in_a_window_with_refills_ends_as_the_panel_booked_it(lapse: Timelapse) -> None:
    window = {"days": ["mon", "tue", "wed", "thu", "fri"], "from": "09:00", "to": "22:00"}
    orders = [
        {"id": "seed", "service": 102, "quantity": 500},
        {
            "id": "views",
            "service": 101,
            "quantity": 20_000,
            "after": {"order": "seed", "delay": "2h"},
            "drip": {"runs": 20, "every": "36h"},
            "window": window,
        },
        {"id": "fans", "service": 107, "quantity": 1000, "refill": {"within": "30d", "every": "7d", "max": 3}},
        {
            "id": "likes",
            "service": 103,
            "quantity": 100,
            # Hours apart from the others: the test server stumbles over two timers of the same millisecond.
            "after": {"order": "seed", "delay": "5h"},
            "refill": {"within": "25d", "every": "6d", "max": 3},
        },
        {"id": "stuck", "service": 104, "quantity": 100, "cancel": {"not_started_in": "12h"}},
    ]
    handle = await lapse.start(orders, timezone="Europe/Istanbul", limits={"budget": "50.00 USD"})
    began = await lapse.env.get_current_time()
    async with asyncio.timeout(120):
        report = await lapse.result(handle)
    assert await lapse.env.get_current_time() - began >= timedelta(days=29)
    assert states(report) == {
        "seed/1": "completed",
        **{f"views/{run}": "completed" for run in range(1, 21)},
        "fans/1": "completed",
        "likes/1": "completed",
        "stuck/1": "canceled",
    }
    ledger = lapse.box.ledger()
    ledger_agrees(ledger, report)
    refills = {line["service"]: len(line["refills"]) for line in ledger["orders"]}
    assert refills[107] >= 1
    assert refills[103] >= 1
    placed = [datetime.fromisoformat(row["placed_at"]) for row in report["orders"] if row["order"] == "views"]
    for moment in placed:
        local = moment.astimezone(ISTANBUL)
        assert local.weekday() < 5
        assert 9 <= local.hour < 22
    assert placed == sorted(placed)
    assert placed[-1] - placed[0] >= timedelta(hours=36 * 19)
