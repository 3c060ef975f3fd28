"""The audit's questions to the panels: in batches, at a pace, and again when a failure may pass."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from activities.readings import reading_of, unreadable
from campaigns.auditing import Answers
from campaigns.patience import AT_MOST, Patience
from campaigns.quantities import format_duration
from commands.console import FAILED, CommandError, Kind, say
from commands.panels import panel_of
from configuration import MissingKeyError, UnknownAccountError
from panel import Ambiguous, Missing, OrderStatus, Refused, Throttled
from panel.reading import identifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.messages import Reading
    from configuration import Configuration
    from panel import PanelClient

PAGE = 100
"""Statuses in one request (panel documentation)."""


async def ask_all(configuration: Configuration, orders: Mapping[str, Sequence[str]]) -> dict[str, Answers]:
    """Read the orders of every account, all accounts at once; what could not be read is said in the answers."""
    answers = await asyncio.gather(*(ask(configuration, account, ids) for account, ids in orders.items()))
    return dict(zip(orders, answers, strict=True))


async def ask(configuration: Configuration, account: str, orders: Sequence[str]) -> Answers:
    """Read an account's orders, as far as its panel tells them."""
    # One id that no request can carry must not cost the others their answers.
    now = datetime.now(UTC)
    readings: dict[str, Reading | None] = {
        order: unreadable(order, now) for order in orders if identifier(order) != order
    }
    readable = [order for order in orders if order not in readings]
    try:
        async with panel_of(configuration, account) as panel:
            asker = _Asker(panel, account, Patience(configuration.account(account).requests_per_minute))
            for start in range(0, len(readable), PAGE):
                answers = await asker.statuses(readable[start : start + PAGE])
                now = datetime.now(UTC)
                readings |= {
                    order: None if isinstance(answer, Missing) else reading_of(order, answer, now)
                    for order, answer in answers.items()
                }
    except (CommandError, UnknownAccountError, MissingKeyError) as error:
        return Answers(readings, failure=str(error))
    return Answers(readings)


class _Asker:
    """Asks one account's panel, and waits where it must."""

    def __init__(self, panel: PanelClient, account: str, patience: Patience) -> None:
        self._panel = panel
        self._account = account
        self._patience = patience
        self._next = 0.0
        self._told = False

    async def statuses(self, page: Sequence[str]) -> Mapping[str, OrderStatus | Refused | Missing]:
        """Read one batch.

        Raises:
            PanelError: the panel does not tell it, also when asked again.
            CommandError: it asks for more time than an audit waits.

        """
        while True:
            await asyncio.sleep(max(self._next - time.monotonic(), 0))
            self._next = time.monotonic() + self._patience.pace.total_seconds()
            try:
                answers = await self._panel.statuses(page)
            except Throttled as error:
                await self._wait_for(error)
            except Ambiguous:
                if (pause := self._patience.after_failure()) is None:
                    raise
                await asyncio.sleep(pause.total_seconds())
            else:
                self._patience.answered()
                return answers

    async def _wait_for(self, throttled: Throttled) -> None:
        wait = self._patience.when_throttled(throttled.until - datetime.now(UTC))
        until = f"{throttled.until:%Y-%m-%dT%H:%M:%SZ}"
        if wait is None:
            told = (
                f"account {self._account}: the panel throttles until {until}, and an audit waits {_AT_MOST} in all; "
                "audit again after that, or fewer campaigns at a time"
            )
            raise CommandError(told, FAILED, Kind.PANEL)
        if not self._told:
            self._told = True
            say(f"account {self._account}: the panel throttles until {until}; the audit waits and goes on", "yellow")
        await asyncio.sleep(wait.total_seconds())


_AT_MOST = format_duration(AT_MOST)
