"""What an account keeps: the orders it follows, its halt, its day; and how that is carried over continue-as-new."""

from __future__ import annotations

import zlib
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import AwareDatetime, BaseModel, Field

from campaigns.definition import Name
from campaigns.messages import Reading, Status
from campaigns.packing import pack, unpack
from workflows.payloads import BadArgument

FORGOTTEN_AFTER = timedelta(hours=12)
"""An order whose news nobody took for so long is read no more: its campaign was terminated, or is gone otherwise.

A campaign that lives asks again long before: after an hour of silence at most, six for an awaited refill
(:mod:`campaigns.watching`), and where statuses are read more rarely than that, after ten rounds."""
FORGOTTEN_ROUNDS = 30
PACKED_ABOVE = 256 * 1024
"""Bytes of what is carried over that are carried packed, at about a fifth: 10,600 followed orders would be 2 MiB, which
is more than a payload may have, and the account would be stuck for good."""
EARLY_FOR = timedelta(minutes=10)
"""How long a hint of an order that nobody follows is kept: an order may end before its campaign asks for its news."""
MOST_EARLY = 1000
_ENDS = frozenset({Status.COMPLETED, Status.PARTIAL, Status.CANCELED, Status.REFUNDED, Status.FAILED})


class Followed(BaseModel):
    """One order somebody wants to hear of."""

    campaign: str
    every: float
    until: AwareDatetime | None = None
    read_at: AwareDatetime | None = None
    wanted_at: AwareDatetime | None = None
    """When its campaign last showed that it is there: by asking for it, or by taking news of it."""
    told: int | None = None
    """A fingerprint of what was told last; None when anything is news."""
    hinted_at: AwareDatetime | None = None
    """When the panel last hinted at it; None once it has answered a reading that began later."""

    def is_due(self, now: datetime, shortest: float) -> bool:
        """Tell whether this round reads it: the one nearest to its moment does, and the one after a hint.

        Args:
            now: when the round began.
            shortest: seconds between two readings of the order that is read most often.

        """
        if self.read_at is None or self.told is None or self.hinted_at is not None:
            return True
        return now >= self.read_at + timedelta(seconds=self.every - shortest / 2)

    def is_forgotten(self, now: datetime) -> bool:
        """Tell whether nobody has wanted it for so long that nobody will."""
        self.wanted_at = self.wanted_at or now
        return now - self.wanted_at >= max(FORGOTTEN_AFTER, FORGOTTEN_ROUNDS * timedelta(seconds=self.every))

    def is_news(self, reading: Reading) -> bool:
        """Take a reading; tell whether its campaign has not heard it yet."""
        self.read_at = reading.observed_at
        mark = _fingerprint(reading)
        if mark == self.told:
            return False
        self.told, self.wanted_at = mark, reading.observed_at
        return True

    def is_over(self, reading: Reading, now: datetime) -> bool:
        """Tell whether nothing more is to be expected of it."""
        if reading.error is not None or reading.status not in _ENDS:
            return False
        if self.until is None or now >= self.until:
            return True
        return reading.status is Status.COMPLETED and reading.remains == 0


class EarlyHints:
    """Hints of orders that nobody follows, kept for a while and not carried over: most are not of our campaigns."""

    def __init__(self) -> None:
        self._at: dict[str, datetime] = {}

    def note(self, order: str, now: datetime) -> None:
        """Keep one; of too many the oldest go."""
        self._at.pop(order, None)
        self._at[order] = now
        if len(self._at) > MOST_EARLY:
            del self._at[next(iter(self._at))]

    def take(self, order: str, now: datetime) -> bool:
        """Tell whether there was one lately, and forget it."""
        at = self._at.pop(order, None)
        return at is not None and now - at < EARLY_FOR


class Halted(BaseModel):
    """Who stopped the account's placements, since when, and why."""

    by: str = Field(default="", max_length=200)
    why: str = Field(default="", max_length=1000)
    at: AwareDatetime | None = None


class Day(BaseModel):
    """What was set aside on one day, by request id."""

    date: str = ""
    ends: AwareDatetime | None = None
    reserved: dict[str, Decimal] = Field(default_factory=dict)
    before: list[str] = Field(default_factory=list)
    """Request ids that were granted the day before: a repeat of one is no new placement."""
    total: Decimal = Decimal(0)

    def is_kept(self, now: datetime) -> bool:
        """Tell whether something is set aside on it, and it has not ended."""
        return bool(self.reserved) and self.ends is not None and now < self.ends

    def grant(self, request_id: str, amount: Decimal, limit: Decimal) -> bool:
        """Set an amount aside if the limit allows it; tell whether it is. One request id is counted once."""
        if request_id in self.reserved or request_id in self.before:
            return True
        if self.total + amount > limit:
            return False
        self.reserved[request_id] = amount
        self.total += amount
        return True

    def take_off(self, request_id: str) -> None:
        """Take a placement off again; one that is not known changes nothing."""
        self.total -= self.reserved.pop(request_id, Decimal(0))


class AccountInput(BaseModel):
    """The workflow's argument: the account, and what is carried over continue-as-new."""

    account: Name
    followed: dict[str, Followed] = Field(default_factory=dict)
    next_round: AwareDatetime | None = None
    planned_round: AwareDatetime | None = None
    """When the next round would be without a hint; None where none brought it forward."""
    halted: Halted | None = None
    day: Day = Field(default_factory=Day)
    packed: str = ""
    """All of this, where it is large."""

    def packed_if_large(self) -> AccountInput:
        """Give the same for continue-as-new: as it is while people and older workers can read it, else packed."""
        text = self.model_dump_json(exclude_defaults=True)
        if len(text.encode()) < PACKED_ABOVE:
            return self
        return AccountInput(account=self.account, packed=pack(text))

    def unpacked(self) -> AccountInput:
        """Read what was carried over.

        Raises:
            BadArgument: no account wrote this.

        """
        if not self.packed:
            return self
        try:
            return AccountInput.model_validate_json(unpack(self.packed))
        except ValueError:
            raise BadArgument("packed: is not what an account carries over") from None


def _fingerprint(reading: Reading) -> int:
    told = (reading.status, reading.raw, reading.charge, reading.remains, reading.start_count, reading.error)
    return zlib.crc32(repr(told).encode())
