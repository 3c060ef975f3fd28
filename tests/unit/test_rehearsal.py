"""A rehearsal is what then happens: its ends, its times, its money; and it always ends."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.definition import After, CancelPolicy, NoticeKind, Notify, OnFailure, OnShortfall, RefillPolicy, When
from campaigns.outlook import Fate, Mood, Outlook
from campaigns.quantities import Money
from campaigns.rehearsal import Rehearsal, rehearse
from campaigns.rehearsal_text import assumption
from campaigns.state import SETTLED, UNPLACED, CampaignState, RunState
from tests.unit.plain_run import PlainRun
from tests.unit.plans import order, plan, random_plan

if TYPE_CHECKING:
    from campaigns.plan import Plan

START = datetime(2026, 12, 4, 15, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SEEDS = int(os.environ.get("CAMPAIGNER_SEEDS", "60"))
MOODS = list(Mood)


def outlook_of(seed: int) -> Outlook:
    return Outlook(MOODS[seed % 5], share=Decimal(seed * 7 % 101), takes=[HOUR, 6 * HOUR, 26 * HOUR][seed % 3])


def check_against_plain_run(plan: Plan, outlook: Outlook, seed: int, slack: timedelta) -> Rehearsal:
    """Run the plan poll by poll and hold every order run of the rehearsal against it."""
    rehearsal = rehearse(plan, START, outlook, seed=seed)
    last = max([rehearsal.ends_at, *(ending.slot for ending in rehearsal.endings if ending.slot is not None)])
    really = PlainRun(plan, START, outlook, seed).play(last + outlook.takes + 12 * HOUR).state
    assert rehearsal.spent == really.spent
    assert rehearsal.delivered == really.delivered
    for ending in rehearsal.endings:
        run = really.runs.get(ending.key)
        if run is None:
            assert ending.state is RunState.PLANNED, ending
            continue
        if run.state in UNPLACED:
            # What holds it last depends on when one stops looking.
            assert ending.state in UNPLACED, ending
            continue
        found = (ending.state, ending.delivered, ending.charge, ending.refills)
        assert found == (run.state, run.delivered, run.charge, run.refills), ending
        for foreseen, happened in ((ending.placed_at, run.placed_at), (ending.settled_at, run.settled_at)):
            assert (foreseen is None) == (happened is None), ending
            assert foreseen is None or happened is None or abs(foreseen - happened) <= slack, (ending, run)
    return rehearsal


def tamed(drawn: Plan) -> Plan:
    """Leave out of a random plan what depends on more than its order runs: how a stall is noticed, between polls."""
    orders = []
    for each in drawn.orders:
        never = each.cancel and CancelPolicy(not_started_in=each.cancel.not_started_in)
        orders.append(each.model_copy(update={"cancel": never}))
    return drawn.model_copy(update={"orders": orders})


@pytest.mark.parametrize("part", range(5))
def test_a_rehearsal_is_what_then_happens_to_the_second(part: int) -> None:
    for seed in range(part, SEEDS, 5):
        check_against_plain_run(tamed(random_plan(seed)), outlook_of(seed), seed, timedelta(0))


@pytest.mark.parametrize("mood", Mood)
def test_stalls_are_foreseen_to_within_a_few_polls(mood: Mood) -> None:
    patience = CancelPolicy(not_started_in=3 * HOUR, stalled_for=5 * HOUR)
    orders = [
        order("calm", quantity=5000, runs=10, every=9 * HOUR, cancel=patience),
        order("busy", quantity=9000, runs=30, every=HOUR, cancel=patience, concurrent=True),
        order("last", cancel=patience, after=After(order="calm", when=When.SETTLED, delay=HOUR)),
    ]
    rehearsal = check_against_plain_run(plan(*orders), Outlook(mood, share=Decimal(40)), 3, timedelta(minutes=30))
    assert rehearsal.finished


def test_an_abort_is_foreseen() -> None:
    orders = [order("bad", on_failure=OnFailure.ABORT), order("good", quantity=5000, concurrent=True)]
    outlook = Outlook(Mood.SOME_FAIL, takes_of={"bad": HOUR})
    seed = next(seed for seed in range(9) if "bad/1" in outlook.fates(plan(*orders), seed))
    check_against_plain_run(plan(*orders), outlook, seed, timedelta(0))


def large(**fields: Any) -> Plan:
    """Give a campaign of 500 order runs over thirty days."""
    drip: dict[str, Any] = {"quantity": 50_000, "runs": 166, "every": timedelta(hours=4, minutes=20)} | fields
    return plan(
        order("a", **drip),
        order("b", **drip),
        order("c", **drip),
        order("d", after=After(order="a", when=When.STARTED)),
        order("e", after=After(order="b", when=When.COMPLETED)),
        poll_every=timedelta(seconds=60),
    )


@pytest.mark.parametrize("mood", Mood)
def test_thirty_days_of_500_order_runs_take_a_few_looks_each(mood: Mood) -> None:
    refill = RefillPolicy(within=30 * DAY, every=7 * DAY, max=3)
    patience = CancelPolicy(not_started_in=6 * HOUR, stalled_for=24 * HOUR)
    made = large(refill=refill, cancel=patience, concurrent=True)
    rehearsal = rehearse(made, START, Outlook(mood, takes=timedelta(hours=30)))
    assert rehearsal.finished
    assert len(rehearsal.endings) == made.runs == 500
    assert rehearsal.ends_at - START > 29 * DAY
    assert rehearsal.steps < 12 * made.runs
    assert len(rehearsal.happenings) < 8 * made.runs


@settings(deadline=None, max_examples=60)
@given(
    st.integers(min_value=0, max_value=2**32),
    st.sampled_from(Mood),
    st.integers(min_value=0, max_value=100),
    st.timedeltas(min_value=timedelta(seconds=1), max_value=90 * DAY),
)
def test_every_rehearsal_ends_and_its_money_adds_up(seed: int, mood: Mood, share: int, takes: timedelta) -> None:
    made = random_plan(seed)
    rehearsal = rehearse(made, START, Outlook(mood, share=Decimal(share), takes=takes), seed=seed)
    charged = sum((ending.charge or Decimal(0) for ending in rehearsal.endings), Decimal(0))
    assert rehearsal.spent == charged
    assert rehearsal.delivered == sum(ending.delivered for ending in rehearsal.endings)
    assert sum(rehearsal.counts.values()) == made.runs
    moments = [point.at for point in rehearsal.spending]
    assert moments == sorted(set(moments))
    assert moments[0] == START
    assert [happening.at for happening in rehearsal.happenings] == sorted(each.at for each in rehearsal.happenings)
    if made.budget is not None:
        assert rehearsal.peak <= made.budget.amount
    if rehearsal.finished:
        assert all(ending.state in SETTLED for ending in rehearsal.endings)
        assert rehearsal.spending[-1].reserved == 0
    else:
        assert rehearsal.warnings, "why it does not end is told"
    json.dumps(rehearsal.document())


def test_the_same_rehearsal_is_the_same_and_another_seed_lets_others_go_wrong() -> None:
    made, outlook = large(), Outlook(Mood.SOME_FAIL)
    first, again, other = (rehearse(made, START, outlook, seed=seed) for seed in (1, 1, 2))
    assert first.document() == again.document()
    assert [ending.state for ending in first.endings] != [ending.state for ending in other.endings]
    assert len(outlook.fates(made, 1)) == len(outlook.fates(made, 2)) == 100


@pytest.mark.parametrize(("share", "wrong"), [("0", 0), ("0.001", 1), ("20", 1), ("34", 2), ("100", 3)])
def test_a_share_is_rounded_up_so_that_something_goes_wrong(share: str, wrong: int) -> None:
    made = plan(order(quantity=3, runs=3, every=HOUR))
    fates = Outlook(Mood.SOME_FAIL, share=Decimal(share)).fates(made, 0)
    assert list(fates.values()) == [Fate.FAILS] * wrong


@pytest.mark.parametrize("wrong", [{"share": Decimal(101)}, {"share": Decimal(-1)}, {"takes": timedelta(0)}])
def test_an_outlook_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"share|longer"):
        Outlook(**wrong)


def test_a_start_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        rehearse(plan(), START.replace(tzinfo=None))


def told(made: Plan, outlook: Outlook | None = None, **more: Any) -> tuple[Rehearsal, str]:
    """Give a rehearsal and its warnings as one text."""
    rehearsal = rehearse(made, START, outlook, **more)
    return rehearsal, "\n".join(rehearsal.warnings)


def test_all_well_says_nothing() -> None:
    rehearsal, warnings = told(plan(order()))
    assert (rehearsal.state, rehearsal.finished, warnings) == (CampaignState.COMPLETED, True, "")


def test_an_order_that_nothing_asks_back_never_ends_and_says_what_would() -> None:
    made = plan(order(quantity=900, runs=3, every=HOUR))
    rehearsal, warnings = told(made, Outlook(Mood.SOME_STALL, share=Decimal(100)))
    assert not rehearsal.finished
    assert "1/3 never ends: cancel: {" in warnings
    assert "2 order runs are never placed, because seed 1/3 stays open" in warnings
    stuck = made.model_copy(update={"orders": [each.model_copy(update={"can_cancel": False}) for each in made.orders]})
    assert "service 101 has no cancel" in told(stuck, Outlook(Mood.SOME_STALL, share=Decimal(100)))[1]


@pytest.mark.parametrize(
    ("quantity", "policy", "told_why"),
    [
        (
            10,
            CancelPolicy(stalled_for=timedelta(minutes=20)),
            "as stalled, {}: a unit comes every 35m, as rehearsed, and",
        ),
        (
            500,
            CancelPolicy(stalled_for=timedelta(seconds=1)),
            "as stalled, {}: a unit comes every 42s, as rehearsed, and",
        ),
        (
            500,
            CancelPolicy(not_started_in=timedelta(minutes=5)),
            "as not started, {}: an order starts after 10m, as rehearsed, and",
        ),
    ],
)
def test_a_policy_with_less_patience_than_the_rehearsal_has_is_told_with_the_pace_it_took_for_a_stall(
    quantity: int, policy: CancelPolicy, told_why: str
) -> None:
    made = plan(order(quantity=quantity, cancel=policy), poll_every=timedelta(seconds=2))
    rehearsal, warnings = told(made)
    assert rehearsal.counts == {"canceled": 1}
    assert f"seed: asked back {told_why.format('though the panel would have completed it')}" in warnings
    assert assumption(rehearsal) == "left alone, every order completes; each takes 6h"


def test_an_order_that_completes_is_asked_back_by_no_policy_with_the_patience_of_its_pace() -> None:
    patience = CancelPolicy(not_started_in=timedelta(minutes=11), stalled_for=timedelta(minutes=36))
    rehearsal, warnings = told(plan(order(quantity=10, cancel=patience), poll_every=timedelta(seconds=2)))
    assert (rehearsal.counts, warnings) == ({"completed": 1}, "")


def test_what_a_policy_is_for_is_no_warning() -> None:
    made = plan(order(cancel=CancelPolicy(not_started_in=HOUR, stalled_for=HOUR)))
    rehearsal, warnings = told(made, Outlook(Mood.SOME_STALL, share=Decimal(100)))
    assert (rehearsal.counts, warnings) == ({"canceled": 1}, "")


def test_an_order_that_ends_partial_after_a_long_silence_is_asked_back_before_and_that_is_told() -> None:
    made = plan(order(cancel=CancelPolicy(stalled_for=HOUR)))
    rehearsal, warnings = told(made, Outlook(Mood.SOME_PARTIAL, share=Decimal(100)))
    assert rehearsal.counts == {"canceled": 1}
    assert "the panel would have ended it partial: nothing is delivered in the last 2h55m" in warnings


def test_a_budget_that_is_too_small_holds_and_says_so() -> None:
    rehearsal, warnings = told(plan(order(quantity=900, runs=3, every=HOUR, concurrent=True), budget="0.60"))
    assert "the budget of 0.60 USD holds seed 3/3 back: 0.54 are spent or set aside by then" in warnings
    assert [each.what for each in rehearsal.happenings].count("held") == 1
    assert rehearsal.state is CampaignState.NEEDS_ATTENTION


def test_a_failure_that_pauses_says_that_somebody_must_resume() -> None:
    made = plan(order(on_failure=OnFailure.PAUSE), order("later", after=After(order="seed", when=When.SETTLED)))
    rehearsal, warnings = told(made, Outlook(Mood.SOME_FAIL, share=Decimal(100)))
    assert "the campaign pauses itself on Sat 5 Dec" not in warnings
    assert "the campaign pauses itself on Fri 4 Dec 21:00 UTC: seed/1 failed" in warnings
    assert rehearsal.state is CampaignState.PAUSED


def test_what_waits_for_a_completion_that_does_not_come_is_left_out() -> None:
    made = plan(order(), order("later", runs=2, every=HOUR, after=After(order="seed", when=When.COMPLETED)))
    _, warnings = told(
        made,
        Outlook(Mood.SOME_PARTIAL, share=Decimal(34)),
        seed=next(
            seed for seed in range(20) if "seed/1" in Outlook(Mood.SOME_PARTIAL, share=Decimal(34)).fates(made, seed)
        ),
    )
    assert "later: 2 of 2 runs left out (seed was never completed)" in warnings


def test_a_balance_that_does_not_last_says_until_when() -> None:
    _, warnings = told(plan(order(quantity=900, runs=3, every=DAY)), balance=Decimal("0.60"))
    assert "the balance of 0.60 USD lasts until Sun 6 Dec 15:00 UTC" in warnings


def test_a_drip_slower_than_written_says_why() -> None:
    _, warnings = told(plan(order(quantity=900, runs=9, every=HOUR)))
    assert "seed: one run waits for the one before it, so the 9 runs take 2d instead of 8h" in warnings


def test_a_cost_above_approval_over_is_assumed_to_be_approved_and_said() -> None:
    made = plan(order()).model_copy(update={"approval_over": Money(Decimal("0.10"), "USD")})
    rehearsal, warnings = told(made)
    assert rehearsal.finished
    assert "the planned 0.45 is above 0.10 USD: it all waits for `approve`" in warnings


def test_a_days_limit_spreads_the_orders_and_the_held_ones_are_told() -> None:
    made = plan(order(quantity=900, runs=3, every=HOUR, concurrent=True))
    made = made.model_copy(update={"per_day": Money(Decimal("0.30"), "USD")})
    rehearsal, warnings = told(made)
    assert "the day's limit of 0.30 USD puts 2 order runs off to a later day" in warnings
    assert {ending.placed_at.date().day for ending in rehearsal.endings if ending.placed_at} == {4, 5, 6}
    assert [each.name for each in rehearsal.happenings if each.what == "held"] == ["seed 2/3", "seed 3/3"]


def test_what_was_not_delivered_is_reordered_and_shown_as_a_chain() -> None:
    made = plan(order(on_shortfall=OnShortfall.REORDER))
    rehearsal, _ = told(made, Outlook(Mood.SOME_PARTIAL, share=Decimal(100)))
    first, second = rehearsal.endings
    assert (first.key, first.replaced, first.delivered) == ("seed/1", True, 250)
    assert (second.key, second.replaces, second.delivered) == ("seed/1+1", "seed", 250)
    assert rehearsal.counts == {"completed": 1}
    assert rehearsal.units == rehearsal.delivered == 500


def test_durations_of_single_orders_are_their_own() -> None:
    made = plan(order(), order("film"))
    rehearsal = rehearse(made, START, Outlook(takes_of={"film": DAY}))
    took = [ending.settled_at - START for ending in rehearsal.endings if ending.settled_at]
    assert [round(each / HOUR) for each in took] == [6, 24]


def test_an_order_above_the_days_limit_is_never_placed_and_the_rehearsal_ends() -> None:
    made = plan(order(), order("b", after=After(order="seed", when=When.SETTLED)))
    notify = Notify(webhook="https://example.com/alerts", on=[NoticeKind.LOW_BALANCE])
    made = made.model_copy(update={"per_day": Money(Decimal("0.10"), "USD"), "notify": notify})
    rehearsal, warnings = told(made, balance=Decimal(5))
    assert not rehearsal.finished
    assert (
        "seed is never placed: costs 0.45, more than the day's limit of 0.10 USD allows on any day; skip it" in warnings
    )
    assert rehearsal.steps < 1000


def test_a_stuck_campaign_that_looks_at_its_balance_for_ever_ends_its_rehearsal() -> None:
    notify = Notify(webhook="https://example.com/alerts", on=[NoticeKind.LOW_BALANCE])
    made = plan(order(quantity=900, runs=3, every=HOUR)).model_copy(update={"notify": notify})
    rehearsal, warnings = told(made, Outlook(Mood.SOME_STALL, share=Decimal(100)))
    assert "never ends" in warnings
    assert rehearsal.steps < 1000
