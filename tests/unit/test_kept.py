"""What an account keeps of an order, a hint and a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from campaigns.messages import Reading, Status
from workflows.kept import EARLY_FOR, MOST_EARLY, Day, EarlyHints, Followed

NOW = datetime(2026, 12, 4, 15, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def _followed(**more: object) -> Followed:
    return Followed.model_validate({"campaign": "campaign/c", "every": 3600.0, "read_at": NOW, "told": 1, **more})


def _reading(status: Status = Status.IN_PROGRESS, remains: int | None = 5) -> Reading:
    return Reading(panel_order="ord_1", status=status, remains=remains, observed_at=NOW)


@pytest.mark.parametrize(
    ("more", "after", "due"),
    [
        ({}, timedelta(minutes=29), False),
        ({}, timedelta(minutes=30), True),
        ({"told": None}, timedelta(0), True),
        ({"read_at": None}, timedelta(0), True),
        ({"hinted_at": NOW - HOUR}, timedelta(0), True),
    ],
)
def test_an_order_is_read_in_the_round_nearest_to_its_moment_or_after_a_hint(
    more: dict[str, object], after: timedelta, *, due: bool
) -> None:
    assert _followed(**more).is_due(NOW + after, shortest=3600.0) is due


def test_what_was_told_is_no_news_and_a_reading_shows_that_its_campaign_is_there() -> None:
    followed = _followed(told=None, read_at=None)
    assert followed.is_news(_reading())
    assert (followed.read_at, followed.wanted_at) == (NOW, NOW)
    assert not followed.is_news(_reading())
    assert followed.is_news(_reading(remains=4))


@pytest.mark.parametrize(
    ("status", "remains", "until", "over"),
    [
        (Status.IN_PROGRESS, 0, None, False),
        (Status.COMPLETED, 5, None, True),
        (Status.COMPLETED, 5, NOW + HOUR, False),
        (Status.COMPLETED, 0, NOW + HOUR, True),
        (Status.PARTIAL, 5, NOW, True),
    ],
)
def test_an_order_is_followed_until_nothing_more_is_to_be_expected(
    status: Status, remains: int, until: datetime | None, *, over: bool
) -> None:
    assert _followed(until=until).is_over(_reading(status, remains), NOW) is over


def test_hints_of_what_nobody_follows_are_kept_for_a_while_and_not_without_end() -> None:
    early = EarlyHints()
    early.note("ord_1", NOW)
    assert not early.take("ord_2", NOW)
    assert early.take("ord_1", NOW + EARLY_FOR - timedelta(seconds=1))
    assert not early.take("ord_1", NOW)
    early.note("ord_1", NOW)
    assert not early.take("ord_1", NOW + EARLY_FOR)
    for number in range(MOST_EARLY + 2):
        early.note(f"ord_{number}", NOW)
        early.note("ord_1", NOW)
    assert not early.take("ord_0", NOW)
    assert early.take("ord_1", NOW)


def test_one_request_id_is_counted_once_and_given_back_once() -> None:
    day = Day(date="2026-12-04", ends=NOW + HOUR, before=["y"])
    limit = Decimal("1.00")
    assert day.grant("a", Decimal("0.60"), limit)
    assert day.grant("a", Decimal("0.60"), limit)
    assert day.grant("y", Decimal("9.00"), limit)
    assert not day.grant("b", Decimal("0.50"), limit)
    assert day.total == Decimal("0.60")
    assert day.is_kept(NOW)
    assert not day.is_kept(NOW + HOUR)
    day.take_off("a")
    day.take_off("a")
    assert day.total == 0
    assert not day.is_kept(NOW)
