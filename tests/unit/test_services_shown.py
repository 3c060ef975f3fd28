"""``campaigner services`` on terminals of every width: the names have the room, nothing else is folded."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from commands.panels import catalog
from panel import Service

SHORT = "Followers, second alternate"
LONG = "Video views, high retention, worldwide, up to 1M a day, 30 days refill, instant start"
CAN = ("refill", "cancel", "dripfeed")
WIDTHS = pytest.mark.parametrize("width", [80, 100, 120, 160])


def drawn(width: int, *services: dict[str, Any]) -> list[str]:
    usual = {"category": "All", "rate": "3.90", "min": 10, "max": 1_000_000} | dict.fromkeys(CAN, True)
    found = [Service.model_validate(usual | {"service": 100 + n} | given) for n, given in enumerate(services)]
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(catalog(found, width))
    return [line.rstrip() for line in console.export_text().splitlines()]


@WIDTHS
def test_a_service_takes_one_line_where_its_name_has_the_room(width: int) -> None:
    given = [{"name": SHORT, "type": "Custom Comments"}, {"name": "Likes"}]
    lines = drawn(width, *given)
    assert len([line for line in lines if line.lstrip().startswith("10")]) == len(given)
    first = next(line for line in lines if SHORT in line)
    assert "Custom Comments" in first
    assert "3.90" in first
    assert "1,000,000" in first


@WIDTHS
def test_of_a_long_name_only_the_name_is_folded_between_words(width: int) -> None:
    lines = [line.replace("  Default", "") for line in drawn(width, {"name": LONG}, {"name": SHORT})]
    told = [line for line in lines if "1,000,000" in line]
    assert len(told) == 2
    at = told[0].index("Video")
    name = [line[at : told[0].index("3.90")].strip() for line in lines[lines.index(told[0]) : lines.index(told[1])]]
    assert " ".join(name) == LONG
    assert len(name) <= {80: 3, 100: 2, 120: 2, 160: 1}[width]


def test_a_narrow_terminal_says_in_letters_what_a_service_can_do() -> None:
    lines = drawn(80, {"name": LONG}, {"name": SHORT, "dripfeed": False})
    assert [line.split()[-1] for line in lines if "1,000,000" in line] == ["rcd", "rc-"]
    assert lines[-1] == "can: r refill, c cancel, d drip"
    assert drawn(160, {"name": SHORT})[-1].endswith("refill cancel drip")


def test_a_service_without_a_maximum_takes_any_quantity() -> None:
    (line,) = (line for line in drawn(80, {"name": SHORT, "max": None}) if SHORT in line)
    assert "any" in line.split()
