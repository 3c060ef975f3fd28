"""Moments as a campaign file writes them: a local date and time, a date alone, or an instant with its offset.

A local time that the clock skips in spring is as much later as the clock moved, and one that it shows twice in autumn
is the first (RFC 5545, section 3.3.5, and PEP 495's ``fold=0``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo

from campaigns.quantities import written
from campaigns.wording import quoted

_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[ T]([0-9]{2}:[0-9]{2})(?::([0-9]{2}))?(Z|[+-][0-9]{2}:[0-5][0-9])?)?"
)
MOMENT_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-5][0-9])?)?$"
FIRST_YEAR, LAST_YEAR = 2020, 2099
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_LARGEST_OFFSET = timedelta(hours=18)


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """Give a time zone by its IANA name."""
    return ZoneInfo(name)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment as written."""

    day: date
    clock: time | None = None
    """None for a date alone."""
    offset: timedelta | None = None
    """From UTC; None for local time."""

    def __str__(self) -> str:
        """``2026-12-04``, ``2026-12-04T18:00`` or ``2026-12-04T18:00+03:00``."""
        if self.clock is None:
            return self.day.isoformat()
        text = datetime.combine(self.day, self.clock).isoformat(timespec="seconds" if self.clock.second else "minutes")
        return text if self.offset is None else text + _offset(self.offset)

    def first(self, timezone_name: str) -> datetime:
        """Give the instant, UTC; of a date alone its first one."""
        wall = datetime.combine(self.day, self.clock or time(0))
        if self.offset is not None:
            return wall.replace(tzinfo=timezone(self.offset)).astimezone(UTC)
        return instant(wall, timezone_name)

    def last(self, timezone_name: str) -> datetime:
        """Give the instant, UTC; of a date alone its last second."""
        if self.clock is not None:
            return self.first(timezone_name)
        return instant(datetime.combine(self.day + _DAY, time(0)), timezone_name) - _SECOND


def instant(wall: datetime, timezone_name: str) -> datetime:
    """Give the instant of a local time: of one shown twice the first, and one skipped as much later as clocks moved."""
    return wall.replace(tzinfo=zone(timezone_name), fold=0).astimezone(UTC)


def parse_moment(text: str) -> Moment:
    """Read ``2026-12-04``, ``2026-12-04 18:00`` (also with ``T``, seconds) or ``2026-12-04T18:00+03:00``.

    Raises:
        ValueError: the text is not a moment, or not between 2020 and 2099.

    """
    match = _MOMENT.fullmatch(text)
    if not match:
        raise ValueError(f"{quoted(text)} is not a date and time; write it as 2026-12-04 18:00")
    try:
        day = date.fromisoformat(match[1])
        clock = time.fromisoformat(f"{match[2]}:{match[3] or '00'}") if match[2] else None
    except ValueError:
        raise ValueError(f"{quoted(text)} is not in the calendar") from None
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"{quoted(text)} is not between {FIRST_YEAR} and {LAST_YEAR}")
    offset = None
    if match[4]:
        sign, written_offset = (match[4][0], match[4][1:]) if match[4] != "Z" else ("+", "00:00")
        hours, minutes = (int(part) for part in written_offset.split(":"))
        offset = timedelta(hours=hours, minutes=minutes) * (-1 if sign == "-" else 1)
        if abs(offset) > _LARGEST_OFFSET:
            raise ValueError(f"{quoted(text)} has an offset that no place on earth has")
    return Moment(day, clock, offset)


def _offset(value: timedelta) -> str:
    minutes = int(value.total_seconds()) // 60
    return "Z" if minutes == 0 else f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


WrittenMoment = Annotated[Moment, written(parse_moment, Moment, str, MOMENT_PATTERN, "2026-12-04 18:00")]
