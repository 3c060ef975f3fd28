"""``campaigner list`` on terminals of every width: the name of a run stays in one piece, so that it can be copied."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from commands.campaigns import list_table


def drawn(width: int, *accounts: str) -> list[str]:
    rows: list[dict[str, Any]] = [
        {
            "id": "campaign/weekly-2026-12-04T15:00:00Z",
            "account": account,
            "state": "needs_attention",
            "spent": "1.80",
            "open": 2,
            "delivered_percent": "37.5",
            "started": "2026-12-04T15:00:00Z",
        }
        for account in accounts
    ]
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(list_table(rows, width))
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_a_name_is_not_broken(width: int) -> None:
    lines = drawn(width, "main", "other")
    assert len(lines) == 3
    assert all("weekly-2026-12-04T15:00:00Z" in line and "37.5 %" in line for line in lines[1:])


def test_what_does_not_fit_goes_the_account_first() -> None:
    assert drawn(80, "main")[0].split() == ["name", "state", "spent", "open", "delivered"]
    assert drawn(92, "main", "other")[0].endswith("started (UTC)")
    assert drawn(100, "main", "other")[0].endswith("account")
    assert not drawn(100, "main")[0].endswith("account")
