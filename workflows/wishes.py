"""What people may ask of a running campaign: the arguments of its updates, read strictly, as the engine's events.

Every update takes at most one argument. Text alone is the reason. A wish that is wrong is refused by its validator,
with the field's name, and leaves no trace in the history.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from temporalio.exceptions import ApplicationError

from campaigns import steering
from campaigns.messages import (
    Approved,
    BudgetRaised,
    CancelRequested,
    Event,
    OrderCancelRequested,
    Paused,
    Rescheduled,
    Resolved,
    Resumed,
    RetryRequested,
    SkipRequested,
)
from campaigns.quantities import Amount, Duration
from campaigns.state import RunState, State
from workflows.payloads import BadArgument, Kind, read

_KEY = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}/[1-9][0-9]{0,4}(\+[1-9][0-9]?)?$"
_TARGET = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}(/[1-9][0-9]{0,4}(\+[1-9][0-9]?)?)?$"

SAYS = {
    "pause": ('Place nothing new until `resume`. Argument, optional: a reason, or {"by", "why"}.'),
    "resume": ('Go on after `pause`. Argument, optional: a reason, or {"by", "why"}.'),
    "cancel": (
        "End the campaign: place nothing more, ask the panel to cancel what is open, wait for the "
        'outcomes. Or end one order: {"order": "views"} or {"order": "views/3"}. Argument, optional: a '
        'reason, or {"order", "by", "why"}.'
    ),
    "approve": (
        'Accept the planned cost, or the rates of what became dearer. Argument, optional: a reason, or {"by", "why"}.'
    ),
    "skip": (
        'Do not place an order ({"order": "views"}) or one run of it ({"order": "views/3"}). Argument: '
        '{"order", "by", "why"}.'
    ),
    "retry": (
        'Buy again what a run did not deliver, or take up a skipped one. Argument: {"order": "views/3", "by", "why"}.'
    ),
    "raise_budget": ('Set a higher budget. Argument: {"budget": "150.00 USD", "by", "why"}.'),
    "reschedule": (
        'Move what is not placed yet to later. Argument: {"later": "2h", "order", "by", "why"}; every '
        "order when none is named."
    ),
    "resolve": (
        'Settle an unknown order after looking at the panel. Argument: {"order": "views/3", "placed": '
        '"<panel order id>"} or {"order": "views/3", "not_placed": true}; "by", "why".'
    ),
}
"""What the updates are for and take, as the Web UI shows it."""


class Wish(BaseModel):
    """What every update may say: who asks and why."""

    model_config = ConfigDict(extra="forbid")

    by: str = Field(default="", max_length=200)
    why: str = Field(default="", max_length=1000)


class CancelWish(Wish):
    """End the campaign; or one order (``views``) or one run of it (``views/3``)."""

    order: str | None = Field(default=None, pattern=_TARGET, examples=["views", "views/3"])


class TargetWish(Wish):
    """An order, or one run of it."""

    order: str = Field(pattern=_TARGET, examples=["views", "views/3"])


class RunWish(Wish):
    """One run of an order."""

    order: str = Field(pattern=_KEY, examples=["views/3"])


class BudgetWish(Wish):
    """A higher budget, such as ``150.00 USD``."""

    budget: Amount


class MoveWish(Wish):
    """How much later, such as ``2h``; everything that is not placed, or one order of it."""

    later: Duration
    order: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", examples=["views"])


class Resolution(RunWish):
    """How an unknown order is settled."""

    placed: str | None = Field(
        default=None, pattern=r"^([1-9A-Za-z]|[!#-&(-+.-;=?-~-]{2,128})$", examples=["ord_01HG9X7KJP4N"]
    )
    """The panel's order id: printable, and nothing that a list of ids could not carry."""
    not_placed: bool = False


def refused(told: str) -> ApplicationError:
    """Refuse an update; the message names the field."""
    return ApplicationError(told, type="InvalidArgument", non_retryable=True)


def read_wish(kind: type[Kind], given: Any) -> Kind:
    """Read an argument; text alone is the reason, nothing is fine where nothing is needed.

    Raises:
        ApplicationError: names the fields that are wrong.

    """
    if given is None:
        given = {}
    elif isinstance(given, str):
        given = {"why": given}
    try:
        return read(kind, given)
    except BadArgument as error:
        raise refused(str(error)) from None


def pause(given: Any) -> Paused:
    """Read the wish to pause."""
    asked = read_wish(Wish, given)
    return Paused(by=asked.by, why=asked.why)


def resume(given: Any) -> Resumed:
    """Read the wish to resume."""
    asked = read_wish(Wish, given)
    return Resumed(by=asked.by, why=asked.why)


def cancel(given: Any) -> CancelRequested | OrderCancelRequested:
    """Read the wish to cancel the campaign, or one order of it."""
    asked = read_wish(CancelWish, given)
    if asked.order is not None:
        return OrderCancelRequested(target=asked.order, by=asked.by, why=asked.why)
    return CancelRequested(by=asked.by, why=asked.why)


def approve(given: Any) -> Approved:
    """Read an approval."""
    asked = read_wish(Wish, given)
    return Approved(by=asked.by, why=asked.why)


def skip(given: Any) -> SkipRequested:
    """Read the wish to skip."""
    asked = read_wish(TargetWish, given)
    return SkipRequested(target=asked.order, by=asked.by, why=asked.why)


def retry(given: Any) -> RetryRequested:
    """Read the wish to buy again what a run did not deliver."""
    asked = read_wish(RunWish, given)
    return RetryRequested(key=asked.order, by=asked.by, why=asked.why)


def raise_budget(given: Any) -> BudgetRaised:
    """Read a higher budget."""
    asked = read_wish(BudgetWish, given)
    return BudgetRaised(budget=asked.budget, by=asked.by, why=asked.why)


def reschedule(given: Any) -> Rescheduled:
    """Read the wish to move what is not placed."""
    asked = read_wish(MoveWish, given)
    if asked.later > timedelta(days=366):
        raise refused("later: at most 366d")
    return Rescheduled(later=asked.later, order=asked.order, by=asked.by, why=asked.why)


def resolve(given: Any) -> Resolved:
    """Read how an unknown order is settled."""
    asked = read_wish(Resolution, given)
    if (asked.placed is None) is not asked.not_placed:
        raise refused("say either placed or not_placed")
    return Resolved(key=asked.order, panel_order=asked.placed, by=asked.by, why=asked.why)


def refusal(state: State | None, event: Event, *, canceling: bool) -> str | None:
    """Say why a wish cannot be carried out now, naming the field; None when it can."""
    match event:
        case CancelRequested():
            return None
        case Paused() | Resumed():
            ending = canceling or (state is not None and state.canceling)
            return "the campaign is being canceled" if ending else None
        case Resolved():
            return _resolution_refusal(state, event)
        case (
            Approved()
            | BudgetRaised()
            | OrderCancelRequested()
            | Rescheduled()
            | RetryRequested()
            | SkipRequested() as wish
        ):
            if state is None:
                return "the campaign is still planning; ask again in a moment"
            return steering.refusal(state, wish)
        case _:
            return None


def _resolution_refusal(state: State | None, event: Resolved) -> str | None:
    run = state.runs.get(event.key) if state else None
    if state is None or run is None:
        return f"order: there is no {event.key} yet"
    if run.state is not RunState.UNKNOWN and (event.panel_order is None or run.panel_order != event.panel_order):
        return f"order: {event.key} is {run.state}, not unknown"
    other = state.by_panel_order.get(event.panel_order or "")
    if other not in (None, event.key):
        return f"placed: {event.panel_order} is the panel order of {other}"
    return None
