"""`plan` of a file with a schedule: what its slots will run, and what is said when none is left."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.system.cli_rig import QUICK, new_desk

if TYPE_CHECKING:
    from sandbox.server import Sandbox

WEEKLY = f'{QUICK}\nschedule: {{cron: "0 18 * * fri"}}'
README = (Path(__file__).parents[2] / "README.md").read_text()
ENDED = f'{QUICK}\nschedule: {{at: "2020-01-03 18:00"}}'


def test_the_run_of_the_next_slot_is_dated(tmp_path: Path, box: Sandbox) -> None:
    desk = new_desk(tmp_path, box.url, None)
    name = desk.write(WEEKLY)
    assert "the next one" in desk.ok("plan", f"{name}.yaml").out
    told = desk.ok("plan", f"{name}.yaml", "--json").json
    assert len(told["schedule"]) > 1
    assert [run["at"] for run in told["runs"]] == [told["schedule"][0]["at"]]


def test_of_an_ended_schedule_nothing_is_dated_and_it_is_said_what_to_do(tmp_path: Path, box: Sandbox) -> None:
    desk = new_desk(tmp_path, box.url, None)
    name = desk.write(ENDED)
    done = desk.ok("plan", f"{name}.yaml")
    assert "whose schedule has ended" in done.out
    assert "if started now" not in done.out
    assert "≥" not in done.out
    assert "nothing will run: give the schedule slots that are still to come" in done.err
    told = desk.ok("plan", f"{name}.yaml", "--json").json
    assert (told["schedule"], told["runs"], told["cost"]) == ([], [], "0.60")


def test_no_plan_is_kept_of_a_file_with_a_schedule(tmp_path: Path, box: Sandbox) -> None:
    desk = new_desk(tmp_path, box.url, None)
    for orders in (WEEKLY, ENDED):
        file = f"{desk.write(orders)}.yaml"
        done = desk.run("plan", file, "--out", "kept.json")
        done.failed_with(2, "has a schedule, so no plan of it is kept", f"campaigner apply {file}")
        assert done.out == ""
        assert not (tmp_path / "kept.json").exists()


def test_a_file_with_a_schedule_is_wrong_usage_for_every_command_that_wants_one_without(
    tmp_path: Path, box: Sandbox
) -> None:
    desk = new_desk(tmp_path, box.url, "127.0.0.1:9")  # nobody: Temporal need not be asked
    file = f"{desk.write(WEEKLY)}.yaml"
    for command in (["start", file], ["plan", file, "--out", "kept.json"]):
        done = desk.run(*command, "--json")
        done.failed_with(2, "has a schedule", "campaigner apply")
        assert done.json["error"]["kind"] == "usage"


def test_the_plan_in_the_readme_is_what_a_wide_terminal_shows_of_its_campaign(tmp_path: Path, box: Sandbox) -> None:
    desk = new_desk(tmp_path, box.url, None)
    (campaign,) = re.findall(r"```yaml\n(version: 1\n.*?)```", README, re.DOTALL)
    (tmp_path / "launch.yaml").write_text(campaign)
    (told,) = re.findall(r"\$ campaigner plan launch.yaml\n(.*?)```", README, re.DOTALL)
    assert _shape(told) == _shape(desk.ok("plan", "launch.yaml", COLUMNS="120").out)


def _shape(text: str) -> list[str]:
    """Give the lines without what differs from day to day: moments, and the balance of the account."""
    text = re.sub(r"([A-Z][a-z]{2} )?\d{1,2} [A-Z][a-z]{2} (\d{4} )?\d\d:\d\d(:\d\d)?", "MOMENT", text)
    text = re.sub(r"^balance .*", "balance", text, flags=re.MULTILINE)
    return [" ".join(line.split()) for line in text.strip().splitlines()]
