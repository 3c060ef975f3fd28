"""The test server's known fault is seen at once, so that the test it hits can be run again."""

from __future__ import annotations

import time
from asyncio import timeout, wait_for
from contextlib import suppress
from datetime import timedelta
from logging import getLogger
from typing import TYPE_CHECKING

import pytest
from temporalio import workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.workflows.timelapse import ServerStuckError

if TYPE_CHECKING:
    from tests.workflows.timelapse import Timelapse


@workflow.defn(sandboxed=False)
class _SlowToCancel:
    """Cancels a timer in a workflow task during which it fires."""

    def __init__(self) -> None:
        self.woken = False

    @workflow.signal
    def wake(self) -> None:
        if not self.woken and not workflow.unsafe.is_replaying():
            time.sleep(1.5)
        self.woken = True

    @workflow.run
    async def run(self) -> None:
        while True:
            with suppress(TimeoutError):
                await workflow.wait_condition(lambda: self.woken, timeout=timedelta(seconds=1))
            self.woken = False


async def test_a_task_that_the_test_server_lost_is_told_at_once(lapse: Timelapse) -> None:
    assert len(getLogger("tests.workflows.core").handlers) == 1, "a test before this one would be told"
    async with Worker(
        lapse.client,
        task_queue="slow",
        workflows=[_SlowToCancel],
        workflow_runner=UnsandboxedWorkflowRunner(),
        debug_mode=True,
    ):
        handle = await lapse.client.start_workflow(_SlowToCancel.run, id="slow", task_queue="slow")
        # A signal that comes together with the end of a wait finds no timer to cancel: then the next one does.
        for _ in range(10):
            await handle.signal(_SlowToCancel.wake)
            with suppress(TimeoutError):
                await wait_for(lapse.stuck.wait(), 4)
                break
        with pytest.raises(ServerStuckError):
            async with timeout(30):
                await lapse.result(handle)
