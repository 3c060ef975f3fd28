"""What holds money back: the day's limit, dearer services, approval, budget, low balance, the account's word."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.definition import After, NoticeKind, Notify, When
from campaigns.engine import finished, status_of
from campaigns.messages import (
    Approved,
    Blocked,
    BudgetRaised,
    CancelRequested,
    Expired,
    LinkBusy,
    NotTaken,
    Paused,
    Placed,
    RatesRead,
    RatesUnread,
    ReadBalance,
    ReadRates,
    Rejected,
    Released,
    Resolved,
    Resumed,
    SkipRequested,
    Tell,
    Unanswered,
)
from campaigns.notices import attention
from campaigns.quantities import Money
from campaigns.report import next_thing
from campaigns.state import CampaignState, RunState
from campaigns.steering import refusal
from tests.unit.model_panel import KEY_ROOT, START
from tests.unit.policy_table import EVERYTHING, PolicyTable, limited, offer, order, plan, reordering

if TYPE_CHECKING:
    from campaigns.messages import Event
    from campaigns.plan import Plan

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
USD_45 = Decimal("0.45")
"""What 500 at 0.90 cost."""


def three(**fields: Any) -> Plan:
    return plan(order("a", **fields), order("b", **fields), order("c", **fields))


# The limit of the day.


def test_no_more_than_the_limit_of_the_day_is_handed_out_and_the_rest_goes_on_at_midnight() -> None:
    table = PolicyTable(limited(three(), per_day="1.00 USD"))
    assert table.placing() == ["a/1", "b/1"]
    assert table.run("c/1").why == "would pass the day's limit of 1.00 USD"
    table.place("a/1", "b/1")
    assert table.wait(hours=8, minutes=59).placing() == []
    assert table.wait(minutes=1).placing() == ["c/1"]
    assert table.state.day_spent == USD_45


@pytest.mark.parametrize(
    ("zone", "start", "midnight"),
    [
        (None, datetime(2026, 12, 4, 15, tzinfo=UTC), datetime(2026, 12, 5, tzinfo=UTC)),
        ("Asia/Tokyo", datetime(2026, 12, 4, 15, 30, tzinfo=UTC), datetime(2026, 12, 5, 15, tzinfo=UTC)),
        # The day on which the clocks go forward has 23 hours, the one on which they go back 25.
        ("Europe/Berlin", datetime(2026, 3, 28, 23, 0, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 10, 24, 22, 0, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)),
        # No midnight at all on that day: the clocks jump from 00:00 to 01:00.
        ("Asia/Beirut", datetime(2026, 3, 28, 12, 0, tzinfo=UTC), datetime(2026, 3, 28, 22, tzinfo=UTC)),
    ],
)
def test_the_day_is_the_local_one_from_midnight_to_midnight(
    zone: str | None, start: datetime, midnight: datetime
) -> None:
    table = PolicyTable(limited(plan(order("a"), order("b"), zone=zone), per_day="0.45 USD"), start)
    table.place("a/1")
    assert table.look_again is not None
    assert table.run("b/1").due == midnight
    while not table.placing():
        table.wait(minutes=30)
    assert table.now == midnight


@pytest.mark.parametrize(
    "refusal",
    [
        Rejected(key="a/1", words="Service not found"),
        LinkBusy(key="a/1", words="busy"),
        NotTaken(key="a/1", words="Rate limit exceeded"),
    ],
)
def test_what_was_refused_is_taken_off_its_day_and_makes_room_at_once(refusal: Any) -> None:
    table = PolicyTable(limited(plan(order("a"), order("b")), per_day="0.45 USD"))
    assert table.say(refusal).placing() == ["b/1"]
    assert table.state.day_spent == USD_45


def test_an_unanswered_order_stays_counted_until_a_person_says_that_it_was_not_placed() -> None:
    table = PolicyTable(limited(plan(order("a"), order("b"), idempotent=False), per_day="0.45 USD"))
    assert table.say(Unanswered(key="a/1", words="timeout")).placing() == []
    assert table.state.day_spent == USD_45
    table.say(Resolved(key="a/1", panel_order=None))
    assert len(table.placing()) == 1
    assert table.state.day_spent == USD_45


def test_what_was_counted_yesterday_gives_no_room_today() -> None:
    table = PolicyTable(limited(three(), per_day="0.45 USD"))
    table.wait(hours=9)
    assert table.placing() == ["b/1"]
    assert table.say(Rejected(key="a/1", words="no")).placing() == []
    assert table.state.day_spent == USD_45


@settings(deadline=None, max_examples=60)
@given(
    quantities=st.lists(st.integers(10, 900), min_size=1, max_size=12),
    limit=st.integers(81, 200),
    zone=st.sampled_from(["Europe/Berlin", "America/Santiago", "Asia/Beirut", "Australia/Lord_Howe"]),
    begins=st.integers(0, 364),
    answers=st.lists(st.sampled_from(["place", "refuse", "busy", "lose"]), min_size=1, max_size=6),
)
def test_no_local_day_ever_passes_its_limit_and_everything_is_placed_in_the_end(
    quantities: list[int], limit: int, zone: str, begins: int, answers: list[str]
) -> None:
    orders = [order(f"o{place}", quantity=quantity) for place, quantity in enumerate(quantities)]
    start = datetime(2026, 1, 1, 20, tzinfo=UTC) + timedelta(days=begins)
    table = PolicyTable(limited(plan(*orders, zone=zone), per_day=f"{Decimal(limit) / 100} USD"), start)
    per_day: dict[str, Decimal] = {}
    turn = 0
    for _ in range(1000):
        waiting = [run for run in table.state.runs.values() if run.state is RunState.PLACING and run.flight]
        if not waiting:
            if all(run.panel_order or run.state is RunState.FAILED for run in table.state.runs.values()):
                break
            assert table.look_again is not None
            table.now = table.look_again
            table.decide()
            continue
        run, answer = waiting[0], answers[turn % len(answers)]
        turn += 1
        if answer == "refuse" and turn % 5 == 0:
            table.say(Rejected(key=run.key, words="no"))
        elif answer == "busy" and turn < 15:
            table.say(LinkBusy(key=run.key, words="busy"))
        elif answer == "lose" and turn < 15:
            table.say(Unanswered(key=run.key, words="timeout"))
        else:
            per_day[run.counted_day] = per_day.get(run.counted_day, Decimal(0)) + run.cost
            table.place(run.key)
    assert all(run.panel_order or run.state is RunState.FAILED for run in table.state.runs.values())
    assert all(spent <= Decimal(limit) / 100 for spent in per_day.values())
    local = {run.placed_at.astimezone(ZoneInfo(zone)).date() for run in table.state.runs.values() if run.placed_at}
    assert len(local) >= len(per_day) - 1


# Dearer services.


def test_a_rate_is_read_before_an_order_is_placed_by_it_and_once_for_all_that_wait() -> None:
    table = PolicyTable(limited(plan(order("a"), order("b", service=205)), rise="10"))
    (asked,) = table.said(ReadRates)
    assert asked.services == [101, 205]
    assert table.placing() == []
    assert table.rates(s101="0.99", s205="0.80").placing() == ["a/1", "b/1"]
    assert table.state.reserved == Decimal("0.495") + Decimal("0.40")


def test_a_rate_that_was_read_for_another_service_says_nothing_about_this_one() -> None:
    late = order("b", service=205, after=After(order="a", when=When.PLACED, delay=MINUTE))
    table = PolicyTable(limited(plan(order("a"), late), rise="10"))
    table.rates(s101="0.90").place("a/1").wait(minutes=1)
    (asked,) = table.said(ReadRates)
    assert asked.services == [205]
    assert table.state.runs["b/1"].why == "reads the current rate first"
    assert table.rates(s205="0.90").placing() == ["b/1"]


def test_a_rate_serves_for_a_minute() -> None:
    dripping = order("a", quantity=1000, runs=2, every=MINUTE, concurrent=True)
    table = PolicyTable(limited(plan(dripping), rise="10")).rates(s101="0.90").place("a/1")
    assert table.wait(minutes=1).placing() == ["a/2"]


def test_a_dearer_service_holds_its_orders_with_the_old_and_the_new_rate_in_words() -> None:
    table = PolicyTable(limited(three(), rise="10", notify=EVERYTHING)).rates(s101="1.20")
    words = "service 101 went from 0.90 to 1.20 per 1,000, more than 10%"
    assert {run.why for run in table.state.runs.values()} == {f"{words}: approve it, or wait until it is cheaper"}
    assert table.states() == {"a/1": "held", "b/1": "held", "c/1": "held"}
    assert status_of(table.state) is CampaignState.NEEDS_ATTENTION
    assert [kind for kind, _ in table.told()] == ["held", "needs_attention"]
    assert table.told()[0][1] == f"orders are held: {words}"


def test_a_rise_counts_from_the_rate_that_was_reviewed_before_the_start() -> None:
    reviewed = limited(plan(order("a")), rise="10").model_copy(update={"reviewed": {101: Decimal("0.80")}})
    table = PolicyTable(reviewed).rates(s101="0.90")
    assert table.run("a/1").why.startswith("service 101 went from 0.80 to 0.90 per 1,000, more than 10%")


def test_a_dearer_service_is_read_again_every_half_hour_and_told_only_once() -> None:
    table = PolicyTable(limited(plan(), rise="10", notify=EVERYTHING)).rates(s101="1.20")
    told = len(table.notices)
    for _ in range(5):
        assert table.wait(minutes=29).said(ReadRates) == []
        assert len(table.wait(minutes=1).said(ReadRates)) == 1
        assert status_of(table.state) is CampaignState.NEEDS_ATTENTION
        table.rates(s101="1.20")
        assert "went from 0.90 to 1.20" in table.run("seed/1").why
    assert len(table.notices) == told
    assert table.wait(minutes=30).rates(s101="1.30").told()[-1][1].startswith("orders are held: service 101 went from")
    assert table.wait(minutes=30).rates(s101="0.95").placing() == ["seed/1"]
    assert status_of(table.state) is CampaignState.RUNNING


def test_what_is_held_for_its_rate_is_read_again_also_when_another_rate_comes_just_then() -> None:
    late = order("b", service=205, after=After(order="go", when=When.PLACED, delay=30 * MINUTE - timedelta(seconds=5)))
    table = PolicyTable(limited(plan(order("a"), order("go", service=309), late), rise="10"))
    table.rates(s309="0.90").place("go/1").wait(minutes=29, seconds=55)  # 101 is not in the catalog
    assert [command.services for command in table.said(ReadRates)] == [[205]]
    table.wait(seconds=5)  # a/1 wants its rate again, and waits for the answer that is on its way
    table.say(RatesRead(asked=[205], rates={}))
    assert [command.services for command in table.said(ReadRates)] == [[101]]
    table.rates()
    table.wait(minutes=31)
    (asked,) = table.said(ReadRates)
    assert asked.services == [101, 205]
    assert sorted(table.rates(s101="0.90", s205="0.90").placing()) == ["a/1", "b/1"]


@pytest.mark.parametrize("once", [True, False])
def test_a_look_for_a_cheaper_rate_that_another_one_replaced_is_taken_only_by_a_history_from_before_that(
    once: bool,  # noqa: FBT001 - the two ways
) -> None:
    dripping = order("a", quantity=1500, runs=3, every=10 * MINUTE, concurrent=True)
    late = order("b", service=309, after=After(order="go", when=When.PLACED, delay=15 * MINUTE))
    table = PolicyTable(limited(plan(dripping, order("go", service=309), late), rise="10"))
    table.state.looks_once = once
    table.rates(s101="1.20", s309="0.90").place("go/1").say(Approved(by="bo")).place("a/1").wait(minutes=10)
    table.rates(s101="1.50").wait(minutes=5)
    table.rates(s309="0.90").wait(minutes=15)  # half an hour after the hold that was approved
    assert bool(table.said(ReadRates)) is not once


def test_an_approved_rate_goes_on_at_that_rate_and_holds_again_above_it() -> None:
    dripping = order("a", quantity=1500, runs=3, every=HOUR, concurrent=True)
    table = PolicyTable(limited(plan(dripping), rise="10")).rates(s101="1.20")
    assert table.say(Approved(by="ada", why="worth it")).placing() == ["a/1"]
    assert table.decided() == [("approve service 101 at 1.20 per 1,000 (planned 0.90)", "ada", "worth it")]
    assert table.state.reserved == Decimal("0.60")
    table.place("a/1").wait(hours=1)
    assert table.rates(s101="1.20").placing() == ["a/2"]
    table.place("a/2").wait(hours=1)
    assert table.rates(s101="1.21").placing() == []
    assert status_of(table.state) is CampaignState.NEEDS_ATTENTION


def test_an_approval_long_after_the_last_reading_reads_the_rate_again_first() -> None:
    table = PolicyTable(limited(plan(), rise="10")).rates(s101="1.20").wait(minutes=20)
    table.say(Approved())
    assert (table.placing(), len(table.said(ReadRates))) == ([], 1)
    assert table.rates(s101="1.20").placing() == ["seed/1"]


def test_a_service_that_left_the_catalog_is_held_until_it_is_back_and_cannot_be_approved() -> None:
    table = PolicyTable(limited(plan(), rise="10", notify=EVERYTHING)).rates()
    assert table.run("seed/1").why == "service 101 is not in the catalog now"
    assert table.say(Approved(by="ada")).placing() == []
    assert table.decided() == []
    assert table.wait(minutes=30).rates().told()[0] == (
        "held",
        "orders are held: service 101 is not in the catalog now",
    )
    assert [kind for kind, _ in table.told()].count("held") == 1
    assert table.wait(minutes=30).rates(s101="0.90").placing() == ["seed/1"]


def test_a_catalog_that_cannot_be_read_is_asked_again_each_minute_and_holds_what_it_held() -> None:
    table = PolicyTable(limited(plan(), rise="10", notify=EVERYTHING))
    table.say(RatesUnread(words="HTTP 502"))
    assert table.wait(seconds=59).said(ReadRates) == []
    assert len(table.wait(seconds=1).said(ReadRates)) == 1
    table.rates(s101="1.20").wait(minutes=30).say(RatesUnread())
    assert "went from 0.90 to 1.20" in table.run("seed/1").why
    assert status_of(table.state) is CampaignState.NEEDS_ATTENTION
    assert len(table.wait(minutes=1).said(ReadRates)) == 1
    assert table.rates(s101="0.99").placing() == ["seed/1"]
    assert [kind for kind, _ in table.told()].count("needs_attention") == 1


def test_what_was_held_for_its_rate_and_is_skipped_needs_no_attention_any_more() -> None:
    table = PolicyTable(limited(plan(), rise="10")).rates(s101="1.20").say(SkipRequested(target="seed"))
    assert status_of(table.state) is CampaignState.COMPLETED


def test_a_carried_campaign_that_waited_for_a_lost_reading_asks_again() -> None:
    table = PolicyTable(limited(plan(), rise="10"))
    table.carry()
    assert len(table.said(ReadRates)) == 1
    assert table.rates(s101="0.90").placing() == ["seed/1"]


@settings(deadline=None, max_examples=80)
@given(st.lists(st.decimals("0.50", "1.50", places=4), min_size=1, max_size=12), st.integers(0, 40))
def test_nothing_is_ever_placed_above_the_ceiling_unless_it_was_approved(rates: list[Decimal], rise: int) -> None:
    dripping = order("a", quantity=5000, runs=10, every=HOUR, concurrent=True)
    table = PolicyTable(limited(plan(dripping), rise=str(rise)))
    ceiling = Decimal("0.90") * (100 + rise) / 100
    for rate in rates:
        if table.said(ReadRates):
            placed = table.rates(s101=str(rate)).placing()
            assert bool(placed) == (rate <= ceiling)
            if placed:
                assert table.run(placed[0]).reserved == rate / 2
                table.place(*placed)
        table.wait(minutes=61)


# Approval.


def test_nothing_is_placed_and_no_slot_is_lost_before_the_approval() -> None:
    dripping = order("a", quantity=1500, runs=3, every=HOUR, concurrent=True)
    table = PolicyTable(limited(plan(dripping), approval_over="1.34 USD", notify=EVERYTHING), started_by="ada")
    assert status_of(table.state) is CampaignState.AWAITING_APPROVAL
    assert table.wait(hours=30).placing() == []
    assert table.state.runs == {}
    assert table.told() == [
        ("awaiting_approval", "waits for approval: the planned 1.35 USD is above 1.34 USD: `campaigner approve`")
    ]
    assert table.say(Approved(by="bo", why="agreed")).placing() == ["a/1"]
    assert table.place("a/1").placing() == ["a/2"]
    assert table.place("a/2").placing() == ["a/3"]
    ((what, by, why),) = table.decided()
    assert (what, by, why) == ("approve the planned cost of 1.35 USD", "bo", "agreed")
    assert table.state.decisions[0].at == START + 30 * HOUR


def test_a_cost_of_exactly_the_limit_needs_no_approval() -> None:
    assert PolicyTable(limited(plan(), approval_over="0.45 USD")).placing() == ["seed/1"]


@pytest.mark.parametrize("by", ["", "  ", "ada", "Ada", " ada "])
def test_an_account_that_wants_a_second_person_takes_no_approval_of_the_first_or_of_nobody(by: str) -> None:
    table = PolicyTable(limited(plan(second_person=True), approval_over="0.10 USD"), started_by="ada")
    assert table.say(Approved(by=by)).placing() == []
    assert table.decided() == []
    assert table.say(Approved(by="bo")).placing() == ["seed/1"]


@pytest.mark.parametrize("starter", ["", "  "])
def test_where_a_second_person_is_wanted_and_there_is_no_first_nobody_approves(starter: str) -> None:
    table = PolicyTable(limited(plan(second_person=True), approval_over="0.10 USD"), started_by=starter)
    told = refusal(table.state, Approved(by="bo")) or ""
    assert "nobody is on record" in told
    assert "`campaigner start FILE --again`" in told
    assert "memo started_by" in told
    assert "by: this account wants to know who approves" in (refusal(table.state, Approved(by=" ")) or "")
    # What a history from before this rule has accepted is carried out again when it is replayed.
    assert table.say(Approved(by="bo")).placing() == ["seed/1"]


def test_a_second_person_is_wanted_for_the_planned_cost_only() -> None:
    table = PolicyTable(limited(plan(second_person=True), budget="0.50 USD", rise="10"), started_by="ada")
    table.rates(s101="1.00")
    assert refusal(table.state, BudgetRaised(budget=Money(Decimal(2), "USD"), by="ada")) is None
    assert refusal(table.state, Approved(by="ada")) is None
    table.state.started_by = ""
    assert refusal(table.state, Approved(by="ada")) is None
    assert table.say(Approved(by="ada")).placing() == ["seed/1"]


def test_a_campaign_that_waits_for_approval_can_be_paused_and_canceled() -> None:
    table = PolicyTable(limited(plan(), approval_over="0.10 USD"))
    table.say(Paused(), Approved())
    assert table.placing() == []
    assert table.say(Resumed()).placing() == ["seed/1"]
    other = PolicyTable(limited(plan(), approval_over="0.10 USD")).say(CancelRequested())
    assert status_of(other.state) is CampaignState.CANCELED


# The budget.


def test_what_would_pass_the_budget_is_held_until_the_budget_is_raised_and_told_once() -> None:
    table = PolicyTable(limited(three(), budget="1.00 USD", notify=EVERYTHING))
    assert table.placing() == ["a/1", "b/1"]
    assert table.run("c/1").why == "would pass the budget of 1.00 USD"
    table.place("a/1", "b/1")
    assert [kind for kind, _ in table.told()] == ["needs_attention"]
    raised = BudgetRaised(budget=Money(Decimal("1.35"), "USD"), by="ada", why="more")
    assert table.say(raised).placing() == ["c/1"]
    assert table.decided() == [("budget from 1.00 USD to 1.35 USD", "ada", "more")]
    assert table.say(raised).decided() == [("budget from 1.00 USD to 1.35 USD", "ada", "more")]


@pytest.mark.parametrize("budget", ["0.99 USD", "5.00 EUR"])
def test_a_budget_is_not_lowered_and_not_exchanged(budget: str) -> None:
    amount, currency = budget.split()
    table = PolicyTable(limited(three(), budget="1.00 USD"))
    table.say(BudgetRaised(budget=Money(Decimal(amount), currency)))
    assert (str(table.state.budget), table.decided()) == ("1.00 USD", [])


def test_a_dearer_rate_counts_against_the_budget() -> None:
    table = PolicyTable(limited(plan(), budget="0.50 USD", rise="100")).rates(s101="1.01")
    assert table.run("seed/1").why == "would pass the budget of 0.50 USD"


# The balance.


def test_a_low_balance_is_told_once_and_again_after_it_recovered() -> None:
    dripping = order("a", quantity=20_000, runs=40, every=2 * HOUR, concurrent=True)  # 0.45 a run, 12 a day
    table = PolicyTable(limited(plan(dripping), notify=EVERYTHING)).place("a/1")

    def low() -> int:
        return [kind for kind, _ in table.told()].count("low_balance")

    assert len(table.said(ReadBalance)) == 0
    table.balance("5.39")
    assert low() == 1
    assert table.told()[0][1].startswith("the balance of 5.39 USD is below what the next 24 hours cost")
    for amount, times in (("1.00", 1), ("100", 1), ("5.39", 2), ("50.00", 2)):
        table.wait(hours=6)
        table.place(*table.placing())
        while table.state.balance_asked is False:
            table.wait(minutes=10)
        table.balance(amount)
        assert low() == times, amount
    assert not table.state.low_balance


def test_the_balance_is_read_even_when_nothing_else_happens_so_that_it_is_told_before_it_bites() -> None:
    first = order("a")
    later = order("b", after=After(order="a", when=When.PLACED, delay=72 * HOUR))
    table = PolicyTable(limited(plan(first, later), notify=EVERYTHING)).place("a/1")
    table.balance("0.10").read("a/1", "completed", charge=USD_45)
    assert not table.state.low_balance
    reads = 0
    while not table.state.low_balance:
        assert table.look_again is not None
        table.wait(seconds=(table.look_again - table.now).total_seconds())
        assert "b/1" not in table.state.runs, "it was told too late"
        if table.said(ReadBalance):
            assert next_thing(table.state)
            reads += 1
            table.balance("0.10")
    assert reads == 8
    assert table.now == START + 48 * HOUR


def test_a_balance_that_cannot_be_read_changes_nothing_and_is_asked_for_soon() -> None:
    dripping = order("a", quantity=1000, runs=2, every=24 * HOUR, concurrent=True)
    table = PolicyTable(limited(plan(dripping), notify=EVERYTHING)).place("a/1").balance(None)
    assert len(table.wait(minutes=30).said(ReadBalance)) == 1
    assert not table.state.low_balance


def test_the_balance_is_not_read_when_nobody_would_be_told() -> None:
    quiet = Notify(webhook="https://example.com/hook", on=[NoticeKind.COMPLETED])
    dripping = order("a", quantity=1000, runs=2, every=HOUR, concurrent=True)
    assert PolicyTable(plan(dripping)).said(ReadBalance) == []
    assert PolicyTable(limited(plan(dripping), notify=quiet)).said(ReadBalance) == []


def test_a_finished_campaign_says_nothing_of_the_balance() -> None:
    dripping = order("a", quantity=1000, runs=2, every=HOUR, concurrent=True)
    table = PolicyTable(limited(plan(dripping), notify=EVERYTHING)).place("a/1").balance("0.01")
    table.wait(hours=1).place("a/2").read("a/1", "completed", charge=USD_45).wait(hours=7)
    table.read("a/2", "completed", charge=USD_45)
    assert (finished(table.state), table.state.low_balance) == (True, False)


# The account's own word: its halt and its limit of the day.


def blocked(key: str, cause: str = "halt", **more: Any) -> Blocked:
    return Blocked(key=key, cause=cause, words="account main was halted by ada: stop", **more)  # type: ignore[arg-type]


def test_a_halt_holds_everything_under_the_same_request_ids_and_a_release_lets_it_go_on_at_once() -> None:
    table = PolicyTable(limited(three(), budget="5.00 USD", per_day="5.00 USD", notify=EVERYTHING))
    table.say(blocked("a/1"), blocked("b/1"), blocked("c/1"))
    assert table.state.reserved == table.state.day_spent == 0
    assert {run.why for run in table.state.runs.values()} == {"account main was halted by ada: stop"}
    assert table.told() == [("held", "orders are held: account main was halted by ada: stop")]
    assert attention(table.state) == "account main was halted by ada: stop; `campaigner release main` lets it go on"
    assert len(table.wait(minutes=4).placing()) == 0
    assert sorted(table.say(Released()).placing()) == ["a/1", "b/1", "c/1"]
    expected = {str(uuid.uuid5(uuid.UUID(KEY_ROOT), f"{name}/1/1")) for name in "abc"}
    assert {run.form.request_id for run in table.state.runs.values() if run.form} == expected
    assert table.state.reserved == 3 * USD_45


@pytest.mark.parametrize("cause", ["halt", "daily_limit"])
def test_the_same_block_is_told_once_however_often_it_is_released_in_vain(cause: str) -> None:
    table = PolicyTable(limited(plan(order("a"), order("b")), notify=EVERYTHING)).say(blocked("a/1", cause))
    for _ in range(3):
        key, *_ = table.say(Released()).placing()
        table.say(blocked(key, cause))
    assert [kind for kind, _ in table.told()] == ["held"]
    key, *_ = table.say(Released()).placing()
    table.say(Blocked(key=key, cause=cause, words="another"))  # type: ignore[arg-type]
    assert [text for _, text in table.told()][1:] == ["orders are held: another"]


@pytest.mark.parametrize("how", ["placed", "refused", "busy", "placed by the probe"])
def test_a_block_is_told_again_after_an_order_went_on(how: str) -> None:
    dripping = order("a", quantity=1000, runs=2, every=HOUR, concurrent=True)
    table = PolicyTable(limited(plan(dripping), notify=EVERYTHING)).say(blocked("a/1"))
    if how == "placed by the probe":
        table.wait(minutes=5).place("a/1")
    else:
        table.say(Released())
        said: dict[str, Event] = {
            "placed": Placed(key="a/1", panel_order="ord_1"),
            "refused": Rejected(key="a/1", words="no"),
            "busy": LinkBusy(key="a/1", words="busy"),
        }
        table.say(said[how])
    key, *_ = table.wait(hours=1).placing()
    table.say(blocked(key))
    assert [text for kind, text in table.told() if kind == "held"] == ["orders are held: " + table.run(key).why] * 2


def test_the_answer_to_a_repeat_may_be_older_than_the_block_and_does_not_make_it_news() -> None:
    table = PolicyTable(limited(plan(order("a"), order("b")), notify=EVERYTHING))
    table.say(Unanswered(key="b/1", words="timeout"), blocked("a/1"), Released()).place("b/1").say(blocked("a/1"))
    assert [kind for kind, _ in table.told()].count("held") == 1


def test_a_history_of_before_that_told_every_block_does_so_still() -> None:
    table = PolicyTable(limited(plan(), notify=EVERYTHING))
    table.state.tells_block_once = False
    table.say(blocked("seed/1"), Released()).say(blocked("seed/1"))
    assert [kind for kind, _ in table.told()].count("held") == 2


def test_while_it_is_halted_one_order_at_a_time_finds_out_for_all() -> None:
    table = PolicyTable(three()).say(blocked("a/1"), blocked("b/1"), blocked("c/1"))
    for _ in range(3):
        (probe,) = table.wait(minutes=5).placing()
        table.say(blocked(probe))
    (probe,) = table.wait(minutes=5).placing()
    assert len(table.place(probe).placing()) == 2


@pytest.mark.parametrize("when", ["before the block", "while the probe is on its way"])
def test_an_answer_of_before_the_release_does_not_hold_a_campaign_for_minutes(when: str) -> None:
    table = PolicyTable(plan())
    if when == "before the block":
        table.say(Released(), blocked("seed/1"))
    else:
        table.say(blocked("seed/1")).wait(minutes=5).say(Released(), blocked("seed/1"))
    assert table.wait(seconds=5).placing() == ["seed/1"]


def test_a_halt_does_not_clear_up_a_doubt_and_the_same_id_is_sent_again_after_it() -> None:
    table = PolicyTable(plan())
    table.say(Unanswered(key="seed/1", words="timeout")).wait(seconds=15)
    before = table.run("seed/1").form
    table.say(blocked("seed/1"))
    assert (table.run("seed/1").state, table.run("seed/1").submission) == (RunState.PLACING, 1)
    assert table.say(Released()).placing() == ["seed/1"]
    assert table.run("seed/1").form == before


def test_the_accounts_limit_holds_until_its_midnight_but_a_doubt_is_cleared_up_long_before() -> None:
    midnight = START + 9 * HOUR
    table = PolicyTable(plan(order("a"), order("b")))
    table.say(Unanswered(key="b/1", words="timeout"), blocked("a/1", "daily_limit", again_at=midnight))
    table.wait(seconds=15).say(blocked("b/1", "daily_limit", again_at=midnight))
    assert attention(table.state) == "account main was halted by ada: stop", "the account's own word, as it stands"
    assert table.wait(minutes=5).placing() == ["b/1"]
    table.say(Placed(key="b/1", panel_order="ord_b"))
    table.wait(hours=8, minutes=54)
    assert table.run("a/1").state is RunState.HELD
    assert table.wait(minutes=1).placing() == ["a/1"]


def test_no_submission_grows_by_a_halt_whatever_came_before() -> None:
    table = PolicyTable(plan())
    for _ in range(5):
        table.say(blocked("seed/1"))
        table.wait(minutes=5)
    assert table.run("seed/1").submission == 1


def test_a_reordering_campaign_keeps_inside_budget_and_day() -> None:
    table = PolicyTable(limited(plan(reordering(offer(205, "3.00"))), budget="1.00 USD", per_day="0.80 USD"))
    table.place("views/1").read("views/1", "canceled", charge=Decimal("0.09"), remains=400)
    replacement = table.run("views/1+1")
    assert (replacement.cost, replacement.why) == (Decimal("1.2"), "would pass the budget of 1.00 USD")
    table.say(BudgetRaised(budget=Money(Decimal(2), "USD")))
    assert "more than the day's limit of 0.80 USD allows" in replacement.why


def test_what_is_told_is_handed_out_once() -> None:
    table = PolicyTable(limited(plan(), approval_over="0.10 USD", notify=EVERYTHING))
    assert len(table.said(Tell)) == 1
    assert table.wait(hours=1).said(Tell) == []


def test_what_costs_more_than_a_whole_day_allows_is_a_persons_to_decide_and_not_held_for_ever() -> None:
    table = PolicyTable(limited(plan(reordering(offer(205, "3.00"))), per_day="0.80 USD"))
    table.place("views/1").read("views/1", "canceled", charge=Decimal("0.09"), remains=400)
    assert table.run("views/1+1").why == (
        "costs 1.20, more than the day's limit of 0.80 USD allows on any day; skip it"
    )
    assert table.wait(days=3).placing() == []
    assert status_of(table.state) is CampaignState.NEEDS_ATTENTION
    table.say(SkipRequested(target="views/1"))
    assert finished(table.state)


def test_a_second_cause_for_attention_is_told_like_the_first() -> None:
    table = PolicyTable(limited(plan(order("a"), order("b"), order("c")), budget="1.00 USD", notify=EVERYTHING))

    def told() -> list[str]:
        return [n.text for tell in table.said(Tell) for n in tell.notices if n.kind is NoticeKind.NEEDS_ATTENTION]

    assert len(told()) == 1
    assert "budget" in told()[0]
    table.say(Expired(key="b/1", words="too old to repeat"))
    assert [text for text in told() if "1 order unknown" in text] != []
    assert table.wait(days=1).said(Tell) == []


def test_a_day_that_is_used_up_is_told_once_with_when_it_goes_on() -> None:
    table = PolicyTable(limited(plan(order("a"), order("b"), order("c")), per_day="0.50 USD", notify=EVERYTHING))
    held = [n.text for tell in table.said(Tell) for n in tell.notices if n.kind is NoticeKind.HELD]
    assert len(held) == 1
    assert "the day's limit of 0.50 USD is used up" in held[0]
