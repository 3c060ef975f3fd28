"""The account's watch over days: it ends when nobody is left who wants its news, and not before."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from activities.contracts import account_id
from tests.system.rig import assert_eventually

if TYPE_CHECKING:
    from temporalio.client import WorkflowHandle

    from tests.workflows.timelapse import Timelapse

NEVER_STARTS = [{"id": "stuck", "service": 104, "quantity": 100}]


async def followed(lapse: Timelapse) -> WorkflowHandle[Any, Any]:
    """Wait until the account follows the one order that there is; give the account."""
    account = lapse.client.get_workflow_handle(account_id("main"))

    async def one() -> None:
        assert len(lapse.box.ledger()["orders"]) == 1
        try:
            assert (await account.query("progress"))["orders"] == 1
        except RPCError as error:
            raise AssertionError(error.message) from None  # not started yet

    await assert_eventually(one)
    return account


async def test_an_order_of_a_terminated_campaign_is_not_read_for_ever(lapse: Timelapse) -> None:
    handle = await lapse.start(NEVER_STARTS)
    account = await followed(lapse)
    await lapse.sleep(timedelta(hours=3))
    assert (await account.query("progress"))["rounds"] >= 2
    await handle.terminate("by a person")
    # Nothing changes at the panel, so there is no news whose delivery could show that the campaign is gone.
    await lapse.sleep(timedelta(days=2))
    assert (await account.describe()).status is WorkflowExecutionStatus.COMPLETED


async def test_an_order_that_does_not_move_for_days_is_still_read_for_its_campaign(lapse: Timelapse) -> None:
    await lapse.start(NEVER_STARTS)
    account = await followed(lapse)
    await lapse.sleep(timedelta(days=5))
    progress = await account.query("progress")
    assert (progress["orders"], progress["campaigns"]) == (1, 1)
    assert progress["rounds"] >= 100
