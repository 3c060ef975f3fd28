"""``--help`` of every command: what it shows of its options is what can be typed."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from cli import app


def _names() -> list[list[str]]:
    root = typer.main.get_command(app)
    found: list[list[str]] = [[]]
    for name, command in getattr(root, "commands", {}).items():
        found += [[name], *([name, inner] for inner in getattr(command, "commands", {}))]
    return found


@pytest.mark.parametrize("name", _names(), ids=lambda name: " ".join(name) or "campaigner")
def test_a_flag_takes_no_value_and_no_type_is_pythons(name: list[str]) -> None:
    shown = CliRunner().invoke(app, [*name, "--help"], env={"COLUMNS": "80", "TERM": "dumb"}).output
    assert "Show this message and" in shown
    assert "bool" not in shown
    assert "list[" not in shown
