"""What the engine does about orders that are placed: news, ends, cancels and refills, example by example."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from campaigns.definition import After, CancelPolicy, OnShortfall, RefillPolicy, When
from campaigns.engine import finished, status_of
from campaigns.messages import (
    Cancel,
    CancelAnswered,
    CancelRequested,
    Follow,
    News,
    Reading,
    Refill,
    RefillAnswered,
    Resolved,
    Status,
)
from campaigns.plan import Offer
from campaigns.state import CampaignState
from tests.unit.plans import order, plan
from tests.unit.table import Table

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOTHING = Decimal(0)
KEY = "seed/1"
NOT_STARTED = CancelPolicy(not_started_in=6 * HOUR)
STALLED = CancelPolicy(stalled_for=24 * HOUR)


def placed(**fields: Any) -> Table:
    """Give a campaign whose only order is at the panel."""
    return Table(plan(order("seed", **fields))).place(KEY)


def asked(table: Table) -> Table:
    return table.say(CancelAnswered(key=KEY, answer="asked"))


def refused(table: Table, words: str = "This order cannot be canceled") -> Table:
    return table.say(CancelAnswered(key=KEY, answer="refused", words=words))


# News.


def test_money_moves_from_reserved_to_spent_as_the_panel_charges_and_never_counts_twice() -> None:
    table = placed()
    assert (table.state.reserved, table.state.spent) == (Decimal("0.45"), NOTHING)
    for _ in range(3):
        table.read(KEY, "in_progress", charge=Decimal("0.30"), remains=200)
        assert (table.state.reserved, table.state.spent, table.state.delivered) == (
            Decimal("0.15"),
            Decimal("0.30"),
            300,
        )
    for _ in range(3):
        table.read(KEY, "partial", charge=Decimal("0.27"), remains=200)
        assert (table.state.reserved, table.state.spent) == (NOTHING, Decimal("0.27"))


@pytest.mark.parametrize("status", ["completed", "partial", "canceled", "refunded", "failed"])
def test_nothing_moves_an_order_that_is_at_its_end(status: str) -> None:
    table = placed().read(KEY, status, charge=Decimal("0.20"), remains=100)
    before = table.state.model_dump()
    for word in Status:
        table.wait(hours=1).read(KEY, word, charge=Decimal(9), remains=7)
        table.read(KEY, word, charge=Decimal(9), remains=7, ago=2 * HOUR)
    assert table.state.model_dump() == before


def test_news_that_is_older_than_what_is_known_changes_nothing() -> None:
    table = placed().wait(hours=1).read(KEY, "in_progress", remains=100)
    table.read(KEY, "completed", remains=400, ago=HOUR / 2)
    assert (table.states(), table.state.delivered) == ({KEY: "in_progress"}, 400)


def test_an_order_in_progress_does_not_become_pending_again() -> None:
    assert placed().read(KEY, "in_progress").read(KEY, "pending").states() == {KEY: "in_progress"}


def test_a_word_that_nobody_knows_is_kept_told_and_never_an_end() -> None:
    table = placed()
    reading = Reading(panel_order="ord_seed/1", status=Status.UNKNOWN, raw="On hold", observed_at=table.now)
    table.say(News(readings=[reading]))
    assert (table.states(), table.run(KEY).raw) == ({KEY: "pending"}, "On hold")
    assert "On hold" in table.run(KEY).why
    assert table.read(KEY, "in_progress").run(KEY).why == ""


@pytest.mark.parametrize(("remains", "delivered"), [(-5, 500), (0, 500), (500, 0), (10_000, 0), (None, 0)])
def test_what_remains_is_clamped_to_what_was_ordered(remains: int | None, delivered: int) -> None:
    assert placed().read(KEY, "in_progress", remains=remains).state.delivered == delivered


def test_without_a_charge_the_end_counts_what_was_delivered_at_the_planned_rate() -> None:
    assert placed().read(KEY, "completed").state.spent == Decimal("0.45")
    assert placed().read(KEY, "partial", remains=499).state.spent == Decimal("0.0009")
    assert placed().read(KEY, "canceled").state.spent == 0


def test_without_a_charge_a_replacement_counts_at_the_rate_of_the_service_that_delivered_it() -> None:
    other = Offer(service=205, service_name="Other views", rate=Decimal("2.20"), min=10, max=600)
    table = placed(on_shortfall=OnShortfall.REORDER, fallback=[other]).read(KEY, "canceled", remains=400)
    assert table.placing() == ["seed/1+1"]
    assert table.place("seed/1+1").read("seed/1+1", "completed").state.spent == Decimal("0.09") + Decimal("0.88")


def test_news_of_an_order_that_is_not_ours_is_passed_over() -> None:
    table = placed()
    before = table.state.model_dump()
    table.say(News(readings=[Reading(panel_order="ord_?", status=Status.FAILED, observed_at=table.now)]))
    assert table.state.model_dump() == before


def test_right_after_placing_the_panel_may_not_know_its_own_order() -> None:
    table = placed().wait(minutes=9).read(KEY, "unknown", error="Incorrect order ID")
    assert (table.states(), table.run(KEY).why) == ({KEY: "pending"}, "")


def test_an_order_the_panel_does_not_know_for_an_hour_is_unknown_until_it_knows_it_again() -> None:
    table = placed().wait(minutes=61).read(KEY, "unknown", error="Incorrect order ID")
    assert (table.states(), status_of(table.state)) == ({KEY: "unknown"}, CampaignState.NEEDS_ATTENTION)
    assert table.wait(hours=2).asked(Follow)
    assert table.read(KEY, "completed").states() == {KEY: "completed"}
    assert finished(table.state)


def test_one_unreadable_row_does_not_make_an_order_unknown_that_was_heard_of_lately() -> None:
    table = placed().wait(days=3).read(KEY, "in_progress").wait(minutes=10)
    assert table.read(KEY, "unknown", error="Incorrect order ID").states() == {KEY: "in_progress"}


def test_an_order_nobody_speaks_of_is_followed_again_ever_less_often() -> None:
    table = placed()
    moments: list[float] = []
    while len(moments) < 6:
        assert table.look_again is not None
        moments.append((table.look_again - table.now) / timedelta(minutes=1))
        table.now = table.look_again
        table.decide()
        assert [command.panel_orders for command in table.asked(Follow)] == [["ord_seed/1"]]
    assert moments == [10, 20, 40, 60, 60, 60]


# Cancel.


def test_an_order_that_does_not_start_in_time_is_asked_back_and_canceled_only_by_a_later_status() -> None:
    table = placed(cancel=NOT_STARTED).wait(hours=5).read(KEY, "pending", charge=Decimal("0.45"))
    assert table.wait(minutes=59).asked(Cancel) == []
    table.wait(minutes=1)
    assert table.asked(Cancel) == []  # silence is no proof: the watch is asked first
    assert table.asked(Follow)
    assert [command.orders for command in table.read(KEY, "pending").asked(Cancel)] == [{KEY: "ord_seed/1"}]
    assert asked(table).states() == {KEY: "pending"}
    assert table.state.spent == Decimal("0.45")
    table.wait(minutes=5).read(KEY, "canceled", charge=Decimal(0), remains=500)
    assert (table.states(), table.run(KEY).why) == ({KEY: "canceled"}, "canceled on our request, 0 of 500 delivered")
    assert table.state.spent == 0


@pytest.mark.parametrize("policy", [NOT_STARTED, STALLED])
def test_a_stall_is_never_judged_on_old_readings(policy: CancelPolicy) -> None:
    table = placed(cancel=policy).read(KEY, "pending" if policy is NOT_STARTED else "in_progress", remains=400)
    table.wait(days=7)
    assert (table.asked(Cancel), len(table.asked(Follow)) > 10) == ([], True)
    table.read(KEY, "unknown", error="timeout while reading")
    assert table.asked(Cancel) == []
    assert table.read(KEY, "completed").states() == {KEY: "completed"}


def test_an_order_that_delivers_is_not_stalled_and_one_that_stops_is() -> None:
    table = placed(cancel=STALLED)
    for hours in range(5):
        table.read(KEY, "in_progress", remains=400 - hours)
        assert table.wait(hours=20).asked(Cancel) == []
    table.wait(hours=4)
    assert table.read(KEY, "in_progress", remains=396).asked(Cancel)


def test_a_reading_from_a_fast_clock_neither_cancels_early_nor_hangs_the_engine() -> None:
    table = placed(cancel=NOT_STARTED).wait(hours=5, minutes=59)
    table.read(KEY, "pending", ago=-timedelta(minutes=5))
    assert table.asked(Cancel) == []
    assert table.wait(minutes=1).asked(Cancel)


def test_a_refused_cancel_is_asked_three_times_an_hour_apart_and_then_let_be() -> None:
    table = placed(cancel=NOT_STARTED).wait(hours=6).read(KEY, "pending")
    for _ in range(3):
        assert len(table.asked(Cancel)) == 1
        refused(table)
        assert table.wait(minutes=59).asked(Cancel) == []
        table.wait(minutes=1)
    assert table.asked(Cancel) == []
    assert table.wait(days=3).asked(Cancel) == []
    assert table.read(KEY, "completed").states() == {KEY: "completed"}


def test_a_cancel_request_without_an_answer_is_sent_again() -> None:
    table = placed(cancel=NOT_STARTED).wait(hours=6).read(KEY, "pending")
    table.say(CancelAnswered(key=KEY, answer="unanswered"))
    assert table.wait(minutes=1).asked(Cancel)


def test_an_order_that_moves_again_is_no_longer_wanted_back_by_its_policy() -> None:
    table = placed(cancel=NOT_STARTED).wait(hours=6).read(KEY, "pending")
    refused(table).wait(minutes=5).read(KEY, "in_progress", remains=100)
    assert table.wait(hours=5).asked(Cancel) == []


def test_an_order_that_goes_on_delivering_is_not_asked_back_more_often_by_a_canceled_campaign() -> None:
    table = placed().say(CancelRequested())
    requests = len(table.asked(Cancel))
    for remains in range(490, 0, -10):
        if table.run(KEY).flight:
            refused(table)
        requests += len(table.wait(minutes=10).asked(Cancel))
        table.read(KEY, "in_progress", remains=remains)
        requests += len(table.asked(Cancel))
    assert requests == 3


# Refill.

GUARANTEE = RefillPolicy(within=30 * DAY, every=7 * DAY, max=2)


def accepted(table: Table) -> Table:
    return table.say(RefillAnswered(key=KEY, answer="accepted", refill="ref_1"))


def test_a_partial_order_is_refilled_at_once_and_completes_and_reaches_completed_for_its_dependents() -> None:
    table = Table(
        plan(order("seed", refill=GUARANTEE), order("views", after=After(order="seed", when=When.COMPLETED)))
    ).place(KEY)
    table.read(KEY, "partial", charge=Decimal("0.27"), remains=200)
    assert [command.orders for command in table.asked(Refill)] == [{KEY: "ord_seed/1"}]
    (follow,) = accepted(table).asked(Follow)
    assert follow.until is not None
    table.wait(minutes=5).read(KEY, "partial", charge=Decimal("0.27"), remains=200)
    assert table.states() == {KEY: "partial"}
    table.wait(minutes=5).read(KEY, "in_progress", charge=Decimal("0.27"), remains=150)
    assert (table.states(), table.state.open, table.state.reserved) == ({KEY: "in_progress"}, 1, NOTHING)
    table.wait(minutes=5).read(KEY, "completed", charge=Decimal("0.27"), remains=0)
    assert table.states() == {KEY: "completed", "views/1": "placing"}
    assert (table.state.spent, table.state.delivered) == (Decimal("0.27"), 500)


def test_an_order_being_refilled_holds_its_link() -> None:
    same = {"link": "https://example.com/same"}
    table = Table(
        plan(order("seed", refill=GUARANTEE, **same), order("views", after=After(order="seed", delay=DAY), **same))
    )
    table.place(KEY).read(KEY, "partial", remains=200)
    accepted(table).wait(hours=20).read(KEY, "in_progress")
    assert table.wait(hours=5).placing() == []
    assert table.read(KEY, "completed").placing() == ["views/1"]


def test_news_from_before_a_refill_was_accepted_says_nothing_about_it() -> None:
    table = placed(refill=GUARANTEE).read(KEY, "partial", remains=200).wait(minutes=1)
    accepted(table).wait(minutes=1).read(KEY, "in_progress", remains=200, ago=timedelta(seconds=90))
    assert table.states() == {KEY: "partial"}


def test_figures_of_an_order_whose_refill_has_not_begun_are_not_counted_again() -> None:
    table = placed(refill=GUARANTEE).read(KEY, "partial", charge=Decimal("0.27"), remains=200)
    accepted(table).wait(hours=1).read(KEY, "partial", charge=Decimal("0.20"), remains=100)
    assert (table.state.spent, table.state.reserved, table.state.delivered) == (Decimal("0.27"), NOTHING, 300)


def test_a_guarantee_is_used_every_so_often_until_its_limit_and_then_the_campaign_ends() -> None:
    table = placed(refill=GUARANTEE).read(KEY, "completed")
    assert not finished(table.state)
    for _ in range(2):
        assert table.wait(days=6).asked(Refill) == []
        assert len(table.wait(days=1).asked(Refill)) == 1
        accepted(table)
    table.wait(days=7)
    assert (table.asked(Refill), finished(table.state)) == ([], True)


def test_a_guarantee_ends_with_its_time() -> None:
    table = placed(refill=RefillPolicy(within=3 * DAY, every=7 * DAY)).read(KEY, "completed")
    assert not finished(table.wait(hours=71).state)
    assert finished(table.wait(hours=1).state)
    assert table.asked(Refill) == []


def test_a_refill_that_is_refused_for_good_ends_the_guarantee_and_fails_nothing() -> None:
    table = placed(refill=GUARANTEE).read(KEY, "partial", remains=200)
    table.say(RefillAnswered(key=KEY, answer="never", words="Refill days are over"))
    assert (table.states(), table.run(KEY).why) == ({KEY: "partial"}, "refill refused: Refill days are over")
    assert status_of(table.state) is CampaignState.COMPLETED


def test_a_refill_that_is_refused_for_now_is_asked_for_a_day_later() -> None:
    table = placed(refill=GUARANTEE).read(KEY, "partial", remains=200)
    table.say(RefillAnswered(key=KEY, answer="not_yet", words="requested less than 24 hours ago"))
    assert table.wait(hours=23).asked(Refill) == []
    assert table.wait(hours=1).asked(Refill)


def test_a_refill_whose_answer_was_lost_and_which_is_then_pending_counts_as_accepted() -> None:
    table = placed(refill=GUARANTEE).read(KEY, "partial", remains=200)
    table.say(RefillAnswered(key=KEY, answer="unanswered")).wait(minutes=1)
    assert table.asked(Refill)
    table.say(RefillAnswered(key=KEY, answer="not_yet", words="a refill is pending"))
    assert table.run(KEY).refills == 1
    assert table.wait(hours=1).read(KEY, "in_progress").states() == {KEY: "in_progress"}


def test_a_canceled_campaign_uses_no_guarantee() -> None:
    table = placed(refill=GUARANTEE).read(KEY, "partial", remains=200)
    table.say(CancelRequested())
    assert finished(table.state)
    assert finished(accepted(table).state)


def test_canceling_while_a_refill_is_delivered_asks_for_that_order_and_waits_for_its_end() -> None:
    table = placed(refill=GUARANTEE).read(KEY, "partial", remains=200)
    accepted(table).wait(hours=1).read(KEY, "in_progress")
    assert table.say(CancelRequested()).asked(Cancel)
    refused(table).wait(hours=1).read(KEY, "completed")
    assert finished(table.state)


def test_an_order_resolved_away_is_not_followed_any_more() -> None:
    table = placed().wait(hours=2).read(KEY, "unknown", error="Incorrect order ID").carry()
    table.say(Resolved(key=KEY, panel_order="ord_9"))
    assert [command.panel_orders for command in table.asked(Follow)] == [["ord_9"]]
