"""Plans for tests of the engine: small, quick to write, and drawn at random from a seed."""

from __future__ import annotations

import random
from datetime import time, timedelta
from decimal import Decimal
from typing import Any

from campaigns.accounts import AccountFacts
from campaigns.definition import (
    After,
    CancelPolicy,
    Day,
    Late,
    NoticeKind,
    Notify,
    OnFailure,
    OnShortfall,
    RefillPolicy,
    When,
    Window,
)
from campaigns.plan import Offer, Plan, PlannedOrder
from campaigns.quantities import Money
from tests.unit.model_panel import START

HOUR = timedelta(hours=1)


def order(order_id: str = "seed", **fields: Any) -> PlannedOrder:
    """Give an order that is complete but for what a test is about."""
    wanted: dict[str, Any] = {
        "id": order_id,
        "service": 101,
        "service_name": "Views",
        "rate": Decimal("0.90"),
        "link": f"https://example.com/{order_id}",
        "quantity": 500,
        "can_cancel": True,
        "can_refill": True,
    }
    return PlannedOrder(**wanted | fields)


def plan(*orders: PlannedOrder, budget: str | None = None, zone: str | None = None, **facts: Any) -> Plan:
    """Give a plan of these orders; ``facts`` are the account's."""
    return Plan(
        name="demo",
        account=AccountFacts(name="main", **facts),
        timezone=zone,
        budget=None if budget is None else Money(Decimal(budget), "USD"),
        orders=list(orders) or [order()],
        planned_at=START,
    )


def _offer(service: int, rate: str) -> Offer:
    return Offer(service=service, service_name="Other views", rate=Decimal(rate), min=10, max=600)


def random_plan(seed: int) -> Plan:
    """Draw a plan: few orders, few links, every policy."""
    rng = random.Random(f"plan {seed}")
    links = [f"https://example.com/{letter}" for letter in "abc"[: rng.randrange(1, 4)]]
    orders: list[PlannedOrder] = []
    for number in range(rng.randrange(1, 6)):
        runs = rng.choice([1, 1, 1, 2, 3, 6])
        fields: dict[str, Any] = {
            "service": rng.choice([101, 101, 205]),
            "rate": Decimal(rng.choice(["0.90", "1.337", "0.013"])),
            "link": rng.choice(links),
            "quantity": rng.randrange(runs * 10, 1000),
            "runs": runs,
            "every": timedelta(minutes=rng.choice([10, 90, 600])) if runs > 1 else None,
            "concurrent": rng.random() < 0.3,
            "late": rng.choice([Late.CATCH_UP, Late.CATCH_UP, Late.SKIP]),
            "on_failure": rng.choice([*OnFailure, OnFailure.CONTINUE, OnFailure.CONTINUE]),
        }
        if orders and rng.random() < 0.5:
            fields["after"] = After(
                order=rng.choice(orders).id,
                when=rng.choice(list(When)),
                delay=rng.choice([None, 2 * HOUR]),
            )
        if rng.random() < 0.3:
            fields["window"] = rng.choice(
                [Window(**{"from": time(9), "to": time(17)}), Window(days=[Day.SAT, Day.MON])]  # type: ignore[arg-type]
            )
        if rng.random() < 0.4:
            fields["cancel"] = CancelPolicy(
                not_started_in=rng.choice([None, HOUR]), stalled_for=rng.choice([HOUR, None])
            )
        if rng.random() < 0.4:
            fields["refill"] = RefillPolicy(within=30 * HOUR, every=10 * HOUR, max=rng.randrange(1, 4))
        if rng.random() < 0.3:
            fields["on_shortfall"] = OnShortfall.REORDER
            fields["fallback"] = rng.choice([[], [_offer(205, "0.50")], [_offer(205, "2.20"), _offer(309, "0.70")]])
        # Ids whose alphabet is not their order.
        orders.append(order("zyxwv"[number] + str(number), **fields))
    cost = sum((each.cost for each in orders), Decimal(0))
    budget = None if rng.random() < 0.5 else str(cost * rng.choice([Decimal("0.6"), Decimal(1), Decimal(2)]))
    return plan(
        *orders,
        budget=budget,
        zone=rng.choice(["Europe/Istanbul", "Europe/Berlin"]),
        poll_every=timedelta(minutes=rng.choice([10, 30])),
        idempotent=rng.random() < 0.85,
    )


def guarded_plan(seed: int) -> Plan:
    """Draw a plan with what stands guard over it: dearer services, approval, the day's limit, notices."""
    drawn, rng = random_plan(seed), random.Random(f"guards {seed}")
    changes: dict[str, Any] = {}
    if rng.random() < 0.4:
        drawn = _with_one_rate_a_service(drawn)
        changes["max_rate_increase"] = Decimal(10)
    if rng.random() < 0.2:
        changes["approval_over"] = Money(drawn.cost * Decimal(rng.choice(["0.5", "2"])), "USD")
    if rng.random() < 0.2:
        # Room for any planned run; a fallback or a risen rate may be too dear for every day.
        largest = max(each.cost_of(1) for each in drawn.orders)
        changes["per_day"] = Money(max(largest, drawn.cost * rng.randrange(2, 8) / 10), "USD")
    if rng.random() < 0.3:
        changes["notify"] = Notify(webhook="https://example.com/hook", on=list(NoticeKind))
    return drawn.model_copy(update=changes)


def _with_one_rate_a_service(drawn: Plan) -> Plan:
    """Give each service the one rate that a catalog has for it, and a budget that fits as well as before."""
    rates: dict[int, Decimal] = {}
    orders = []
    for each in drawn.orders:
        fallback = [o.model_copy(update={"rate": rates.setdefault(o.service, o.rate)}) for o in each.fallback]
        rate = rates.setdefault(each.service, each.rate)
        orders.append(each.model_copy(update={"rate": rate, "fallback": fallback}))
    changed = drawn.model_copy(update={"orders": orders})
    if drawn.budget is None:
        return changed
    return changed.model_copy(update={"budget": Money(drawn.budget.amount * changed.cost / drawn.cost, "USD")})
