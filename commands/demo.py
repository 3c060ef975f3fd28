"""``demo``: a whole campaign in under a minute, with Temporal, a panel to practise on and a worker in one process."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from rich.table import Table

import campaigns
from campaigns.wording import count
from commands import views
from commands.console import DONE, FAILED, CommandError, column, emit, err, money, out, plain, say, show
from commands.files import read_campaign
from commands.reconciling import differences
from commands.stopping import Stop
from commands.watching import follow
from configuration import AccountSettings, Configuration
from connection import connect_embedded
from embedded import PORT, UI_PORT, embedded_temporal
from sandbox.limits import Limits
from sandbox.server import running
from sandbox.settings import SandboxSettings
from worker import running_workers
from workflows.starting import start_campaign

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console
    from temporalio.client import Client

    from commands.snapshots import Snapshot
    from embedded import Embedded
    from sandbox.server import Sandbox

FILE = Path(campaigns.__file__).parent / "demo.yaml"
SPEED = 600
"""Sandbox seconds in one real second: an order that takes an hour takes six seconds."""
SANDBOX_PORT = 8900
_REQUESTS_PER_MINUTE = 1200
_LONGEST = 80.0
"""Seconds after which the demo is held to be broken."""
_SHORT_ID = 10
_WIDE = 116
"""Columns of the last table with everything in it."""


async def demo(*, stay: bool, as_machine: bool) -> int:
    """Run the demo campaign and hold its report against the sandbox's books."""
    began = time.monotonic()
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    _, definition = read_campaign(FILE)
    stop = Stop("stopping")
    async with AsyncExitStack() as stack:
        limits = Limits(per_ip=None, per_key=_REQUESTS_PER_MINUTE, per_tier=None)
        # A key of its own: a worker of another folder may think that its own sandbox is back on this port.
        key = secrets.token_hex(16)
        settings = SandboxSettings(
            api_keys={key}, speed=SPEED, port=SANDBOX_PORT, opening_balance="100.00", limits=limits
        )
        box = await stack.enter_async_context(running(settings))
        server = await stack.enter_async_context(embedded_temporal())
        stop.on_force.append(server.process.kill)
        client = await connect_embedded(server.address)
        await stack.enter_async_context(running_workers(client, _configuration(box, key, definition.account)))
        _introduce(server, box)
        handle = await start_campaign(client, definition)
        console = err() if as_machine else out()
        following = asyncio.create_task(_followed(client, handle.id, console))
        stopped = asyncio.create_task(stop.asked.wait())
        await asyncio.wait((following, stopped), timeout=_LONGEST, return_when=asyncio.FIRST_COMPLETED)
        if not following.done():
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            told = "the demo was stopped" if stop.asked.is_set() else f"the demo did not end within {_LONGEST:g} s"
            raise CommandError(told)
        final = following.result()
        code = _conclude(final, box.ledger(), began, as_machine=as_machine)
        if stay and not stop.asked.is_set():
            say(f"Web UI {server.ui} and ledger {box.base_url}/ stay up until Ctrl-C", "bold")
            await stop.asked.wait()
        stopped.cancel()
    return code


async def _followed(client: Client, workflow_id: str, console: Console) -> Snapshot:
    try:
        return await follow(client, workflow_id, console)
    except SystemExit:
        # So says rich when the reader of a pipe went away. Out of a task it would end the loop under everything else
        # that runs here, which then waits for ever.
        raise CommandError("the demo was stopped: nobody reads what it says") from None


def _configuration(box: Sandbox, key: str, account: str) -> Configuration:
    settings = AccountSettings(
        url=box.url,
        api_key=SecretStr(key),
        requests_per_minute=_REQUESTS_PER_MINUTE,
        poll_every=timedelta(seconds=1),
        probe_every=timedelta(seconds=5),
        allowed_targets=["https://example.com/brand/*"],
    )
    return Configuration(path="the demo", accounts={account: settings})


def _introduce(server: Embedded, box: Sandbox) -> None:
    ports = {PORT: server.address, UI_PORT: server.ui, SANDBOX_PORT: box.base_url}
    taken = [str(port) for port, where in ports.items() if where.rpartition(":")[2] != str(port)]
    if taken:
        say(f"port{'s' if len(taken) > 1 else ''} {', '.join(taken)} taken: using others", "yellow")
    say(f"Temporal Web UI  {server.ui}", "bold")
    say(f"panel's ledger   {box.base_url}/  (a sandbox, {SPEED:g} times as fast)")
    say(f"campaign         {_relative(FILE)}")
    say("")


def _relative(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return path.name


def _conclude(final: Snapshot, ledger: dict[str, Any], began: float, *, as_machine: bool) -> int:
    wrong = differences(final.rows, final.facts["spent"], ledger)
    if final.state != "completed":
        wrong.insert(0, f"the campaign ended as {final.state}: {final.facts['why']}")
    seconds = time.monotonic() - began
    if as_machine:
        emit({"campaign": final.document(), "ledger": ledger, "differences": wrong, "seconds": round(seconds, 1)})
    else:
        show("", _table(final.rows, ledger), "", _money(ledger, final.facts), "")
    for difference in wrong:
        say(f"✗ {plain(difference)}", "red")
    if not wrong:
        orders = count(len(ledger["orders"]), "order")
        say(f"✓ report and ledger agree: {orders}, every id, quantity, state and charge", "green")
    say(f"{seconds:.0f} s", "dim")
    return FAILED if wrong else DONE


def _table(rows: list[dict[str, Any]], ledger: dict[str, Any]) -> Table:
    booked = {order["order"]: order for order in ledger["orders"]}
    runs = views.runs_of(rows)
    wide = out().width >= _WIDE
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("order", no_wrap=True)
    if wide:
        table.add_column("service", overflow="ellipsis", no_wrap=True)
    table.add_column("panel order", no_wrap=True, style="dim")
    table.add_column("state", no_wrap=True)
    for name in ("quantity", "delivered", "charge", "ledger"):
        table.add_column(name, justify="right", no_wrap=True)
    theirs = [booked.get(row["panel_order"] or "", {}) for row in rows]
    charges = column([*(row["charge"] for row in rows), _sum(row["charge"] for row in rows)])
    ledgers = column([*(order.get("charge") for order in theirs), _sum(order["charge"] for order in ledger["orders"])])
    for row, order, charge, booking in zip(rows, theirs, charges, ledgers, strict=False):
        id_ = plain(row["panel_order"] or "")
        table.add_row(
            views.title(row, runs),
            *([plain(order.get("service_name", row["service"]))] if wide else []),
            id_ if wide or len(id_) <= _SHORT_ID else f"…{id_[-_SHORT_ID:]}",
            views.word(row["state"]),
            f"{row['quantity']:,}",
            f"{row['delivered']:,}",
            charge,
            booking,
        )
    units = [f"{sum(row[name] for row in rows):,}" for name in ("quantity", "delivered")]
    table.add_row("all", *([""] if wide else []), "", "", *units, charges[-1], ledgers[-1], style="bold")
    return table


def _sum(amounts: Iterable[str | None]) -> Decimal:
    return sum((Decimal(amount or 0) for amount in amounts), Decimal(0))


def _money(ledger: dict[str, Any], facts: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim")
    opening, closing = Decimal(ledger["opening_balance"]), Decimal(ledger["balance"])
    refunded = _sum(order["refunded"] for order in ledger["orders"])
    amounts = column([opening, closing, opening - closing, facts["spent"]])
    table.add_row("panel, opening balance", amounts[0], ledger["currency"])
    table.add_row("panel, closing balance", amounts[1], f"{money(refunded)} of what was charged came back")
    table.add_row("the balance fell by", amounts[2], "")
    table.add_row("report, spent", amounts[3], _of(facts), style="bold")
    return table


def _of(facts: dict[str, Any]) -> str:
    return f"of a budget of {facts['budget']}" if facts.get("budget") else ""
