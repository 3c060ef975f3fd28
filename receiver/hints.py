"""Passes hints on to the accounts' workflows, a burst of them in few signals."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import account_id
from campaigns.wording import count

if TYPE_CHECKING:
    from temporalio.client import Client

PATIENCE = timedelta(seconds=3)
"""How long Temporal has to take a signal: whoever delivers waits twice that at most, and then delivers again."""
MOST = 500
"""Orders in one signal: well below the limit of a payload."""
_log = logging.getLogger("campaigner.receiver")


class UnheardError(Exception):
    """Temporal did not take a hint; the message says why."""


class _Batch:
    """Orders of one account that go together into one signal."""

    def __init__(self) -> None:
        self.orders: dict[str, None] = {}
        self.sending: asyncio.Task[str] | None = None


class Hints:
    """Tells accounts which orders to read.

    One signal of an account is on its way at a time; what comes meanwhile goes together into the next one.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._open: dict[str, _Batch] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def tell(self, account: str, order: str) -> None:
        """Have an order read now, if the account follows it. Where its workflow does not run, nobody wants it read.

        Raises:
            UnheardError: Temporal did not take it.

        """
        batch = self._open.get(account)
        if batch is None or len(batch.orders) >= MOST:
            batch = self._open[account] = _Batch()
            batch.sending = asyncio.create_task(self._send(account, batch))
        batch.orders[order] = None
        assert batch.sending is not None  # noqa: S101 - for the type checker
        # The others' hints go on where one who delivers has gone away.
        if trouble := await asyncio.shield(batch.sending):
            raise UnheardError(trouble)

    async def _send(self, account: str, batch: _Batch) -> str:
        """Send one signal; say why Temporal did not take it, or nothing."""
        async with self._locks[account]:
            if self._open.get(account) is batch:
                del self._open[account]
            handle = self._client.get_workflow_handle(account_id(account))
            try:
                await handle.signal("hint", list(batch.orders), rpc_timeout=PATIENCE)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND and "amespace" not in error.message:
                    return ""
                hints = count(len(batch.orders), "hint")
                _log.warning("%s: Temporal did not take %s: %s", account, hints, error.status.name)
                return f"Temporal answers {error.status.name}"
            return ""
