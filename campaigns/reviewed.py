"""The rates that somebody saw before a campaign was started; the workflow holds its own moment's against them.

Between the review and the first worker that takes the campaign up may lie seconds or days. What became dearer than is
allowed by then is refused, and while the campaign runs, ``max_rate_increase`` counts from what was seen.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from campaigns.explaining import Problem
from campaigns.quantities import money_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaigns.plan import Offer, Plan

_Figure = Annotated[Decimal, Field(ge=0, max_digits=60, decimal_places=30)]


class Reviewed(BaseModel):
    """What was seen: the rates per 1,000 by service, and by how many percent one may have grown until it is planned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rates: dict[int, _Figure] = Field(max_length=10_000)
    allowed: _Figure = Decimal(0)

    @classmethod
    def of(cls, plan: Plan, allowed: Decimal) -> Reviewed:
        """Note what a plan saw."""
        return cls(rates={offer.service: offer.rate for _, offer in _offers(plan)}, allowed=allowed)

    def document(self) -> dict[str, Any]:
        """Give it as JSON."""
        return self.model_dump(mode="json")


def bind(plan: Plan, reviewed: Reviewed) -> tuple[Plan, list[Problem]]:
    """Hold a plan against what was reviewed.

    Returns:
        The plan, which remembers the reviewed rates; and every service that became dearer than is allowed.

    """
    problems = []
    for loc, offer in _offers(plan):
        seen = reviewed.rates.get(offer.service)
        if seen is None or offer.rate <= seen * (100 + reviewed.allowed) / 100:
            continue
        limit = (
            f"more than the {reviewed.allowed.normalize():f}% allowed" if reviewed.allowed else "no increase is allowed"
        )
        change = f"from {money_text(seen)} to {money_text(offer.rate)} per 1,000 since the plan was reviewed"
        problems.append(Problem(loc, f"service {offer.service} went {change}, {limit}", "plan again"))
    return plan.model_copy(update={"reviewed": reviewed.rates}), problems


def _offers(plan: Plan) -> Iterator[tuple[tuple[str | int, ...], Offer]]:
    for index, order in enumerate(plan.orders):
        yield ("orders", index, "service"), order.offer(0)
        for position, offer in enumerate(order.fallback):
            yield ("orders", index, "fallback", position), offer
