"""The commands about running campaigns: ``status``, ``watch``, ``list``, and what a person decides."""

from __future__ import annotations

import getpass
import os
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from campaigns.quantities import money_text
from campaigns.state import CampaignState
from codec import CodecError
from commands import views
from commands.console import (
    DONE,
    FAILED,
    INVALID,
    CommandError,
    Kind,
    emit,
    money,
    out,
    plain,
    say,
    show,
    width_of,
)
from commands.snapshots import Snapshot, take
from commands.temporal import PATIENCE, connected, find, is_open, knows_no_campaigns, nobody_works, unattended
from commands.watching import show_state, to_the_end
from workflows import attributes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from rich.console import RenderableType
    from temporalio.client import Client, WorkflowExecution, WorkflowExecutionDescription

_BROKEN = ("Failed", "Terminated", "TimedOut")
USER_VARIABLE = "CAMPAIGNER_USER"


async def watch(given: str, *, as_machine: bool) -> int:
    """Follow a campaign until it ends."""
    client = await connected()
    found = await find(client, given)
    return await to_the_end(client, found.id, as_machine=as_machine, streaming=True)


async def status(given: str, *, everything: bool, as_machine: bool) -> int:
    """Show how a campaign stands."""
    client = await connected()
    snapshot = await take(client, await find(client, given))
    if as_machine:
        emit(snapshot.document())
        if snapshot.note:
            say(snapshot.note, "yellow")
    else:
        show_state(snapshot, limit=None if everything else views.ROWS)
        _show_decisions(snapshot)
    return DONE


def _show_decisions(snapshot: Snapshot) -> None:
    for decision in snapshot.facts.get("decisions") or ():
        by = f" by {plain(decision['by'])}" if decision.get("by") else ""
        why = f": {plain(decision['why'])}" if decision.get("why") else ""
        moment = views.when(decision["at"], snapshot.facts.get("timezone"))
        show(Text(f"{moment}  {decision['what']}{by}{why}", style="dim"))


async def list_campaigns(state: str | None, account: str | None, limit: int, *, as_machine: bool) -> int:
    """List campaigns, the newest first."""
    client = await connected()
    rows: list[dict[str, Any]] = []
    more = False
    try:
        async for found in client.list_workflows(_query(state, account), page_size=min(limit + 1, 1000)):
            if len(rows) == limit:
                more = True
                break
            rows.append(_listed(found))
    except RPCError as error:
        if knows_no_campaigns(error):
            told = f"the namespace {client.namespace} has never seen a campaign; start a worker once"
            raise CommandError(told) from None
        raise
    if as_machine:
        emit(rows)
    elif rows:
        show(list_table(rows, out().width))
    else:
        which = " like that" if state or account else ""
        say(f"there are no campaigns{which}; start one with `campaigner start FILE`")
    if more:
        say(f"there are more; --limit {limit * 10} shows up to {limit * 10:,}", "dim")
    return DONE


def _query(state: str | None, account: str | None) -> str:
    parts = ['WorkflowType = "Campaign"', 'ExecutionStatus != "ContinuedAsNew"']
    broken = " OR ".join(f'ExecutionStatus = "{word}"' for word in _BROKEN)
    if state is not None and state not in list(CampaignState):
        known = ", ".join(CampaignState)
        raise CommandError(f"{plain(state)} is not a campaign's state; they are {known}", INVALID)
    if state == CampaignState.FAILED:
        parts.append(f'(CampaignState = "failed" OR {broken})')
    elif state is not None:
        parts.append(f'CampaignState = "{state}"')
        parts += [f'ExecutionStatus != "{word}"' for word in _BROKEN]
    if account is not None:
        if not all(character.isalnum() or character == "-" for character in account):
            raise CommandError(f"{plain(account)} is not an account's name", INVALID)
        parts.append(f'Account = "{account}"')
    return " AND ".join(parts)


def _listed(found: WorkflowExecution) -> dict[str, Any]:
    known = found.typed_search_attributes
    execution = found.status.name.lower() if found.status else "running"
    state = known.get(attributes.CAMPAIGN_STATE) or CampaignState.PLANNING.value
    if execution in ("failed", "terminated", "timed_out"):
        state = CampaignState.FAILED.value
    elif execution == "canceled":
        state = CampaignState.CANCELED.value
    return {
        "id": found.id,
        "run_id": found.run_id,
        "name": known.get(attributes.CAMPAIGN_NAME) or found.id.removeprefix("campaign/"),
        "account": known.get(attributes.ACCOUNT),
        "state": state,
        "execution": execution,
        # An encrypted campaign does not write it.
        "spent": _amount(known.get(attributes.SPENT, 0.0 if known.get(attributes.OPEN_ORDERS) is None else None)),
        "open": known.get(attributes.OPEN_ORDERS) or 0,
        "delivered_percent": f"{known.get(attributes.DELIVERED) or 0.0:.1f}",
        "started": _stamp(found.start_time),
        "closed": _stamp(found.close_time),
    }


def _amount(spent: float | None) -> str | None:
    return None if spent is None else money_text(Decimal(str(spent)))


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def list_table(rows: list[dict[str, Any]], width: int) -> Table:
    """Draw the list; a narrow terminal goes without the account, then without the start, before a name is broken."""
    with_account = len({row["account"] for row in rows}) > 1 or width >= views.WIDE
    for extras in [("started", "account")] * with_account + [("started",), ()]:
        table = _list_table(rows, extras)
        if width_of(table) <= width:
            break
    return table


def _list_table(rows: list[dict[str, Any]], extras: tuple[str, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("name", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("spent", justify="right", no_wrap=True)
    table.add_column("open", justify="right", no_wrap=True)
    table.add_column("delivered", justify="right", no_wrap=True)
    if "started" in extras:
        table.add_column("started (UTC)", no_wrap=True)
    if "account" in extras:
        table.add_column("account", overflow="fold")
    for row in rows:
        cells: list[RenderableType] = [
            plain(row["id"].removeprefix("campaign/")),  # of a scheduled run, with its slot
            views.word(row["state"]),
            money(row["spent"]),
            f"{row['open']:,}",
            f"{Decimal(row['delivered_percent']).normalize():f} %",
        ]
        if "started" in extras:
            cells.append(str(row["started"]).replace("T", " ").removesuffix("Z"))
        if "account" in extras:
            cells.append(plain(row["account"] or ""))
        table.add_row(*cells)
    return table


async def decide(
    given: str,
    update: str,
    why: str,
    *,
    as_machine: bool,
    more: dict[str, Any] | None = None,
    before: Callable[[WorkflowExecutionDescription], Awaitable[None]] | None = None,
) -> int:
    """Send a person's decision to a campaign: one of its updates; ``before`` it may still be refused."""
    client = await connected()
    found = await find(client, given)
    name = plain(found.id.removeprefix("campaign/"))
    if not is_open(found):
        ended = _ended_as(found).replace("_", " ")
        raise CommandError(f"{name} has ended ({ended}); there is nothing to {update}", FAILED, Kind.REFUSED)
    by = who()
    if missing := await unattended(client):
        if update != "cancel" or more:
            told = f"nothing was changed: {nobody_works(missing)}, then {update} again"
            raise CommandError(told, FAILED, Kind.NO_WORKER)
        await client.get_workflow_handle(found.id).cancel(rpc_timeout=PATIENCE)
        say(f"asked Temporal to cancel {name}; it will be done as soon as somebody works: {nobody_works(missing)}")
        if as_machine:
            emit({"id": found.id, "run_id": found.run_id, "update": update, "state": None, "by": by})
        return DONE
    if before is not None:
        await before(found)
    state = await _update(client, found, update, {"by": by, "why": why} | (more or {}))
    if as_machine:
        emit({"id": found.id, "run_id": found.run_id, "update": update, "state": state, "by": by})
    else:
        show(_told("cancel_order" if update == "cancel" and more else update, name, state, more or {}))
    return DONE


async def _update(client: Client, found: WorkflowExecutionDescription, update: str, wish: dict[str, Any]) -> str:
    handle = client.get_workflow_handle(found.id)
    name = plain(found.id.removeprefix("campaign/"))
    try:
        return str(await handle.execute_update(update, wish, rpc_timeout=PATIENCE))
    except WorkflowUpdateFailedError as error:
        words = error.cause.message if isinstance(error.cause, ApplicationError) else str(error.cause)
        raise CommandError(f"{name} refuses to {update}: {plain(words)}", FAILED, Kind.REFUSED) from None
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        told = f"no worker answered within {PATIENCE.seconds} s; `campaigner status {name}` shows whether it was done"
        raise CommandError(told, FAILED, Kind.NO_WORKER) from None
    except CodecError as error:
        told = f"{update} was sent to {name}, and may have been done: its answer cannot be read here ({error})"
        told += f"; set the keys, then look at `campaigner status {name}`"
        raise CommandError(told, FAILED, Kind.TEMPORAL) from None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            told = f"{name} has just ended; there is nothing to {update}"
            raise CommandError(told, FAILED, Kind.REFUSED) from None
        raise


def _ended_as(found: WorkflowExecutionDescription) -> str:
    word = found.typed_search_attributes.get(attributes.CAMPAIGN_STATE)
    execution = found.status.name.lower() if found.status else ""
    return word if word and execution == "completed" else execution


def _told(update: str, name: str, state: str, wish: dict[str, Any]) -> str:
    now = f"now {state.replace('_', ' ')}"
    match update:
        case "pause":
            return f"{name} is paused: nothing new is placed until `campaigner resume {name}` ({now})"
        case "resume":
            return f"{name} goes on ({now})"
        case "cancel_order":
            return f"{name}: asked back; what was not placed is skipped ({now})"
        case "cancel":
            return f"{name} is being canceled: nothing more is placed, open orders are asked back ({now})"
        case "resolve":
            run, order = plain(wish.get("order")), wish.get("placed")
            how = f"is followed as {plain(order)}" if order else "is placed anew, under a new request id"
            return f"{name}: {run} {how} ({now})"
        case _:
            return f"{name}: {update.replace('_', ' ')} done ({now})"


def who() -> str:
    """Say who gives the command: ``CAMPAIGNER_USER``, or the login name."""
    try:
        return os.environ.get(USER_VARIABLE) or getpass.getuser()
    except (KeyError, OSError):
        return ""
