"""The account's own word before an order is sent: whether it is halted, and whether its limit of the day allows it.

The ``Account`` workflow keeps both, so that all campaigns and all workers obey the same word.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import CAMPAIGNS_QUEUE, Reservation, Reserve, account_id
from campaigns.messages import Blocked
from campaigns.quantities import money_text

if TYPE_CHECKING:
    from temporalio.client import Client

    from activities.contracts import PlaceOrder

Answer = TypeVar("Answer")
HALT_KNOWN_FOR = 1.0
"""Seconds for which a worker takes an account's word that it is not halted."""
_PATIENCE = timedelta(seconds=10)
_log = logging.getLogger("campaigner.gate")


class NoWordError(Exception):
    """The account's workflow does not answer; the message says what it was asked."""


@dataclass(frozen=True, slots=True)
class DailyLimit:
    """What all campaigns of an account together may order on one day."""

    amount: Decimal
    timezone: str


class Gate:
    """Asks the account's workflow before each placement."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._free_at: dict[str, float] = {}
        """When each account was last known not to be halted."""

    async def ask(self, order: PlaceOrder, limit: DailyLimit | None) -> Blocked | None:
        """Give what stands against a placement, or None; with a limit, its cost is set aside by that.

        Raises:
            NoWordError: the account's word cannot be had; nothing may be sent without it.

        """
        halted = await self._halt(order.account)
        if halted is not None:
            return Blocked(key=order.key, cause="halt", words=halted)
        if limit is None:
            return None
        reservation = await self._reserve(order, limit)
        if reservation.granted:
            return None
        words = (
            f"{money_text(reservation.reserved)} of the account's {money_text(limit.amount)} a day are used; "
            "it goes on tomorrow"
        )
        return Blocked(key=order.key, cause="daily_limit", words=words, again_at=reservation.again_at)

    async def give_back(self, order: PlaceOrder) -> None:
        """Give back what was set aside for a placement that was definitely refused; if it cannot be, it stays counted.

        The panel's answer is worth more than the room: nothing here may lose it.
        """
        handle = self._client.get_workflow_handle(account_id(order.account))
        try:
            await handle.signal("give_back", order.form.request_id, rpc_timeout=_PATIENCE)
        except RPCError as error:
            _log.warning("%s stays counted against the account's day: %s", order.key, error.status.name)

    async def _halt(self, account: str) -> str | None:
        known = self._free_at.get(account)
        if known is not None and time.monotonic() - known < HALT_KNOWN_FOR:
            return None
        asked_at = time.monotonic()
        halted = await self._ask_halt(account)
        if halted is None:
            # Only this is taken for granted for a second: after a release, the first who asks goes on.
            self._free_at[account] = asked_at
            return None
        by = f" by {halted['by']}" if halted.get("by") else ""
        why = f": {halted['why']}" if halted.get("why") else ""
        return f"account {account} was halted{by}{why}"

    async def _ask_halt(self, account: str) -> dict[str, Any] | None:
        handle = self._client.get_workflow_handle(account_id(account))
        try:
            halted: dict[str, Any] | None = await handle.query("halted", rpc_timeout=_PATIENCE)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None  # it has never run: nobody can have halted it
            raise NoWordError("the account does not say whether it is halted") from None
        except WorkflowQueryFailedError:
            raise NoWordError("the account does not say whether it is halted") from None
        return halted

    async def _reserve(self, order: PlaceOrder, limit: DailyLimit) -> Reservation:
        wish = Reserve(request_id=order.form.request_id, amount=order.cost, limit=limit.amount, timezone=limit.timezone)
        try:
            reservation = await update_account(
                self._client, order.account, "reserve", wish, result_type=Reservation, patience=_PATIENCE
            )
        except (RPCError, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError):
            raise NoWordError("the account cannot be asked for the day's limit") from None
        return reservation


async def update_account(
    client: Client, account: str, update: str, wish: Any, *, result_type: type[Answer], patience: timedelta
) -> Answer:
    """Send an update to an account's workflow, which is started unless it runs; give its answer.

    Raises:
        RPCError: the server did not take it.
        WorkflowUpdateFailedError: the account refused it.
        WorkflowUpdateRPCTimeoutOrCancelledError: nobody answered within ``patience``.

    """
    starting: WithStartWorkflowOperation[Any, None] = WithStartWorkflowOperation(
        "Account",
        {"account": account},
        id=account_id(account),
        task_queue=CAMPAIGNS_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"reads the order statuses of account {account} for all its campaigns",
    )
    try:
        answer: Answer = await client.execute_update_with_start_workflow(
            update, wish, start_workflow_operation=starting, result_type=result_type, rpc_timeout=patience
        )
    except (RPCError, WorkflowUpdateRPCTimeoutOrCancelledError):
        # The operation keeps the error too; untaken, asyncio would tell it again, as a traceback.
        with suppress(Exception):
            await starting.workflow_handle()
        raise
    return answer
