"""What judges a chaos run: it must see every kind of wrong, and its fault points must cost nothing unarmed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from activities import faultpoints
from campaigns.definition import Definition
from chaos import load
from chaos.agreement import agreement
from chaos.figures import percentile, waits
from chaos.processes import Kill
from sandbox.faults import Faults
from tests.unit.test_rooms import ROOT

LINE = {
    "order": "ord_1",
    "request_id": "r1",
    "service": 102,
    "link": "https://example.com/1",
    "total": 100,
    "charge": "0.12",
    "status": "Completed",
    "delivered": 100,
    "placed_at": "2026-12-04T15:00:00.000Z",
}
ROW = {
    "order": "views",
    "run": 1,
    "panel_order": "ord_1",
    "request_id": "r1",
    "service": 102,
    "link": "https://example.com/1",
    "quantity": 100,
    "charge": "0.12",
    "state": "completed",
    "delivered": 100,
    "why": "",
}


def ledger(*lines: dict[str, Any], balance: str = "9.88", **more: Any) -> dict[str, Any]:
    return {"opening_balance": "10", "topped_up": "0", "balance": balance, "orders": lines, "violations": []} | more


def report(*rows: dict[str, Any], spent: str = "0.12") -> dict[str, Any]:
    return {"id": "campaign/c", "spent": spent, "reserved": "0.00", "orders": rows}


def test_books_and_reports_that_are_equal_agree() -> None:
    found = agreement(ledger(LINE), [report(ROW)])
    assert (found.holds, found.told(), found.orders, found.runs) == (True, [], 1, 1)


@pytest.mark.parametrize(
    ("books", "reports", "told"),
    [
        (ledger(LINE, LINE | {"order": "ord_2", "request_id": "r2"}), [report(ROW)], "bought twice: ord_2"),
        (ledger(LINE, LINE | {"order": "ord_2"}), [report(ROW)], "bought twice"),
        (ledger(balance="10"), [report(ROW | {"panel_order": None}, spent="0")], "lost"),
        (ledger(balance="10"), [report(ROW, spent="0")], "not in the books"),
        (ledger(LINE), [report(ROW | {"state": "in_progress"})], "lost"),
        (ledger(LINE), [report(ROW | {"charge": "0.13"})], "charge is 0.13, and 0.12 in the books"),
        (ledger(LINE), [report(ROW, spent="0.13")], "the money is off by -0.01"),
        (ledger(LINE), [report(ROW), report(ROW, spent="0")], "accounted for 2 times"),
        (ledger(LINE, violations=[{"kind": "reuse", "detail": "r1"}]), [report(ROW)], "violation: reuse: r1"),
    ],
)
def test_whatever_is_wrong_is_told(books: dict[str, Any], reports: list[dict[str, Any]], told: str) -> None:
    found = agreement(books, reports)
    assert not found.holds
    assert any(told in line for line in found.told()), found.told()


def test_an_order_of_a_terminated_campaign_is_known_by_its_request_id_and_paid_for() -> None:
    terminated = [ROW | {"panel_order": None, "state": "placing"}]
    assert agreement(ledger(LINE), [], terminated).holds
    assert not agreement(ledger(LINE, LINE | {"order": "ord_2"}), [], terminated).holds


def test_the_wait_after_a_kill_is_the_time_to_the_next_order() -> None:
    books = ledger(LINE, now="2026-12-04T16:00:00.000Z", speed=3600.0)
    assert waits(books, 100.0, [Kill("worker", 98.5), Kill("worker", 99.5)]) == {
        "worker": [pytest.approx(0.5)],
        "any worker": [pytest.approx(0.5)],
    }
    assert waits(books, 100.0, [Kill("server", 90.0, 98.0)])["server"] == [pytest.approx(9.0)]
    assert (percentile([3, 1, 2], 50), percentile([3, 1, 2], 99)) == (2, 3)


def test_a_storm_breaks_the_share_that_is_asked() -> None:
    faults = Faults()
    faults.arm(load.storm(0.3))
    struck = Counter(fault is not None for fault in (faults.draw("add") for _ in range(20_000)))
    assert 0.29 < struck[True] / 20_000 < 0.31
    assert faults.fired["add:drop_after"] > 1400


def test_a_load_is_a_valid_campaign_and_counts_its_order_runs() -> None:
    document, planned = load.campaign("c1", 100, random.Random(3))
    definition = Definition.model_validate(document)
    runs = sum(order.drip.runs if order.drip and order.drip.by != "panel" else 1 for order in definition.orders)
    assert planned == runs >= 100
    assert definition.limits.budget is not None
    assert definition.limits.budget.amount == Decimal("100000.00")


def test_no_fault_point_is_armed_here() -> None:
    assert faultpoints.transport() is None
    for point in faultpoints.POINTS:
        faultpoints.reached(point)


@pytest.mark.parametrize("point", ["before_send", "after_answer", "before_report"])
def test_an_armed_point_ends_the_process_as_a_crash_would(point: str) -> None:
    program = f"from activities.faultpoints import reached; reached('{point}'); print('alive')"
    env = {**os.environ, faultpoints.VARIABLE: f"{point}:1", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "")
    assert point in ended.stderr


def test_a_fault_point_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="after_answer"):
        faultpoints.read("in_between:0.5")
