"""Windows and slots: from the clock on an operator's wall to instants, and back.

A window is written in local time, and local time has holes and repeats. One definition settles all of them: **the
window of a day is open from the first instant at which the local clock shows ``from`` or later, up to the last instant
at which it shows earlier than ``to``** (half-open: at ``to`` itself it is closed). So

- an opening time skipped in spring opens at the first instant after the gap, and a closing time skipped closes there;
- a time repeated in autumn opens at its first occurrence and closes at its second: the window stays open through both;
- a window that lies in a gap entirely (an hour in spring, a whole day at the date line) is left out: the next day's
  counts.

``to`` at or before ``from`` runs past midnight and belongs to the day it opens on; equal times are a whole day.
``time.max`` stands for 24:00. Without a zone the clock is UTC's.

Spacing, by contrast, is elapsed time: 90 minutes after a slot are 90 real minutes, whatever clocks do in between.

Everything here takes aware datetimes and gives UTC. No instant is searched for minute by minute.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from campaigns.definition import Day

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaigns.definition import Window

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_WEEKDAY = {day: number for number, day in enumerate(Day)}
_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LOOK_BACK = 2
"""Days before a moment whose window may still be open: one past midnight, one more for ``from: "24:00"``."""
_LOOK_AHEAD = 60
"""Days ahead in which every window opens: a week, and one more for each opening that a gap swallows."""


@lru_cache(maxsize=256)
def _zone(name: str | None) -> ZoneInfo:
    return ZoneInfo(name or "UTC")


def open_at(moment: datetime, window: Window | None, zone: str | None) -> datetime:
    """Give the first instant at or after ``moment`` at which ``window`` is open, in UTC; ``moment`` if there is none.

    Raises:
        ValueError: ``moment`` has no time zone.

    """
    moment = _utc(moment)
    if window is None:
        return moment
    tz = _zone(zone)
    weekdays = {_WEEKDAY[day] for day in window.days}
    opens, closes = _offsets(window)
    today = moment.astimezone(tz).date()
    # Openings and closings both come in the order of their days, so the first window not yet closed is the one.
    for days in range(-_LOOK_BACK, _LOOK_AHEAD):
        day = today + days * _DAY
        if day.weekday() not in weekdays:
            continue
        closing = _last_before(day, closes, tz)
        if moment < closing:
            opening = _first_at(day, opens, tz)
            if opening < closing:
                return max(moment, opening)
    raise AssertionError("every window opens within two months")  # pragma: no cover - see _LOOK_AHEAD


def is_open(moment: datetime, window: Window | None, zone: str | None) -> bool:
    """Tell whether ``window`` is open at ``moment``."""
    return open_at(moment, window, zone) == moment


def next_slot(previous: datetime, every: timedelta, window: Window | None, zone: str | None) -> datetime:
    """Give the slot after ``previous``: at least ``every`` of elapsed time later, when the window is open."""
    return open_at(_utc(previous) + every, window, zone)


def slots(first: datetime, runs: int, every: timedelta, window: Window | None, zone: str | None) -> Iterator[datetime]:
    """Give the slots of ``runs`` runs, the first at or after ``first``."""
    slot = first
    for run in range(runs):
        slot = next_slot(slot, every, window, zone) if run else open_at(slot, window, zone)
        yield slot


def openings(first: datetime, last: datetime, window: Window, zone: str | None) -> Iterator[tuple[datetime, datetime]]:
    """Give the stretches of time between two instants in which ``window`` is open, one a day, in UTC."""
    first, last = _utc(first), _utc(last)
    tz = _zone(zone)
    weekdays = {_WEEKDAY[day] for day in window.days}
    opens, closes = _offsets(window)
    day = first.astimezone(tz).date() - _LOOK_BACK * _DAY
    while (opening := _first_at(day, opens, tz)) < last:
        closing = _last_before(day, closes, tz)
        if day.weekday() in weekdays and max(opening, first) < min(closing, last):
            yield max(opening, first), min(closing, last)
        day += _DAY


def local(moment: datetime, zone: str | None) -> str:
    """Show a moment on the wall clock: ``Fri 4 Dec 18:00 Europe/Istanbul``.

    A time that the clock shows twice carries its offset: ``Sun 25 Oct 02:30 Europe/Berlin (+01:00)``.
    """
    tz = _zone(zone)
    wall = _utc(moment).astimezone(tz)
    day, month = _DAY_NAMES[wall.weekday()], _MONTH_NAMES[wall.month - 1]
    twice = wall.replace(fold=0).utcoffset() != wall.replace(fold=1).utcoffset()
    return f"{day} {wall.day} {month} {wall:%H:%M} {tz.key}" + (f" ({wall.isoformat()[-6:]})" if twice else "")


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    return moment.astimezone(UTC)


def _offsets(window: Window) -> tuple[timedelta, timedelta]:
    """Give the opening and the closing as wall-clock distance from the midnight of the day they belong to."""
    opens, closes = _since_midnight(window.opens), _since_midnight(window.closes)
    return opens, closes if closes > opens else closes + _DAY


def _since_midnight(clock: time) -> timedelta:
    if clock == time.max:
        return _DAY
    return timedelta(hours=clock.hour, minutes=clock.minute, seconds=clock.second, microseconds=clock.microsecond)


def _first_at(day: date, offset: timedelta, tz: ZoneInfo) -> datetime:
    """Give the first instant at which the clock shows ``day`` plus ``offset`` or later."""
    earlier, later = _readings(day, offset, tz)
    return earlier if earlier <= later else _end_of_gap(later, earlier, tz)


def _last_before(day: date, offset: timedelta, tz: ZoneInfo) -> datetime:
    """Give the instant after which the clock never again shows less than ``day`` plus ``offset``."""
    earlier, later = _readings(day, offset, tz)
    return later if earlier <= later else _end_of_gap(later, earlier, tz)


def _readings(day: date, offset: timedelta, tz: ZoneInfo) -> tuple[datetime, datetime]:
    """Read a wall time by the offset before and after a change of clocks (PEP 495's fold).

    Equal for an ordinary time, ascending for one that comes twice, descending for one that is skipped.
    """
    wall = datetime.combine(day, time(0)) + offset
    return wall.replace(tzinfo=tz, fold=0).astimezone(UTC), wall.replace(tzinfo=tz, fold=1).astimezone(UTC)


def _end_of_gap(before: datetime, after: datetime, tz: ZoneInfo) -> datetime:
    """Find the change of clocks in ``(before, after]``, to the second, by halving: twelve steps for an hour's gap."""
    offset = before.astimezone(tz).utcoffset()
    # Clocks change on whole seconds; only a wall time with a fraction would put the search between them.
    start = before.replace(microsecond=0)
    low, high = 0, (after - start) // _SECOND + 1
    while high - low > 1:
        middle = (low + high) // 2
        if (start + middle * _SECOND).astimezone(tz).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return start + high * _SECOND
