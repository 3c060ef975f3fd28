"""``campaigner status`` on terminals of every width: one clock, and hints that can be copied."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from commands import views

FACTS = {"id": "campaign/spring", "name": "spring", "state": "running", "execution": "running", "spent": "0.00"}
WIDTHS = pytest.mark.parametrize("width", [80, 100, 120, 160])


def row(state: str = "planned", **fields: Any) -> dict[str, Any]:
    known = {"order": "views", "run": 1, "state": state, "delivered": 0, "quantity": 2000, "charge": None, "why": ""}
    return known | {"panel_order": None, "due": "2026-11-25T03:31:35Z", "settled_at": None} | fields


def drawn(width: int, *rows: dict[str, Any], brief: bool = False, **facts: Any) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(views.campaign(FACTS | facts, list(rows), width, brief=brief))
    return [line.rstrip() for line in console.export_text().splitlines()]


@WIDTHS
def test_due_times_are_on_the_campaigns_clock_whose_zone_stands_once(width: int) -> None:
    lines = drawn(width, row(), timezone="Europe/Istanbul")
    assert lines[-2].endswith("times in Europe/Istanbul")
    assert lines[-1].endswith("due Wed 25 Nov 06:31")


@WIDTHS
def test_without_a_zone_they_are_utc(width: int) -> None:
    lines = drawn(width, row())
    assert lines[-2].endswith("times in UTC")
    assert lines[-1].endswith("due Wed 25 Nov 03:31")


def test_where_nothing_is_due_no_zone_is_named() -> None:
    assert "times in" not in "".join(drawn(120, row("completed"), row(why="waits for seed to be completed")))
