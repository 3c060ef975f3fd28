"""``accounts``: how each account of the configuration stands: its halt, its day, what runs on it, who works for it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rich.table import Table
from rich.text import Text
from temporalio.client import WorkflowExecutionStatus, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import CAMPAIGNS_QUEUE, account_id, panel_queue
from campaigns.quantities import money_text
from commands.console import DONE, FAILED, CommandError, column, emit, out, plain, say, show
from commands.snapshots import SILENT, query
from commands.temporal import PATIENCE, connected, is_open, knows_no_campaigns, nobody_works, unattended
from configuration import load_configuration

if TYPE_CHECKING:
    from temporalio.client import Client

    from configuration import AccountSettings

_WIDE = 96
"""Columns from which the panels stand in the table."""
_NOTHING: dict[str, Any] = {"halted": None, "orders": 0, "reserved_today": "0", "day_ends": None, "trouble": ""}
"""What an account says of itself as long as nobody needed it."""


async def accounts(names: list[str], *, as_machine: bool) -> int:
    """Show how every account stands, or those that are named."""
    configuration = load_configuration(keys=False)
    chosen = {name: configuration.account(name) for name in names or configuration.accounts}
    client = await connected()
    rows = await asyncio.gather(*(_look(client, name, settings) for name, settings in chosen.items()))
    if as_machine:
        emit(rows)
    else:
        show(accounts_table(rows, out().width), *_remarks(rows))
    for row in rows:
        if row["error"]:
            say(f"account {row['account']} cannot say how it stands: {row['error']}", "red")
    idle = [panel_queue(row["account"]) for row in rows if not row["worker"]]
    if idle and not as_machine:
        say(nobody_works(idle), "yellow")
    return FAILED if any(row["error"] for row in rows) else DONE


async def _look(client: Client, name: str, settings: AccountSettings) -> dict[str, Any]:
    idle = await unattended(client, name)
    facts, error = None, None
    try:
        facts = await _ask(client, name, answered=CAMPAIGNS_QUEUE not in idle)
    except CommandError as silent:
        error = str(silent)
    here = {"campaigns": await _running(client, name), "worker": panel_queue(name) not in idle, "error": error}
    return row_of(name, settings, facts, datetime.now(UTC)) | here


async def _ask(client: Client, name: str, *, answered: bool) -> dict[str, Any]:
    """Give what the account says of itself.

    Raises:
        CommandError: it cannot be asked.

    """
    handle = client.get_workflow_handle(account_id(name))
    try:
        found = await handle.describe(rpc_timeout=PATIENCE)
        if found.status is WorkflowExecutionStatus.COMPLETED:
            return _NOTHING  # it ends by itself only when nothing is left to keep
        if not answered:
            raise CommandError(nobody_works([CAMPAIGNS_QUEUE]))
        facts: dict[str, Any] = await query(handle, "progress")
    except WorkflowQueryFailedError as error:
        raise CommandError(plain(error.message)) from None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND and "amespace" not in error.message:
            return _NOTHING
        if error.status not in SILENT:
            raise
        told = f"no worker answered within {PATIENCE.seconds} s; look at the workers' logs, or try again"
        raise CommandError(told) from None
    # Of one that was terminated only the halt still holds: placements ask for it, all else begins anew.
    return facts if is_open(found) else _NOTHING | {"halted": facts["halted"]}


async def _running(client: Client, name: str) -> int:
    wanted = f'WorkflowType = "Campaign" AND ExecutionStatus = "Running" AND Account = "{name}"'
    try:
        return (await client.count_workflows(wanted, rpc_timeout=PATIENCE)).count
    except RPCError as error:
        if knows_no_campaigns(error):
            return 0
        raise


def row_of(name: str, settings: AccountSettings, facts: dict[str, Any] | None, now: datetime) -> dict[str, Any]:
    """Give what the configuration and the account itself say, as JSON; without its word what is unknown is null."""
    said = facts or dict.fromkeys(_NOTHING)
    halt = said["halted"] or {}
    limit = settings.per_day.amount if settings.per_day else None
    used = None if limit is None or facts is None else _used(facts, now)
    return {
        "account": name,
        "panel": urlsplit(settings.url).netloc.rpartition("@")[2],
        "currency": settings.currency,
        "halted": None if facts is None else said["halted"] is not None,
        "by": halt.get("by") or "",
        "why": halt.get("why") or "",
        "since": _moment(halt.get("at")),
        "used_today": None if used is None else money_text(used),
        "per_day": None if limit is None else money_text(limit),
        "orders": said["orders"],
        "trouble": said["trouble"],
    }


def _used(facts: dict[str, Any], now: datetime) -> Decimal:
    """Give what is set aside on the running day: the account begins a new one only with its next placement."""
    ends = facts.get("day_ends")
    over = ends is not None and datetime.fromisoformat(ends) <= now
    return Decimal(0) if over else Decimal(facts["reserved_today"])


def _moment(given: str | None) -> str | None:
    if given is None:
        return None
    return datetime.fromisoformat(given).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def accounts_table(rows: list[dict[str, Any]], width: int) -> Table:
    """Draw how the accounts stand."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("account", overflow="fold")
    wide = width >= _WIDE
    if wide:
        table.add_column("panel", overflow="fold")
    table.add_column("placements", no_wrap=True)
    table.add_column("used today", justify="right", no_wrap=True)
    table.add_column("of", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("orders", justify="right", no_wrap=True)
    table.add_column("campaigns", justify="right", no_wrap=True)
    table.add_column("worker", no_wrap=True)
    used, limits = (column(row[name] for row in rows) for name in ("used_today", "per_day"))
    for row, used_today, per_day in zip(rows, used, limits, strict=True):
        table.add_row(
            row["account"],
            *([plain(row["panel"])] if wide else []),
            _placements(row["halted"]),
            used_today,
            per_day or Text("no limit", style="dim"),
            row["currency"] if per_day else "",
            "?" if row["orders"] is None else f"{row['orders']:,}",
            f"{row['campaigns']:,}",
            "yes" if row["worker"] else Text("none", style="yellow"),
        )
    return table


def _placements(halted: bool | None) -> Text:  # noqa: FBT001 - as it stands in the row
    if halted is None:
        return Text("unknown", style="red")
    return Text("halted", style="bold yellow") if halted else Text("go on")


def _remarks(rows: list[dict[str, Any]]) -> list[Text]:
    """Say who halted what, and what to do about it; and which panel did not answer."""
    told = []
    for row in rows:
        name = row["account"]
        if row["halted"]:
            by = f" by {plain(row['by'])}" if row["by"] else ""
            since = f" since {row['since'].replace('T', ' ')}" if row["since"] else ""
            why = f": {plain(row['why'])}" if row["why"] else ""
            told.append(Text(f"{name} is halted{by}{since}{why}; `campaigner release {name}` ends it", "yellow"))
        if row["trouble"]:
            told.append(Text(f"{name}: the last status request brought nothing: {plain(row['trouble'])}", "yellow"))
    return told
