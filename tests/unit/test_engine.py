"""What the engine does when it places, example by example."""

from __future__ import annotations

import sys
import uuid
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.definition import After, Late, OnFailure, OnShortfall, When, Window
from campaigns.engine import apply, begin, decide, finished, status_of
from campaigns.messages import (
    Blocked,
    Cancel,
    CancelRequested,
    Expired,
    LinkBusy,
    News,
    NotTaken,
    OrderCancelRequested,
    Paused,
    Place,
    Placed,
    Reading,
    Recalled,
    Rejected,
    Resolved,
    Resumed,
    SkipRequested,
    Status,
    Unanswered,
)
from campaigns.quantities import parse_money
from campaigns.report import summary
from campaigns.state import CampaignState, RunState, State
from tests.unit.model_panel import KEY_ROOT, START
from tests.unit.plans import order, plan
from tests.unit.policy_table import offer
from tests.unit.table import Table

if TYPE_CHECKING:
    from types import FrameType

    from campaigns.plan import Plan

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NOTHING = Decimal(0)
SAME = {"link": "https://example.com/same"}


def drip(runs: int, every: timedelta = 90 * MINUTE, **fields: object) -> Plan:
    return plan(order("views", quantity=runs * 100, runs=runs, every=every, concurrent=True, **fields))


# The calendar.


def test_an_order_that_waits_for_nothing_is_placed_at_once_with_its_derived_request_id() -> None:
    (command,) = Table(plan(order(coupon="SPRING"))).asked(Place)
    assert command.form.model_dump(exclude_none=True) == {
        "service": 101,
        "request_id": str(uuid.uuid5(uuid.UUID(KEY_ROOT), "seed/1/1")),
        "link": "https://example.com/seed",
        "quantity": 500,
        "coupon": "SPRING",
    }
    assert command.first


def test_a_drip_kept_by_the_panel_is_one_order_with_runs_and_interval() -> None:
    (command,) = Table(plan(order(quantity=500, panel_runs=5, panel_interval=90))).asked(Place)
    assert (command.form.quantity, command.form.runs, command.form.interval) == (100, 5, 90)


def test_orders_due_at_the_same_moment_are_placed_in_the_order_of_the_file() -> None:
    assert Table(plan(order("zulu"), order("alfa"), order("mike"))).placing() == ["zulu/1", "alfa/1", "mike/1"]


def test_a_sequence_places_each_order_when_the_one_before_is_settled_and_its_delay_has_passed() -> None:
    table = Table(plan(order("seed"), order("views", after=After(order="seed", delay=2 * HOUR))))
    table.place("seed/1").wait(hours=5).read("seed/1", "completed", charge=Decimal("0.45"))
    assert table.placing() == []
    assert table.wait(minutes=119).placing() == []
    assert table.wait(minutes=1).placing() == ["views/1"]


@pytest.mark.parametrize(
    ("when", "status"),
    [(When.PLACED, None), (When.STARTED, "in_progress"), (When.COMPLETED, "completed"), (When.SETTLED, "partial")],
)
def test_an_order_begins_at_the_moment_it_waits_for(when: When, status: str | None) -> None:
    table = Table(plan(order("seed"), order("views", after=After(order="seed", when=when))))
    table.place("seed/1")
    if status is not None:
        assert table.wait(minutes=5).placing() == []
        table.read("seed/1", status, remains=100)
    assert table.placing() == ["views/1"]


def test_started_is_reached_by_an_order_that_delivered_although_nobody_saw_it_in_progress() -> None:
    table = Table(plan(order("seed"), order("views", after=After(order="seed", when=When.STARTED))))
    assert table.place("seed/1").read("seed/1", "canceled", remains=400).placing() == ["views/1"]


def test_a_drip_spaces_its_runs_by_elapsed_time_inside_its_window_across_a_change_of_clocks() -> None:
    window = Window(**{"from": time(22), "to": time(4)})  # type: ignore[arg-type]
    night = datetime(2026, 10, 24, 20, 0, tzinfo=UTC)  # 22:00 in Berlin; at 03:00 it becomes 02:00
    dripping = order("views", quantity=700, runs=7, every=90 * MINUTE, concurrent=True, window=window)
    table = Table(plan(dripping, zone="Europe/Berlin"), night)
    moments = []
    for run in range(1, 8):
        assert table.placing() == [f"views/{run}"]
        moments.append(table.now)
        table.place(f"views/{run}")
        if run < 7:
            while not table.placing():
                table.wait(minutes=30)
    assert moments[:5] == [night + n * 90 * MINUTE for n in range(5)]  # seven hours of window in this night
    assert moments[5:] == [night + 25 * HOUR, night + 25 * HOUR + 90 * MINUTE]


def test_the_first_runs_of_a_drip_take_the_remainder() -> None:
    table = Table(plan(order("views", quantity=11, runs=3, every=HOUR, concurrent=True)))
    quantities = []
    for run in (1, 2, 3):
        quantities += [command.form.quantity for command in table.asked(Place)]
        table.place(f"views/{run}").wait(hours=1)
    assert quantities == [4, 4, 3]


def test_missed_runs_are_caught_up_one_after_another() -> None:
    table = Table(drip(4))
    table.place("views/1").say(Paused()).wait(hours=10)
    assert table.say(Resumed()).placing() == ["views/2"]
    assert table.place("views/2").placing() == ["views/3"]
    assert table.place("views/3").placing() == ["views/4"]


def test_missed_runs_are_left_out_where_the_order_says_skip_except_the_one_whose_time_it_is() -> None:
    table = Table(drip(5, late=Late.SKIP))
    table.place("views/1").say(Paused()).wait(hours=5)
    assert table.say(Resumed()).placing() == ["views/4"]
    assert table.states() == {
        "views/1": "pending",
        "views/2": "skipped",
        "views/3": "skipped",
        "views/4": "placing",
    }


def test_a_chain_of_orders_as_long_as_a_file_may_be_is_skipped_without_exhausting_the_stack() -> None:
    orders = [order("o0")]
    orders += [order(f"o{n}", after=After(order=f"o{n - 1}", when=When.PLACED)) for n in range(1, 500)]
    table = Table(plan(*orders))
    assert sys.getrecursionlimit() <= 1000
    table.say(Rejected(key="o0/1", words="Service not found"))
    assert finished(table.state)
    assert table.run("o499/1").why == "o498 was never placed"


def test_what_waits_for_a_moment_that_cannot_come_is_skipped_and_so_is_what_waits_for_that() -> None:
    table = Table(
        plan(
            order("seed"),
            order("views", after=After(order="seed", when=When.COMPLETED)),
            order("likes", after=After(order="views")),
            order("other", after=After(order="seed", when=When.SETTLED)),
        )
    )
    table.place("seed/1").read("seed/1", "canceled")
    assert table.states() == {
        "seed/1": "canceled",
        "views/1": "skipped",
        "likes/1": "skipped",
        "other/1": "placing",
    }


# Links.


def test_one_order_at_a_time_is_live_on_a_link_and_service_and_the_others_come_in_their_turn() -> None:
    table = Table(plan(order("zulu", **SAME), order("mike", **SAME), order("alfa", **SAME)))
    assert table.placing() == ["zulu/1"]
    assert table.place("zulu/1").read("zulu/1", "completed").placing() == ["mike/1"]
    assert table.say(Rejected(key="mike/1", words="no")).placing() == ["alfa/1"]


def test_another_service_on_the_same_link_does_not_wait_nor_does_an_order_that_says_concurrent() -> None:
    table = Table(plan(order("a", **SAME), order("b", service=205, **SAME), order("c", concurrent=True, **SAME)))
    assert table.placing() == ["a/1", "b/1", "c/1"]


def test_a_busy_link_is_tried_again_later_under_a_new_submission() -> None:
    table = Table(plan())
    table.say(LinkBusy(key="seed/1", words="You have active order with this link"))
    assert table.states() == {"seed/1": "held"}
    assert table.state.reserved == 0
    (command,) = table.wait(minutes=5).asked(Place)
    assert command.form.request_id == str(uuid.uuid5(uuid.UUID(KEY_ROOT), "seed/1/2"))


def test_a_link_that_is_busy_after_a_lost_answer_may_be_busy_with_our_own_order_so_the_id_stays() -> None:
    table = Table(plan())
    (first,) = table.asked(Place)
    table.say(Unanswered(key="seed/1", words="timeout")).wait(seconds=15)
    table.say(LinkBusy(key="seed/1", words="You have active order with this link"))
    (again,) = table.wait(minutes=10).asked(Place)
    assert again.form == first.form


# Refusals.


def test_a_rejected_order_fails_with_the_panels_words_and_gives_back_what_was_reserved() -> None:
    table = Table(plan()).say(Rejected(key="seed/1", words="Service not found"))
    assert (table.states(), table.run("seed/1").why) == ({"seed/1": "failed"}, "Service not found")
    assert (table.state.reserved, status_of(table.state)) == (NOTHING, CampaignState.COMPLETED)


@pytest.mark.parametrize(
    ("policy", "ends_as"),
    [(OnFailure.CONTINUE, "running"), (OnFailure.PAUSE, "paused"), (OnFailure.ABORT, "running")],
)
def test_a_failure_does_what_on_failure_says(policy: OnFailure, ends_as: str) -> None:
    table = Table(plan(order("seed", on_failure=policy), order("views"), order("late", **SAME), order("later", **SAME)))
    table.place("views/1").say(Rejected(key="seed/1", words="no"))
    assert status_of(table.state) == ends_as
    assert table.state.canceling is (policy is OnFailure.ABORT)
    if policy is OnFailure.ABORT:
        assert table.run("later/1").state is RunState.SKIPPED
        table.place("late/1").read("views/1", "canceled").read("late/1", "canceled")
        assert status_of(table.state) is CampaignState.FAILED
        assert table.state.aborted == "seed/1 failed: no"


def test_a_rejection_that_is_told_twice_pauses_once() -> None:
    table = Table(plan(order(on_failure=OnFailure.PAUSE), order("views")))
    no = Rejected(key="seed/1", words="no")
    assert table.say(no, Resumed(), no).state.paused is False


def test_without_funds_everything_holds_and_one_order_probes_until_a_top_up_lets_all_resume() -> None:
    table = Table(plan(*(order(name) for name in "abcd")))
    table.place("a/1")
    table.say(*(Blocked(key=f"{name}/1", cause="funds", words="Insufficient balance") for name in "bcd"))
    assert table.states() == {"a/1": "pending", "b/1": "held", "c/1": "held", "d/1": "held"}
    assert table.wait(minutes=4).placing() == []
    assert table.wait(minutes=1).placing() == ["b/1"]
    assert table.wait(minutes=30).placing() == []  # no second probe beside the first
    table.say(Blocked(key="b/1", cause="funds", words="Insufficient balance"))
    assert table.wait(minutes=5).placing() == ["c/1"]
    table.place("c/1")
    assert sorted(table.placing()) == ["b/1", "d/1"]
    ids = {command.key: command.form.request_id for command in table.asked(Place)}
    assert ids == {
        "b/1": str(uuid.uuid5(uuid.UUID(KEY_ROOT), "b/1/3")),
        "d/1": str(uuid.uuid5(uuid.UUID(KEY_ROOT), "d/1/2")),
    }
    table.place("b/1", "d/1")
    assert table.state.open == 4


def test_an_answer_from_before_the_block_does_not_send_everybody_out_again() -> None:
    table = Table(plan(*(order(name) for name in "abc")))
    table.say(*(Blocked(key=f"{name}/1", cause="funds", words="Insufficient balance") for name in "bc"))
    assert table.place("a/1").placing() == []
    assert table.state.block is not None


def test_a_probe_that_is_held_for_another_reason_hands_the_probing_on() -> None:
    table = Table(plan(order("a", **SAME), order("b"), order("c", **SAME)))
    table.say(*(Blocked(key=f"{name}/1", cause="funds", words="Insufficient balance") for name in "ab"))
    assert table.wait(minutes=5).placing() == ["c/1"] or table.placing() == ["a/1"]
    probe = table.placing()[0]
    table.say(LinkBusy(key=probe, words="You have active order with this link"))
    assert len(table.placing()) == 1
    assert table.placing() != [probe]


def test_a_probe_that_a_person_cancels_hands_the_probing_on() -> None:
    table = Table(plan(order("a"), order("b")))
    no = [Blocked(key=f"{name}/1", cause="funds", words="Insufficient balance") for name in "ab"]
    probe = table.say(*no).wait(minutes=5).placing()[0]
    table.say(OrderCancelRequested(target=probe), Blocked(key=probe, cause="funds", words="Insufficient balance"))
    (other,) = {"a/1", "b/1"} - {probe}
    assert table.wait(minutes=5).placing() == [other]
    assert table.run(probe).state is RunState.SKIPPED


def test_what_a_replaced_run_bought_is_taken_in_once_and_canceled_with_the_rest() -> None:
    table = Table(plan(order("a"), order("b")))
    forms = {command.key: command.form for command in table.asked(Place)}
    table.say(CancelRequested(), *(NotTaken(key=key, words="throttled") for key in forms)).wait(minutes=1)
    assert set(table.states().values()) == {"skipped"}
    bought = Recalled(key="a/1", form=forms["a/1"], panel_order="ord_a", at=table.now)
    doubtful = Recalled(key="b/1", form=forms["b/1"], panel_order=None, at=table.now)
    table.say(bought, doubtful, bought, doubtful)
    assert table.states() == {"a/1": "pending", "b/1": "unknown"}
    assert table.run("a/1").flight == "cancel"
    table.read("a/1", "canceled", charge=Decimal("0.10"), remains=300)
    assert not finished(table.state)
    table.say(Resolved(key="b/1", panel_order=None))
    assert (finished(table.state), table.state.spent, table.state.reserved) == (True, Decimal("0.10"), Decimal(0))


@pytest.mark.parametrize("canceled", [True, False])
def test_what_a_reset_left_in_doubt_and_a_person_finds_is_kept_unless_all_is_canceled(canceled: bool) -> None:  # noqa: FBT001
    table = Table(plan(order("a")))
    (placed,) = table.asked(Place)
    unwanted = CancelRequested() if canceled else SkipRequested(target="a")
    table.say(NotTaken(key="a/1", words="throttled"), unwanted)
    assert (finished(table.state), table.states()) == (True, {"a/1": "skipped"})
    table.say(Recalled(key="a/1", form=placed.form, panel_order=None, at=table.now))
    table.say(Resolved(key="a/1", panel_order="ord_1"))
    assert len(table.asked(Cancel)) == canceled
    table.read("a/1", "completed", remains=0, charge=Decimal("0.45"))
    assert (finished(table.state), table.states()) == (True, {"a/1": "completed"})


def test_what_was_bought_in_the_stead_of_others_is_taken_in_beside_them() -> None:
    # The panel refused a/1+1, which is not recalled; a/1 and a/1+2 are.
    reordered = order("a", on_shortfall=OnShortfall.REORDER, fallback=[offer(205), offer(309)])
    table = Table(plan(reordered))
    (placed,) = table.asked(Place)
    table.say(CancelRequested(), NotTaken(key="a/1", words="throttled")).wait(minutes=1)
    assert finished(table.state)
    form = placed.form.model_copy(update={"service": 309, "quantity": 120})
    table.say(
        Recalled(key="a/1", form=placed.form, panel_order="ord_1", at=table.now),
        Recalled(key="a/1+2", form=form, panel_order="ord_2", at=table.now),
    )
    assert table.states() == {"a/1": "pending", "a/1+2": "pending"}
    assert table.run("a/1").replaced_by == "a/1+2"
    table.read("a/1", "partial", remains=120, charge=Decimal("0.34"))
    assert not finished(table.state)
    table.read("a/1+2", "completed", remains=0, charge=Decimal("0.11"))
    assert (finished(table.state), table.state.spent) == (True, Decimal("0.45"))


def test_what_a_person_gave_to_another_run_already_is_not_taken_in_again_and_holds_nothing_up() -> None:
    table = Table(plan(order("a", on_shortfall=OnShortfall.REORDER, fallback=[offer(205)])))
    (placed,) = table.asked(Place)
    table.say(Unanswered(key="a/1", words="timeout"), Expired(key="a/1", words="too long ago"))
    table.say(Resolved(key="a/1", panel_order="ord_2"))  # it is what replaced a/1 before the reset
    table.read("a/1", "completed", remains=0, charge=Decimal("0.10"))
    assert finished(table.state)
    form = placed.form.model_copy(update={"service": 205, "quantity": 120})
    table.say(Recalled(key="a/1+1", form=form, panel_order="ord_2", at=table.now))
    assert (finished(table.state), table.states()) == (True, {"a/1": "completed"})


def test_what_is_recalled_counts_the_units_that_were_sent() -> None:
    table = Table(plan(order("a", on_shortfall=OnShortfall.REORDER, fallback=[offer(205)]))).place("a/1")
    table.read("a/1", "partial", remains=300, charge=Decimal("0.20"))
    (placed,) = table.asked(Place)
    table.say(CancelRequested(), NotTaken(key="a/1+1", words="throttled")).wait(minutes=1)
    assert finished(table.state)
    delivered = table.state.delivered
    form = placed.form.model_copy(update={"quantity": 120})  # before the reset, less was left to buy
    table.say(Recalled(key="a/1+1", form=form, panel_order="ord_2", at=table.now))
    table.read("a/1+1", "partial", remains=100, charge=Decimal("0.02"))
    assert table.state.delivered == delivered + 20


def test_where_a_reset_moves_an_order_it_may_have_been_sent_at_any_time_since_the_start() -> None:
    late = order("late", after=After(order="a", when=When.PLACED, delay=2 * HOUR))
    drip = order("drip", quantity=1000, runs=2, every=timedelta(hours=1), concurrent=True)
    table = Table(plan(order("a"), late, drip)).place("a/1", "drip/1").wait(hours=2)
    dues = {command.key: command.due for command in table.asked(Place)}
    assert dues == {"late/1": START, "drip/2": START + HOUR}


def test_an_answer_from_before_a_reset_counts_what_was_sent_then_also_in_the_day() -> None:
    table = Table(plan(order("a")).model_copy(update={"per_day": parse_money("5.00 USD")}))
    planned = table.run("a/1").cost
    table.say(Placed(key="a/1", panel_order="ord_1", units=table.run("a/1").units // 2))
    assert table.run("a/1").cost == table.state.reserved == table.state.day_spent == planned / 2


def test_a_refused_account_needs_attention_and_goes_on_by_itself_once_it_is_let_in_again() -> None:
    table = Table(plan(order("a"), order("b")))
    table.say(*(Blocked(key=key, cause="account", words="Account suspended") for key in ("a/1", "b/1")))
    assert status_of(table.state) is CampaignState.NEEDS_ATTENTION
    assert table.wait(minutes=5).placing() == ["a/1"]
    assert table.place("a/1").placing() == ["b/1"]
    assert status_of(table.state) is CampaignState.RUNNING


def test_an_order_above_the_budget_holds_until_money_comes_back() -> None:
    table = Table(plan(order("a"), order("b"), budget="0.60"))
    assert table.placing() == ["a/1"]
    table.place("a/1")
    assert status_of(table.state) is CampaignState.NEEDS_ATTENTION
    assert table.run("b/1").why == "would pass the budget of 0.60 USD"
    assert table.read("a/1", "partial", remains=400, charge=Decimal("0.09")).placing() == ["b/1"]
    assert table.state.spent + table.state.reserved == Decimal("0.54")


def test_money_set_aside_for_a_busy_link_is_offered_to_the_next_order() -> None:
    table = Table(plan(order("a"), order("b"), budget="0.60"))
    assert table.say(LinkBusy(key="a/1", words="busy")).placing() == ["b/1"]


# Doubt.


def test_an_unanswered_request_is_repeated_with_its_own_id_and_body_and_then_left_to_a_person() -> None:
    table = Table(plan())
    (first,) = table.asked(Place)
    tries = 0
    while table.run("seed/1").state is RunState.PLACING:
        table.say(Unanswered(key="seed/1", words="timeout"))
        for command in table.wait(minutes=5).asked(Place):
            tries += 1
            assert (command.form, command.first, command.repeat_until) == (first.form, False, first.repeat_until)
    assert table.now - START > 12 * HOUR
    assert tries > 100
    assert (table.states(), status_of(table.state)) == ({"seed/1": "unknown"}, CampaignState.NEEDS_ATTENTION)
    assert table.state.reserved == Decimal("0.45")
    assert table.wait(days=30).placing() == []


def test_on_a_panel_without_request_ids_an_unanswered_request_is_never_repeated() -> None:
    table = Table(plan(idempotent=False)).say(Unanswered(key="seed/1", words="timeout"))
    assert table.states() == {"seed/1": "unknown"}
    assert table.wait(days=1).placing() == []


def test_on_a_panel_without_request_ids_a_request_lost_with_the_worker_is_never_repeated() -> None:
    table = Table(plan(idempotent=False)).carry()
    assert table.states() == {"seed/1": "unknown"}
    assert table.wait(days=1).placing() == []


def test_a_request_that_was_not_taken_is_sent_later_under_the_same_id() -> None:
    table = Table(plan())
    (first,) = table.asked(Place)
    table.say(NotTaken(key="seed/1", words="Rate limit exceeded", again_at=START + 10 * MINUTE))
    assert table.wait(minutes=9).placing() == []
    (again,) = table.wait(minutes=1).asked(Place)
    assert again.form == first.form


def test_a_pause_holds_what_was_not_taken_but_not_what_is_in_doubt() -> None:
    table = Table(plan(order("a"), order("b"), order("c", after=After(order="b", when=When.PLACED))))
    table.say(Paused(), NotTaken(key="a/1", words="429"), Unanswered(key="b/1", words="timeout"))
    assert table.wait(minutes=1).placing() == ["b/1"]
    assert table.place("b/1").placing() == []
    assert sorted(table.say(Resumed()).placing()) == ["a/1", "c/1"]


def test_what_is_too_old_to_repeat_is_unknown() -> None:
    assert Table(plan()).say(Expired(key="seed/1", words="too old")).states() == {"seed/1": "unknown"}


def test_an_unknown_order_that_a_person_found_is_taken_in_and_followed() -> None:
    table = Table(plan()).say(Expired(key="seed/1", words="too old"))
    table.say(Resolved(key="seed/1", panel_order="ord_9", by="ops"))
    assert (table.states(), table.run("seed/1").panel_order) == ({"seed/1": "pending"}, "ord_9")
    assert table.state.decisions[-1].what == "resolve seed/1: placed as ord_9"
    assert table.read("seed/1", "completed").state.spent == Decimal("0.45")


def test_an_unknown_order_that_a_person_did_not_find_is_placed_anew_under_a_new_id() -> None:
    table = Table(plan()).say(Expired(key="seed/1", words="too old"))
    table.say(Resolved(key="seed/1", panel_order=None, by="ops"))
    (command,) = table.asked(Place)
    assert command.form.request_id == str(uuid.uuid5(uuid.UUID(KEY_ROOT), "seed/1/2"))
    assert table.state.reserved == Decimal("0.45")


def test_a_panel_order_of_another_run_is_not_taken_for_this_one() -> None:
    table = Table(plan(order("a"), order("b"))).place("a/1").say(Expired(key="b/1", words="too old"))
    table.say(Resolved(key="b/1", panel_order="ord_a/1"))
    assert table.states() == {"a/1": "pending", "b/1": "unknown"}


def test_a_panel_that_gives_one_id_to_two_orders_leaves_the_second_to_a_person() -> None:
    table = Table(plan(order("a"), order("b"))).place("a/1").say(Placed(key="b/1", panel_order="ord_a/1"))
    assert table.states() == {"a/1": "pending", "b/1": "unknown"}


def test_an_order_the_panel_lost_can_be_resolved_by_a_person() -> None:
    table = Table(plan()).place("seed/1").read("seed/1", "in_progress", charge=Decimal("0.45"), remains=400)
    table.wait(hours=2).read("seed/1", "unknown", error="Incorrect order ID")
    assert table.states() == {"seed/1": "unknown"}
    table.say(Resolved(key="seed/1", panel_order=None))
    assert (table.placing(), table.state.spent, table.state.delivered) == (["seed/1"], NOTHING, 0)


def test_a_lost_hand_over_repeats_the_placement_with_its_own_id() -> None:
    table = Table(plan())
    (first,) = table.asked(Place)
    (again,) = table.carry().wait(minutes=1).asked(Place)
    assert (again.form, again.first) == (first.form, False)


def test_a_carried_campaign_keeps_its_windows_its_budget_and_the_root_of_its_request_ids() -> None:
    window = Window(**{"from": time(9), "to": time.max})  # type: ignore[arg-type]
    table = Table(plan(order(window=window), budget="1.50", zone="Europe/Istanbul"))
    before = table.state.model_dump()
    assert State.unpack(table.state.pack()).model_dump() == before
    table.carry().say(LinkBusy(key="seed/1", words="busy"), Unanswered(key="seed/1", words="timeout"))
    assert table.state.key_root == KEY_ROOT


# Pause and cancel.


def test_a_pause_places_nothing_and_a_resume_loses_nobody() -> None:
    window = Window(**{"from": time(20), "to": time(22)})  # type: ignore[arg-type]
    table = Table(plan(order("a", **SAME), order("b", **SAME), order("c", window=window), order("d"), zone="UTC"))
    table.place("a/1").say(Blocked(key="d/1", cause="funds", words="Insufficient balance"), Paused())
    table.wait(hours=6).read("a/1", "completed")
    assert table.placing() == []
    table.say(Resumed()).wait(hours=24)
    table.place("d/1", "b/1").wait(hours=24).place("b/1", "c/1")
    assert {key: run.state for key, run in table.state.runs.items() if run.state is RunState.HELD} == {}


def test_another_reason_for_a_pause_is_kept_and_the_same_one_only_once() -> None:
    table = Table(plan())
    late, film = Paused(by="ada", why="too late"), Paused(by="ada", why="wrong film")
    table.say(Paused(by="ada"), late, film, film, late, Paused(by="bob"), Paused(by="bob", why="wrong film"))
    told = [(each.what, each.by, each.why) for each in table.state.decisions]
    assert told == [
        ("pause", "ada", ""),
        ("pause", "ada", "too late"),
        ("pause", "ada", "wrong film"),
        ("pause", "bob", "wrong film"),
    ]
    table.say(Resumed())
    assert (table.state.paused, status_of(table.state)) == (False, CampaignState.RUNNING)
    table.say(late)
    assert [each.what for each in table.state.decisions[4:]] == ["resume", "pause"]
    assert summary(table.state)["why"] == "paused by ada: too late"


def test_orders_that_fail_while_paused_do_not_crowd_out_what_people_decided() -> None:
    table = Table(plan(order("a", on_failure=OnFailure.PAUSE), order("b", on_failure=OnFailure.PAUSE)))
    table.say(Paused(by="ada", why="a look"), Rejected(key="a/1", words="no"), Rejected(key="b/1", words="no"))
    assert [each.by for each in table.state.decisions] == ["ada"]


def test_canceling_skips_what_is_not_placed_asks_for_what_is_open_and_waits_for_what_is_in_doubt() -> None:
    names = ("open", "held", "doubt", "flight", "unknown", "done")
    table = Table(plan(*(order(name) for name in names), order("waits", after=After(order="open"))))
    table.place("open/1", "done/1").read("done/1", "completed")
    table.say(
        LinkBusy(key="held/1", words="busy"),
        Unanswered(key="doubt/1", words="timeout"),
        Expired(key="unknown/1", words="too old"),
        CancelRequested(by="ops"),
    )
    assert table.states() == {
        "open/1": "pending",
        "held/1": "skipped",
        "doubt/1": "placing",
        "flight/1": "placing",
        "unknown/1": "unknown",
        "done/1": "completed",
        "waits/1": "skipped",
    }
    assert [command.kind for command in table.commands] == ["cancel"]
    assert table.wait(minutes=1).placing() == ["doubt/1"]
    table.say(NotTaken(key="flight/1", words="429"), Placed(key="doubt/1", panel_order="ord_d"))
    assert [command.kind for command in table.commands] == ["cancel", "follow"]
    table.wait(minutes=5).say(Resolved(key="unknown/1", panel_order=None))
    table.read("open/1", "canceled")
    table.read("doubt/1", "canceled")
    assert finished(table.state)
    assert status_of(table.state) is CampaignState.CANCELED


# Size.


def play_drip(runs: int) -> tuple[State, datetime]:
    """Play a drip until every run is open at the panel and nothing is due."""
    dripping = order("views", quantity=runs * 100, runs=runs, every=MINUTE, concurrent=True)
    # Silence is no news here: the watch is not asked again within the test.
    state, now = begin(plan(dripping, poll_every=timedelta(days=10)), KEY_ROOT, START), START
    for run in range(1, runs + 1):
        decide(state, now)
        apply(state, Placed(key=f"views/{run}", panel_order=f"ord_01HG9X{run:08d}"), now)
        now += MINUTE
    decide(state, now)
    return state, now


def test_ten_thousand_open_orders_pack_below_a_mebibyte() -> None:
    state, _ = play_drip(10_000)
    assert state.open == 10_000
    packed = state.pack()
    assert len(packed["state"]) < 1024 * 1024
    assert State.unpack(packed).model_dump() == state.model_dump()


def lines_of_an_event(runs: int) -> float:
    """Count the lines of Python that one further event runs, with ``runs`` orders open; the mean of a hundred."""
    state, now = play_drip(runs)
    counted = 0

    def count(_frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal counted
        counted += event == "line"
        return count

    news = [
        News(
            readings=[
                Reading(
                    panel_order=f"ord_01HG9X{run:08d}",
                    status=Status.COMPLETED if run % 2 else Status.IN_PROGRESS,
                    observed_at=now,
                )
            ]
        )
        for run in range(1, 101)
    ]
    tracer = sys.gettrace()
    sys.settrace(count)
    try:
        for event in news:
            apply(state, event, now)
            decide(state, now)
    finally:
        sys.settrace(tracer)
    return counted / len(news)


def test_the_work_of_an_event_does_not_grow_with_the_campaign() -> None:
    assert lines_of_an_event(10_000) < 1.2 * lines_of_an_event(1_000)
