"""What a plan takes in, refuses and warns of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.accounts import AccountFacts
from campaigns.calendar import is_open
from campaigns.checking import Problem
from campaigns.definition import Definition
from campaigns.plan import Plan, PlannedRun, ServiceFacts
from campaigns.planning import Planned, calendar_of, link_problems, make_plan

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
LINK = "https://example.com/brand/film"
ACCOUNT = AccountFacts(name="main", allowed_targets=["https://example.com/brand/*"])


def service(number: int = 101, **facts: Any) -> ServiceFacts:
    plain: dict[str, Any] = {"name": f"service {number}", "type": "Default", "rate": "0.90", "min": 100, "max": 50_000}
    return ServiceFacts.model_validate({"service": number} | plain).model_copy(update=facts)


def definition(*orders: dict[str, Any], **fields: Any) -> Definition:
    listed = [{"id": f"o{n}", "service": 101, "link": LINK, "quantity": 1000} | order for n, order in enumerate(orders)]
    return Definition.model_validate({"version": 1, "name": "test", "account": "main", "orders": listed} | fields)


def planned(*orders: dict[str, Any], catalog: tuple[ServiceFacts, ...] = (), **fields: Any) -> Planned:
    return make_plan(definition(*orders, **fields), ACCOUNT, {s.service: s for s in catalog or (service(),)}, NOW)


def plan_of(*orders: dict[str, Any], catalog: tuple[ServiceFacts, ...] = (), **fields: Any) -> Plan:
    found = planned(*orders, catalog=catalog, **fields)
    assert found.plan is not None, found.problems
    return found.plan


def test_a_plan_keeps_what_the_file_and_the_catalog_say() -> None:
    plan = plan_of(
        {"id": "views", "drip": {"runs": 4, "every": "90m"}, "coupon": "SPRING", "late": "skip"},
        catalog=(service(refill=True, cancel=True),),
        limits={"budget": "1.00 USD"},
    )
    (order,) = plan.orders
    assert (plan.name, plan.account, plan.planned_at) == ("test", ACCOUNT, NOW)
    assert (plan.runs, str(plan.budget)) == (4, "1.00 USD")
    assert (order.id, order.service_name, order.rate, order.link) == ("views", "service 101", Decimal("0.90"), LINK)
    assert (order.runs, order.every, order.coupon, order.late) == (4, timedelta(minutes=90), "SPRING", "skip")
    assert (order.can_refill, order.can_cancel, order.package, order.concurrent) == (True, True, False, False)


def test_a_plan_survives_json() -> None:
    plan = plan_of(
        {"drip": {"runs": 4, "every": "90m"}, "window": {"from": "09:00", "to": "24:00"}},
        {"after": {"order": "o0", "delay": "2h"}},
        timezone="Europe/Istanbul",
        limits={"budget": "9.00 USD"},
    )
    assert Plan.model_validate_json(plan.model_dump_json(by_alias=True)) == plan


def test_a_drip_by_the_panel_is_one_run_with_its_quantity_per_repetition() -> None:
    (order,) = plan_of(
        {"quantity": 1000, "drip": {"runs": 5, "every": "1h30m", "by": "panel"}}, catalog=(service(dripfeed=True),)
    ).orders
    assert (order.runs, order.every, order.panel_runs, order.panel_interval) == (1, None, 5, 90)
    assert (order.quantity_of(1), order.units_of(1), order.cost_of(1)) == (200, 1000, Decimal("0.9"))


@pytest.mark.parametrize("kind", ["Package", "package", " PACKAGE "])
def test_a_package_bills_its_minimum_and_needs_no_quantity(kind: str) -> None:
    found = planned({"quantity": None}, catalog=(service(type=kind),))
    assert found.plan is not None
    assert found.plan.orders[0].package
    assert (found.plan.orders[0].quantity, found.plan.cost) == (100, Decimal("0.09"))
    assert found.warnings == []


def test_a_package_ignores_another_quantity_and_says_so() -> None:
    found = planned({"quantity": 5000}, catalog=(service(type="Package"),))
    message = "5,000 is ignored: service 101 is a Package, billed at 100"
    assert found.warnings == [Problem(("orders", 0, "quantity"), message)]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"type": "Custom Comments"}, "is of type Custom Comments: its parameters are not documented by the panel"),
        ({"type": "Poll\x1b[2J"}, r"is of type Poll\x1b[2J: its parameters are not documented by the panel"),
        ({"type": "subscriptions"}, "is of type subscriptions: it takes a username instead of a link"),
        ({"rate": Decimal("NaN")}, "has the rate NaN, which is not a price"),
        ({"rate": Decimal("-0.01")}, "has the rate -0.01, which is not a price"),
        ({"rate": Decimal("1E+30")}, "has the rate 1E+30, which is not a price"),
        ({"rate": Decimal("1E-400")}, "has the rate 1E-400, which is not a price"),
        ({"min": 500, "max": 100}, "has the limits 500 to 100, which allow no quantity"),
        ({"min": 0, "max": 0}, "has the limits 0 to 0, which allow no quantity"),
        ({"type": "Package", "min": 0}, "is a Package with the minimum 0, which leaves its price open"),
    ],
)
def test_a_service_that_cannot_be_ordered_is_refused_with_the_reason(facts: dict[str, Any], words: str) -> None:
    (problem,) = planned({}, catalog=(service(**facts),)).problems
    assert problem.loc == ("orders", 0, "service")
    assert problem.message.startswith(f"service 101 {words}")


def test_a_price_too_long_to_add_up_is_refused() -> None:
    rates = (service(rate=Decimal("123456789.00000001")), service(102, rate=Decimal("0.000000000000000001")))
    (problem,) = planned({"quantity": 50_000}, {"service": 102, "quantity": 101}, catalog=rates).problems
    assert problem.loc == ("orders",)
    assert problem.message.endswith("too many digits to add up exactly")


@pytest.mark.parametrize(
    ("written", "near"),
    [
        (1011, "did you mean 101 (views)?"),
        (10, "did you mean 101 (views) or 110 (likes)?"),
        (111, "did you mean 110 (likes) or 101 (views)?"),
        (11, "did you mean 101 (views) or 110 (likes)?"),
        (7, ""),
        (10**40, ""),
    ],
)
def test_an_unknown_service_is_answered_with_those_one_slip_away(written: int, near: str) -> None:
    catalog = (service(101, name="views"), service(110, name="likes"), service(999, name="far"))
    (problem,) = planned({"service": written}, catalog=catalog).problems
    assert problem.loc == ("orders", 0, "service")
    assert problem.hint == near


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"quantity": 50}, "50 is below the minimum 100 of service 101"),
        ({"quantity": 50_001}, "50,001 is above the maximum 50,000 of service 101"),
        (
            {"quantity": 10_000, "drip": {"runs": 200, "every": "90m"}},
            "10,000 over 200 runs is 50 a run, below the minimum 100 of service 101",
        ),
        (
            {"quantity": 100_001, "drip": {"runs": 2, "every": "90m"}},
            "100,001 over 2 runs is 50,001 a run, above the maximum 50,000 of service 101",
        ),
    ],
)
def test_each_run_stays_within_the_limits_of_its_service(order: dict[str, Any], words: str) -> None:
    (problem,) = planned(order).problems
    assert (problem.loc, problem.message) == (("orders", 0, "quantity"), words)


def test_the_limits_themselves_are_allowed() -> None:
    assert plan_of({"quantity": 100}, {"quantity": 50_000, "after": "o0"}).runs == 2


def test_a_missing_quantity_is_told_where_it_is_missing() -> None:
    (problem,) = planned({"quantity": None}).problems
    assert (problem.loc, problem.message) == (("orders", 0), "quantity is missing; service 101 needs one")


def test_a_link_outside_the_allowed_targets_is_refused_where_it_is_written() -> None:
    theirs = "https://example.org/somebody"
    found = planned({"link": theirs}, {"link": None, "target": "x"}, targets={"x": theirs})
    message = f"{theirs} is not in allowed_targets of account main; add it only if you own it"
    assert found.problems == [Problem(("orders", 0, "link"), message), Problem(("targets", "x"), message)]
    assert found.plan is None


def test_the_links_of_a_plan_are_checked_again_against_its_account() -> None:
    plan = plan_of({}, {"link": "https://example.com/brand/other"})
    assert link_problems(plan) == []
    stricter = plan.model_copy(update={"account": ACCOUNT.model_copy(update={"allowed_targets": [LINK]})})
    (problem,) = link_problems(stricter)
    assert problem.loc == ("orders", 1, "link")
    assert problem.message.startswith("https://example.com/brand/other is not in allowed_targets of account main")


def test_a_cost_above_the_budget_is_refused_with_both_amounts() -> None:
    (problem,) = planned({"quantity": 1001}, limits={"budget": "0.90 USD"}).problems
    assert problem == Problem(("limits", "budget"), "the plan costs 0.9009 USD, above the budget of 0.90 USD")


def test_a_cost_equal_to_the_budget_is_fine() -> None:
    assert plan_of({"quantity": 1000}, limits={"budget": "0.90 USD"}).cost == Decimal("0.9")


def test_a_cost_that_is_not_known_in_full_is_told_as_a_lower_bound() -> None:
    problems = planned({}, {"service": 7}, limits={"budget": "0.50 USD"}).problems
    assert "the plan costs at least 0.90 USD, above the budget of 0.50 USD" in [p.message for p in problems]


def test_a_budget_in_another_currency_is_refused() -> None:
    (problem,) = planned({}, limits={"budget": "5.00 EUR"}).problems
    message = "is in EUR, but account main is billed in USD"
    assert problem == Problem(("limits", "budget"), message)


def test_an_account_billed_in_another_currency_is_refused() -> None:
    found = make_plan(definition({}), ACCOUNT, {101: service()}, NOW, balance=Decimal(0), billed_currency="EUR")
    assert [problem.message for problem in found.problems] == ["the panel bills account main in EUR, not in USD"]
    assert found.warnings == []


@pytest.mark.parametrize(("balance", "warned"), [("0.8999", True), ("0.90", False), ("NaN", False), ("-5", True)])
def test_a_balance_below_the_cost_is_told_before_it_bites(balance: str, warned: bool) -> None:  # noqa: FBT001
    found = make_plan(definition({}), ACCOUNT, {101: service()}, NOW, balance=Decimal(balance), billed_currency="USD")
    assert found.plan is not None
    assert [warning.loc for warning in found.warnings] == [("account",)] * warned


def test_all_problems_are_found_at_once_and_each_once() -> None:
    found = planned(
        {"quantity": 5, "service": 7},
        {"quantity": 5, "link": "https://example.org/x"},
        {"quantity": 5, "after": "nobody"},
        limits={"budget": "1.00 EUR"},
    )
    assert [problem.loc for problem in found.problems] == [
        ("orders", 2, "after", "order"),
        ("orders", 0, "service"),
        ("orders", 1, "link"),
        ("orders", 1, "quantity"),
        ("orders", 2, "quantity"),
        ("limits", "budget"),
    ]


def test_a_wrong_default_is_told_once_and_where_it_stands() -> None:
    plain = definition({}, {}).document() | {"defaults": {"service": 7}}
    plain["orders"] = [{key: order[key] for key in ("id", "link", "quantity")} for order in plain["orders"]]
    found = make_plan(Definition.model_validate(plain), ACCOUNT, {101: service()}, NOW)
    assert [problem.loc for problem in found.problems] == [("defaults", "service")]


def test_policies_that_the_service_does_not_carry_are_warned_of() -> None:
    found = planned({"refill": {"within": "30d"}, "cancel": {"not_started_in": "6h"}, "coupon": "SPRING"})
    assert found.warnings == [
        Problem(("orders", 0, "refill"), "service 101 has no refill: this has no effect"),
        Problem(("orders", 0, "cancel"), "service 101 has no cancel: this has no effect"),
        Problem(("orders", 0, "coupon"), "coupon SPRING is not counted in the cost"),
    ]


def test_a_window_on_a_drip_by_the_panel_is_warned_of() -> None:
    feed = {"drip": {"runs": 5, "every": "1h", "by": "panel"}, "window": {"from": "09:00", "to": "17:00"}}
    found = planned(feed, catalog=(service(dripfeed=True),), timezone="UTC")
    assert [warning.loc for warning in found.warnings] == [("orders", 0, "drip", "by"), ("orders", 0, "window")]


@pytest.mark.parametrize(
    ("second", "waits"),
    [
        ({}, True),
        ({"concurrent": True}, False),
        ({"after": "o0"}, False),
        ({"after": {"order": "o0", "when": "completed"}}, False),
        ({"after": {"order": "o0", "when": "placed"}}, True),
        ({"link": "https://EXAMPLE.com:443/brand/film"}, True),
        ({"link": "https://example.com/brand/other"}, False),
        ({"service": 102}, False),
    ],
)
def test_an_order_that_waits_for_a_link_without_saying_so_is_warned_of(second: dict[str, Any], waits: bool) -> None:  # noqa: FBT001
    found = planned({}, second, catalog=(service(), service(102)))
    words = "o1 waits while o0 is live, because the panel takes one live order per link and service"
    assert [(warning.loc, warning.message) for warning in found.warnings] == [(("orders", 1), words)] * waits


def test_an_order_is_after_another_through_a_third() -> None:
    other = "https://example.com/brand/other"
    between = {"link": other, "after": "o0"}
    assert planned({}, between, {"after": {"order": "o1", "when": "placed"}}).warnings == []


def calendar(*orders: dict[str, Any], **fields: Any) -> list[PlannedRun]:
    return list(calendar_of(plan_of(*orders, **fields), NOW))


def dated(run: PlannedRun) -> tuple[str, int, float, bool, str]:
    return run.order, run.run, (run.at - NOW) / timedelta(hours=1), run.exact, run.waits_for


def test_a_calendar_dates_what_waits_by_what_it_waits_for() -> None:
    drip = {"quantity": 300, "drip": {"runs": 3, "every": "2h"}}
    links = [{"link": f"{LINK}/{n}"} for n in range(6)]
    runs = calendar(
        links[0] | {"after": {"order": "o1", "when": "placed", "delay": "1h"}},
        links[1] | drip,
        links[2] | {"after": {"order": "o1", "when": "settled", "delay": "1h"}},
        links[3] | {"after": {"order": "o1", "when": "started"}},
        links[4] | {"after": {"order": "o2", "when": "placed"}},
        links[5] | {"after": {"order": "o0", "when": "placed", "delay": "30m"}},
    )
    assert [dated(run) for run in runs] == [
        ("o1", 1, 0.0, True, ""),
        ("o3", 1, 0.0, False, "o1 started"),
        ("o0", 1, 1.0, True, "o1 placed + 1h"),
        ("o5", 1, 1.5, True, "o0 placed + 30m"),
        ("o1", 2, 2.0, False, "the run before it"),
        ("o1", 3, 4.0, False, "the run before it"),
        ("o2", 1, 5.0, False, "o1 settled + 1h"),
        ("o4", 1, 5.0, False, "o2 placed"),
    ]


def test_the_runs_of_a_drip_are_dated_exactly_only_where_they_need_not_wait_for_one_another() -> None:
    drip = {"quantity": 200, "drip": {"runs": 2, "every": "2h"}}
    alone, beside = calendar(drip), calendar(drip | {"concurrent": True})
    assert [run.exact for run in alone] == [True, False]
    assert [run.exact for run in beside] == [True, True]


def test_a_calendar_counts_the_repetitions_of_a_drip_by_the_panel() -> None:
    feed = {"drip": {"runs": 5, "every": "1h", "by": "panel"}}
    runs = calendar(feed, {"after": "o0"}, catalog=(service(dripfeed=True),))
    assert [dated(run) for run in runs] == [("o0", 1, 0.0, True, ""), ("o1", 1, 4.0, False, "o0 settled")]


def test_an_order_that_waits_for_a_link_has_no_exact_date() -> None:
    assert [dated(run) for run in calendar({}, {})] == [
        ("o0", 1, 0.0, True, ""),
        ("o1", 1, 0.0, False, "o0 on the same link"),
    ]


def test_orders_that_wait_for_each_other_have_no_calendar() -> None:
    plan = plan_of({}, {"after": "o0"})
    after = plan.orders[1].after
    assert after is not None
    first = plan.orders[0].model_copy(update={"after": after.model_copy(update={"order": "o1"})})
    with pytest.raises(ValueError, match="order o0 waits for itself"):
        list(calendar_of(plan.model_copy(update={"orders": [first, plan.orders[1]]}), NOW))


def test_a_calendar_of_ten_thousand_runs_can_be_read_from_its_beginning() -> None:
    drip = {"quantity": 1_000_000, "drip": {"runs": 10_000, "every": "1h"}}
    runs = calendar_of(plan_of(drip), NOW)
    assert [next(runs).run, next(runs).run] == [1, 2]


def test_a_long_chain_of_orders_is_planned() -> None:
    chain = [{"after": f"o{n - 1}"} if n else {} for n in range(500)]
    found = planned(*chain)
    assert found.plan is not None
    assert found.warnings == []
    assert len(list(calendar_of(found.plan, NOW))) == 500


@st.composite
def orders(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw up to six orders, each of which may drip, wait for an earlier one, and keep to a window."""
    listed: list[dict[str, Any]] = []
    for n in range(draw(st.integers(1, 6))):
        order: dict[str, Any] = {
            "quantity": draw(st.integers(1, 3000)),
            "service": draw(st.sampled_from([101, 102, 103])),
        }
        if draw(st.booleans()):
            by = draw(st.sampled_from(["campaign", "panel"]))
            order["drip"] = {"runs": draw(st.integers(2, 12)), "every": f"{draw(st.integers(1, 3000))}m", "by": by}
        if n and draw(st.booleans()):
            when = draw(st.sampled_from(["placed", "started", "completed", "settled"]))
            order["after"] = {"order": f"o{draw(st.integers(0, n - 1))}", "when": when}
        if draw(st.booleans()):
            order["window"] = {"days": ["mon", "sat"], "from": "22:00", "to": "02:30"}
        listed.append(order)
    return listed


@given(orders(), st.decimals(0, 50, places=6), st.integers(0, 300), st.integers(1, 1000))
def test_whatever_is_planned_keeps_the_limits_and_adds_up(
    listed: list[dict[str, Any]], rate: Decimal, least: int, spread: int
) -> None:
    catalog = (
        service(101, rate=rate, min=least, max=least + spread, dripfeed=True),
        service(102, rate=rate, min=1, max=10_000),
        service(103, rate=rate, type="Package", min=7),
    )
    found = planned(*listed, catalog=catalog, timezone="Europe/Berlin")
    assert (found.plan is None) == bool(found.problems)
    if (plan := found.plan) is None:
        return
    runs = list(calendar_of(plan, NOW))
    assert len(runs) == plan.runs
    assert sum(run.cost for run in runs) == plan.cost
    assert all(earlier.at <= later.at for earlier, later in pairwise(runs))
    for order, written in zip(plan.orders, listed, strict=True):
        own = [run for run in runs if run.order == order.id]
        facts = catalog[order.service - 101]
        assert [run.run for run in own] == list(range(1, order.runs + 1))
        assert order.package or sum(run.units for run in own) == written["quantity"]
        assert all(facts.min <= run.quantity <= facts.max for run in own)
        assert all(run.at >= NOW and is_open(run.at, order.window, plan.timezone) for run in own)
        assert order.every is None or all(later.at - earlier.at >= order.every for earlier, later in pairwise(own))
        if order.after is not None:
            assert own[0].at >= next(run.at for run in runs if run.order == order.after.order)
