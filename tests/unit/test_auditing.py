"""The audit: agrees with a panel that says the same, and names whatever was planted."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from campaigns.auditing import audit
from campaigns.messages import Reading, Status

NOW = datetime(2026, 12, 4, 15, tzinfo=UTC)


def row(**facts: Any) -> dict[str, Any]:
    return {
        "order": "views", "run": 1, "quantity": 100, "request_id": "r1", "panel_order": "ord_1", "state": "completed",
        "delivered": 100, "charge": "0.09", "replaces": None,
    } | facts  # fmt: skip


def reading(**facts: Any) -> Reading:
    chosen: dict[str, Any] = {"status": Status.COMPLETED, "charge": Decimal("0.09"), "remains": 0} | facts
    return Reading(panel_order="ord_1", observed_at=NOW, **chosen)


def fields(*rows: dict[str, Any], said: Reading | None, spent: str = "0.09") -> list[str]:
    return [found.field for found in audit("campaign/c", Decimal(spent), rows, {"ord_1": said}).differences]


def test_the_same_words_and_figures_agree() -> None:
    found = audit("campaign/c", Decimal("0.090"), [row()], {"ord_1": reading()})
    assert (found.agrees, found.checked, found.spent, found.panel_charges) == (True, 1, "0.09", "0.09")


@pytest.mark.parametrize(
    ("ours", "said", "differing"),
    [
        ({}, {"status": Status.CANCELED}, ["state"]),
        ({}, {"remains": 25}, ["delivered"]),
        ({}, {"charge": Decimal("0.0900001")}, ["charge", "spent"]),
        ({}, {"error": "Incorrect order ID"}, ["order", "spent"]),
        ({"panel_order": None}, {}, ["panel_order", "spent"]),
        ({"charge": None}, {}, ["charge"]),
    ],
)
def test_each_planted_difference_is_named(ours: dict[str, Any], said: dict[str, Any], differing: list[str]) -> None:
    assert fields(row(**ours), said=reading(**said)) == differing


def test_money_that_no_order_accounts_for_is_found() -> None:
    assert fields(row(), said=reading(), spent="0.10") == ["spent"]


def test_an_order_or_a_request_id_that_stands_twice_is_found_and_a_replacement_is_named_as_one() -> None:
    twice = audit("c", Decimal("0.18"), [row(), row(replaces="views/1")], {"ord_1": reading()})
    names = {(found.order, found.field) for found in twice.differences}
    assert names == {
        ("views/1, views/1 (replaces views/1)", "panel_order"), ("views/1, views/1 (replaces views/1)", "request_id"),
    }  # fmt: skip


def test_what_the_panel_does_not_answer_is_said_and_is_no_difference() -> None:
    found = audit("c", Decimal("0.09"), [row()], {"ord_1": None})
    assert (found.agrees, found.checked, len(found.unchecked)) == (True, 0, 1)


def test_an_open_order_may_be_ahead_at_the_panel() -> None:
    open_row = row(state="in_progress", delivered=10, charge="0.09")
    assert fields(open_row, said=reading(status=Status.IN_PROGRESS, remains=50)) == []
