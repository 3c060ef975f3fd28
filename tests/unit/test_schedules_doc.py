"""docs/schedules.md tells every field, every option and every column of schedules that there is."""

from __future__ import annotations

from typer.main import get_command

import cli
from campaigns.definition import Schedule
from tests.unit.test_rooms import ROOT

TEXT = (ROOT / "docs" / "schedules.md").read_text()


def test_every_field_is_told() -> None:
    assert {name for name in Schedule.model_fields if f"`{name}`" not in TEXT} == set()


def test_every_command_and_option_is_told() -> None:
    commands = get_command(cli.app).commands  # type: ignore[attr-defined]
    apply, schedules = commands["apply"], commands["schedules"]
    options = {option for parameter in apply.params for option in parameter.opts if option.startswith("--")}
    assert {option for option in options if option not in TEXT} == set()
    assert {name for name in schedules.commands if f"campaigner schedules {name}" not in TEXT} == set()
    assert "campaigner trigger" in TEXT
