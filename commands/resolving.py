"""``resolve``: a person's word about an unknown order, held against the panel before it is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.campaigns import decide
from commands.console import FAILED, CommandError, Kind, plain, say
from commands.panels import panel_of
from configuration import ConfigurationError, load_configuration
from panel import OrderNotFound
from panel.reading import identifier
from workflows import attributes

if TYPE_CHECKING:
    from temporalio.client import WorkflowExecutionDescription


async def resolve(given: str, run: str, placed: str | None, why: str, *, as_machine: bool) -> int:
    """Settle an unknown order: it is at the panel under an id, or it is not there at all."""

    async def known(found: WorkflowExecutionDescription) -> None:
        if placed is not None:
            await _know(found, placed)

    more = {"order": run, "placed": placed, "not_placed": placed is None}
    return await decide(given, "resolve", why, as_machine=as_machine, more=more, before=known)


async def _know(found: WorkflowExecutionDescription, order: str) -> None:
    """Make sure that the panel knows the order, as far as it can be asked from here.

    Raises:
        CommandError: it does not.

    """
    if identifier(order) != order:
        told = f"nothing was changed: {plain(order)} is not an id that a panel could have given"
        raise CommandError(f"{told}; give it as the panel's order list shows it", FAILED, Kind.REFUSED)
    account = found.typed_search_attributes.get(attributes.ACCOUNT) or ""
    try:
        unknown = await _unknown(account, order)
    except (CommandError, ConfigurationError) as error:
        reason = "; ".join(str(error).splitlines()).rstrip(".")
        say(
            f"the panel did not say whether it knows {plain(order)}, so your word is taken: {reason}. "
            f"`campaigner audit {plain(found.id.removeprefix('campaign/'))}` asks it later",
            "yellow",
        )
        return
    if unknown:
        told = (
            f"nothing was changed: the panel of account {account} does not know the order {plain(order)} "
            f"({plain(unknown)}); look for it in the panel's order list and give its id as it stands there, "
            "or --not-placed if it certainly is not there"
        )
        raise CommandError(told, FAILED, Kind.REFUSED)


async def _unknown(account: str, order: str) -> str:
    """Give the panel's words when it does not know the order, otherwise nothing.

    Raises:
        CommandError, ConfigurationError: it cannot be asked from here, or does not say.

    """
    async with panel_of(load_configuration(keys=False), account) as panel:
        try:
            await panel.status(order)
        except OrderNotFound as error:
            return error.words or error.fact
    return ""
