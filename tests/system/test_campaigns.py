"""Campaigns from end to end, on the real server, against the sandbox's books."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.system.rig import ledger_agrees, states

if TYPE_CHECKING:
    from tests.system.rig import Rig


async def test_sequence_drip_refill_and_cancel_end_as_the_panel_booked_them(rig: Rig) -> None:
    box = await rig.sandbox(speed=1800)
    await rig.work(box.url)
    document = rig.document(
        [
            {"id": "seed", "service": 102, "quantity": 500},
            {
                "id": "views",
                "service": 101,
                "quantity": 10_003,
                "after": "seed",
                "concurrent": True,
                "drip": {"runs": 10, "every": "1s"},
            },
            {"id": "likes", "service": 103, "quantity": 100, "refill": {"within": "9s", "every": "6s", "max": 1}},
            {"id": "stall", "service": 105, "quantity": 100, "cancel": {"stalled_for": "3s"}},
            {"id": "follow", "service": 205, "quantity": 77, "after": {"order": "stall", "when": "settled"}},
        ],
        limits={"budget": "50.00 USD"},
    )
    report = await rig.result(await rig.start(document))
    assert report["state"] == "completed"
    assert states(report) == {
        "seed/1": "completed",
        **{f"views/{run}": "completed" for run in range(1, 11)},
        "likes/1": "completed",
        "stall/1": "canceled",
        "follow/1": "completed",
    }
    views = [row for row in report["orders"] if row["order"] == "views"]
    assert [row["quantity"] for row in views] == [1001, 1001, 1001, *[1000] * 7]
    ledger_agrees(box.ledger(), report)
