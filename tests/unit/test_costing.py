"""The limits of a campaign and of its account, and its fallbacks, held against the catalog before anything starts."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from campaigns.accounts import AccountFacts
from campaigns.definition import Definition
from campaigns.plan import ServiceFacts
from campaigns.planning import Planned, make_plan
from campaigns.quantities import parse_money

NOW = datetime(2026, 12, 4, 15, tzinfo=UTC)
CATALOG = {
    number: ServiceFacts(
        service=number, name="s", type=kind, rate=Decimal(rate), min=low, max=high, refill=True, cancel=True
    )
    for number, kind, rate, low, high in (
        (101, "Default", "0.90", 100, 10_000), (205, "Default", "3.90", 10, 500), (111, "Package", "4.00", 100, 100),
        (118, "Subscriptions", "5.00", 10, 10), (666, "Default", "-1", 10, 500), (777, "Default", "1.00", 50, 20),
    )
}  # fmt: skip


def planned(limits: dict[str, str] | None = None, account: dict[str, Any] | None = None, **order: Any) -> Planned:
    document = {
        "version": 1, "name": "c", "account": "main", "limits": limits or {},
        "orders": [{"id": "a", "service": 101, "link": "https://example.com/a", "quantity": 1000, **order}],
    }  # fmt: skip
    facts = AccountFacts(name="main", allowed_targets=["https://example.com/*"], **(account or {}))
    return make_plan(Definition.model_validate(document), facts, CATALOG, NOW)


def told(found: Planned) -> list[tuple[tuple[str | int, ...], str]]:
    return [(problem.loc, problem.message) for problem in found.problems]


@pytest.mark.parametrize("name", ["per_day", "approval_over"])
def test_a_limit_in_another_currency_is_refused(name: str) -> None:
    message = "is in EUR, but account main is billed in USD"
    assert told(planned({name: "5.00 EUR"})) == [(("limits", name), message)]


def test_a_days_limit_below_one_run_is_refused_and_one_that_takes_it_exactly_is_not() -> None:
    message = "0.89 USD is less than one run of a, which costs 0.90 USD"
    assert told(planned({"per_day": "0.89 USD"})) == [(("limits", "per_day"), message)]
    assert planned({"per_day": "0.90 USD"}).problems == []
    assert planned({"per_day": "0.45 USD"}, drip={"runs": 2, "every": "1h"}).problems == []


def test_the_first_run_of_a_drip_is_the_dearest_and_decides() -> None:
    drip = {"runs": 3, "every": "1h"}
    assert planned({"per_day": "0.3006 USD"}, drip=drip).problems == []
    assert len(planned({"per_day": "0.3005 USD"}, drip=drip).problems) == 1


def test_an_order_dearer_than_the_accounts_day_is_refused_because_it_would_wait_for_ever() -> None:
    message = "the account's per_day of 0.50 USD is less than one run of a, which costs 0.90 USD"
    assert told(planned(account={"per_day": parse_money("0.50 USD")})) == [(("account",), message)]


def test_an_approval_is_wanted_above_its_limit_and_the_plan_keeps_every_limit() -> None:
    limits = {"per_day": "5.00 USD", "approval_over": "0.50 USD", "max_rate_increase": "7.5%", "budget": "9.00 USD"}
    plan = planned(limits).plan
    assert plan is not None
    kept = (str(plan.per_day), str(plan.approval_over), plan.max_rate_increase, str(plan.budget))
    assert kept == ("5.00 USD", "0.50 USD", Decimal("7.5"), "9.00 USD")


@pytest.mark.parametrize(
    ("service", "words"),
    [
        (999, "service 999 is not in the catalog of account main"),
        (118, "service 118 is of type Subscriptions: it cannot be a fallback"),
        (111, "service 111 is of type Package: it cannot be a fallback"),
        (666, "service 666 has the rate -1, which is not a price"),
        (777, "service 777 has the limits 50 to 20, which allow no quantity"),
    ],
)
def test_a_fallback_that_cannot_be_ordered_is_refused_at_its_place(service: int, words: str) -> None:
    found = planned(on_shortfall="reorder", fallback=[205, service])
    assert told(found) == [(("orders", 0, "fallback", 1), words)]


def test_a_fallback_without_reorder_is_said_to_have_no_effect() -> None:
    (warning,) = planned(fallback=[205]).warnings
    assert (warning.loc, warning.message) == (
        ("orders", 0, "fallback"), "has no effect while shortfalls are accepted",
    )  # fmt: skip
    assert planned(fallback=[205], on_shortfall="reorder").warnings == []


def test_fallbacks_are_planned_with_their_own_rate_and_bounds() -> None:
    plan = planned(on_shortfall="reorder", fallback=[205]).plan
    assert plan is not None
    (offer,) = plan.orders[0].fallback
    assert (offer.service, offer.rate, offer.min, offer.max, offer.can_refill) == (205, Decimal("3.90"), 10, 500, True)
    assert plan.cost == Decimal("0.90")
