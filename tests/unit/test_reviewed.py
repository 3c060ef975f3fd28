"""What was reviewed before the start binds what is planned after it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pydantic import ValidationError

from campaigns.reviewed import Reviewed, bind
from tests.unit.plans import order, plan


@pytest.mark.parametrize(
    ("seen", "allowed", "refused"),
    [
        ("0.90", "0", False),
        ("0.95", "0", False),
        ("0.89", "0", True),
        ("0.82", "10", False),
        ("0.81", "10", True),
    ],
)
def test_a_service_may_have_become_dearer_by_what_is_allowed_and_no_more(
    seen: str, allowed: str, *, refused: bool
) -> None:
    made, problems = bind(plan(order("a")), Reviewed(rates={101: Decimal(seen)}, allowed=Decimal(allowed)))
    assert made.planned_rate(made.orders[0].offer(0)) == Decimal(seen)
    assert [problem.loc for problem in problems] == ([("orders", 0, "service")] if refused else [])


def test_what_was_not_seen_is_measured_by_what_is_planned() -> None:
    made, problems = bind(plan(order("a")), Reviewed(rates={999: Decimal(1)}))
    assert (problems, made.planned_rate(made.orders[0].offer(0))) == ([], Decimal("0.90"))


def test_it_goes_through_json_and_refuses_nonsense() -> None:
    seen = Reviewed.of(plan(order("a")), Decimal("12.5"))
    assert Reviewed.model_validate(seen.document()) == seen
    for wrong in (
        {},
        {"rates": {"x": "1"}},
        {"rates": {"1": "-1"}},
        {"rates": {"1": "1e999999"}},
        {"rates": {}, "by": 1},
    ):
        with pytest.raises(ValidationError):
            Reviewed.model_validate(wrong)
