"""Slots of a schedule: every local time exactly once, whatever clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.clock_changes import ALL_DAYS, timetable
from campaigns.definition import Schedule
from campaigns.moments import zone
from campaigns.recurrence import Slot, missed_at_most, next_slots, slots_after

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
AZORES = "Atlantic/Azores"


def schedule(**fields: Any) -> Schedule:
    return Schedule.model_validate(fields)


def shown(slots: list[Slot], timezone: str) -> list[str]:
    return [
        f"{slot.at.astimezone(zone(timezone)):%d %b %H:%M %z}{f' ({slot.note})' if slot.note else ''}" for slot in slots
    ]


@pytest.mark.parametrize(
    ("timezone", "after", "cron", "expected"),
    [
        (BERLIN, "2027-03-27", "30 2 * * *",
         ["27 Mar 02:30 +0100", "28 Mar 03:30 +0200 (the clock skips 02:30)", "29 Mar 02:30 +0200"]),
        (BERLIN, "2027-10-30", "30 2 * * *",
         ["30 Oct 02:30 +0200", "31 Oct 02:30 +0200 (02:30 comes twice: the first)", "01 Nov 02:30 +0100"]),
        (NEW_YORK, "2027-03-13", "30 2 * * *",
         ["13 Mar 02:30 -0500", "14 Mar 03:30 -0400 (the clock skips 02:30)", "15 Mar 02:30 -0400"]),
        (NEW_YORK, "2027-11-06", "30 1 * * *",
         ["06 Nov 01:30 -0400", "07 Nov 01:30 -0400 (01:30 comes twice: the first)", "08 Nov 01:30 -0500"]),
        (LORD_HOWE, "2027-10-02", "15 2 * * *",
         ["02 Oct 02:15 +1030", "03 Oct 02:45 +1100 (the clock skips 02:15)", "04 Oct 02:15 +1100"]),
        (LORD_HOWE, "2027-04-03", "45 1 * * *",
         ["03 Apr 01:45 +1100", "04 Apr 01:45 +1100 (01:45 comes twice: the first)", "05 Apr 01:45 +1030"]),
        (AZORES, "2027-03-27", "30 0 * * *",
         ["27 Mar 00:30 -0100", "28 Mar 01:30 +0000 (the clock skips 00:30)", "29 Mar 00:30 +0000"]),
    ],
)  # fmt: skip
def test_a_daily_slot_fires_once_on_each_day(timezone: str, after: str, cron: str, expected: list[str]) -> None:
    moment = datetime.fromisoformat(after).replace(tzinfo=zone(timezone))
    assert shown(next_slots(schedule(cron=cron), timezone, moment, 3), timezone) == expected


@pytest.mark.parametrize(
    ("timezone", "day"), [(BERLIN, "2027-03-28"), (BERLIN, "2027-10-31"), (NEW_YORK, "2027-11-07")]
)
def test_every_hour_goes_by_the_hours_that_pass(timezone: str, day: str) -> None:
    slots = next_slots(schedule(cron="0 * * * *"), timezone, datetime.fromisoformat(day).replace(tzinfo=UTC), 48)
    assert {later.at - earlier.at for earlier, later in pairwise(slots)} == {timedelta(hours=1)}


def test_slots_that_fall_on_one_instant_are_one_run() -> None:
    after = datetime(2027, 3, 28, tzinfo=UTC)
    slots = next_slots(schedule(cron="0 2,3 * * *"), BERLIN, after, 2)
    assert shown(slots, BERLIN) == ["28 Mar 03:00 +0200", "29 Mar 02:00 +0200"]


def test_every_is_elapsed_time_from_start_whatever_clocks_do() -> None:
    weekly = schedule(every="7d", start="2027-03-21 18:00")
    slots = next_slots(weekly, BERLIN, datetime(2026, 1, 1, tzinfo=UTC), 2)
    assert shown(slots, BERLIN) == ["21 Mar 18:00 +0100", "28 Mar 19:00 +0200"]


def test_every_without_a_start_counts_from_a_mondays_midnight() -> None:
    slots = next_slots(schedule(every="1w"), BERLIN, datetime(2027, 1, 1, tzinfo=UTC), 1)
    assert shown(slots, BERLIN) == ["04 Jan 00:00 +0100"]


def test_start_and_end_are_whole_days_and_count_themselves() -> None:
    daily = schedule(cron="0 0,23 * * *", start="2027-01-30", end="2027-01-31")
    slots = next_slots(daily, BERLIN, datetime(2026, 1, 1, tzinfo=UTC), 9)
    assert shown(slots, BERLIN) == [
        "30 Jan 00:00 +0100", "30 Jan 23:00 +0100", "31 Jan 00:00 +0100", "31 Jan 23:00 +0100",
    ]  # fmt: skip


def test_a_list_of_moments_comes_in_order_with_offsets_kept() -> None:
    listed = schedule(at=["2027-10-31 02:30", "2027-03-28T02:30", "2027-10-31T02:30+01:00", "2027-01-01T00:00:30Z"])
    slots = next_slots(listed, BERLIN, datetime(2026, 1, 1, tzinfo=UTC), 9)
    assert shown(slots, BERLIN) == [
        "01 Jan 01:00 +0100", "28 Mar 03:30 +0200 (the clock skips 02:30)",
        "31 Oct 02:30 +0200 (02:30 comes twice: the first)", "31 Oct 02:30 +0100",
    ]  # fmt: skip


CRONS = st.builds(
    "{} {} {} {} {}".format,
    st.sampled_from(["0", "30", "*/15", "59"]),
    st.sampled_from(["*", "0", "2", "*/2", "1-3", "23", "9-17"]),
    st.just("*"),
    st.sampled_from(["*", "3,10", "mar-nov"]),
    st.sampled_from(["*", "sun", "fri-sun"]),
)
ZONES = st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, AZORES, "Africa/Cairo", "Asia/Kathmandu", "America/Santiago"])
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(deadline=None)
@given(CRONS, ZONES, MOMENTS)
def test_slots_ascend_and_asking_again_from_one_gives_the_next(cron: str, timezone: str, after: datetime) -> None:
    slots = next_slots(schedule(cron=cron), timezone, after, 12)
    assert len(slots) == 12
    assert slots[0].at > after
    assert all(earlier.at < later.at for earlier, later in pairwise(slots))
    assert next_slots(schedule(cron=cron), timezone, slots[4].at, 7) == slots[5:]


@settings(deadline=None, max_examples=40)
@given(CRONS, ZONES, st.integers(2026, 2039))
def test_over_a_year_each_time_on_the_wall_fires_once(cron: str, timezone: str, year: int) -> None:
    written = schedule(cron=cron)
    assert written.cron is not None
    begin, end = (datetime(y, 1, 1, tzinfo=zone(timezone)) for y in (year, year + 1))
    fired = 0
    for slot in slots_after(written, timezone, begin - timedelta(seconds=1)):
        if slot.at >= end:
            break
        fired += 1
    days = [begin.date() + timedelta(days=n) for n in range((end.date() - begin.date()).days)]
    meant = sum(
        len(written.cron.hours) * len(written.cron.minutes)
        for day in days
        if day.month in written.cron.months and day.isoweekday() % 7 in written.cron.weekdays
    )
    # Slots that the clock moves onto others are one run, and a repeated hour of an hourly cron has its own.
    assert abs(fired - meant) <= 2 * len(written.cron.minutes)


@settings(deadline=None)
@given(CRONS, ZONES)
def test_a_timetable_tells_calendars_that_never_meet_the_instants_days(cron: str, timezone: str) -> None:
    table = timetable(schedule(cron=cron), timezone)
    for at in table.instants:
        wall = at.astimezone(zone(table.timezone))
        twice = [
            calendar
            for calendar in table.calendars
            if wall.hour in calendar.hours
            and wall.minute in calendar.minutes
            and wall.day in calendar.days
            and wall.month in calendar.months
            and wall.isoweekday() % 7 in calendar.weekdays
            and (not calendar.years or wall.year in calendar.years)
        ]
        assert len(twice) <= 1


@pytest.mark.parametrize("cron", ["0 18 * * fri", "30 9 1 * *", "0 2 * * mon", "*/15 9-17 * * mon-fri"])
def test_a_cron_that_stays_away_from_changes_of_clocks_is_one_calendar(cron: str) -> None:
    table = timetable(schedule(cron=cron), BERLIN)
    assert (len(table.calendars), table.instants, table.timezone) == (1, (), BERLIN)
    assert table.calendars[0].comment == f"{cron} {BERLIN}"


def test_an_hourly_cron_is_told_in_utc() -> None:
    table = timetable(schedule(cron="10 * * * *"), "Asia/Kathmandu")
    assert (table.timezone, table.calendars[0].minutes, table.calendars[0].days) == ("UTC", (25,), ALL_DAYS)


def test_a_slot_counted_again_and_again_is_missed_once() -> None:
    daily = schedule(cron="0 18 * * *", catchup="1h")
    first, second, third = (slot.at for slot in next_slots(daily, BERLIN, datetime(2026, 12, 1, tzinfo=UTC), 3))
    span = first - timedelta(hours=1), third + timedelta(minutes=59)
    assert missed_at_most(9, daily, BERLIN, span, {first}) == 1, "the third may still run"
    assert missed_at_most(9, daily, BERLIN, span, {first, second}) == 0
    assert missed_at_most(9, daily, BERLIN, (span[0], third + timedelta(hours=2)), {second}) == 2
    assert missed_at_most(1, daily, BERLIN, span, ()) == 1, "not more than were counted"
