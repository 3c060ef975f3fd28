"""The demo: under a minute, everything shown agrees with the panel's books, and it leaves nothing behind."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from contextlib import closing
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import httpx

from commands.reconciling import differences
from tests.system.cli_rig import KEY, LINK, PATIENCE, PROGRAM, eventually, new_desk

if TYPE_CHECKING:
    from pathlib import Path

DELIVERED = {"seed", "views", "likes", "package", "encore"}


def test_the_demo_agrees_with_the_ledger_alone_and_beside_another_one_that_stays(tmp_path: Path) -> None:
    desk = new_desk(tmp_path, "http://127.0.0.1:9/api/v2", None)
    (tmp_path / "campaigner.yaml").unlink()
    shown = desk.begin("demo", "--stay")
    ui = re.search(r"http://\S+", shown.says("Temporal Web UI"))
    ledger = re.search(r"http://\S+", shown.says("panel's ledger"))
    assert ui
    assert ledger
    machine = desk.begin("demo", "--json")
    machine.says("using others")

    shown.says("report and ledger agree: 12 orders")
    shown.says("stay up until Ctrl-C")
    assert httpx.get(ui[0]).status_code == 200
    assert "ord_" in httpx.get(ledger[0]).text
    assert shown.stop() == 0
    text = "\n".join(shown.out)
    for word in ("views 5/5", "followers", "canceled", "failed", "report, spent", "18.726", "opening balance"):
        assert word in text
    eventually(lambda: _is_down(ui[0]), "the Web UI goes down")

    assert machine.wait() == 0
    told = _json(machine.out)
    assert told["differences"] == []
    assert told["seconds"] < 60
    rows = told["campaign"]["orders"]
    assert {row["order"]: row["state"] for row in rows} == dict.fromkeys(DELIVERED, "completed") | {
        "followers": "canceled", "extras": "canceled", "comments": "failed",
    }  # fmt: skip
    assert [order["refills"] for order in told["ledger"]["orders"] if order["service"] == 103] != [[]]
    _every_lie_is_found(told)
    desk.close()


def _is_down(url: str) -> bool:
    try:
        httpx.get(url)
    except httpx.HTTPError:
        return True
    return False


def _json(lines: list[str]) -> Any:
    return json.loads("\n".join(lines))


def _every_lie_is_found(told: dict[str, Any]) -> None:
    """A report that differs in anything is never said to agree."""
    rows, spent, ledger = told["campaign"]["orders"], told["campaign"]["spent"], told["ledger"]
    assert differences(rows, spent, ledger) == []
    lies = {"request_id": "x", "service": 1, "link": "x", "quantity": 1, "charge": "0.01", "state": "partial"}
    for field, lie in {**lies, "delivered": 7, "panel_order": "ord_none"}.items():
        changed = deepcopy(rows)
        changed[3][field] = lie
        assert differences(changed, spent, ledger), field
    assert differences(rows, "18.73", ledger)
    assert differences(rows[1:], spent, ledger)
    assert differences([*rows, rows[0]], spent, ledger)
    assert differences(rows, spent, ledger | {"balance": "1.00"})
    violation = {"kind": "request_id_conflict", "detail": "first, then"}
    assert differences(rows, spent, ledger | {"violations": [violation]})


def test_a_worker_of_another_folder_cannot_order_into_the_demos_books(tmp_path: Path) -> None:
    """It may take the demo's sandbox for its own: both look for the same port, and every sandbox has the same key."""
    with closing(new_desk(tmp_path, "http://127.0.0.1:9/api/v2", None)) as desk:
        going = desk.begin("demo")
        ledger = re.search(r"http://\S+/", going.says("panel's ledger"))
        assert ledger
        form = {"key": KEY, "action": "add", "service": "102", "link": f"{LINK}/another", "quantity": "10"}
        answer = httpx.post(f"{ledger[0]}api/v2", data=form)
        assert answer.json()["error"] == "Invalid API key"
        assert f"{LINK}/another" not in httpx.get(f"{ledger[0]}ledger.json").text
        assert going.stop(signal.SIGTERM) == 1


def test_a_demo_that_is_stopped_says_so_and_fails(tmp_path: Path) -> None:
    desk = new_desk(tmp_path, "http://127.0.0.1:9/api/v2", None)
    going = desk.begin("demo")
    going.says("seed")
    assert going.stop(signal.SIGTERM) == 1
    assert any("the demo was stopped" in line for line in going.err)
    desk.close()


def test_a_demo_whose_reader_goes_away_ends(tmp_path: Path) -> None:
    """As in `campaigner demo | head`."""
    env = new_desk(tmp_path, "http://127.0.0.1:9/api/v2", None).env
    with subprocess.Popen(
        [PROGRAM, "demo"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            assert process.stdout.readline()
            process.stdout.close()
            assert process.wait(PATIENCE) == 1
            assert "nobody reads what it says" in process.stderr.read()
        finally:
            process.terminate()
