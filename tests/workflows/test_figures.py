"""What lists show of a campaign: its figures are written also when nothing happens after them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio.converter import default

from tests.system.rig import assert_eventually

if TYPE_CHECKING:
    from temporalio.client import WorkflowHistory

    from tests.workflows.timelapse import Timelapse


def _last_spent(history: WorkflowHistory) -> float:
    written = [
        event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields
        for event in history.events
        if event.HasField("upsert_workflow_search_attributes_event_attributes")
    ]
    spent = [fields["Spent"] for fields in written if "Spent" in fields]
    return float(default().payload_converter.from_payload(spent[-1], float))


async def test_the_last_figures_before_a_long_wait_are_written(lapse: Timelapse) -> None:
    drip = {"id": "views", "service": 102, "quantity": 1000, "drip": {"runs": 2, "every": "3d"}}
    handle = await lapse.start([drip])
    await assert_eventually(lambda: len(lapse.box.ledger()["orders"]) == 1)
    # The charge is read within seconds of the start, too soon to be written; the next reading is an hour away.
    await lapse.sleep(timedelta(minutes=10))
    assert (await handle.query("progress"))["spent"] == "0.60"
    assert _last_spent(await handle.fetch_history()) == 0.6
