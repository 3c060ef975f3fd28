"""The rules between the fields of a ``schedule``, over a raw document as :mod:`campaigns.checking` reads them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from campaigns.definition import Schedule
from campaigns.explaining import Problem
from campaigns.moments import FIRST_YEAR, Moment, parse_moment, zone
from campaigns.quantities import format_duration, parse_duration
from campaigns.recurrence import bounds, next_slots

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("at", "every", "cron")
SHORTEST_EVERY = timedelta(minutes=1)
SHORTEST_CATCHUP = timedelta(seconds=10)
"""Temporal allows no less."""
_LONG_AGO = Moment(datetime(FIRST_YEAR, 1, 1).date()).first("UTC") - timedelta(days=2)  # noqa: DTZ001


def schedule_problems(written: Any, timezone: Any) -> Iterator[Problem]:
    """Give what is wrong with a ``schedule`` beyond its single fields."""
    if not isinstance(written, dict):
        return
    yield from _kinds(written)
    yield from _durations(written)
    if timezone is None:
        message = "needs the campaign's timezone; add a line such as timezone: Europe/Istanbul"
        yield Problem(("schedule",), message)
    elif isinstance(timezone, str) and _is_zone(timezone):
        yield from _moments(written, timezone)


def _kinds(written: dict[str, Any]) -> Iterator[Problem]:
    said = [kind for kind in KINDS if written.get(kind) is not None]
    misspelt = any(name not in Schedule.model_fields for name in written)  # told by itself
    if not said and not misspelt:
        yield Problem(("schedule",), "says not when; give one of at, every and cron")
    for kind in said[1:]:
        yield Problem(("schedule", kind), f"stands beside {said[0]}; keep one of at, every and cron")
    if said == ["at"]:
        for name in ("start", "end"):
            if written.get(name) is not None:
                yield Problem(("schedule", name), "goes with every and cron; at names its moments itself")


def _durations(written: dict[str, Any]) -> Iterator[Problem]:
    for name, least in (("every", SHORTEST_EVERY), ("catchup", SHORTEST_CATCHUP)):
        text = written.get(name)
        try:
            value = parse_duration(text) if isinstance(text, str) else least
        except ValueError:
            continue
        if value < least:
            message = f"{format_duration(value)} is below the minimum {format_duration(least)}"
            yield Problem(("schedule", name), message)


def _moments(written: dict[str, Any], timezone: str) -> Iterator[Problem]:
    seen: dict[datetime, int] = {}
    listed = written.get("at")
    for index, text in enumerate(listed if isinstance(listed, list) else ()):
        try:
            at = parse_moment(text).first(timezone) if isinstance(text, str) else None
        except ValueError:
            continue
        if at is not None and seen.setdefault(at, index) != index:
            yield Problem(("schedule", "at", index), f"is the moment of at[{seen[at]}] again")
    try:
        schedule = Schedule.model_validate(written)
    except ValidationError:
        return
    start, end = bounds(schedule, timezone)
    if start is not None and end is not None and end < start:
        yield Problem(("schedule", "end"), "comes before start")
    elif [schedule.at, schedule.every, schedule.cron].count(None) == len(KINDS) - 1 and not next_slots(
        schedule, timezone, _LONG_AGO, 1
    ):
        yield Problem(("schedule",), "never fires: no slot lies between start and end")


def _is_zone(timezone: str) -> bool:
    try:
        zone(timezone)
    except (ValueError, OSError, KeyError):
        return False
    return True
