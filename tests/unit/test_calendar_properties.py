"""What holds for any zone, window and moment, against an oracle that watches the local clock minute by minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.calendar import is_open, open_at, openings, slots
from campaigns.definition import Day, Window

MINUTE = timedelta(minutes=1)
ZONES = [
    "Africa/Casablanca",
    "America/Havana",
    "America/New_York",
    "America/Santiago",
    "America/St_Johns",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Europe/Istanbul",
    "Pacific/Apia",
    "Pacific/Chatham",
    "UTC",
]


def changes(zone: str) -> list[datetime]:
    """Give the days of 2005 to 2030 within which, or within the next, the clocks of a zone change."""
    days = [datetime(2005, 1, 1, tzinfo=UTC) + timedelta(days=2 * n) for n in range(183 * 25)]
    offsets = [day.astimezone(ZoneInfo(zone)).utcoffset() for day in days]
    return [day for day, (before, after) in zip(days, pairwise(offsets), strict=False) if before != after]


CHANGES = {zone: changes(zone) for zone in ZONES}

clocks = st.builds(time, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 59])) | st.sampled_from([time(0), time(2)])
windows = st.builds(
    lambda days, opens, closes: Window.model_validate({"days": sorted(days), "from": opens, "to": closes}),
    st.sets(st.sampled_from(list(Day)), min_size=1),
    clocks,
    clocks | st.just(time.max),
)
minutes = st.integers(0, 25 * 365 * 1440).map(lambda n: datetime(2005, 1, 1, tzinfo=UTC) + n * MINUTE)


@st.composite
def zones_and_moments(draw: st.DrawFn) -> tuple[str, datetime]:
    """Draw a zone and a whole minute, more often than not within days of a change of clocks."""
    zone = draw(st.sampled_from(ZONES))
    ordinary = draw(st.integers(0, 4)) == 0
    if ordinary or not CHANGES[zone]:
        return zone, draw(minutes)
    return zone, draw(st.sampled_from(CHANGES[zone])) + draw(st.integers(-2 * 1440, 3 * 1440)) * MINUTE


def oracle(moment: datetime, window: Window, zone: str, days: int = 11) -> datetime:
    """Watch the clock from days before ``moment``: open once it showed ``from``, until it never shows less than ``to``.

    Independent of the code under test: no reading of PEP 495's fold, only what the clock shows at each minute.
    """
    tz = ZoneInfo(zone)
    start = moment - timedelta(days=3)
    instants = [start + n * MINUTE for n in range(days * 1440)]
    shown = [instant.astimezone(tz).replace(tzinfo=None) for instant in instants]
    highest = list(accumulate(shown, max))
    lowest = list(accumulate(reversed(shown), min))[::-1]
    weekdays = [list(Day).index(day) for day in window.days]
    intervals = []
    for n in range(days):
        day: date = shown[0].date() + timedelta(days=n)
        if day.weekday() not in weekdays:
            continue
        opens = datetime.combine(day, window.opens)
        closes = datetime.combine(day, time(0) if window.closes == time.max else window.closes)
        if closes <= opens:
            closes += timedelta(days=1)
        intervals.append((opens, closes))
    for instant, high, low in zip(instants, highest, lowest, strict=True):
        if instant >= moment and any(high >= opens and low < closes for opens, closes in intervals):
            return instant
    assert days < 22, "the oracle looked too short"
    return oracle(moment, window, zone, days=22)


@settings(max_examples=40, deadline=None)
@given(zones_and_moments(), windows)
def test_the_opening_is_the_first_minute_that_the_oracle_calls_open(
    where: tuple[str, datetime], window: Window
) -> None:
    zone, moment = where
    assert open_at(moment, window, zone) == oracle(moment, window, zone)


@given(zones_and_moments(), windows, st.integers(0, 59_999_999))
def test_an_opening_is_not_before_the_moment_is_open_and_stays_put(
    where: tuple[str, datetime], window: Window, microseconds: int
) -> None:
    zone, minute = where
    moment = minute + timedelta(microseconds=microseconds)
    opening = open_at(moment, window, zone)
    assert opening >= moment
    assert opening.tzinfo is UTC
    assert is_open(opening, window, zone)
    assert open_at(opening, window, zone) == opening


@given(zones_and_moments(), windows, st.integers(0, 10 * 86_400))
def test_a_later_moment_never_opens_earlier(where: tuple[str, datetime], window: Window, seconds: int) -> None:
    zone, moment = where
    assert open_at(moment, window, zone) <= open_at(moment + timedelta(seconds=seconds), window, zone)


@given(zones_and_moments(), windows | st.none(), st.integers(1, 3 * 86_400), st.integers(1, 12))
def test_slots_are_open_and_never_closer_than_asked(
    where: tuple[str, datetime], window: Window | None, seconds: int, runs: int
) -> None:
    zone, moment = where
    every = timedelta(seconds=seconds)
    found = list(slots(moment, runs, every, window, zone))
    assert len(found) == runs
    assert found[0] == open_at(moment, window, zone)
    assert all(is_open(slot, window, zone) for slot in found)
    assert all(later - earlier >= every for earlier, later in pairwise(found))


@settings(deadline=None)
@given(zones_and_moments(), windows, st.integers(1, 4 * 1440))
def test_openings_are_exactly_the_moments_at_which_a_window_is_open(
    place: tuple[str, datetime], window: Window, length: int
) -> None:
    zone, first = place
    last = first + length * MINUTE
    found = list(openings(first, last, window, zone))
    assert all(first <= opening < closing <= last for opening, closing in found)
    assert all(before[0] < after[0] for before, after in pairwise(found))
    for n in range(0, length, 7):
        moment = first + n * MINUTE
        within = any(opening <= moment < closing for opening, closing in found)
        assert within == is_open(moment, window, zone)
