"""What the panel says: ``services`` and ``balance``, and the account that a command is about."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from campaigns.quantities import money_text
from campaigns.wording import count
from commands.console import (
    DONE,
    FAILED,
    INVALID,
    CommandError,
    Kind,
    column,
    emit,
    out,
    plain,
    say,
    show,
    width_of,
)
from configuration import Configuration, MissingKeyError, load_configuration
from panel import PanelClient, PanelError
from panel.models import NO_MAXIMUM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rich.console import RenderableType

    from panel import Service

_DEADLINE = 25.0
"""Seconds a person waits for one answer of a panel."""


@asynccontextmanager
async def panel_of(configuration: Configuration, account: str) -> AsyncIterator[PanelClient]:
    """Talk to an account's panel; its errors name the account.

    Raises:
        UnknownAccountError, MissingKeyError: the panel cannot be asked from here.
        CommandError: the panel did not give what was asked.

    """
    settings, key = configuration.account(account), configuration.key(account)
    try:
        async with PanelClient(settings.url, key, deadline=_DEADLINE) as client:
            yield client
    except PanelError as error:
        told = f"account {account} at {plain(settings.url)}: {plain(error)}"
        if error.from_elsewhere:
            told += (
                f" This does not look like the panel's API: check `url` of account {account} in "
                f"{plain(configuration.path)}, its path too (often /api/v2)"
            )
        raise CommandError(told, FAILED, Kind.PANEL) from None


async def services(account: str | None, search: str | None, *, as_machine: bool) -> int:
    """Show the catalog, or the part of it that a word is found in."""
    configuration = load_configuration(keys=False)
    name = _only(configuration, account)
    async with panel_of(configuration, name) as panel:
        offered = await panel.services()
    found = [service for service in offered if search is None or _matches(service, search)]
    for garbled in offered.unreadable:
        say(f"row {garbled.row} of the catalog cannot be read: {plain(garbled.why)}", "yellow")
    currency = configuration.account(name).currency
    if as_machine:
        emit([{**service.model_dump(mode="json"), "rate": money_text(service.rate)} for service in found])
    elif found:
        show(catalog(found, out().width))
        say(f"{count(len(found), 'service')} of account {name}; rates are for 1,000 in {currency}", "dim")
    else:
        what = f'no service with "{plain(search)}"' if search else "no services"
        say(f"account {name} has {what}")
    return DONE


def _matches(service: Service, search: str) -> bool:
    text = f"{service.service} {service.name} {service.category} {service.type}".casefold()
    return all(word in text for word in search.casefold().split())


def catalog(found: list[Service], width: int) -> RenderableType:
    """Draw the catalog: the names have the room, and what does not fit beside them is said more shortly."""
    found = sorted(found, key=lambda service: service.category.casefold())
    for layout in (_Layout(types=True, abilities=True), _Layout(abilities=True)):
        table = _catalog_table(found, layout)
        if width_of(table) <= width:
            return table
    return Group(_catalog_table(found, _Layout()), Text("can: r refill, c cancel, d drip", style="dim"))


@dataclass(frozen=True, slots=True)
class _Layout:
    """What has room in a catalog."""

    types: bool = False
    """A column for the type; without it a type that is not the usual one stands behind the name."""
    abilities: bool = False
    """Words for what a service can do; without them a letter each."""


_USUAL = "Default"


def _catalog_table(found: list[Service], layout: _Layout) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("id", justify="right", no_wrap=True)
    table.add_column("name", overflow="fold")
    if layout.types:
        table.add_column("type", no_wrap=True)
    table.add_column("rate", justify="right", no_wrap=True)
    table.add_column("min", justify="right", no_wrap=True)
    table.add_column("max", justify="right", no_wrap=True)
    table.add_column("can", no_wrap=True, style="dim")
    category = None
    for service, rate in zip(found, column(service.rate for service in found), strict=True):
        if service.category != category:
            category = service.category
            table.add_row("", plain(category) or "other", style="bold cyan")
        name = Text(plain(service.name))
        if not layout.types and service.type != _USUAL:
            name.append(f" ({plain(service.type)})", "dim")
        table.add_row(
            str(service.service),
            name,
            *([plain(service.type)] if layout.types else []),
            rate,
            f"{service.min:,}",
            f"{service.max:,}" if service.max < NO_MAXIMUM else "any",
            _abilities(service, words=layout.abilities),
        )
    return table


def _abilities(service: Service, *, words: bool) -> str:
    able = {"refill": service.refill, "cancel": service.cancel, "drip": service.dripfeed}
    if words:
        return " ".join(word for word, can in able.items() if can)
    return "".join(word[0] if can else "-" for word, can in able.items())


async def balance(account: str | None, *, as_machine: bool) -> int:
    """Show what is left on every account, or on one."""
    configuration = load_configuration(keys=False)
    names = list(configuration.accounts) if account is None else [account]
    if len(names) == 1:
        configuration.key(names[0])  # nothing can be asked, so nothing is begun
    rows: list[dict[str, Any]] = []
    for name in names:
        settings = configuration.account(name)
        try:
            async with panel_of(configuration, name) as panel:
                left = await panel.balance()
        except (CommandError, MissingKeyError) as error:
            say(str(error), "red")
            rows.append({"account": name, "balance": None, "currency": settings.currency, "error": str(error)})
            continue
        rows.append(
            {"account": name, "balance": money_text(left.balance), "currency": left.currency or settings.currency}
        )
    if as_machine:
        emit(rows)
    else:
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        table.add_column()
        table.add_column(justify="right", no_wrap=True)
        table.add_column()
        told = [row for row in rows if row["balance"] is not None]
        for row, left_over in zip(told, column(row["balance"] for row in told), strict=True):
            table.add_row(row["account"], left_over, row["currency"])
        if told:
            show(table)
    return FAILED if any(row["balance"] is None for row in rows) else DONE


def _only(configuration: Configuration, account: str | None) -> str:
    if account is not None:
        configuration.account(account)
        return account
    if len(configuration.accounts) > 1:
        known = ", ".join(configuration.accounts)
        raise CommandError(f"which account? say --account with one of {known}", INVALID)
    return next(iter(configuration.accounts))
