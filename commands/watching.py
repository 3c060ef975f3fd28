"""Follows a campaign to its end: a table that redraws itself, plain lines where that is impossible, or JSON lines."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.text import Text

from campaigns.state import CampaignState
from commands import views
from commands.console import DONE, FAILED, CommandError, emit, emit_line, err, out, plain, say, show
from commands.snapshots import SilentError, Snapshot, ask, take
from commands.temporal import PATIENCE, is_open

if TYPE_CHECKING:
    from rich.console import Console
    from temporalio.client import Client

EVERY = 1.0
"""Seconds between two looks."""
_MANY = 1000
"""Order runs from which the rows are read less often."""
_SELDOM = 5
_GIVE_UP = 60.0
"""Seconds without any word from Temporal."""
_MARGIN = 9
"""Terminal lines that are not rows of orders."""


async def follow(client: Client, workflow_id: str, console: Console | None) -> Snapshot:
    """Show how a campaign goes until it ends, and give its last state; without a console as JSON lines on stdout.

    Raises:
        CommandError: Temporal did not answer for a minute.

    """
    teller: _Teller
    with ExitStack() as stack:
        if console is None:
            teller = _Lines()
        elif console.is_terminal:
            teller = _Screen(stack.enter_context(Live(console=console, auto_refresh=False)), console)
        else:
            teller = _Narrator(console)
        return await _follow(client, workflow_id, teller)


async def _follow(client: Client, workflow_id: str, teller: _Teller) -> Snapshot:
    loop = asyncio.get_running_loop()
    heard, looks = loop.time(), 0
    last: Snapshot | None = None
    while True:
        try:
            found = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=PATIENCE)
            if not is_open(found):
                final = await take(client, found)
                teller.tell(last, final)
                return final
            many = last is not None and len(last.rows) > _MANY
            now = await ask(client, client.get_workflow_handle(workflow_id), rows=not many or looks % _SELDOM == 0)
            if last is not None and not now.rows:
                now = Snapshot(now.facts, last.rows)
            teller.tell(last, now)
            last, heard, looks = now, loop.time(), looks + 1
        except SilentError as silent:
            teller.notice(str(silent))
            heard = loop.time()  # Temporal answers; only nobody works
        except CommandError:
            raise
        except Exception as error:
            # Whatever it is, the campaign goes on without us: look again for a while.
            if loop.time() - heard > _GIVE_UP:
                raise
            teller.notice(f"no answer, trying again ({type(error).__name__})")
        await asyncio.sleep(EVERY)


class _Teller(ABC):
    @abstractmethod
    def tell(self, before: Snapshot | None, now: Snapshot) -> None:
        """Show a new state."""

    @abstractmethod
    def notice(self, text: str) -> None:
        """Show that there is no new state, and why."""


class _Screen(_Teller):
    """Redraws the terminal."""

    def __init__(self, live: Live, console: Console) -> None:
        self._live, self._console = live, console

    def tell(self, before: Snapshot | None, now: Snapshot) -> None:  # noqa: ARG002 - it redraws everything
        width = self._console.width
        if now.ended:
            # The last picture stays, and may be longer than the terminal.
            self._live.vertical_overflow = "visible"
            self._live.update(views.campaign(now.facts, now.rows, width, views.ROWS), refresh=True)
            return
        rows = max(3, self._console.height - _MARGIN)
        self._live.update(views.campaign(now.facts, now.rows, width, rows, brief=True), refresh=True)

    def notice(self, text: str) -> None:
        self._live.console.print(Text(text, style="yellow"))


class _Narrator(_Teller):
    """Prints a line for every change."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._noticed = ""

    def tell(self, before: Snapshot | None, now: Snapshot) -> None:
        self._noticed = ""
        runs = views.runs_of(now.rows)
        stamp = f"{datetime.now().astimezone():%H:%M:%S}"
        if before is None or before.facts["state"] != now.facts["state"]:
            self._print(f"{stamp}  {now.state.replace('_', ' ')}")
        for row in views.turns(before.rows if before else [], now.rows):
            self._print(f"{stamp}  {views.line(row, runs)}")

    def notice(self, text: str) -> None:
        if text != self._noticed:
            self._noticed = text
            say(text, "yellow")

    def _print(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)


class _Lines(_Teller):
    """Prints a line of JSON for every change: the totals, and the rows that changed; all rows in the last one."""

    def __init__(self) -> None:
        self._noticed = ""

    def tell(self, before: Snapshot | None, now: Snapshot) -> None:
        self._noticed = ""
        if now.ended:
            emit_line(now.document())
            return
        changed = views.changes(before.rows if before else [], now.rows)
        if before is None or changed or _totals(before) != _totals(now):
            emit_line({**now.facts, "orders": changed})

    def notice(self, text: str) -> None:
        if text != self._noticed:
            self._noticed = text
            say(text, "yellow")


def _totals(snapshot: Snapshot) -> tuple[Any, ...]:
    return tuple(snapshot.facts.get(name) for name in ("state", "spent", "reserved", "open", "why"))


async def to_the_end(client: Client, workflow_id: str, *, as_machine: bool, streaming: bool) -> int:
    """Show how a campaign goes until it ends; 0 if it completed. ``streaming`` as JSON is a line for every change."""
    try:
        console = out() if not as_machine else None if streaming else err()
        final = await follow(client, workflow_id, console)
    except BaseException as error:
        if not isinstance(error, Exception):
            say(f"stopped watching; {plain(workflow_id.removeprefix('campaign/'))} goes on", "dim")
        raise
    if as_machine and not streaming:
        emit(final.document())
    elif not as_machine:
        if not out().is_terminal:
            show_state(final, limit=views.ROWS)
        elif final.note:
            say(final.note, "yellow")
    return DONE if final.state == CampaignState.COMPLETED else FAILED


def show_state(snapshot: Snapshot, *, limit: int | None) -> None:
    """Print how a campaign stands."""
    show(views.campaign(snapshot.facts, snapshot.rows, out().width, limit))
    if snapshot.note:
        say(snapshot.note, "yellow")
