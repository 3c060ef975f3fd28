"""``webhooks``: which endpoints the panel delivers to, and how one is registered or removed."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table

from commands.console import DONE, FAILED, INVALID, CommandError, Kind, emit, plain, say, show
from commands.panels import panel_of
from configuration import load_configuration
from panel import Ambiguous, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from configuration import Configuration
    from panel import Webhook


@dataclass(frozen=True)
class Wish:
    """What `campaigner webhooks` is asked for; the list when neither to add nor to remove."""

    account: str | None
    add: str | None = None
    events: tuple[str, ...] = ()
    remove: str | None = None


async def webhooks(wish: Wish, *, as_machine: bool) -> int:
    """List the endpoints, or register or remove one.

    Raises:
        CommandError: the panel did not do it, or what was asked cannot be meant.

    """
    configuration = load_configuration()
    if wish.add is not None:
        return await _add(configuration, _one(configuration, wish.account), wish.add, wish.events, as_machine)
    if wish.remove is not None:
        return await _remove(configuration, _one(configuration, wish.account), wish.remove, as_machine)
    return await _list(configuration, wish.account, as_machine=as_machine)


async def _list(configuration: Configuration, account: str | None, *, as_machine: bool) -> int:
    rows: list[dict[str, Any]] = []
    failed = False
    for name in list(configuration.accounts) if account is None else [account]:
        try:
            async with panel_of(configuration, name) as panel:
                rows += [_row(name, webhook) for webhook in await panel.webhook_list()]
        except CommandError as error:
            failed = True
            say(str(error), "red")
            rows.append({"account": name, "id": None, "url": None, "events": [], "error": str(error)})
    told = [row for row in rows if row["id"] is not None]
    if as_machine:
        emit(rows)
    elif told:
        show(_table(told))
    elif not failed:
        say("the panel delivers nowhere; `campaigner webhooks ACCOUNT --add URL` registers an endpoint")
    return FAILED if failed else DONE


async def _add(configuration: Configuration, account: str, url: str, events: tuple[str, ...], as_machine: bool) -> int:  # noqa: FBT001
    if any(not event.strip() or "," in event for event in events):
        raise CommandError("an event is one word, such as order.completed; --event may stand several times", INVALID)
    async with panel_of(configuration, account) as panel:
        with _not_in_doubt(account), _meant("--add"):
            added = await panel.webhook_add(url, events or None)
    secret = added.secret.get_secret_value() if added.secret is not None else None
    if as_machine:
        emit({**_row(account, added), "secret": secret})
        return DONE
    show(f"registered {plain(added.id)} for account {account}: {plain(added.url)}")
    if not url.rstrip("/").endswith(f"/{account}"):
        say(f"`campaigner receiver` takes them at /{account}, and this URL ends otherwise: lead it there", "yellow")
    if secret is None:
        say("the panel told no secret with it; look for it in its dashboard: without it no delivery can be believed")
        return DONE
    show(f"secret {plain(secret)}")
    say("This is the only time it is shown. Put it into the environment of `campaigner receiver`, then (re)start that:")
    say("    export NOTPANEL_WEBHOOK_SECRET=…      (the secret)")
    if configuration.account(account).webhook_secret is None:
        say(f"and name it in {plain(configuration.path)}, at account {account}:")
        say("    webhook_secret: ${NOTPANEL_WEBHOOK_SECRET}")
    else:
        say(f"under the name that webhook_secret of account {account} has in {plain(configuration.path)}")
    return DONE


async def _remove(configuration: Configuration, account: str, webhook: str, as_machine: bool) -> int:  # noqa: FBT001
    async with panel_of(configuration, account) as panel:
        with _meant("--remove"):
            await panel.webhook_remove(webhook)
    if as_machine:
        emit({"account": account, "id": webhook, "removed": True})
    else:
        show(f"removed {plain(webhook)} from account {account}: the panel delivers nothing more to it")
    return DONE


@contextmanager
def _meant(option: str) -> Iterator[None]:
    """Say what no request could carry as wrong usage."""
    try:
        yield
    except ValueError as error:
        raise CommandError(f"{option}: {plain(error)}", INVALID) from None


@contextmanager
def _not_in_doubt(account: str) -> Iterator[None]:
    """Say what to do where the answer was lost, and the secret with it: asking again would register another one."""
    try:
        yield
    except Unreachable:
        raise
    except Ambiguous as error:
        told = (
            f"account {account}: {plain(error.fact)}. The endpoint may be registered, and its secret is lost: look at "
            f"`campaigner webhooks {account}`, remove it there with --remove ID if it is, and add it again"
        )
        raise CommandError(told, FAILED, Kind.PANEL) from None


def _one(configuration: Configuration, account: str | None) -> str:
    if account is None and len(configuration.accounts) > 1:
        known = ", ".join(configuration.accounts)
        raise CommandError(f"which account? name one of {known}", INVALID)
    name = account or next(iter(configuration.accounts))
    configuration.account(name)
    return name


def _row(account: str, webhook: Webhook) -> dict[str, Any]:
    return {"account": account, "id": webhook.id, "url": webhook.url, "events": list(webhook.events)}


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("account", "id", "url", "events"):
        table.add_column(name, overflow="fold")
    for row in rows:
        events = ", ".join(map(plain, row["events"])) or "all"
        table.add_row(row["account"], plain(row["id"]), plain(row["url"]), events)
    return table
