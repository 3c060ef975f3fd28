"""How a campaign waits for the engine's next moment: one timer for as long as that moment stays the same.

A timer that is taken back and set anew at every event is two more events of the history each time, one more action to
pay for on Temporal Cloud, and a Timeline in pieces.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from temporalio import workflow

if TYPE_CHECKING:
    from collections.abc import Callable

KEEPS_ITS_TIMER = "keeps-its-timer"
"""A patch: campaigns from before it set their timer anew at every event."""


class Alarm:
    """Wakes a campaign at a moment, or as soon as something happens."""

    def __init__(self) -> None:
        self._keeps = False
        self._moment: datetime | None = None
        self._summary: str | None = None
        self._timer: asyncio.Task[None] | None = None

    def look_back(self) -> None:
        """See, once a run, how its history has it."""
        self._keeps = workflow.patched(KEEPS_ITS_TIMER)

    async def wait(self, moment: datetime | None, summary: str | None, happened: Callable[[], bool]) -> None:
        """Wait until a moment, or until something has happened.

        Args:
            moment: to wake at, at the latest; None for no such moment.
            summary: what the timer is for, in the operator's words; shown in the Web UI.
            happened: tells whether something has.

        Raises:
            asyncio.CancelledError: the workflow was asked to cancel.

        """
        if not self._keeps:
            await _wait_anew(moment, summary, happened)
            return
        if (moment, summary) != (self._moment, self._summary):
            self._take_back()
        if moment is not None and self._timer is None:
            left = moment - workflow.now()
            if left <= timedelta(0):
                await _wait_anew(moment, summary, happened)  # no timer; what was begun just now gets its turn
                return
            self._moment, self._summary = moment, summary
            self._timer = asyncio.create_task(workflow.sleep(left, summary=summary))
        await workflow.wait_condition(lambda: happened() or self._rings())
        if self._rings():
            self._take_back()

    def _rings(self) -> bool:
        return self._timer is not None and self._timer.done()

    def _take_back(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._moment = self._summary = self._timer = None


async def _wait_anew(moment: datetime | None, summary: str | None, happened: Callable[[], bool]) -> None:
    timeout = None if moment is None else max(moment - workflow.now(), timedelta(0))
    try:
        await workflow.wait_condition(happened, timeout=timeout, timeout_summary=summary)
    except TimeoutError:
        return
