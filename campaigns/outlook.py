"""How orders may fare, and a panel in the mind that lets them: what a rehearsal plays against.

Deterministic: which orders go wrong follows from the seed and their names alone. Nothing here waits, and nothing is
looked at between two changes: the imagined panel knows the moments at which anything about an order changes.
"""

from __future__ import annotations

import hashlib
import heapq
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from itertools import cycle, islice
from typing import TYPE_CHECKING

from campaigns.messages import CancelAnswered, Placed, Reading, RefillAnswered, Status
from campaigns.plan import PER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from campaigns.messages import Follow, OrderForm
    from campaigns.plan import Offer, Plan, PlannedOrder

TAKES = timedelta(hours=6)
SHARE = Decimal(20)
CANCEL_TAKES = timedelta(minutes=15)
"""From a cancel request to the Canceled of an order in flight; one that has not started is canceled at once."""
GATHER = timedelta(seconds=2)
"""How long the account's watch waits for more wishes before its first round."""
_PENDING = timedelta(minutes=10)
"""How long an order is pending, or a tenth of what it takes when that is less."""
_ENDS = frozenset({Status.COMPLETED, Status.PARTIAL, Status.CANCELED, Status.FAILED})


class Mood(StrEnum):
    """What goes wrong, in one word."""

    ALL_COMPLETE = "all_complete"
    SOME_PARTIAL = "some_partial"
    SOME_STALL = "some_stall"
    SOME_FAIL = "some_fail"
    MIXED = "mixed"


class Fate(StrEnum):
    """How one order fares."""

    COMPLETES = "completes"
    PARTIAL = "partial"
    STALLS = "stalls"
    NEVER_STARTS = "never_starts"
    FAILS = "fails"


_WRONG = {
    Mood.ALL_COMPLETE: (Fate.COMPLETES,),
    Mood.SOME_PARTIAL: (Fate.PARTIAL,),
    Mood.SOME_STALL: (Fate.STALLS, Fate.NEVER_STARTS),
    Mood.SOME_FAIL: (Fate.FAILS,),
    Mood.MIXED: (Fate.PARTIAL, Fate.STALLS, Fate.FAILS, Fate.NEVER_STARTS),
}


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a rehearsal assumes of the panel."""

    mood: Mood = Mood.ALL_COMPLETE
    share: Decimal = SHARE
    """Percent of the order runs that go wrong: at least one, when it is above zero."""
    takes: timedelta = TAKES
    """From placing an order to its end, when all goes well."""
    takes_of: Mapping[str, timedelta] = field(default_factory=dict)
    """The same for single orders of the file, by id."""
    delivered: Decimal = Decimal(50)
    """Percent that a partial or stalled order delivers."""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 100 or not 0 <= self.delivered <= 100:  # noqa: PLR2004 - percent
            raise ValueError("a share is between 0% and 100%")
        if min(self.takes, *self.takes_of.values(), self.takes) <= timedelta(0):
            raise ValueError("an order takes longer than no time")

    def fates(self, plan: Plan, seed: int) -> dict[str, Fate]:
        """Choose the order runs that go wrong, and how; every other one completes."""
        keys = [f"{order.id}/{run}" for order in plan.orders for run in range(1, order.runs + 1)]
        count = int((self.share * len(keys) / 100).to_integral_value(ROUND_CEILING))
        drawn = sorted(keys, key=lambda key: hashlib.blake2b(f"{seed} {key}".encode(), digest_size=8).digest())
        return dict(zip(islice(drawn, count), cycle(_WRONG[self.mood]), strict=False))


@dataclass(slots=True)
class ImaginedOrder:
    """One order in the imagined panel's books; what it is at any moment follows from what was done to it."""

    id: str
    key: str
    fate: Fate
    rate: Decimal
    units: int
    most: int
    """Units it delivers by itself."""
    placed_at: datetime
    starts_at: datetime
    ends_at: datetime
    """When it ends, or would if it ended by itself."""
    stops_at: datetime
    """When it delivers its last unit."""
    cancel_at: datetime | None = None
    """When a cancel takes effect."""
    refill: tuple[datetime, datetime] | None = None
    told: tuple[Status, int, Decimal] | None = None
    until: datetime | None = None

    @property
    def pace(self) -> timedelta:
        """How long one unit takes: it is delivered evenly."""
        return (self.ends_at - self.starts_at) / max(self.units, 1)

    def at(self, now: datetime) -> tuple[Status, int, Decimal]:
        """Give status, units delivered and charge at a moment; nothing is rounded."""
        status, delivered = self._first_life(now)
        if status in (Status.PARTIAL, Status.CANCELED):
            charge = self._price(delivered)
        else:
            charge = Decimal(0) if status is Status.FAILED else self._price(self.units)
        if self.refill is not None and status is Status.PARTIAL:
            # What is refilled is free.
            begins, ends = self.refill
            part = min((now - begins) / (ends - begins), 1.0)
            delivered += int((self.units - delivered) * part)
            status = Status.COMPLETED if now >= ends else Status.IN_PROGRESS
        return status, delivered, charge

    def _first_life(self, now: datetime) -> tuple[Status, int]:
        if self.cancel_at is not None and now >= self.cancel_at:
            return Status.CANCELED, self._delivered(self.cancel_at)
        if now >= self.ends_at and self.fate not in (Fate.STALLS, Fate.NEVER_STARTS):
            if self.fate is Fate.FAILS:
                return Status.FAILED, 0
            return (Status.PARTIAL if self.fate is Fate.PARTIAL else Status.COMPLETED), self.most
        if now < self.starts_at or self.fate is Fate.NEVER_STARTS:
            return Status.PENDING, 0
        return Status.IN_PROGRESS, self._delivered(now)

    def _delivered(self, now: datetime) -> int:
        if now < self.starts_at or self.fate in (Fate.NEVER_STARTS, Fate.FAILS):
            return 0
        if now >= self.stops_at:
            return self.most
        return min(int(self.units * ((now - self.starts_at) / (self.ends_at - self.starts_at))), self.most)

    def _price(self, units: int) -> Decimal:
        return self.rate * units / PER


class ImaginedPanel:
    """The books of a panel, and the account's watch that reads them in rounds.

    A round without a change is passed over: :meth:`next_round` gives the first one that has something to tell.
    """

    def __init__(self, plan: Plan, outlook: Outlook, seed: int) -> None:
        self.orders: dict[str, ImaginedOrder] = {}
        self._outlook = outlook
        self._fates = outlook.fates(plan, seed)
        self._every = max(plan.account.poll_every, timedelta(seconds=1))
        self._watched: dict[str, int] = {}
        self._wishes = 0
        self._untold: dict[str, None] = {}
        self._changes: list[tuple[datetime, str]] = []
        self._round: datetime | None = None

    def add(self, key: str, form: OrderForm, order: PlannedOrder, offer: Offer, now: datetime) -> Placed:
        """Take an order; what was reordered always completes."""
        outlook, fate = self._outlook, self._fates.get(key, Fate.COMPLETES)
        units = form.quantity * (form.runs or 1)
        takes = outlook.takes_of.get(order.id, outlook.takes)
        starts = now + min(_PENDING, takes / 10)
        ends = now + takes + ((form.runs or 1) - 1) * timedelta(minutes=form.interval or 0)
        short = fate in (Fate.PARTIAL, Fate.STALLS)
        most = int(units * outlook.delivered / 100) if short else units
        stops = starts + (ends - starts) * (most / units) if units else ends
        taken = ImaginedOrder(
            id=f"order-{len(self.orders) + 1}",
            key=key,
            fate=fate,
            rate=offer.rate,
            units=units,
            most=most,
            placed_at=now,
            starts_at=starts,
            ends_at=ends,
            stops_at=stops,
        )
        self.orders[taken.id] = taken
        if fate is not Fate.NEVER_STARTS:
            self._will_change(taken, starts, stops if fate is Fate.STALLS else ends)
        return Placed(key=key, panel_order=taken.id)

    def cancel(self, offer: Offer, key: str, panel_order: str, now: datetime) -> CancelAnswered:
        """Answer a cancel request; the cancellation itself is told later."""
        taken = self.orders[panel_order]
        status, _, _ = taken.at(now)
        if not offer.can_cancel:
            return CancelAnswered(key=key, answer="refused", words="Cancel is not available")
        if status in _ENDS or taken.cancel_at is not None or taken.refill is not None:
            return CancelAnswered(key=key, answer="refused", words="This order cannot be canceled")
        taken.cancel_at = now if status is Status.PENDING else now + CANCEL_TAKES
        if taken.cancel_at > taken.ends_at and taken.fate not in (Fate.STALLS, Fate.NEVER_STARTS):
            taken.cancel_at = None
        else:
            self._will_change(taken, taken.cancel_at)
        return CancelAnswered(key=key, answer="asked")

    def refill(self, key: str, panel_order: str, now: datetime) -> RefillAnswered:
        """Answer a refill request: what is missing is delivered at the order's own pace, free of charge."""
        taken = self.orders[panel_order]
        status, delivered, _ = taken.at(now)
        if status is not Status.PARTIAL or delivered == taken.units:
            return RefillAnswered(key=key, answer="never", words="Nothing is missing from this order")
        missing = (taken.units - delivered) / taken.units
        ends = now + max((taken.ends_at - taken.placed_at) * missing, timedelta(minutes=1))
        taken.refill = (now, ends)
        self._will_change(taken, now, ends)
        return RefillAnswered(key=key, answer="accepted", refill=f"refill-{taken.id}")

    def follow(self, wish: Follow, now: datetime) -> None:
        """Watch orders: each is told in the next round whether it changed or not, and then whenever it changes."""
        for panel_order in wish.panel_orders:
            self.orders[panel_order].until = wish.until
            self._wishes += 1
            self._watched.setdefault(panel_order, self._wishes)
            self._untold[panel_order] = None
        if self._round is None:
            self._round = now + min(GATHER, self._every)
        # A round at this very moment has been made, and had nothing to tell.
        self._round = self._round_at(now + timedelta.resolution)

    def next_round(self) -> datetime | None:
        """Give the next moment at which there is something to tell."""
        if self._round is None:
            return None
        while self._changes and self._changes[0][1] not in self._watched:
            heapq.heappop(self._changes)
        if self._untold:
            return self._round
        return self._round_at(self._changes[0][0]) if self._changes else None

    def _round_at(self, moment: datetime) -> datetime | None:
        """Give the first round at or after a moment; rounds keep their rhythm."""
        if self._round is None or self._round >= moment:
            return self._round
        return self._round - ((self._round - moment) // self._every) * self._every

    def read(self, now: datetime) -> list[Reading]:
        """Read a round: what changed since it was last told."""
        asked, self._untold = self._untold, {}
        due = set(asked)
        while self._changes and self._changes[0][0] <= now:
            due.add(heapq.heappop(self._changes)[1])
        # The account's workflow reads in the order of the wishes; what is no longer watched is not read.
        reads = sorted(self._watched.keys() & due, key=self._watched.__getitem__)
        readings = [reading for each in reads if (reading := self._reading(each, now, asked=each in asked))]
        self._round = now + self._every if self._watched else None
        return readings

    def _reading(self, panel_order: str, now: datetime, *, asked: bool) -> Reading | None:
        taken = self.orders[panel_order]
        facts = taken.at(now)
        status, delivered, charge = facts
        if status in _ENDS and (taken.until is None or now >= taken.until or delivered == taken.units):
            self._watched.pop(panel_order, None)
        if facts == taken.told and not asked:
            return None
        taken.told = facts
        return Reading(
            panel_order=panel_order,
            status=status,
            raw=status.value,
            charge=charge,
            remains=taken.units - delivered,
            observed_at=now,
        )

    def _will_change(self, taken: ImaginedOrder, *moments: datetime) -> None:
        for moment in moments:
            heapq.heappush(self._changes, (moment, taken.id))
