"""Words that a person reads: one order, two orders, and never ``order(s)``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from campaigns.wording import count

ROOT = Path(__file__).parents[2]
OURS = ("activities", "campaigns", "codec", "commands", "panel", "sandbox", "schedules", "workflows")
NEITHER = re.compile(r"(?<!http)\(s\)")
SOURCES = [*ROOT.glob("*.py"), *(file for room in OURS for file in (ROOT / room).rglob("*.py"))]


@pytest.mark.parametrize(("number", "told"), [(0, "0 orders"), (1, "1 order"), (2, "2 orders"), (1200, "1,200 orders")])
def test_one_and_several_are_told_apart(number: int, told: str) -> None:
    assert count(number, "order") == told


def test_no_text_leaves_it_to_the_reader() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in SOURCES
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if any(NEITHER.search(text) for text in re.findall(r"[\"'][^\"']*[\"']", line))
    ]
    assert found == []
