"""`rehearse`, `plan --out` and `start PLAN`, as a person or a script uses them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tests.system.cli_rig import new_desk

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.server import Sandbox
    from tests.system.cli_rig import Desk

NOWHERE = "http://127.0.0.1:9/api/v2"
DRIP = "  - {id: views, service: 101, target: film, quantity: 1_000, drip: {runs: 4, every: 1d}}"
CATALOG = [{"service": 101, "name": "Views <b>", "type": "Default", "rate": "0.90", "min": 10, "max": 9000}]


def _offline(folder: Path) -> Desk:
    desk = new_desk(folder, NOWHERE, None)
    (folder / "catalog.json").write_text(json.dumps(CATALOG))
    return desk


def test_a_rehearsal_from_a_saved_catalog_asks_nobody_and_draws_a_page(tmp_path: Path) -> None:
    desk = _offline(tmp_path)
    name = desk.write(DRIP)
    options = (
        "--catalog",
        "catalog.json",
        "--outlook",
        "some-partial",
        "--share",
        "25%",
        "--start",
        "2026-12-04T18:00",
    )
    done = desk.ok("rehearse", f"{name}.yaml", *options, "--html", "out.html")
    assert "ends       completed on Tue 8 Dec 00:00 Europe/Istanbul" in done.out
    assert "3 completed, 1 partial" in done.out
    assert "Views &lt;b&gt; (101)" in (tmp_path / "out.html").read_text()
    told = desk.ok("rehearse", f"{name}.yaml", *options, "--takes", "views=2h", "--json").json
    assert (told["spent"], told["counts"], told["finished"]) == ("0.7875", {"completed": 3, "partial": 1}, True)
    assert told["start"] == "2026-12-04T15:00:00+00:00"


def test_wrong_options_of_a_rehearsal_are_refused_in_words(tmp_path: Path) -> None:
    desk = _offline(tmp_path)
    file = f"{desk.write(DRIP)}.yaml"
    for option, value, words in (
        ("--outlook", "rosy", "one of all-complete"),
        ("--share", "101%", "a percentage from 0% to 100%"),
        ("--takes", "soon", "is not a duration"),
        ("--takes", "likes=2h", "the file has no order likes"),
        ("--start", "tomorrow", "is a date and time"),
        ("--catalog", file, "is not a catalog"),
        ("--catalog", "missing.json", "cannot be read"),
    ):
        desk.run("rehearse", file, option, value).failed_with(2, words)


def test_a_kept_plan_is_started_as_it_is_and_an_edited_one_is_not(desk: Desk, box: Sandbox) -> None:
    name = desk.write()
    desk.ok("plan", f"{name}.yaml", "--out", f"{name}.plan.json")
    kept = desk.folder / f"{name}.plan.json"
    edited = desk.folder / f"{name}.edited.json"
    edited.write_text(kept.read_text().replace('"quantity": 500', '"quantity": 5000'))
    desk.run("start", edited.name).failed_with(2, "was changed after it was written", "nothing was started")
    (desk.folder / f"{name}.yaml").write_text((desk.folder / f"{name}.yaml").read_text().replace("500", "600"))
    for against in ((), ("--against", f"{name}.yaml")):  # the file it was made from is found where it was
        desk.run("start", kept.name, *against).failed_with(
            2, "definition.orders[0].quantity", "is 600 in the campaign file, and was 500 when the plan was made"
        )
    (desk.folder / f"{name}.yaml").unlink()
    done = desk.ok("start", kept.name, "--wait", "--json")
    assert done.json["state"] == "completed"
    assert [row["delivered"] for row in done.json["orders"]] == [500]


def test_against_without_a_plan_is_refused(desk: Desk) -> None:
    file = f"{desk.write()}.yaml"
    desk.run("start", file, "--against", file).failed_with(2, "--against goes with a plan")


WEEKLY = f'{DRIP}\nschedule: {{cron: "0 18 * * fri"}}'
ENDED = f'{DRIP}\nschedule: {{at: "2020-01-03 18:00"}}'


def test_of_a_schedule_the_run_of_the_next_slot_is_rehearsed(tmp_path: Path) -> None:
    desk = _offline(tmp_path)
    file = f"{desk.write(WEEKLY)}.yaml"
    told = desk.ok("rehearse", file, "--catalog", "catalog.json", "--json").json
    start = datetime.fromisoformat(told["start"])
    assert start > datetime.now(UTC)
    assert datetime.fromisoformat(told["slot"]["at"]) == start
    assert f"{start.astimezone(ZoneInfo('Europe/Istanbul')):%a %H:%M}" == "Fri 18:00"
    assert told["orders"][0]["placed_at"] == told["slot"]["at"]


def test_a_moment_that_is_a_slot_is_named_so_and_another_is_not(tmp_path: Path) -> None:
    desk = _offline(tmp_path)
    file = f"{desk.write(WEEKLY)}.yaml"
    options = ("rehearse", file, "--catalog", "catalog.json", "--start")
    done = desk.ok(*options, "2026-12-04T18:00")
    assert "Fri 4 Dec 18:00 Europe/Istanbul, the slot 2026-12-04T15:00:00Z of its schedule" in done.out
    assert "of its schedule" not in desk.ok(*options, "2026-12-04T18:01").out
    assert desk.ok(*options, "2026-12-04T18:01", "--json").json["slot"] is None


def test_of_an_ended_schedule_nothing_is_rehearsed_unless_a_moment_is_named(tmp_path: Path) -> None:
    desk = _offline(tmp_path)
    file = f"{desk.write(ENDED)}.yaml"
    asked = ("rehearse", file, "--catalog", "catalog.json")
    desk.run(*asked).failed_with(2, "has ended", "still to come", "--start TIME")
    assert "4 completed" in desk.ok(*asked, "--start", "2026-12-04T18:00").out
