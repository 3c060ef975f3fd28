"""Slots of a schedule: when the campaign will run, as instants.

``every`` is elapsed time, whatever clocks do. ``at`` and ``cron`` are local times, and local time has holes and
repeats; **every slot fires exactly once**:

- a slot that the clock skips in spring fires as much later as the clock moved: 02:30 at 03:30;
- a slot that the clock shows twice in autumn fires the first time (both as RFC 5545, section 3.3.5, has it);
- a cron whose hour is ``*`` goes by the hours that pass: a repeated hour has slots of its own, as in Vixie's cron;
- slots that fall on one instant are one run.

Temporal's own calendars do not keep to this (measured; see :mod:`campaigns.clock_changes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

from campaigns.moments import LAST_YEAR, instant, zone

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from campaigns.cron import Cron
    from campaigns.definition import Schedule

_DAY = timedelta(days=1)
_EAST = timedelta(hours=15)
"""More than any place is ahead of UTC: no slot of a local day comes earlier before that day's midnight."""
_SECOND = timedelta(seconds=1)
_FIRST_MONDAY = date(2024, 1, 1)
"""From its local midnight ``every`` is counted when there is no ``start``."""
_END_OF_TIME = datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """One moment at which a campaign runs."""

    at: datetime
    """UTC."""
    note: str = ""
    """What the clock does to it: ``the clock skips 02:30``, ``02:30 comes twice: the first``."""

    def document(self, timezone: str) -> dict[str, Any]:
        """Give it as JSON, also on the campaign's clock."""
        return {
            "at": self.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "at_local": self.at.astimezone(zone(timezone)).isoformat(timespec="seconds"),
            "note": self.note,
        }


def next_slots(schedule: Schedule, timezone: str, after: datetime, count: int) -> list[Slot]:
    """Give the next slots after a moment; fewer than ``count`` when the schedule ends.

    Args:
        schedule: checked; see :func:`campaigns.checking.check`.
        timezone: the campaign's.
        after: aware; slots are strictly later.
        count: how many at most.

    """
    return list(islice(slots_after(schedule, timezone, after), count))


def slot_at(schedule: Schedule, timezone: str, moment: datetime) -> Slot | None:
    """Give the slot that falls on a moment, if one does."""
    slot = next(slots_after(schedule, timezone, moment - _SECOND), None)
    return slot if slot is not None and slot.at == moment else None


def slots_after(schedule: Schedule, timezone: str, after: datetime) -> Iterator[Slot]:
    """Give all slots after a moment, in order and lazily."""
    start, end = bounds(schedule, timezone)
    after = after.astimezone(UTC)
    if start is not None:
        after = max(after, start - _SECOND)
    end = end or _END_OF_TIME
    if schedule.at is not None:
        wanted = sorted({moment.first(timezone): moment for moment in schedule.at}.items())
        found: Iterator[Slot] = (
            Slot(at, "" if moment.offset is not None else _note(_wall(moment.day, moment.clock), timezone))
            for at, moment in wanted
        )
    elif schedule.every is not None:
        found = _elapsed(anchor(schedule, timezone), schedule.every, after)
    elif schedule.cron is not None:
        found = _by_cron(schedule.cron, timezone, after)
    else:  # pragma: no cover - refused by the check
        return
    for slot in found:
        if slot.at > end:
            return
        if slot.at > after:
            yield slot


def missed_at_most(
    counted: int, schedule: Schedule, timezone: str, span: tuple[datetime, datetime], ran: Collection[datetime]
) -> int:
    """Give how many slots can have been missed, where the same slot may have been counted several times.

    Args:
        counted: as Temporal counts; each missed slot is counted once or more.
        schedule: as it was all the time.
        timezone: the campaign's.
        span: since when its slots counted, and now.
        ran: slots that did run, as far as they are known.

    """
    began, now = span
    passed = takewhile(lambda slot: slot.at < now - schedule.catchup, slots_after(schedule, timezone, began))
    return len(list(islice((slot for slot in passed if slot.at not in ran), counted)))


def bounds(schedule: Schedule, timezone: str) -> tuple[datetime | None, datetime | None]:
    """Give the first and the last instant at which a slot counts."""
    return (
        schedule.start.first(timezone) if schedule.start else None,
        schedule.end.last(timezone) if schedule.end else None,
    )


def anchor(schedule: Schedule, timezone: str) -> datetime:
    """Give the instant from which ``every`` is counted."""
    if schedule.start is not None:
        return schedule.start.first(timezone)
    return instant(datetime.combine(_FIRST_MONDAY, time(0)), timezone)


def slots_on(cron: Cron, day: date, timezone: str) -> list[tuple[datetime, Slot]]:
    """Give the slots of a local day: their time on the wall, and when they fire."""
    if not matches(cron, day):
        return []
    tz = zone(timezone)
    found = []
    for hour in cron.hours:
        for minute in cron.minutes:
            wall = _wall(day, time(hour, minute))
            at = instant(wall, timezone)
            found.append((wall, Slot(at, "" if cron.every_hour else _note(wall, timezone))))
            if cron.every_hour and (again := wall.replace(tzinfo=tz, fold=1).astimezone(UTC)) > at:
                found.append((wall, Slot(again)))
    return found


def matches(cron: Cron, day: date) -> bool:
    """Tell whether a local day has slots."""
    return day.day in cron.days and day.month in cron.months and day.isoweekday() % 7 in cron.weekdays


def _by_cron(cron: Cron, timezone: str, after: datetime) -> Iterator[Slot]:
    day = after.astimezone(zone(timezone)).date() - 2 * _DAY
    waiting: dict[datetime, Slot] = {}
    while day.year <= LAST_YEAR:
        for _, slot in slots_on(cron, day, timezone):
            if slot.at > after and (slot.at not in waiting or slot.note == ""):
                waiting[slot.at] = slot
        day += _DAY
        # A slot that the clock moved may come after slots of the next day.
        settled = datetime.combine(day, time(0), tzinfo=UTC) - _EAST
        for at in sorted(at for at in waiting if at < settled):
            yield waiting.pop(at)


def _elapsed(first: datetime, every: timedelta, after: datetime) -> Iterator[Slot]:
    at = first + (after - first) // every * every
    while at < _END_OF_TIME:
        yield Slot(at)
        at += every


def _wall(day: date, clock: time | None) -> datetime:
    return datetime.combine(day, clock or time(0))


def _note(wall: datetime, timezone: str) -> str:
    tz = zone(timezone)
    first, second = (wall.replace(tzinfo=tz, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return ""
    return f"{wall:%H:%M} comes twice: the first" if first < second else f"the clock skips {wall:%H:%M}"
