"""Cron expressions: five fields, read strictly, every error naming its field.

The common core of all crons: ``*``, numbers, names, lists, ranges and steps; 7 is Sunday too. Left out on purpose is
what crons disagree about: a day of the month *and* a day of the week in one expression (some want both, some either),
and ``@daily``, ``L``, ``W``, ``#`` and seconds.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from campaigns.quantities import written
from campaigns.wording import did_you_mean, quoted


class _Field(NamedTuple):
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()

    def number(self, word: str) -> int | None:
        """Read a number or a name; None when it is neither or outside the field."""
        if word.lower() in self.names:
            return self.names.index(word.lower()) + self.least
        if not re.fullmatch(r"[0-9]{1,2}", word):
            return None
        return int(word) if self.least <= int(word) <= self.most else None


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _DAYS),
)
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * sun",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 jan *",
    "@annually": "0 0 1 jan *",
}
_LEAP_YEAR = 2028
MAX_LENGTH = 200
CRON_PATTERN = r"^\s*\S+(\s+\S+){4}\s*$"


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression that was read; every field as the numbers it allows, ascending."""

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    """0 is Sunday."""
    every_hour: bool
    """The hour is ``*``: slots go by the hours that pass, so an hour that the clock repeats has its own."""

    @property
    def every_day(self) -> bool:
        """Tell whether every day has slots."""
        return (
            len(self.days) == _FIELDS[2].most and len(self.months) == len(_MONTHS) and len(self.weekdays) == len(_DAYS)
        )


def parse_cron(text: str) -> Cron:
    """Read ``minute hour day-of-month month day-of-week``, such as ``0 18 * * fri``.

    Raises:
        ValueError: it is not a cron expression, or one that no date ever matches.

    """
    nickname = _NICKNAMES.get(text.strip().lower())
    if nickname:
        raise ValueError(f'{quoted(text)} is a nickname; write it out: "{nickname}"')
    words = text.split() if len(text) <= MAX_LENGTH else []
    if len(words) != len(_FIELDS):
        fields = "minute, hour, day of the month, month, day of the week"
        raise ValueError(f'{quoted(text)} is not a cron expression of five fields ({fields}), such as "0 18 * * fri"')
    minutes, hours, days, months, weekdays = (_numbers(field, word) for field, word in zip(_FIELDS, words, strict=True))
    weekdays = {day % 7 for day in weekdays}
    if len(days) < _FIELDS[2].most and len(weekdays) < len(_DAYS):
        raise ValueError(
            f"{quoted(text)} says both a day of the month and a day of the week, which crons read differently; "
            "keep one of the two and write * for the other"
        )
    if min(days) > max(monthrange(_LEAP_YEAR, month)[1] for month in months):
        raise ValueError(f"{quoted(text)} never fires: none of its months has {min(days)} days")
    return Cron(
        text=" ".join(words),
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=tuple(sorted(days)),
        months=tuple(sorted(months)),
        weekdays=tuple(sorted(weekdays)),
        every_hour=words[1] == "*",
    )


def _numbers(field: _Field, word: str) -> set[int]:
    numbers: set[int] = set()
    for part in word.split(","):
        span, slash, stride = part.partition("/")
        step = 1
        if slash:
            if not re.fullmatch(r"[0-9]{1,2}", stride) or not 0 < int(stride) <= field.most:
                raise ValueError(f"{field.name}: {quoted(part)} has no step from 1 to {field.most} after its /")
            step = int(stride)
        low, dash, high = span.partition("-")
        if span == "*":
            first, last = field.least, field.most - (field.names == _DAYS)
        elif dash:
            first, last = _number(field, low), _number(field, high)
            if field.names == _DAYS and last == 0 and first > 0:
                last = 7  # fri-sun
        else:
            first = _number(field, low)
            last = field.most if slash else first
        if first > last:
            raise ValueError(f"{field.name}: {quoted(part)} runs backwards; write it as two, such as 22-23,0-4")
        numbers.update(range(first, last + 1, step))
    return numbers


def _number(field: _Field, word: str) -> int:
    number = field.number(word)
    if number is None:
        allowed = f"{field.least} to {field.most}"
        if field.names:
            allowed += f" or {field.names[0]} to {field.names[-1]}"
        hint = did_you_mean(word, field.names) if word.isalpha() else ""
        raise ValueError(f"{field.name}: {quoted(word)} is not {allowed}" + (f"; {hint}" if hint else ""))
    return number


WrittenCron = Annotated[Cron, written(parse_cron, Cron, lambda cron: cron.text, CRON_PATTERN, '"0 18 * * fri"')]
