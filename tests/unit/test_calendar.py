"""Windows and slots across every kind of clock change."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from campaigns.calendar import is_open, local, next_slot, open_at, slots
from campaigns.definition import Window


def window(opens: str, closes: str, *days: str) -> Window:
    return Window.model_validate({"from": opens, "to": closes} | ({"days": list(days)} if days else {}))


def at(text: str, zone: str = "UTC", fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def test_without_a_window_every_moment_is_open() -> None:
    moment = at("2026-12-04T18:00:33.5", "Europe/Istanbul")
    assert open_at(moment, None, "Europe/Istanbul") == moment
    assert open_at(moment, None, None).tzinfo is UTC


def test_a_moment_without_a_time_zone_is_refused() -> None:
    naive = datetime(2026, 12, 4, 18)  # noqa: DTZ001
    with pytest.raises(ValueError, match="2026-12-04T18:00:00 has no time zone"):
        open_at(naive, None, "UTC")


def test_a_window_without_a_zone_is_on_utc() -> None:
    assert open_at(at("2026-12-04T08:00"), window("09:00", "17:00"), None) == at("2026-12-04T09:00")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-12-04T08:59", "2026-12-04T09:00"),
        ("2026-12-04T09:00", "2026-12-04T09:00"),
        ("2026-12-04T12:34", "2026-12-04T12:34"),
        ("2026-12-04T21:59", "2026-12-04T21:59"),
        ("2026-12-04T22:00", "2026-12-07T09:00"),
        ("2026-12-05T12:00", "2026-12-07T09:00"),
    ],
)
def test_a_window_is_half_open_and_only_on_its_days(moment: str, expected: str) -> None:
    weekdays = window("09:00", "22:00", "mon", "tue", "wed", "thu", "fri")
    assert open_at(at(moment, "Europe/Istanbul"), weekdays, "Europe/Istanbul") == at(expected, "Europe/Istanbul")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-12-04T21:00", "2026-12-04T22:00"),  # Friday evening
        ("2026-12-05T05:59", "2026-12-05T05:59"),  # Saturday morning, still Friday's window
        ("2026-12-05T06:00", "2026-12-11T22:00"),
        ("2026-12-04T05:00", "2026-12-04T22:00"),  # Thursday's night is not Friday's
    ],
)
def test_a_window_past_midnight_belongs_to_the_day_it_opens_on(moment: str, expected: str) -> None:
    assert open_at(at(moment), window("22:00", "06:00", "fri"), None) == at(expected)


def test_a_window_to_24_00_joins_the_next_day() -> None:
    late = window("18:00", "24:00", "fri")
    assert late.closes == time.max
    assert is_open(at("2026-12-04T23:59:59.999999"), late, None)
    assert not is_open(at("2026-12-05T00:00"), late, None)
    assert is_open(at("2026-12-05T00:00"), window("00:00", "24:00"), None)


def test_equal_times_are_a_whole_day_from_that_time() -> None:
    around = window("09:00", "09:00", "fri")
    assert is_open(at("2026-12-05T08:59"), around, None)
    assert not is_open(at("2026-12-05T09:00"), around, None)


@pytest.mark.parametrize(
    ("zone", "before", "opens", "expected"),
    [
        ("Europe/Berlin", "2026-03-28T23:00", "02:30", "2026-03-29T03:00"),
        ("America/New_York", "2026-03-07T23:00", "02:15", "2026-03-08T03:00"),
        ("Australia/Lord_Howe", "2026-10-03T22:00", "02:10", "2026-10-04T02:30"),
        ("America/Havana", "2026-03-07T23:30", "00:30", "2026-03-08T01:00"),
        ("America/Santiago", "2026-09-05T23:00", "00:00", "2026-09-06T01:00"),
        ("Asia/Beirut", "2026-03-28T23:00", "00:00", "2026-03-29T01:00"),
        ("Africa/Casablanca", "2026-03-21T12:00", "02:30", "2026-03-22T03:00"),
    ],
)
def test_an_opening_that_does_not_exist_opens_after_the_gap(zone: str, before: str, opens: str, expected: str) -> None:
    assert open_at(at(before, zone), window(opens, "06:00"), zone) == at(expected, zone)


@pytest.mark.parametrize(
    ("zone", "before", "opens", "closes", "expected"),
    [
        ("Europe/Berlin", "2026-03-28T23:00", "02:15", "02:45", "2026-03-30T02:15"),
        ("Australia/Lord_Howe", "2026-10-03T22:00", "02:00", "02:30", "2026-10-05T02:00"),
        ("America/Santiago", "2026-09-05T23:00", "00:00", "01:00", "2026-09-07T00:00"),
    ],
)
def test_a_window_inside_a_gap_waits_for_the_next_day(
    zone: str, before: str, opens: str, closes: str, expected: str
) -> None:
    assert open_at(at(before, zone), window(opens, closes), zone) == at(expected, zone)


def test_a_weekly_window_inside_a_gap_waits_for_the_next_week() -> None:
    assert open_at(at("2026-03-28T23:00", "Europe/Berlin"), window("02:00", "03:00", "sun"), "Europe/Berlin") == at(
        "2026-04-05T02:00", "Europe/Berlin"
    )


def test_a_closing_that_does_not_exist_closes_at_the_gap() -> None:
    early = window("01:00", "02:30")
    assert is_open(at("2026-03-29T01:59", "Europe/Berlin"), early, "Europe/Berlin")
    assert not is_open(at("2026-03-29T03:00", "Europe/Berlin"), early, "Europe/Berlin")


@pytest.mark.parametrize(
    ("zone", "opening", "closing"),
    [
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T02:45"),
        ("America/New_York", "2026-11-01T01:10", "2026-11-01T01:20"),
        ("Australia/Lord_Howe", "2026-04-05T01:40", "2026-04-05T01:50"),
        ("Africa/Casablanca", "2026-02-15T02:10", "2026-02-15T02:20"),
        ("America/Havana", "2026-11-01T00:10", "2026-11-01T00:40"),
    ],
)
def test_a_window_on_a_repeated_hour_opens_at_the_first_and_closes_at_the_second(
    zone: str, opening: str, closing: str
) -> None:
    first, last = at(opening, zone, fold=0), at(closing, zone, fold=1)
    twice = window(opening[-5:], closing[-5:])
    assert last - first > at(closing) - at(opening)
    assert open_at(first - timedelta(minutes=1), twice, zone) == first
    assert is_open(last - timedelta(minutes=1), twice, zone)
    assert not is_open(last, twice, zone)
    moment = first
    while moment < last:
        assert is_open(moment, twice, zone)
        moment += timedelta(minutes=5)


def test_a_repeated_hour_before_midnight_counts_for_the_day_that_ends() -> None:
    saturday = window("00:00", "24:00", "sat")  # Beirut's clock goes back from midnight to 23:00 on this night
    assert is_open(at("2026-10-24T23:59", "Asia/Beirut", fold=1), saturday, "Asia/Beirut")
    assert not is_open(at("2026-10-25T00:00", "Asia/Beirut"), saturday, "Asia/Beirut")


def test_apia_had_no_30_december_2011() -> None:
    thursday = at("2011-12-29T23:30", "Pacific/Apia")
    assert open_at(thursday, window("09:00", "17:00", "fri"), "Pacific/Apia") == at("2012-01-06T09:00", "Pacific/Apia")
    assert open_at(thursday, window("09:00", "17:00"), "Pacific/Apia") == at("2011-12-31T09:00", "Pacific/Apia")
    overnight = window("22:00", "06:00", "thu")
    assert is_open(thursday, overnight, "Pacific/Apia")
    assert not is_open(at("2011-12-31T00:00", "Pacific/Apia"), overnight, "Pacific/Apia")


def test_kathmandu_is_five_hours_and_three_quarters_ahead() -> None:
    assert open_at(at("2026-12-04T00:00"), window("09:00", "17:00"), "Asia/Kathmandu") == at("2026-12-04T03:15")


def test_an_opening_gives_the_same_wall_time_on_both_sides_of_a_change() -> None:
    daily = window("18:00", "18:01")
    days = list(slots(at("2026-10-23T00:00"), 4, timedelta(hours=20), daily, "Europe/Berlin"))
    assert [day.astimezone(ZoneInfo("Europe/Berlin")).hour for day in days] == [18] * 4
    assert [later - earlier for earlier, later in pairwise(days)] == [timedelta(hours=h) for h in (24, 25, 24)]


def test_spacing_is_elapsed_time_across_a_change() -> None:
    previous = at("2026-03-29T01:00", "Europe/Berlin")
    following = next_slot(previous, timedelta(minutes=90), None, "Europe/Berlin")
    assert following - previous == timedelta(minutes=90)
    assert following == at("2026-03-29T03:30", "Europe/Berlin")


def test_spacing_by_a_local_datetime_is_elapsed_time_too() -> None:
    previous = datetime(2026, 3, 29, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    assert next_slot(previous, timedelta(hours=1), None, None) == at("2026-03-29T03:00", "Europe/Berlin")


def test_slots_wait_for_the_window_and_go_on_from_there() -> None:
    day = window("09:00", "12:00")
    assert list(slots(at("2026-12-04T10:00"), 5, timedelta(minutes=90), day, None)) == [
        at("2026-12-04T10:00"),
        at("2026-12-04T11:30"),
        at("2026-12-05T09:00"),
        at("2026-12-05T10:30"),
        at("2026-12-06T09:00"),
    ]


def test_a_moment_is_shown_on_the_wall_clock() -> None:
    assert local(at("2026-12-04T15:00"), "Europe/Istanbul") == "Fri 4 Dec 18:00 Europe/Istanbul"
    assert local(at("2026-12-04T15:00"), None) == "Fri 4 Dec 15:00 UTC"


def test_a_time_shown_twice_carries_its_offset() -> None:
    first, second = (at("2026-10-25T02:30", "Europe/Berlin", fold=fold) for fold in (0, 1))
    assert local(first, "Europe/Berlin") == "Sun 25 Oct 02:30 Europe/Berlin (+02:00)"
    assert local(second, "Europe/Berlin") == "Sun 25 Oct 02:30 Europe/Berlin (+01:00)"
