"""The audit's patience: it leaves room for the worker, waits where it must, and comes to an end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from campaigns.patience import AT_MOST, RETRIES, Patience


@pytest.mark.parametrize(("requests_per_minute", "seconds"), [(100, 1.2), (1, 120), (6000, 0.02)])
def test_half_of_the_accounts_requests_are_left_to_the_worker(requests_per_minute: int, seconds: float) -> None:
    assert Patience(requests_per_minute).pace == timedelta(seconds=seconds)


def test_a_failure_is_tried_again_a_few_times_and_an_answer_begins_anew() -> None:
    patience = Patience(100)
    for _ in range(2):
        assert [patience.after_failure() for _ in RETRIES] == list(RETRIES)
        assert patience.after_failure() is None
        patience.answered()


def test_a_throttled_panel_is_waited_for_but_not_longer_than_the_total() -> None:
    patience = Patience(100)
    assert patience.when_throttled(AT_MOST + timedelta(seconds=1)) is None
    assert patience.when_throttled(AT_MOST - timedelta(seconds=10)) == AT_MOST - timedelta(seconds=10)
    patience.answered()
    assert patience.when_throttled(timedelta(seconds=11)) is None
    assert patience.when_throttled(timedelta(seconds=10)) == timedelta(seconds=10)


def test_a_panel_that_throttles_until_now_is_neither_hurried_nor_asked_for_ever() -> None:
    patience, waits = Patience(100), list[timedelta]()
    while (wait := patience.when_throttled(timedelta(seconds=-3))) is not None:
        waits.append(wait)
    assert min(waits) > timedelta(0)
    assert sum(waits, timedelta(0)) <= AT_MOST
