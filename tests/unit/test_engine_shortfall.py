"""What was not delivered is bought again: only the rest, only after a confirmed end, in turn, inside every limit."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.definition import After, CancelPolicy, OnFailure, RefillPolicy, When, Window
from campaigns.engine import finished, status_of
from campaigns.messages import (
    Cancel,
    CancelAnswered,
    CancelRequested,
    LinkBusy,
    OrderCancelRequested,
    Paused,
    Place,
    Refill,
    RefillAnswered,
    Rejected,
    Resumed,
    RetryRequested,
    SkipRequested,
)
from campaigns.report import rows
from campaigns.state import CampaignState, RunState
from tests.unit.policy_table import EVERYTHING, PolicyTable, limited, offer, order, plan, reordering

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STALLS = CancelPolicy(not_started_in=6 * HOUR, stalled_for=12 * HOUR)
GUARANTEE = RefillPolicy(within=30 * DAY, every=7 * DAY, max=3)


def playing(*fallback: Any, **fields: Any) -> PolicyTable:
    return PolicyTable(limited(plan(reordering(*fallback, **fields)), notify=EVERYTHING))


def test_the_rest_is_bought_from_the_fallback_under_a_new_key_and_the_chain_shows() -> None:
    table = playing(offer(205, "3.90"), coupon="SPRING")
    original = table.asked(Place)[0].form.request_id
    table.place("views/1")
    table.read("views/1", "canceled", remains=200, charge=Decimal("0.27"))
    (placed,) = table.asked(Place)
    assert placed.form.model_dump(exclude_none=True) == {
        "service": 205,
        "request_id": placed.form.request_id,
        "link": "https://example.com/views",
        "quantity": 200,
        "coupon": "SPRING",
    }
    assert table.state.reserved == Decimal("0.78")
    table.place("views/1+1").read("views/1+1", "completed", remains=0, charge=Decimal("0.78"))
    assert (finished(table.state), table.state.spent, table.state.delivered) == (True, Decimal("1.05"), 500)
    first, second = rows(table.state)
    assert (first["state"], first["delivered"], first["replaces"]) == ("canceled", 300, None)
    assert first["why"].endswith("200 reordered as views/1+1")
    assert (second["state"], second["service"], second["quantity"]) == ("completed", 205, 200)
    assert (second["replaces"], second["request_id"]) == ("views/1", placed.form.request_id)
    assert first["request_id"] == original != placed.form.request_id


@pytest.mark.parametrize("end", ["canceled", "partial", "failed", "refunded"])
def test_every_end_short_of_delivery_is_replaced(end: str) -> None:
    table = playing(offer(205)).place("views/1").read("views/1", end, remains=100, charge=Decimal(0))
    assert [command.form.quantity for command in table.asked(Place)] == [100]


def test_an_order_that_the_panel_refuses_is_bought_from_the_fallback_but_never_again_from_the_same_service() -> None:
    assert playing(offer(205)).say(Rejected(key="views/1", words="no")).placing() == ["views/1+1"]
    table = playing().say(Rejected(key="views/1", words="Service not found"))
    assert (table.placing(), finished(table.state)) == ([], True)
    assert table.run("views/1").why == "Service not found; the 500 left are not reordered from the same service"


def test_fallbacks_are_tried_in_turn_past_those_whose_bounds_the_rest_does_not_fit() -> None:
    table = playing(offer(205, low=300), offer(309, high=200), offer(401), offer(402, "2.00")).place("views/1")
    table.read("views/1", "canceled", remains=250)
    assert [command.form.service for command in table.asked(Place)] == [401]
    table.place("views/1+1").read("views/1+1", "failed", remains=250)
    assert [command.form.service for command in table.asked(Place)] == [402]
    table.place("views/1+2").read("views/1+2", "failed", remains=250)
    assert (table.placing(), finished(table.state)) == ([], True)
    assert table.run("views/1+2").why == 'the panel says "failed"; no fallback is left for the 250'
    assert [row["replaces"] for row in rows(table.state)] == [None, "views/1", "views/1+1"]


def test_without_a_fallback_the_same_service_is_tried_three_times_more() -> None:
    table = playing()
    keys = ["views/1", "views/1+1", "views/1+2", "views/1+3"]
    for key, rest in zip(keys, (400, 300, 200, 100), strict=True):
        assert table.placing() == [key]
        table.place(key).read(key, "partial", remains=rest)
    assert (table.placing(), finished(table.state)) == ([], True)
    assert table.run(keys[-1]).why.endswith("the 100 left are not reordered from the same service")


def test_a_rest_below_every_minimum_is_accepted_and_says_so() -> None:
    table = playing(offer(205, low=100), offer(309, low=50)).place("views/1").read("views/1", "partial", remains=49)
    assert table.run("views/1").why == (
        "451 of 500 delivered; the 49 left are accepted: below the minimum of every service to reorder from"
    )
    assert status_of(table.state) is CampaignState.COMPLETED


def test_a_shortfall_that_is_accepted_stays() -> None:
    table = PolicyTable(plan(order("views"))).place("views/1").read("views/1", "partial", remains=100)
    assert (table.placing(), finished(table.state)) == ([], True)


def test_a_stalled_order_is_asked_back_and_replaced_only_once_the_panel_confirms_it() -> None:
    table = playing(offer(205), cancel=STALLS).place("views/1")
    table.read("views/1", "in_progress", remains=250).wait(hours=12)
    assert table.read("views/1", "in_progress", remains=250).asked(Cancel)
    table.say(CancelAnswered(key="views/1", answer="asked"))
    assert table.wait(hours=3).read("views/1", "in_progress", remains=240).placing() == []
    table.read("views/1", "canceled", remains=240, charge=Decimal("0.234"))
    (placed,) = table.asked(Place)
    assert placed.form.quantity == 240
    assert table.run("views/1").why.startswith("canceled on our request, 260 of 500 delivered")


def test_an_order_that_refuses_its_cancellation_is_never_replaced_while_it_lives() -> None:
    table = playing(offer(205), cancel=STALLS).place("views/1").wait(hours=6)
    table.read("views/1", "pending")
    for _ in range(3):
        table.say(CancelAnswered(key="views/1", answer="refused", words="This order cannot be canceled"))
        assert table.placing() == []
        table.wait(hours=1)
    assert (table.placing(), table.run("views/1").state) == ([], RunState.PENDING)


def test_a_partial_order_uses_its_guarantee_first_and_reorders_what_that_did_not_give() -> None:
    table = playing(offer(205), refill=GUARANTEE).place("views/1").read("views/1", "partial", remains=200)
    assert (table.placing(), len(table.asked(Refill))) == ([], 1)
    table.say(RefillAnswered(key="views/1", answer="accepted", refill="r1"))
    table.read("views/1", "in_progress", remains=200).wait(hours=1).read("views/1", "partial", remains=80)
    assert table.placing() == []
    assert table.wait(days=7).asked(Refill)
    table.say(RefillAnswered(key="views/1", answer="never", words="Refill is disabled for this service"))
    assert [command.form.quantity for command in table.asked(Place)] == [80]
    table.place("views/1+1").read("views/1+1", "completed", remains=0)
    assert (finished(table.state), table.state.delivered) == (True, 500)


def test_a_refused_refill_leads_to_the_reorder_at_once() -> None:
    table = playing(offer(205), refill=GUARANTEE).place("views/1").read("views/1", "partial", remains=200)
    table.say(RefillAnswered(key="views/1", answer="never", words="no"))
    assert table.placing() == ["views/1+1"]


def test_the_replacement_has_a_guarantee_of_its_own_service() -> None:
    table = playing(offer(205, can_refill=True), refill=GUARANTEE, can_refill=False).place("views/1")
    table.read("views/1", "partial", remains=200).place("views/1+1")
    table.read("views/1+1", "completed", remains=0)
    assert not finished(table.state)
    assert table.wait(days=7).asked(Refill)


def test_a_run_completed_and_then_short_after_its_refill_is_counted_as_completed_once() -> None:
    fields: dict[str, Any] = {"quantity": 1000, "runs": 2, "every": 40 * DAY, "concurrent": True}
    dripping = reordering(offer(205), refill=GUARANTEE, **fields)
    waiting = order("next", after=After(order="views", when=When.COMPLETED))
    table = PolicyTable(plan(dripping, waiting)).place("views/1").read("views/1", "completed", remains=0)
    table.wait(days=7).say(RefillAnswered(key="views/1", answer="accepted"))
    table.read("views/1", "partial", remains=100).wait(days=7)
    table.say(RefillAnswered(key="views/1", answer="never", words="no"))
    assert table.placing() == ["views/1+1"]
    table.place("views/1+1").read("views/1+1", "completed", remains=0)
    assert table.state.progress["views"].completed == 1
    assert "next/1" not in table.state.runs


def test_a_replacement_obeys_pause_window_and_lock_as_every_order_does() -> None:
    table = playing(offer(205)).place("views/1").say(Paused())
    assert table.read("views/1", "failed", remains=500).placing() == []
    assert table.say(Resumed()).placing() == ["views/1+1"]
    night = Window(**{"from": "01:00", "to": "02:00"})  # type: ignore[arg-type]
    windowed = PolicyTable(plan(reordering(offer(205), window=night), zone="UTC")).wait(hours=10).place("views/1")
    assert windowed.wait(hours=3).read("views/1", "failed", remains=500).placing() == []
    assert windowed.wait(hours=21).placing() == ["views/1+1"]
    other = order("other", service=205, link="https://example.com/views")
    shared = PolicyTable(plan(reordering(offer(205)), other)).place("views/1", "other/1")
    assert shared.read("views/1", "failed", remains=500).run("views/1+1").why.startswith("waits for other/1")
    assert shared.read("other/1", "completed").placing() == ["views/1+1"]


def test_nothing_is_replaced_once_the_campaign_or_the_order_is_canceled_by_a_person() -> None:
    for wish in (CancelRequested(), OrderCancelRequested(target="views")):
        table = playing(offer(205)).place("views/1").say(wish)
        assert table.read("views/1", "canceled", remains=500).placing() == []
        assert finished(table.state)


def test_on_failure_is_decided_by_the_last_of_the_chain() -> None:
    table = playing(offer(205), on_failure=OnFailure.ABORT).place("views/1").read("views/1", "failed", remains=500)
    assert status_of(table.state) is CampaignState.RUNNING
    table.place("views/1+1").read("views/1+1", "failed", remains=500)
    assert status_of(table.state) is CampaignState.FAILED
    assert [kind for kind, _ in table.told()] == ["failed", "settled", "failed", "settled", "completed"]


def test_a_person_who_cancels_an_order_does_not_trip_its_on_failure() -> None:
    table = PolicyTable(plan(order("views", on_failure=OnFailure.ABORT), order("other"))).place("views/1", "other/1")
    table.say(OrderCancelRequested(target="views")).read("views/1", "canceled", remains=500)
    assert status_of(table.state) is CampaignState.RUNNING


@pytest.mark.parametrize("when", [When.SETTLED, When.COMPLETED])
def test_who_waits_for_an_order_waits_for_its_replacements(when: When) -> None:
    table = PolicyTable(plan(reordering(offer(205)), order("next", after=After(order="views", when=when))))
    table.place("views/1").read("views/1", "canceled", remains=200).place("views/1+1").wait(hours=1)
    assert "next/1" not in table.state.runs
    assert table.read("views/1+1", "completed", remains=0).placing() == ["next/1"]


def test_who_waits_for_completion_is_left_out_when_the_last_replacement_fails() -> None:
    after = After(order="views", when=When.COMPLETED)
    table = PolicyTable(plan(reordering(offer(205)), order("next", after=after))).place("views/1")
    table.read("views/1", "failed", remains=500).place("views/1+1").read("views/1+1", "failed", remains=500)
    assert table.run("next/1").state is RunState.SKIPPED
    assert finished(table.state)


def test_a_busy_link_and_a_later_retry_never_bring_back_an_old_key() -> None:
    table = playing(offer(205))
    keys = [command.form.request_id for command in table.asked(Place)]
    table.say(LinkBusy(key="views/1", words="busy")).wait(minutes=5)
    keys += [command.form.request_id for command in table.asked(Place)]
    table.place("views/1").read("views/1", "failed", remains=500)
    keys += [command.form.request_id for command in table.asked(Place)]
    table.say(LinkBusy(key="views/1+1", words="busy")).wait(minutes=5)
    keys += [command.form.request_id for command in table.asked(Place)]
    table.place("views/1+1").read("views/1+1", "failed", remains=500, ago=timedelta(0))
    assert len(keys) == len(set(keys)) == 4
    assert finished(table.state)


def test_a_replacement_may_be_skipped_and_retried() -> None:
    table = PolicyTable(limited(plan(reordering(offer(205, "9.00"))), budget="1.00 USD")).place("views/1")
    table.read("views/1", "failed", remains=500, charge=Decimal(0))
    assert table.run("views/1+1").why == "would pass the budget of 1.00 USD"
    table.say(SkipRequested(target="views/1"))
    assert (table.run("views/1+1").state, finished(table.state)) == (RunState.SKIPPED, True)
    table.say(RetryRequested(key="views/1+1"))
    assert (table.run("views/1+1").state, finished(table.state)) == (RunState.HELD, False)
    assert "views/1+2" not in table.state.runs


@settings(deadline=None, max_examples=80)
@given(
    bounds=st.lists(st.tuples(st.integers(1, 400), st.integers(50, 600), st.integers(1, 900)), max_size=4),
    ends=st.lists(
        st.tuples(st.sampled_from(["canceled", "partial", "failed", "refunded", "completed", "busy", "refused"]),
                  st.integers(0, 500)),
        min_size=8, max_size=8,
    ),
    budget=st.integers(46, 300),
)  # fmt: skip
def test_no_chain_delivers_too_much_repeats_a_key_leaves_bounds_or_passes_the_budget(
    bounds: list[tuple[int, int, int]], ends: list[tuple[str, int]], budget: int
) -> None:
    fallback = [offer(200 + n, str(Decimal(rate) / 100), low, high) for n, (low, high, rate) in enumerate(bounds)]
    limit = Decimal(budget) / 100
    table = PolicyTable(limited(plan(reordering(*fallback)), budget=f"{limit} USD"))
    keys: list[str] = []
    offers = {0: table.state.plan.orders[0].offer(0)} | dict(enumerate(fallback, start=1))
    for end, share in ends:
        placing = table.asked(Place)
        if not placing:
            break
        (command,) = placing
        run = table.run(command.key)
        keys.append(command.form.request_id)
        assert offers[run.offer].min <= command.form.quantity <= offers[run.offer].max
        assert command.form.quantity == 500 - sum(other.delivered for other in table.state.runs.values())
        if end == "busy":
            table.say(LinkBusy(key=run.key, words="busy")).wait(hours=1)
        elif end == "refused":
            table.say(Rejected(key=run.key, words="no"))
        else:
            rest = min(share, run.units) if end != "completed" else 0
            charge = offers[run.offer].cost_of(run.units - rest) if end != "refunded" else Decimal(0)
            table.place(run.key).read(run.key, end, remains=rest, charge=charge)
    assert len(keys) == len(set(keys))
    assert table.state.delivered <= 500
    assert table.state.spent + table.state.reserved <= limit
    assert sum(run.replacement == 0 for run in table.state.runs.values()) == 1
