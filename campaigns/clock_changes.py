"""A schedule, told so that Temporal's scheduler fires every slot exactly once, also when clocks change.

Measured on server 1.32 (``ListScheduleMatchingTimes``), a cron in a time zone: a slot that the clock skips in spring is
dropped (but 02:15 of Lord Howe fires at 02:45); of one that comes twice in autumn New York fires both, Berlin the
second, Lord Howe the second; ``59 1`` in Berlin fires again at 02:59; ``*/30 2`` loses 02:30 and fires at 03:30;
``0 * * * *`` loses an hour; where clocks change at midnight (Azores, Santiago) the whole day is lost to a cron that
names days of the week. Away from the change it is exact. So what is told is

- the cron as calendars, without those days on which one of its slots falls within an hour of a change of clocks,
- the slots near a change as single instants, as :mod:`campaigns.recurrence` has them,

for the years in :data:`YEARS`. A cron that stays away from the small hours of such Sundays is one calendar, as written.
A cron of every hour of every day is told in UTC, where no clock changes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from campaigns.moments import zone
from campaigns.recurrence import anchor, bounds, matches, slots_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaigns.cron import Cron
    from campaigns.definition import Schedule

YEARS = range(2026, 2041)
"""Years whose changes of clocks are told one by one; later ones are the scheduler's."""
ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS = tuple(range(1, 32)), tuple(range(1, 13)), tuple(range(7))
_LAST_YEAR = 2100
"""The last one that Temporal's calendars know."""
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class CalendarTime:
    """Times at which all fields match; every field ascending."""

    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...] = (0,)
    days: tuple[int, ...] = ALL_DAYS
    months: tuple[int, ...] = ALL_MONTHS
    weekdays: tuple[int, ...] = ALL_WEEKDAYS
    years: tuple[int, ...] = ()
    """None for every year."""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Timetable:
    """What is told to a scheduler: the union of its parts, from ``start`` to ``end``."""

    timezone: str
    """Of the calendars."""
    calendars: tuple[CalendarTime, ...] = ()
    instants: tuple[datetime, ...] = ()
    every: timedelta | None = None
    anchor: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None


def timetable(schedule: Schedule, timezone: str) -> Timetable:
    """Tell a checked schedule."""
    start, end = bounds(schedule, timezone)
    if schedule.at is not None:
        moments = sorted({moment.first(timezone): str(moment) for moment in schedule.at}.items())
        return Timetable("UTC", tuple(_once(at, text) for at, text in moments))
    if schedule.every is not None:
        return Timetable("UTC", every=schedule.every, anchor=anchor(schedule, timezone), start=start, end=end)
    if schedule.cron is None:  # pragma: no cover - refused by the check
        raise ValueError("the schedule says neither at nor every nor cron")
    return replace(_cron(schedule.cron, timezone), start=start, end=end)


def _once(at: datetime, text: str) -> CalendarTime:
    return CalendarTime((at.hour,), (at.minute,), (at.second,), (at.day,), (at.month,), years=(at.year,), comment=text)


def _cron(cron: Cron, timezone: str) -> Timetable:
    whole = CalendarTime(
        cron.hours, cron.minutes, (0,), cron.days, cron.months, cron.weekdays, comment=f"{cron.text} {timezone}"
    )
    if cron.every_hour and cron.every_day and (minutes := _minutes_from_utc(timezone)) is not None:
        shifted = tuple(sorted((minute - minutes) % 60 for minute in cron.minutes))
        return Timetable("UTC", (replace(whole, minutes=shifted),))
    left_out: set[date] = set()
    hours: set[int] = set()
    for day, around in _near_changes(timezone):
        if matches(cron, day) and (affected := around & set(cron.hours)):
            left_out.add(day)
            hours |= affected
    if not left_out:
        return Timetable(timezone, (whole,))
    instants = {slot.at for day in left_out for wall, slot in slots_on(cron, day, timezone) if wall.hour in hours}
    usual = tuple(hour for hour in cron.hours if hour not in hours)
    calendars = [replace(whole, hours=usual)] if usual else []
    calendars += _without(replace(whole, hours=tuple(sorted(hours))), left_out)
    return Timetable(timezone, tuple(calendars), tuple(sorted(instants)))


def _without(whole: CalendarTime, left_out: set[date]) -> list[CalendarTime]:
    """Split a calendar of all years into calendars that together lack these days."""
    by_month: defaultdict[int, dict[int, set[int]]] = defaultdict(dict)
    for day in left_out:
        by_month[day.year].setdefault(day.month, set()).add(day.day)
    years = tuple(year for year in range(YEARS.start, _LAST_YEAR + 1) if year not in by_month)
    calendars = [replace(whole, years=years)] if years else []
    full: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    partial: defaultdict[tuple[int, tuple[int, ...]], list[int]] = defaultdict(list)
    for year, months in sorted(by_month.items()):
        full[tuple(month for month in whole.months if month not in months)].append(year)
        for month, days in months.items():
            partial[month, tuple(day for day in whole.days if day not in days)].append(year)
    calendars += [replace(whole, months=kept, years=tuple(listed)) for kept, listed in full.items() if kept]
    calendars += [
        replace(whole, months=(month,), days=kept, years=tuple(listed))
        for (month, kept), listed in sorted(partial.items())
        if kept
    ]
    return calendars


@lru_cache(maxsize=64)
def _changes(timezone: str) -> tuple[tuple[datetime, timedelta, timedelta], ...]:
    """Give every change of clocks: the instant, and the offsets from UTC before and after it."""
    found = []
    moment = datetime(YEARS.start, 1, 1, tzinfo=UTC)
    offset = _offset(moment, timezone)
    while moment.year < YEARS.stop:
        following = moment + _DAY
        if (after := _offset(following, timezone)) != offset:
            found.append((_change_between(moment, following, timezone), offset, after))
            offset = after
        moment = following
    return tuple(found)


def _change_between(low: datetime, high: datetime, timezone: str) -> datetime:
    before, seconds = _offset(low, timezone), (high - low) // _SECOND
    first = bisect_left(range(seconds), True, key=lambda passed: _offset(low + passed * _SECOND, timezone) != before)
    return low + first * _SECOND


def _offset(moment: datetime, timezone: str) -> timedelta:
    return moment.astimezone(zone(timezone)).utcoffset() or timedelta(0)


def _near_changes(timezone: str) -> Iterator[tuple[date, set[int]]]:
    """Give the local hours within an hour of each change, by local day."""
    for at, before, after in _changes(timezone):
        walls = [at.replace(tzinfo=None) + before, at.replace(tzinfo=None) + after]
        hour = (min(walls) - _HOUR).replace(minute=0, second=0)
        hours: defaultdict[date, set[int]] = defaultdict(set)
        while hour < max(walls) + _HOUR:
            hours[hour.date()].add(hour.hour)
            hour += _HOUR
        midnight = datetime.combine((max(walls) - _SECOND).date(), time(0))
        if before < after and min(walls) <= midnight:
            # A day that begins in the gap is lost whole when the cron names days of the week.
            hours[midnight.date()] = set(range(24))
        yield from hours.items()


def _minutes_from_utc(timezone: str) -> int | None:
    """Give the minutes past the hour by which a zone differs from UTC, if they never change."""
    offsets = {_offset(datetime(YEARS.start, 1, 1, tzinfo=UTC), timezone)}
    offsets |= {after for _, _, after in _changes(timezone)}
    minutes = {offset % _HOUR for offset in offsets}
    if len(minutes) != 1 or (only := minutes.pop()) % timedelta(minutes=1):
        return None
    return only // timedelta(minutes=1)
