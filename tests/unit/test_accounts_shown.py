"""What `campaigner accounts` makes of the configuration and of an account's own word."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from commands.accounts import accounts_table, row_of
from configuration import parse_configuration

NOW = datetime(2026, 12, 4, 15, tzinfo=UTC)
SETTINGS = parse_configuration(
    "accounts: {main: {url: 'https://panel.example.com:8443/api/v2', api_key: '${KEY}', per_day: 20.00 USD}}",
    "campaigner.yaml",
    {"KEY": "a-secret-key"},
).accounts["main"]
SAID: dict[str, Any] = {"halted": None, "orders": 3, "reserved_today": "7.5", "day_ends": None, "trouble": ""}


@pytest.mark.parametrize(
    ("ends", "used"),
    [(NOW + timedelta(seconds=1), "7.50"), (NOW, "0.00"), (NOW - timedelta(days=3), "0.00")],
)
def test_what_was_set_aside_before_midnight_is_not_of_today(ends: datetime, used: str) -> None:
    """The account itself begins its new day only with the next placement."""
    assert row_of("main", SETTINGS, SAID | {"day_ends": ends.isoformat()}, NOW)["used_today"] == used


def test_an_account_of_a_worker_before_this_version_is_shown_too() -> None:
    said = {name: value for name, value in SAID.items() if name != "day_ends"}
    assert row_of("main", SETTINGS, said, NOW)["used_today"] == "7.50"


def test_without_a_limit_nothing_is_counted() -> None:
    row = row_of("main", SETTINGS.model_copy(update={"per_day": None}), SAID, NOW)
    assert (row["used_today"], row["per_day"]) == (None, None)


def test_the_panel_is_shown_as_its_host_and_never_the_key() -> None:
    row = row_of("main", SETTINGS, SAID, NOW)
    assert row["panel"] == "panel.example.com:8443"
    assert "a-secret-key" not in str(row)


def test_a_halt_by_nobody_in_particular_is_a_halt() -> None:
    halted = {"by": "", "why": "", "at": "2026-12-04T14:00:00.123456+00:00"}
    row = row_of("main", SETTINGS, SAID | {"halted": halted}, NOW)
    assert (row["halted"], row["since"]) == (True, "2026-12-04T14:00:00Z")
    assert row_of("main", SETTINGS, None, NOW)["halted"] is None, "nobody knows"


@pytest.mark.parametrize("width", [80, 120])
def test_a_limit_of_the_day_has_a_currency_and_none_has_none(width: int) -> None:
    here = {"campaigns": 1, "worker": True, "error": None}
    limited = row_of("main", SETTINGS, SAID, NOW) | here
    free = row_of("free", SETTINGS.model_copy(update={"per_day": None}), SAID, NOW) | here
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(accounts_table([limited, free], width))
    _, first, second = (" ".join(line.split()) for line in console.export_text().splitlines())
    assert "7.50 20.00 USD 3 1 yes" in first
    assert "no limit 3 1 yes" in second
