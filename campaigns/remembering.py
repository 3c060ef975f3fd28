"""What was sent before a reset, and what that means for sending it again; the activity and the simulator share it.

A reset forgets what the campaign did after the reset point, and comes to the same placements again. What the panel
still remembers it answers as it did the first time; for the rest, only what the histories of the replaced runs say
counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from campaigns.messages import Blocked, Expired, LinkBusy, NotTaken, Placed, Recalled, Rejected, Unanswered

if TYPE_CHECKING:
    from datetime import datetime

    from campaigns.messages import OrderForm, PlaceEvent

_CERTAIN = (Placed, Rejected, Blocked, LinkBusy, NotTaken)
"""Outcomes after which it is known whether the panel holds the order."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An earlier sending of a request id: when it was handed out first, and the last answer if there was one."""

    key: str
    at: datetime
    event: PlaceEvent | None = None
    form: OrderForm | None = None
    unanswered: int = 0
    """Sendings of which no answer is known: each may have arrived, whatever the answers to the others say."""
    lost_at: datetime | None = None
    """Until when such a sending may have been repeated; None where there is none."""
    superseded: bool = False
    """The same order run, or what replaces it, was sent later under another id: this one was refused, whatever its
    answer says."""

    @property
    def is_certain(self) -> bool:
        """Whether it is known that the panel holds the order, or that it does not."""
        return isinstance(self.event, Placed) or (self.unanswered == 0 and isinstance(self.event, _CERTAIN))


@dataclass(slots=True)
class Sendings:
    """Every earlier sending of a chain of runs."""

    sent: dict[str, Sent] = field(default_factory=dict)
    complete: bool = True
    """False when a history is gone: then what is not here may have been sent all the same."""

    def send(self, request_id: str, key: str, at: datetime, form: OrderForm | None = None) -> None:
        """Note a sending; the histories come in no certain order."""
        self._add(request_id, Sent(key, at, form=form, unanswered=1))

    def lose(self, request_id: str, at: datetime) -> None:
        """Note until when a sending was repeated that brought no answer."""
        known = self.sent[request_id]
        self.sent[request_id] = replace(known, lost_at=_later(known.lost_at, at))

    def answer(self, request_id: str, event: PlaceEvent) -> None:
        """Note what came of a sending; an order that was placed stays so."""
        known = self.sent[request_id]
        if isinstance(event, Unanswered):
            return
        event = known.event if isinstance(known.event, Placed) else event
        self.sent[request_id] = replace(known, event=event, unanswered=known.unanswered - 1)

    def merge(self, others: Sendings) -> None:
        """Take in what another run of the chain has sent."""
        for request_id, sent in others.sent.items():
            self._add(request_id, sent)

    def _add(self, request_id: str, sent: Sent) -> None:
        known = self.sent.get(request_id)
        if known is None:
            self.sent[request_id] = sent
            return
        event = known.event if isinstance(known.event, Placed) or sent.event is None else sent.event
        unanswered = known.unanswered + sent.unanswered
        self.sent[request_id] = replace(
            known,
            at=min(sent.at, known.at),
            event=event,
            unanswered=unanswered,
            lost_at=_later(known.lost_at, sent.lost_at),
        )

    def find(self, request_id: str, key: str | None = None) -> Sent | None:
        """Give what is known of a request id; of one that is not known, also whether ``key`` was replaced already."""
        sent = self.sent.get(request_id)
        if sent is None:
            replaced = [other for other in self.sent.values() if key is not None and _replaces(other.key, key)]
            if not replaced or key is None:
                return None
            # It had come to its end: what it was to buy was bought by what replaced it, or may have been.
            words = "it was replaced before the campaign was reset; look for what replaced it, then cancel this one"
            return Sent(key, min(other.at for other in replaced), Expired(key=key, words=words))
        # The submissions of an order run, and of what replaces it, are first sent one after another, in every run.
        run = _order_run(sent.key)
        later = any(_order_run(other.key) == run and other.at > sent.at for other in self.sent.values())
        return replace(sent, superseded=later)

    def at_the_panel(self) -> list[Recalled]:
        """Give what the panel holds, or may hold, of all that was sent, the oldest first."""
        found = []
        for request_id in sorted(self.sent, key=lambda each: (self.sent[each].at, each)):
            sent = self.find(request_id)
            if sent is None or sent.form is None:
                continue
            if isinstance(sent.event, Placed):
                found.append(Recalled(key=sent.key, form=sent.form, panel_order=sent.event.panel_order, at=sent.at))
            elif not sent.is_certain and not sent.superseded:
                found.append(Recalled(key=sent.key, form=sent.form, panel_order=None, at=sent.at))
        return found


def answered(key: str, sent: Sent | None, now: datetime, *, complete: bool, idempotent: bool) -> PlaceEvent | None:
    """Give the outcome of a placement where an earlier sending settles it; None when it is to be sent (again).

    A refused id that another one followed must not be sent: the panel may not remember the refusal, and the order that
    replaced it may be there. The campaign comes to the next id as it did then.

    Args:
        key: the order run that is to be placed.
        sent: what the histories say of its request id.
        now: the present moment.
        complete: whether every history was there to be read.
        idempotent: whether the panel knows request ids; if not, what may have been sent is never sent again.

    """
    if not idempotent and (not complete if sent is None else not sent.is_certain):
        return Expired(
            key=key, words="it may have been sent before the campaign was reset; this panel has no request ids"
        )
    if sent is None:
        return None
    if isinstance(sent.event, Placed):
        units = None if sent.form is None else sent.form.quantity * (sent.form.runs or 1)
        return sent.event.model_copy(update={"key": key, "units": units})
    if isinstance(sent.event, Expired) and sent.form is None:
        return sent.event
    if not sent.superseded:
        return None
    if isinstance(sent.event, Rejected):
        return sent.event.model_copy(update={"key": key})
    if isinstance(sent.event, Blocked) and sent.event.cause in ("halt", "daily_limit"):
        # Our own word keeps the id: it would be asked for again for ever.
        return Expired(key=key, words="it was held, and replaced, before the campaign was reset")
    if isinstance(sent.event, Blocked):
        return sent.event.model_copy(update={"key": key, "again_at": now})
    words = "it was refused, and sent again under another id, before the campaign was reset"
    return LinkBusy(key=key, words=words, superseded=True)


def body_of(form: OrderForm, sent: Sent | None) -> OrderForm:
    """Give the body to send: one request id is one body, also where a reset led to another quantity since."""
    return form if sent is None or sent.form is None else sent.form


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)


def _replaces(other: str, key: str) -> bool:
    """Tell whether one run replaces another, or what replaced it: ``views/3+2`` replaces ``views/3+1``."""
    run, _, number = key.partition("+")
    of, _, later = other.partition("+")
    return of == run and int(later or 0) > int(number or 0)


def _order_run(key: str) -> str:
    """Give the order run that a placement is for: ``views/3`` also of ``views/3+1``, which replaces it."""
    return key.partition("+")[0]
