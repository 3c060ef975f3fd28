"""A small model of a panel in virtual time: it keeps orders by request id and answers with the engine's events.

What an order is at any moment follows from its script and from what was done to it; nothing runs in between.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from campaigns.messages import (
    Blocked,
    CancelAnswered,
    LinkBusy,
    OrderForm,
    Placed,
    Reading,
    RefillAnswered,
    Rejected,
    Status,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from campaigns.messages import PlaceEvent
START = datetime(2026, 12, 4, 15, 0, tzinfo=UTC)
KEY_ROOT = "5a1e1e35-5f8a-4f0e-9d7c-2b1c2c1f6f10"
MEMORY = timedelta(hours=24)
"""How long the model remembers a request id."""
TERMINAL = frozenset({Status.COMPLETED, Status.PARTIAL, Status.CANCELED, Status.REFUNDED, Status.FAILED})
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

Ending = Literal["completed", "partial", "never starts", "stalls", "failed", "refunded", "canceled", "rejected"]


@dataclass
class Script:
    """How one order fares."""

    ending: Ending = "completed"
    starts: timedelta = timedelta(minutes=10)
    lasts: timedelta = timedelta(hours=2)
    share: float = 0.5
    """Delivered when it ends before its time."""
    cancel: Literal["obeyed", "refused", "ignored"] = "obeyed"
    refill: Literal["accepted", "never", "not_yet", "ignored"] = "accepted"
    drops_after: timedelta | None = None
    """How long after its end some of what was delivered is lost again; a refill brings it back."""
    dropped: float = 0.3
    """The share that is lost."""
    reports_charge: bool = True
    unreadable: timedelta = timedelta(0)
    """How long after placing the panel does not know its own order."""
    odd_words: bool = False


@dataclass
class PanelOrder:
    """One order in the model's books; what it is at any moment follows from what was done to it."""

    id: str
    form: OrderForm
    units: int
    placed_at: datetime
    rate: Decimal
    script: Script
    rescued_at: datetime | None = None
    """When the panel's staff ends what never would."""
    cancel_at: datetime | None = None
    refills: list[tuple[datetime, datetime]] = field(default_factory=list)

    def price(self, units: int) -> Decimal:
        return self.rate * units / Decimal(1000)

    def at(self, now: datetime) -> tuple[Status, int, Decimal]:
        """Give status, units delivered and charge at a moment."""
        status, delivered, ended = self._first_life(now)
        whole = delivered
        charge = Decimal(0) if status in (Status.FAILED, Status.REFUNDED) else self.price(self.units)
        if status in (Status.PARTIAL, Status.CANCELED):
            charge = self.price(delivered)
        if not ended:
            return status, delivered, charge
        drops_at = self.drops_at if status in (Status.COMPLETED, Status.PARTIAL) else None
        if drops_at is not None and now >= drops_at:
            delivered -= int(whole * self.script.dropped)
        for begins, ends in self.refills:
            if now >= ends and (drops_at is None or ends >= drops_at or now < drops_at):
                status, delivered = Status.COMPLETED, self.units
            elif now >= ends:
                status = Status.COMPLETED
                delivered = self.units - int(self.units * self.script.dropped)
            elif now >= begins:
                status = Status.IN_PROGRESS
        return status, delivered, charge

    @property
    def drops_at(self) -> datetime | None:
        """When some of what was delivered is lost again, if it ends as it should."""
        if self.script.drops_after is None or self.script.ending not in ("completed", "partial"):
            return None
        return self.placed_at + self.script.starts + self.script.lasts + self.script.drops_after

    def left_by_drop(self) -> int:
        """Give the units that are left of what was delivered once some of it is lost again."""
        whole = self.units if self.script.ending == "completed" else int(self.units * self.script.share)
        return whole - int(whole * self.script.dropped)

    def has_dropped(self, now: datetime) -> bool:
        """Tell whether some of what was delivered has been lost again."""
        return self.drops_at is not None and now >= self.drops_at

    def _first_life(self, now: datetime) -> tuple[Status, int, bool]:
        script = self.script
        began, ends = self.placed_at + script.starts, self.placed_at + script.starts + script.lasts
        stop = min((moment for moment in (self.cancel_at, self.rescued_at) if moment is not None), default=None)
        endless = script.ending in ("never starts", "stalls")
        if stop is not None and (endless or stop < ends) and now >= stop:
            if stop == self.rescued_at and stop != self.cancel_at and script.ending != "never starts":
                return Status.COMPLETED, self.units, True
            return Status.CANCELED, self._progress(min(stop, now), began, ends), True
        if now >= ends and not endless:
            status = Status.COMPLETED if script.ending == "rejected" else Status(script.ending)
            if status in (Status.FAILED, Status.REFUNDED):
                return status, 0, True
            return status, self.units if status is Status.COMPLETED else int(self.units * script.share), True
        if now < began or script.ending == "never starts":
            return Status.PENDING, 0, False
        return Status.IN_PROGRESS, self._progress(now, began, ends), False

    def _progress(self, now: datetime, began: datetime, ends: datetime) -> int:
        if now < began or self.script.ending == "never starts":
            return 0
        most = self.units if self.script.ending == "completed" else int(self.units * self.script.share)
        return min(most, int(self.units * ((now - began) / (ends - began))))


@dataclass
class Faults:
    """How often things go wrong, each a probability."""

    lost_before: float = 0.0
    lost_after: float = 0.0
    not_taken: float = 0.0
    link_busy: float = 0.0
    rejected: float = 0.0
    news_lost: float = 0.0
    news_late: float = 0.0
    news_twice: float = 0.0
    news_wrong: float = 0.0
    catalog_unread: float = 0.0
    no_word: float = 0.0
    """The account's own workflow does not say whether it is halted."""
    suspended: tuple[datetime, datetime] | None = None
    suspends: float = 0.0
    """The account is suspended just when the answer to a taken order is lost."""
    storms: list[tuple[datetime, datetime]] = field(default_factory=list)
    """Periods in which the panel answers everything with 429."""

    def storm_until(self, now: datetime) -> datetime | None:
        """Give the end of the storm that rages now."""
        return next((ends for begins, ends in self.storms if begins <= now < ends), None)


class ModelPanel:
    """The panel's books: orders by request id, deposits, and what it refuses."""

    def __init__(self, rng: random.Random, *, idempotent: bool, remembers_refusals: bool) -> None:
        self.rng = rng
        self.idempotent = idempotent
        self.remembers_refusals = remembers_refusals
        self.faults = Faults()
        self.deposited = Decimal(10_000)
        self.orders: dict[str, PanelOrder] = {}
        self.taken: list[tuple[str, str]] = []
        """(request id, panel order id), one line per order bought."""
        self.bodies: dict[str, OrderForm] = {}
        self.violations: list[str] = []
        """The request ids that came with two different bodies."""
        self.remembered: dict[str, tuple[datetime, str | PlaceEvent]] = {}
        self.scripts: Callable[[OrderForm], Script] = lambda _: Script()
        self.factor = Decimal(1)
        """How much dearer everything is than planned."""
        self.risen: dict[int, Decimal] = {}
        """How much dearer a service is than that."""
        self.gone: set[int] = set()
        """The services that are not offered now."""
        self.rescued_at: datetime | None = None

    def spent(self, now: datetime) -> Decimal:
        """What all orders together cost, less refunds."""
        return sum((order.at(now)[2] for order in self.orders.values()), Decimal(0))

    def rate_of(self, service: int, planned: Decimal) -> Decimal:
        """Give what 1,000 units cost now."""
        return planned * self.factor * self.risen.get(service, 1)

    def conflicts(self, form: OrderForm) -> bool:
        """Tell whether a request id stands for another body, which is no answer about that one."""
        known = self.bodies.setdefault(form.request_id, form)
        if known == form or not self.idempotent:
            return False
        self.violations.append(form.request_id)
        return True

    def add(self, key: str, form: OrderForm, rate: Decimal, units: int, now: datetime) -> PlaceEvent:
        """Answer one ``add`` that arrived."""
        suspended = self.faults.suspended
        if suspended is not None and suspended[0] <= now < suspended[1]:
            # At the door, before anybody looks at the id.
            return Blocked(key=key, cause="account", words="Account suspended")
        if self.idempotent and form.request_id in self.remembered:
            since, answer = self.remembered[form.request_id]
            if now - since < MEMORY:
                return Placed(key=key, panel_order=answer) if isinstance(answer, str) else answer
        script = self.scripts(form)
        rate = self.rate_of(form.service, rate)
        refusal = self._refusal(key, form, script, rate * units / Decimal(1000), now)
        if refusal is not None:
            if self.remembers_refusals:
                self.remembered[form.request_id] = (now, refusal)
            return refusal
        order = PanelOrder(f"ord_{len(self.orders) + 1}", form, units, now, rate, script, self.rescued_at)
        self.orders[order.id] = order
        self.taken.append((form.request_id, order.id))
        self.remembered[form.request_id] = (now, order.id)
        return Placed(key=key, panel_order=order.id)

    def _refusal(self, key: str, form: OrderForm, script: Script, price: Decimal, now: datetime) -> PlaceEvent | None:
        if form.service in self.gone or (script.ending == "rejected" and self.faults.rejected):
            return Rejected(key=key, words="Service not found")
        if self.rng.random() < self.faults.link_busy:
            return LinkBusy(key=key, words="You have active order with this link")
        if self.deposited - self.spent(now) < price:
            return Blocked(key=key, cause="funds", words="Insufficient balance")
        return None

    def cancel(self, key: str, panel_order: str, now: datetime) -> CancelAnswered:
        """Answer a cancel request; the cancellation itself comes later, if at all."""
        order = self.orders[panel_order]
        status, _, _ = order.at(now)
        if status in TERMINAL or order.refills or order.script.cancel == "refused":
            return CancelAnswered(key=key, answer="refused", words="This order cannot be canceled")
        if order.cancel_at is not None:
            return CancelAnswered(key=key, answer="refused", words="Cancel already requested")
        if order.script.cancel == "obeyed":
            order.cancel_at = now if status is Status.PENDING else now + self.rng.random() * HOUR
        return CancelAnswered(key=key, answer="asked")

    def refill(self, key: str, panel_order: str, now: datetime) -> RefillAnswered:
        """Answer a refill request."""
        order = self.orders[panel_order]
        status, _, _ = order.at(now)
        if order.script.refill == "never" or len(order.refills) >= 3:
            return RefillAnswered(key=key, answer="never", words="Refill is disabled for this service")
        if order.script.refill == "not_yet" or status not in (Status.COMPLETED, Status.PARTIAL):
            return RefillAnswered(key=key, answer="not_yet", words="refill was requested less than 24 hours ago")
        if order.refills and now < order.refills[-1][1]:
            return RefillAnswered(key=key, answer="not_yet", words="a refill is pending")
        if order.script.refill == "accepted":
            begins = now + self.rng.random() * HOUR
            order.refills.append((begins, begins + HOUR))
        return RefillAnswered(key=key, answer="accepted", refill=f"ref_{order.id}_{len(order.refills)}")

    def read(self, panel_order: str, now: datetime) -> Reading:
        """Give one status; wrong in every way a panel is, but never a wrong end."""
        order, rng = self.orders[panel_order], self.rng
        wrong = self.faults.news_wrong
        if (wrong and now - order.placed_at < order.script.unreadable) or rng.random() < wrong / 4:
            return Reading(panel_order=panel_order, status=Status.UNKNOWN, observed_at=now, error="Incorrect order ID")
        status, delivered, amount = order.at(now)
        charge: Decimal | None = amount if order.script.reports_charge else None
        remains: int | None = order.units - delivered
        if status not in TERMINAL and rng.random() < wrong:
            match rng.randrange(4):
                case 0:
                    status = Status.PENDING
                case 1:
                    status = Status.UNKNOWN
                case 2:
                    remains = rng.choice([-5, order.units * 2, None])
                case _:
                    charge = None
        raw = "on hold" if status is Status.UNKNOWN else status.value
        return Reading(panel_order=panel_order, status=status, raw=raw, charge=charge, remains=remains, observed_at=now)
