"""The commands that need a file, and how the command line speaks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.system.cli_rig import QUICK, new_desk

if TYPE_CHECKING:
    from tests.system.cli_rig import Desk

ROOT = Path(__file__).parents[2]
NOWHERE = "http://127.0.0.1:9/api/v2"


def _desk(folder: Path) -> Desk:
    return new_desk(folder, NOWHERE, None)


def test_help_names_every_command_and_nothing_about_shell_completion(tmp_path: Path) -> None:
    shown = _desk(tmp_path).ok("--help").out
    files, running = ("validate", "plan", "schema"), ("start", "status", "watch", "list", "pause", "resume", "cancel")
    processes = ("worker", "dev", "sandbox", "demo", "version")
    for command in (*files, *running, "resolve", "services", "balance", *processes):
        assert f" {command} " in shown
    assert "completion" not in shown


def test_a_right_file_is_valid_and_counted(tmp_path: Path) -> None:
    desk = _desk(tmp_path)
    name = desk.write()
    assert desk.ok("validate", f"{name}.yaml").out == f"{name}.yaml: valid, 1 order, 1 order run\n"


def test_every_file_is_judged_even_when_the_first_cannot_be_read(tmp_path: Path) -> None:
    desk = _desk(tmp_path)
    name = desk.write()
    done = desk.run("validate", "missing.yaml", f"{name}.yaml", "--json").failed_with(2)
    assert [row["valid"] for row in done.json["files"]] == [False, True]
    assert not done.json["valid"]


def test_every_error_is_told_with_its_line_a_caret_and_a_suggestion(tmp_path: Path) -> None:
    desk = _desk(tmp_path)
    name = desk.write("  - {id: seed, service: 101, target: flim, quanttity: 500}")
    done = desk.run("validate", f"{name}.yaml")
    done.failed_with(2, f"{name}.yaml:8:30: orders[0].target", 'did you mean "film"?', 'did you mean "quantity"?', "^")
    assert done.out == ""


def test_a_configuration_among_campaign_files_is_told_as_one(tmp_path: Path) -> None:
    desk = _desk(tmp_path)
    name = desk.write()
    done = desk.run("validate", "campaigner.yaml", f"{name}.yaml")
    done.failed_with(2, "campaigner.yaml is no campaign file: it has accounts")
    assert done.err.count("\n") == 1
    assert f"{name}.yaml: valid" in done.out


def test_problems_as_json_stand_alone_on_stdout(tmp_path: Path) -> None:
    desk = _desk(tmp_path)
    name = desk.write("  - {id: seed, service: 101, target: film, quantity: many}")
    done = desk.run("validate", f"{name}.yaml", "--json").failed_with(2)
    (problem,) = done.json["files"][0]["problems"]
    assert (problem["file"], problem["line"], problem["field"]) == (f"{name}.yaml", 8, "orders[0].quantity")
    assert done.err == ""


def test_a_link_that_is_not_the_operators_is_refused_at_validate(tmp_path: Path) -> None:
    desk = _desk(tmp_path)
    name = desk.write("  - {id: seed, service: 101, link: 'https://example.org/x', quantity: 500}")
    desk.run("validate", f"{name}.yaml").failed_with(2, "allowed_targets of account main", "own it")


def test_validate_works_without_a_configuration_and_says_what_it_did_not_check(tmp_path: Path) -> None:
    desk = _desk(tmp_path)
    name = desk.write()
    (tmp_path / "campaigner.yaml").unlink()
    done = desk.ok("validate", f"{name}.yaml", PANEL_KEY=None)
    assert "allowed_targets" in done.err


def test_validate_needs_no_key(tmp_path: Path) -> None:
    desk = _desk(tmp_path)
    name = desk.write()
    desk.ok("validate", f"{name}.yaml", PANEL_KEY=None)


def test_an_account_that_is_not_configured_is_shown_where_the_file_names_it(tmp_path: Path) -> None:
    desk = _desk(tmp_path)
    name = desk.write()
    file = tmp_path / f"{name}.yaml"
    file.write_text(file.read_text().replace("account: main", "account: mian"))
    desk.run("validate", file.name).failed_with(2, f"{name}.yaml:3:1: account", 'did you mean "main"?')


def test_the_schema_is_the_one_beside_the_examples(tmp_path: Path) -> None:
    assert _desk(tmp_path).ok("schema").json == json.loads((ROOT / "campaigns" / "campaign.schema.json").read_text())


def test_wrong_usage_is_exit_code_2(tmp_path: Path) -> None:
    desk = _desk(tmp_path)
    desk.run("launch").failed_with(2, "launch")
    desk.run("resolve", "c", "views/1").failed_with(2, "--placed")


def test_the_version_is_printed(tmp_path: Path) -> None:
    desk = _desk(tmp_path)
    assert desk.ok("version", "--json").json == {"version": desk.ok("version").out.strip()}


def test_help_and_validate_do_not_wait_for_the_sdk() -> None:
    code = "import sys, cli, commands.files; print('temporalio' in sys.modules or 'httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"


def test_the_demo_campaign_is_valid_and_names_its_schema() -> None:
    file = ROOT / "campaigns" / "demo.yaml"
    assert file.read_text().startswith("# yaml-language-server: $schema=./campaign.schema.json\n")


def test_a_file_from_a_pipe_cannot_send_codes_to_the_terminal(tmp_path: Path) -> None:
    desk = _desk(tmp_path)
    name = desk.write(QUICK.replace("seed", '"s\\e[31mx"'))
    done = desk.run("validate", f"{name}.yaml").failed_with(2)
    assert "\x1b" not in done.err


def test_an_error_does_not_hide_that_a_link_is_not_the_operators(tmp_path: Path) -> None:
    desk = _desk(tmp_path)
    name = desk.write("  - {id: seed, service: 101, link: 'https://example.org/x', quantity: 0, after: nope}")
    told = desk.run("validate", f"{name}.yaml", "--json").failed_with(2).json["files"][0]["problems"]
    assert {problem["field"] for problem in told} == {"orders[0].link", "orders[0].quantity", "orders[0].after"}
    desk.run("plan", f"{name}.yaml").failed_with(2, "is not in allowed_targets", "orders[0].quantity")


def test_a_wrong_file_is_told_by_start_whether_or_not_temporal_answers(tmp_path: Path) -> None:
    desk = new_desk(tmp_path, NOWHERE, "127.0.0.1:9")
    name = desk.write("  - {id: seed, service: 101, target: flim, quantity: 500}")
    desk.run("start", f"{name}.yaml").failed_with(2, 'did you mean "film"?', "nothing was started")
