"""A question that was asked while no worker ran must not change what the campaign is, whoever answers it later."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

import worker
from tests.system.rig import LINK, ledger_agrees
from workflows.campaign import Campaign

if TYPE_CHECKING:
    from tests.system.rig import Rig


async def test_a_query_that_waited_for_a_worker_does_not_let_the_campaign_run_ahead_of_its_history(rig: Rig) -> None:
    # Measured with temporalio 1.35: whoever answers a query without the run in its cache executes what has happened
    # since the last workflow task, at that task's time, and keeps it; a timer that fired is then thought to be early.
    box = await rig.sandbox()
    first = await rig.worker_process(box.url)
    drip = {"id": "views", "service": 102, "quantity": 100, "link": LINK, "drip": {"runs": 4, "every": "5s"}}
    handle = await rig.start(rig.document([drip | {"concurrent": True}]))
    await rig.until(handle, lambda progress: progress["counts"].get("completed") == 1)
    await first.kill()
    asked = asyncio.create_task(handle.query("progress"))
    await asyncio.sleep(6)
    await rig.worker_process(box.url)
    await asyncio.gather(asked, return_exceptions=True)
    report = await rig.result(handle)
    ledger_agrees(box.ledger(), report)
    assert await rig.failures(handle) == []
    replayer = Replayer(workflows=[Campaign], data_converter=pydantic_data_converter, workflow_runner=worker._runner())
    await replayer.replay_workflow(await handle.fetch_history())
