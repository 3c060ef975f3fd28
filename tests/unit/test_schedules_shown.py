"""``campaigner schedules`` on terminals of every width: no moment is broken, each UTC stands beside its own."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from rich.console import Console

from commands.schedules import tables
from schedules.steering import to_come

if TYPE_CHECKING:
    from schedules.steering import Standing

SLOTS = tuple(datetime(2026, 12, day, 15, tzinfo=UTC) for day in (4, 11, 18))


def drawn(width: int, missed: int = 0, name: str = "weekly") -> list[str]:
    found = SimpleNamespace(
        existing=SimpleNamespace(name=name, running=1),
        timezone="Europe/Istanbul",
        pausing=False,
        next=SLOTS,
        last=SimpleNamespace(slot=datetime(2026, 11, 27, 15, tzinfo=UTC), state="completed"),
        runs=12,
        waiting=0,
        skipped=1,
        missed=missed,
    )
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(*tables([cast("Standing", found)], width), sep="\n")
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_every_moment_stays_in_one_piece_beside_its_utc(width: int) -> None:
    lines = drawn(width)
    for day in (4, 11, 18):
        utc = f"2026-12-{day:02} 15:00" if width == 160 else f"{day} Dec 15:00"
        assert [line for line in lines if f"Fri {day} Dec 18:00" in line and utc in line], lines
    assert all(len(line) <= width for line in lines)
    assert len([line for line in lines if "going on" in line]) == 1


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_a_long_name_stays_in_one_piece_too(width: int) -> None:
    name = "weekly-teaser-with-a-rather-long-name"
    lines = drawn(width, name=name)
    assert all(len(line) <= width for line in lines)
    assert all(line.startswith(name) or not line.startswith("weekly") for line in lines)
    assert len([line for line in lines if "Fri 27 Nov 18:00" in line and "completed" in line]) == 1


def test_the_zone_stands_at_every_moment_or_once() -> None:
    assert sum(line.count("Europe/Istanbul") for line in drawn(160)) == 4
    assert sum(line.count("Europe/Istanbul") for line in drawn(80)) == 1


def test_a_slot_that_was_missed_is_not_one_to_come() -> None:
    assert to_come(SLOTS, SLOTS[0]) == SLOTS[1:]
    assert to_come(SLOTS[:1], SLOTS[1]) == ()


def test_what_was_missed_is_exact_or_a_range() -> None:
    assert [drawn(160, missed)[1].endswith(said) for missed, said in ((0, " 0"), (1, " 1"), (3, " 1 to 3"))] == [
        True
    ] * 3
