"""Cron expressions are read strictly, and every error names its field."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.cron import Cron, parse_cron


def fields(text: str) -> tuple[tuple[int, ...], ...]:
    cron = parse_cron(text)
    return cron.minutes, cron.hours, cron.days, cron.months, cron.weekdays


def test_names_ranges_steps_and_lists_are_read() -> None:
    minutes, hours, days, months, weekdays = fields("5,50-52 */6 * Jan,jun-AUG fri-sun")
    assert (minutes, hours, len(days)) == ((5, 50, 51, 52), (0, 6, 12, 18), 31)
    assert (months, weekdays) == ((1, 6, 7, 8), (0, 5, 6))


def test_seven_is_sunday_and_a_star_is_every_day() -> None:
    assert fields("0 0 * * 7")[4] == fields("0 0 * * 0")[4] == (0,)
    assert fields("0 0 * * *")[4] == fields("0 0 * * 0-7")[4] == (0, 1, 2, 3, 4, 5, 6)
    assert fields("0 0 * * */2")[4] == (0, 2, 4, 6)
    assert fields("10/20 0 * * *")[0] == (10, 30, 50)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("60 0 * * *", 'minute: "60" is not 0 to 59'),
        ("0 24 * * *", 'hour: "24" is not 0 to 23'),
        ("0 0 0 * *", 'day of the month: "0" is not 1 to 31'),
        ("0 0 * 13 *", 'month: "13" is not 1 to 12 or jan to dec'),
        ("0 0 * marc *", 'month: "marc" is not 1 to 12 or jan to dec; did you mean "mar"?'),
        ("0 0 * * 8", 'day of the week: "8" is not 0 to 7 or sun to sat'),
        ("0 0 * * fri#2", 'day of the week: "fri#2" is not 0 to 7 or sun to sat'),
        ("0 22-4 * * *", 'hour: "22-4" runs backwards; write it as two, such as 22-23,0-4'),
        ("*/0 * * * *", 'minute: "*/0" has no step from 1 to 59 after its /'),
        ("0,, 0 * * *", 'minute: "" is not 0 to 59'),
        ("-1 0 * * *", 'minute: "" is not 0 to 59'),
        ("0 0 31 4,jun *", '"0 0 31 4,jun *" never fires: none of its months has 31 days'),
        ("@weekly", '"@weekly" is a nickname; write it out: "0 0 * * sun"'),
        ("0 0 1 * mon", '"0 0 1 * mon" says both a day of the month and a day of the week'),
        ("0 0 * * * *", '"0 0 * * * *" is not a cron expression of five fields (minute, hour, '),
    ],
)  # fmt: skip
def test_an_error_names_its_field(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        parse_cron(text)


def test_a_leap_day_is_a_day() -> None:
    assert fields("0 0 29 2 *")[2:4] == ((29,), (2,))


@given(st.text(st.sampled_from("0123456789*/-,@ frisunjanL#\u0661"), max_size=24))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert isinstance(parse_cron(text), Cron)
