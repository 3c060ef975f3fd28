"""Ctrl-C and SIGTERM for the commands that keep running: the first asks, the second does not."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

from commands.console import DONE, FAILED, INTERRUPTED, say

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any


class Stop:
    """Is set by the first Ctrl-C or SIGTERM; the second ends the process at once.

    ``on_force`` lists what must not outlive the process, such as a child of its own session.
    """

    def __init__(self, telling: str = "") -> None:
        self.asked = asyncio.Event()
        self.on_force: list[Callable[[], None]] = []
        self._telling = telling
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signaled)

    def _signaled(self) -> None:
        if not self.asked.is_set():
            self.asked.set()
            if self._telling:
                say(self._telling, "dim")
            return
        for act in self.on_force:
            act()
        say("stopped at once", "yellow")
        os._exit(INTERRUPTED)


async def until_stopped(serving: Coroutine[Any, Any, None]) -> int:
    """Serve until Ctrl-C or SIGTERM; give the exit code. Whatever ends the serving before that is raised."""
    stop = Stop()
    task = asyncio.create_task(serving)
    asked = asyncio.create_task(stop.asked.wait())
    await asyncio.wait((task, asked), return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if task.done():
        task.result()
        return FAILED
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return DONE
