"""One ``add`` and what its answer means, also where an earlier attempt at it may have arrived.

The answer to a repeat is no word on the attempt before it unless the panel looked at the id: a panel may refuse whoever
asks before it looks, and an attempt that is still on its way may itself be why the next one is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from pydantic import ValidationError

from activities.accounts import failure
from activities.faultpoints import reached
from campaigns.messages import Blocked, Expired, LinkBusy, NotTaken, Placed, Rejected, Unanswered
from panel import (
    AccountBlocked,
    Ambiguous,
    BusyLink,
    InsufficientFunds,
    OrderRequest,
    PanelError,
    Refused,
    Throttled,
    Unreachable,
)

if TYPE_CHECKING:
    from activities.contracts import PlaceOrder
    from campaigns.messages import PlaceEvent
    from panel import PanelClient

AT_THE_DOOR = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
"""Refusals of whoever asks, not of what is asked."""
ON_ITS_WAY = timedelta(seconds=60)
"""How long a request may go on at the panel after its connection is lost (convention: the usual limit of proxies)."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is known of earlier attempts at the same request."""

    first_sent: datetime | None = None
    """When it may have been sent first; None when it certainly was not."""
    last_sent: datetime | None = None
    """When it may have been sent last; None when nothing is known of a later time."""
    unheard_of: bool = False
    """Whether the campaign does not know of the attempt that may have arrived."""

    @property
    def may_be_there(self) -> bool:
        """Whether the panel may hold the order already."""
        return self.first_sent is not None

    def going_on_until(self, now: datetime) -> datetime | None:
        """Give until when an earlier attempt may go on at the panel, where it may: it may have used up what is refused.

        The last attempt counts: the first may never have arrived.
        """
        if self.first_sent is None:
            return None
        until = max(self.first_sent, self.last_sent or self.first_sent) + ON_ITS_WAY
        return until if now < until else None


def refusal(order: PlaceOrder, words: str, doubt: Doubt) -> Rejected | Expired:
    """Refuse on our own account; what may be at the panel already is left to a person instead."""
    return Expired(key=order.key, words=words) if doubt.may_be_there else Rejected(key=order.key, words=words)


async def send(client: PanelClient, order: PlaceOrder, doubt: Doubt) -> PlaceEvent:
    """Send it, once, and tell what came of it.

    Raises:
        ApplicationError: no definite answer; Temporal sends the same request again.

    """
    try:
        form = order.form.model_dump()
        request = OrderRequest(**form | ({} if order.idempotent else {"request_id": None}))
    except ValidationError as error:
        words = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        return refusal(order, words, doubt)
    reached("before_send")
    try:
        panel_order = await client.add(request)
    except PanelError as error:
        return _answer(order, error, doubt)
    reached("after_answer")
    return Placed(key=order.key, panel_order=panel_order, units=order.form.quantity * (order.form.runs or 1))


def _answer(order: PlaceOrder, error: PanelError, doubt: Doubt) -> PlaceEvent:
    key = order.key
    match error:
        case Throttled() | Unreachable() if not doubt.unheard_of:
            until = error.until if isinstance(error, Throttled) else None
            return NotTaken(key=key, words=str(error), again_at=until)
        case Ambiguous() if not order.idempotent:
            return Unanswered(key=key, words=error.fact)  # "send it again" is no advice for a panel without keys
        case Throttled() | Unreachable() | Ambiguous():
            raise failure(error) from None
        case _ if until := doubt.going_on_until(datetime.now(UTC)):
            if doubt.unheard_of:
                raise failure(error) from None
            return NotTaken(key=key, words=error.words or str(error), again_at=until)
        case InsufficientFunds():
            return Blocked(key=key, cause="funds", words=error.words)
        case AccountBlocked() if not doubt.may_be_there:
            return Blocked(key=key, cause="account", words=error.words)
        case BusyLink() if not doubt.unheard_of:
            return LinkBusy(key=key, words=error.words)
        case AccountBlocked() | BusyLink():
            # Said before the panel looked at the id; and the live order on the link may be this very one.
            raise failure(error) from None
        case Refused() if not (doubt.may_be_there and error.http_status in AT_THE_DOOR):
            return Rejected(key=key, words=error.words)
        case _:
            raise failure(error) from None
