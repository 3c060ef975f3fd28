"""Histories that are gone: deleted by the namespace's retention, or by hand."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.service import RPCError, RPCStatusCode

from embedded import embedded_temporal
from tests.system.rig import assert_eventually, ledger_agrees, open_rig, states
from tests.system.test_continuation import point_of, reset

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_campaign_that_was_reset_goes_on_when_the_history_of_that_run_is_gone(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        short = embedded_temporal(port=0, ui_port=0, dynamic=["limit.historyCount.suggestContinueAsNew=40"])
        rig = await open_rig(await stack.enter_async_context(short), tmp_path, stack)
        box = await rig.sandbox(speed=900)
        await rig.work(box.url)
        order = {"id": "views", "service": 101, "quantity": 14000, "concurrent": True}
        handle = await rig.start(rig.document([order | {"drip": {"runs": 14, "every": "1s"}}]))
        current = rig.client.get_workflow_handle(handle.id)
        await assert_eventually(lambda: len(box.ledger()["orders"]) >= 2)
        first = rig.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
        point = await point_of(first, "before the first placement")
        made = await reset(rig, handle, point, handle.first_execution_run_id or "")
        begun = (handle.first_execution_run_id, made)
        await rig.until(current, lambda progress: progress["run_id"] not in begun)
        await current.execute_update("pause", "so that enough is left, however long a deletion takes")
        gone = WorkflowExecution(workflow_id=handle.id, run_id=made)
        await rig.client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(namespace=rig.client.namespace, workflow_execution=gone)
        )

        async def deleted() -> bool:
            try:
                await rig.client.get_workflow_handle(handle.id, run_id=made).describe()
            except RPCError as error:
                return error.status is RPCStatusCode.NOT_FOUND
            return False

        await assert_eventually(deleted)
        await current.execute_update("resume")
        report = await rig.result(current)
        ledger_agrees(box.ledger(), report)
        assert set(states(report).values()) == {"completed"}
        assert len(box.ledger()["orders"]) == 14
