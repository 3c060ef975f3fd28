"""What a plan costs, held against its limits, the balance and the currencies."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import TYPE_CHECKING

from campaigns.explaining import Problem
from campaigns.owning import wrong_currency
from campaigns.quantities import Money

if TYPE_CHECKING:
    from campaigns.plan import Plan

_STANDARD = Context(prec=28)
"""The arithmetic of everything downstream; a plan it would round is refused."""


@dataclass(slots=True)
class Findings:
    """What a review of a plan finds."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def check_money(
    plan: Plan, balance: Decimal | None, billed_currency: str | None, found: Findings, *, whole: bool
) -> None:
    """Hold what a plan costs against its limits, the balance and the currencies.

    ``whole`` is False when some orders could not be priced: the cost is then only a lower bound.
    """
    account, budget = plan.account, plan.budget
    cost = Money(plan.cost, account.currency)
    costs = f"the plan costs {'' if whole else 'at least '}{_shown(cost)}"
    if _STANDARD.plus(cost.amount) != cost.amount:
        found.problems.append(Problem(("orders",), f"{costs}: too many digits to add up exactly"))
    if billed_currency is not None and billed_currency != account.currency:
        found.problems.append(
            Problem(
                ("account",),
                f"the panel bills account {account.name} in {billed_currency}, not in {account.currency}",
                f"set the account's currency to {billed_currency} in the configuration",
            )
        )
        balance = None
    if budget is not None and budget.currency != account.currency:
        found.problems.append(Problem(("limits", "budget"), wrong_currency(budget.currency, account)))
    elif budget is not None and cost.amount > budget.amount:
        found.problems.append(Problem(("limits", "budget"), f"{costs}, above the budget of {_shown(budget)}"))
    _check_limits(plan, found)
    if balance is not None and balance.is_finite() and balance < cost.amount:
        holds = _shown(Money(balance, account.currency))
        found.warnings.append(
            Problem(("account",), f"{costs}, but account {account.name} holds {holds}", "orders will wait for a top-up")
        )


def _check_limits(plan: Plan, found: Findings) -> None:
    currency = plan.account.currency
    for name, limit in (("per_day", plan.per_day), ("approval_over", plan.approval_over)):
        if limit is not None and limit.currency != currency:
            found.problems.append(Problem(("limits", name), wrong_currency(limit.currency, plan.account)))
    limits = (
        (("limits", "per_day"), "", plan.per_day),
        (("account",), "the account's per_day of ", plan.account.per_day),
    )
    for loc, whose, limit in limits:
        if limit is None or limit.currency != currency:
            continue
        for order in plan.orders:
            # The first run takes the remainder, so it is the dearest. What no day has room for would wait for ever.
            dearest = Money(order.cost_of(1), currency)
            if dearest.amount > limit.amount:
                message = f"{whose}{_shown(limit)} is less than one run of {order.id}, which costs {_shown(dearest)}"
                found.problems.append(Problem(loc, message, "a drip of smaller runs would do"))


def _shown(money: Money) -> str:
    """Write money with every digit that counts, and at least two decimals."""
    whole, _, decimals = f"{money.amount:f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')} {money.currency}"
