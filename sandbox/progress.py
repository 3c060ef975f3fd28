"""How far an order is at a given moment: a pure function of its age and of how its service behaves."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.catalog import Behaviour

CENTS = Decimal("0.00001")


@dataclass(frozen=True, slots=True)
class Facts:
    """What happened to an order; times in sandbox seconds, `refills` as (asked at, delivered then)."""

    quantity: int
    runs: int
    interval: float
    placed_at: float
    cancel_at: float | None = None
    refills: tuple[tuple[float, int], ...] = ()

    @property
    def total(self) -> int:
        """Units ordered over all runs."""
        return self.quantity * self.runs


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a status request sees: one of the panel's status words (canonical spelling) and the units delivered."""

    status: str
    delivered: int


def started(behaviour: Behaviour, facts: Facts, now: float) -> bool:
    """Whether the first unit may have been delivered, so that a cancel can only be asked for."""
    return now >= facts.placed_at + behaviour.starts_after


def ends_at(behaviour: Behaviour, facts: Facts) -> float:
    """When the order becomes terminal; infinite when it never does."""
    own = inf
    if behaviour.outcome is not None:
        last_run = facts.placed_at + behaviour.starts_after + (facts.runs - 1) * facts.interval
        own = last_run + behaviour.duration
    if facts.cancel_at is None:
        return own
    takes = behaviour.cancel_takes if started(behaviour, facts, facts.cancel_at) else 0.0
    return min(own, facts.cancel_at + takes)


def outcome(behaviour: Behaviour, facts: Facts) -> Snapshot:
    """How the order stands the moment it becomes terminal."""
    end = ends_at(behaviour, facts)
    own = ends_at(behaviour, Facts(facts.quantity, facts.runs, facts.interval, facts.placed_at))
    if facts.cancel_at is not None and end < own:
        return Snapshot("canceled", _delivered(behaviour, facts, end))
    return Snapshot(behaviour.outcome or "in_progress", _delivered(behaviour, facts, end))


def observe(behaviour: Behaviour, facts: Facts, now: float, *, quiet_refills: bool = False) -> Snapshot:
    """How the order stands at `now`. A refill shows as in_progress again unless `quiet_refills`."""
    end = ends_at(behaviour, facts)
    if now >= end:
        return _afterwards(behaviour, facts, now, end, quiet_refills=quiet_refills)
    if behaviour.odd_word is not None and now < facts.placed_at + behaviour.odd_until:
        status = behaviour.odd_word
    else:
        status = "in_progress" if started(behaviour, facts, now) else "pending"
    return Snapshot(status, _delivered(behaviour, facts, now))


def refund(snapshot: Snapshot, charged: Decimal, total: int) -> Decimal:
    """What a terminal order gives back: everything when failed or refunded, else the undelivered part."""
    match snapshot.status:
        case "fail" | "refunded":
            return charged
        case "partial" | "canceled":
            return (charged * (total - snapshot.delivered) / total).quantize(CENTS, ROUND_HALF_UP)
        case _:
            return Decimal(0)


def refilling(behaviour: Behaviour, facts: Facts, now: float) -> bool:
    """Whether a refill is still being delivered."""
    return bool(facts.refills) and now < facts.refills[-1][0] + behaviour.refill_takes


def _delivered(behaviour: Behaviour, facts: Facts, now: float) -> int:
    share = facts.quantity * behaviour.stops_at // 100
    done = 0
    for run in range(facts.runs):
        since = now - (facts.placed_at + behaviour.starts_after + run * facts.interval)
        if since <= 0:
            break
        done += share if since >= behaviour.duration else int(share * since / behaviour.duration)
    return done


def _afterwards(behaviour: Behaviour, facts: Facts, now: float, end: float, *, quiet_refills: bool) -> Snapshot:
    final = outcome(behaviour, facts)
    status, delivered, last_refill = final.status, final.delivered, -inf
    if facts.refills:
        last_refill, base = facts.refills[-1]
        part = min(1.0, (now - last_refill) / behaviour.refill_takes)
        delivered = base + int((facts.total - base) * part)
        if part == 1.0:
            status = "completed"
        elif base < facts.total and not quiet_refills:
            status = "in_progress"
    drop_at = end + behaviour.drops_after
    if behaviour.drops and final.status == "completed" and now >= drop_at > last_refill:
        delivered -= facts.total * behaviour.drops // 100
    return Snapshot(status, delivered)
