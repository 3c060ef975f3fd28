"""Durations, money and percentages: read strictly, written back in the same form."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.quantities import (
    MAX_DURATION,
    Money,
    format_duration,
    parse_duration,
    parse_money,
    parse_percent,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("6h", 21_600), ("2d", 172_800), ("1w", 604_800), ("1h30m", 5400), ("1m1m", 120)],
)
def test_a_duration_is_read_as_written(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "0s", "5", "h", "-5m", "1.5h", "5 m", " 5m", "5m\n", "5M", "\u0665m", "1y", "5m5", "157w", "9999999s"],
)  # fmt: skip
def test_what_is_not_a_duration_of_at_most_three_years_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer than"):
        parse_duration(text)


@given(st.integers(1, int(MAX_DURATION.total_seconds())).map(lambda seconds: timedelta(seconds=seconds)))
def test_a_duration_written_out_is_read_back_the_same(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


def test_a_week_is_said_only_when_it_is_a_whole_one() -> None:
    assert [format_duration(timedelta(days=days)) for days in (7, 8, 14)] == ["1w", "8d", "2w"]
    assert format_duration(timedelta(0)) == "0s"


def test_an_endless_duration_is_refused_and_shown_short() -> None:
    with pytest.raises(ValueError, match="longer than") as caught:
        parse_duration("999999w" * 100_000)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    ("text", "amount"), [("120.00 USD", "120.00"), ("0 EUR", "0"), ("0.00000001 TRY", "0.00000001")]
)
def test_money_keeps_every_digit_and_its_currency(text: str, amount: str) -> None:
    money = parse_money(text)
    assert money == Money(Decimal(amount), text[-3:])
    assert str(money) == text


@pytest.mark.parametrize(
    "text",
    ["120", "120.00", "USD 120", "120 usd", "120,00 USD", "-1 USD", "1e3 USD", "NaN USD", ".5 USD", "1 USD\n"],
)  # fmt: skip
def test_what_is_not_an_amount_and_a_currency_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not money"):
        parse_money(text)


@given(st.decimals(0, 10**12 - 1, places=8, allow_nan=False, allow_infinity=False))
def test_money_written_out_is_read_back_the_same(amount: Decimal) -> None:
    assert parse_money(str(Money(amount, "USD"))) == Money(amount, "USD")


def test_a_percentage_carries_its_sign() -> None:
    assert parse_percent("12.5%") == Decimal("12.5")
    for text in ("10", "%", "-1%", "10 %", "1e1%"):
        with pytest.raises(ValueError, match="not a percentage"):
            parse_percent(text)
