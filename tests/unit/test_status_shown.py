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


ORDER = "ord_01M88ADRVZEJX347CTNT000001"
ELSEWHERE = "panel orders stand in a terminal of 110 columns or more, and in --json"


def test_a_narrow_table_says_below_what_it_leaves_out() -> None:
    assert ORDER in "".join(drawn(110, row("failed", panel_order=ORDER)))
    assert ELSEWHERE not in drawn(110, row("completed", panel_order=ORDER))
    assert drawn(80, row("completed", panel_order=ORDER))[-1] == ELSEWHERE
    assert ELSEWHERE not in drawn(80, row())


@pytest.mark.parametrize("state", ["unknown", "failed", "canceled"])
def test_the_panel_order_of_what_needs_a_person_can_be_copied_at_any_width(state: str) -> None:
    lines = drawn(60, row(state, panel_order=ORDER, why="the panel's own words " * 4))
    assert lines[-1] == f"panel order of views: {ORDER}"


def test_a_reason_has_the_room_of_the_bars_where_both_have_none() -> None:
    why = "the account does not say whether it is halted"
    lines = drawn(120, row("held", why=why), row("pending", order="seed", panel_order=ORDER))
    assert any(why in line for line in lines)
    assert any(ORDER in line for line in lines)
    assert "━" in drawn(120, row("in_progress", delivered=1000, panel_order=ORDER))[-1]


def test_of_many_the_most_pressing_are_told() -> None:
    many = [row("canceled", order=f"o{n}", panel_order=f"ord_{n}") for n in range(12)]
    lines = drawn(80, *many, row("unknown", order="lost", panel_order="ord_lost"))[-11:]
    assert lines[0] == "panel order of lost: ord_lost"
    assert lines[-1] == ELSEWHERE


def test_a_table_that_redraws_itself_has_no_room_for_that() -> None:
    assert "panel order" not in "".join(drawn(80, row("failed", panel_order=ORDER), brief=True))


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ("the planned 9.60 USD is above 5.00 USD: `campaigner approve`", "`campaigner approve spring`"),
        (
            "1 order unknown: look at the panel, then `campaigner resolve`",
            "1 order unknown: look at the panel, then `campaigner resolve spring ORDER/RUN`",
        ),
        (
            "1,200 orders would pass the budget of 9 USD: `campaigner raise-budget`",
            '1,200 orders would pass the budget of 9 USD: `campaigner raise-budget spring "AMOUNT CURRENCY"`',
        ),
        (
            "1 order costs more than any day allows: `campaigner skip`",
            "1 order costs more than any day allows: `campaigner skip spring ORDER/RUN`",
        ),
        ("halted; `campaigner release main` lets it go on", "halted; `campaigner release main` lets it go on"),
    ],
)
def test_hints_can_be_typed_as_they_stand(own: str, told: str) -> None:
    assert told in "\n".join(drawn(160, why=own))


def test_a_hint_names_the_run_of_a_schedule() -> None:
    lines = drawn(160, why="`campaigner approve`", id="campaign/spring-2026-12-04T15:00:00Z")
    assert lines[-1] == "`campaigner approve spring-2026-12-04T15:00:00Z`"
