"""Failures with ``--json``: one document on stdout that says what went wrong, the same sentence on stderr."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from commands.console import Kind
from tests.system.cli_rig import new_desk

if TYPE_CHECKING:
    from sandbox.server import Sandbox
    from tests.system.cli_rig import Desk, Ended

NOBODY = "127.0.0.1:9"
NO_PANEL = f"http://{NOBODY}/api/v2"
WRONG = "  - {id: seed, service: 101, target: flim, quantity: 500}"


def _told(done: Ended, code: int, kind: str) -> Any:
    """Hold that a failure is told to people and to programs, in the same words; give the document."""
    document = done.failed_with(code).json
    assert document["error"]["kind"] == kind
    # Typer draws its own box around wrong usage; everything else is told word for word.
    if kind != "usage":
        assert " ".join(document["error"]["message"].split()) in " ".join(done.err.split())
    return document


def test_a_wrong_file_is_told_with_its_problems(tmp_path: Path) -> None:
    desk = new_desk(tmp_path, NO_PANEL, NOBODY)
    file = f"{desk.write(WRONG)}.yaml"
    for command in (["plan", file], ["start", file], ["rehearse", file], ["apply", file]):
        document = _told(desk.run(*command, "--json"), 2, "invalid_file")
        assert [(each["line"], each["field"]) for each in document["problems"]] == [(8, "orders[0].target")]
    planned = desk.run("plan", file, "--json").json
    assert (planned["valid"], planned["warnings"]) == (False, [])
    _told(desk.run("start", "missing.yaml", "--json"), 2, "invalid_file")


def test_an_unreachable_temporal_is_told(tmp_path: Path, box: Sandbox) -> None:
    desk = new_desk(tmp_path, box.url, NOBODY)
    file = f"{desk.write()}.yaml"
    for command in (
        ["start", file],
        ["status", "x"],
        ["watch", "x"],
        ["list"],
        ["cancel", "x"],
        ["audit"],
        ["schedules"],
        ["trigger", "x"],
        ["halt", "main"],
    ):
        document = _told(desk.run(*command, "--json"), 1, "temporal")
        assert "no Temporal server answers" in document["error"]["message"]


def test_an_unreachable_panel_is_told(tmp_path: Path) -> None:
    desk = new_desk(tmp_path, NO_PANEL, NOBODY)
    file = f"{desk.write()}.yaml"
    for command in (["services"], ["plan", file], ["rehearse", file]):
        _told(desk.run(*command, "--json"), 1, "panel")
    (row,) = desk.run("balance", "--json").failed_with(1, "account main").json
    assert "account main" in row["error"]


def test_a_missing_configuration_and_an_account_it_does_not_name_are_told(tmp_path: Path) -> None:
    desk = new_desk(tmp_path, NO_PANEL, NOBODY)
    _told(desk.run("halt", "mian", "--json"), 2, "configuration")
    (tmp_path / "campaigner.yaml").write_text("accounts: {main: {urk: 1}}")
    assert _told(desk.run("services", "--json"), 2, "configuration")["problems"]
    (tmp_path / "campaigner.yaml").unlink()
    _told(desk.run("services", "--json"), 2, "configuration")


def test_wrong_usage_is_told(tmp_path: Path) -> None:
    desk = new_desk(tmp_path, NO_PANEL, NOBODY)
    for command, word in (
        (["status", "--json"], "ID"),
        (["status", "x", "--josn", "--json"], "--josn"),
        (["resolve", "x", "views/1", "--json"], "--placed"),
        (["schedules", "pause", "--json"], "NAME"),
        (["lsit", "--json"], "lsit"),
    ):
        assert word in _told(desk.run(*command), 2, "usage")["error"]["message"]
    assert desk.run("status").failed_with(2).out == ""


def test_a_campaign_that_is_not_there_is_told(desk: Desk) -> None:
    for command in (["status"], ["watch"], ["pause"], ["cancel"], ["audit"]):
        _told(desk.run(*command, "nobody", "--json"), 1, "not_found")
    _told(desk.run("trigger", "nobody", "--json"), 1, "not_found")


def test_a_second_start_and_a_refused_decision_are_told(desk: Desk) -> None:
    name = desk.write()
    desk.ok("start", f"{name}.yaml", "--wait", "--json")
    _told(desk.run("start", f"{name}.yaml", "--json"), 1, "already_started")
    _told(desk.run("pause", name, "--json"), 1, "refused")


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_is_told_in_the_commands_page(kind: Kind) -> None:
    page = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    assert re.search(rf"^\| `{kind.value}` \| [12] \|", page, re.MULTILINE)
