"""Stops and releases an account, across all campaigns and workers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio.service import RPCError

from activities.gating import update_account

if TYPE_CHECKING:
    from temporalio.client import Client


PATIENCE = timedelta(seconds=20)
"""How long a worker has to answer; what it was asked may take effect later all the same."""


async def halt(client: Client, account: str, *, by: str = "", why: str = "") -> None:
    """Stop every placement of an account; what is placed is still read, cancelled and refilled.

    Raises:
        RPCError: the server did not take it.
        WorkflowUpdateFailedError: the account refused it.
        WorkflowUpdateRPCTimeoutOrCancelledError: no worker answered; it may take effect when one does.

    """
    await update_account(client, account, "halt", {"by": by, "why": why}, result_type=str, patience=PATIENCE)


@dataclass(frozen=True)
class Released:
    """What a release found."""

    was_halted: bool
    campaigns: int
    """Running campaigns that were told."""


async def release(client: Client, account: str, *, by: str = "", why: str = "") -> Released:
    """Let placements go on, and tell the running campaigns at once.

    A campaign that is not told finds out by itself, by the next probe.

    Raises:
        RPCError: the server did not take it.

    """
    answer = await update_account(
        client, account, "release", {"by": by, "why": why}, result_type=str, patience=PATIENCE
    )
    told = 0
    query = f"WorkflowType='Campaign' AND ExecutionStatus='Running' AND Account='{account}'"
    async for campaign in client.list_workflows(query):
        try:
            await client.get_workflow_handle(campaign.id).signal("released")
        except RPCError:
            continue  # it has ended meanwhile
        told += 1
    return Released(was_halted=answer != "not halted", campaigns=told)
