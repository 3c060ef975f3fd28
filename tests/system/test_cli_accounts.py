"""`campaigner accounts`: what a person sees of each account: unused, at work, halted, and released."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.cli_rig import new_desk
from tests.system.rig import assert_eventually, noon

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.cli_rig import Desk
    from tests.system.rig import Rig

NEVER_STARTS = {"id": "stuck", "service": 104, "quantity": 100}


@pytest.fixture
def desk(rig: Rig, tmp_path: Path) -> Desk:
    """A desk whose configuration names the rig's account, and one for which nobody works."""
    folder = tmp_path / "desk"
    folder.mkdir()
    desk = new_desk(folder, "http://127.0.0.1:9/api/v2", rig.server.address)
    common = {"api_key": "${PANEL_KEY}", "allowed_targets": ["https://example.com/*"]}
    named = {
        rig.account: common | {"url": "http://127.0.0.1:9/api/v2", "per_day": "20.00 USD"},
        "spare": common | {"url": "https://panel.example.com/api/v2", "currency": "EUR"},
    }
    (folder / "campaigner.yaml").write_text(json.dumps({"accounts": named}))
    return desk


async def _rows(desk: Desk, *names: str) -> list[dict[str, Any]]:
    # Without the key: the panel is not asked.
    done = await asyncio.to_thread(desk.ok, "accounts", *names, "--json", PANEL_KEY=None)
    rows: list[dict[str, Any]] = done.json
    return rows


async def _text(desk: Desk) -> str:
    return (await asyncio.to_thread(desk.ok, "accounts")).out


async def test_accounts_that_nobody_needed_yet_go_on_and_nobody_works_for_them(rig: Rig, desk: Desk) -> None:
    own, spare = await _rows(desk)
    assert own == {
        "account": rig.account, "panel": "127.0.0.1:9", "currency": "USD", "halted": False, "by": "", "why": "",
        "since": None, "used_today": "0.00", "per_day": "20.00", "orders": 0, "trouble": "", "campaigns": 0,
        "worker": False, "error": None,
    }  # fmt: skip
    assert own.keys() == spare.keys()
    assert (spare["panel"], spare["currency"], spare["per_day"]) == ("panel.example.com", "EUR", None)
    shown = await asyncio.to_thread(desk.ok, "accounts")
    assert "no limit" in shown.out
    assert "panel.example.com" in shown.out
    narrow = (await asyncio.to_thread(desk.ok, "accounts", COLUMNS="80")).out.splitlines()
    assert [line.split()[0] for line in narrow] == ["account", rig.account, "spare"], "a line for each, and no name cut"
    assert "panel-spare; start one with `campaigner worker`" in shown.err
    assert [row["account"] for row in await _rows(desk, "spare", "spare")] == ["spare"]
    (await asyncio.to_thread(desk.run, "accounts", "sparee")).failed_with(2, "sparee", "spare")


async def test_an_account_shows_what_runs_on_it_and_its_halt(rig: Rig, desk: Desk) -> None:
    box = await rig.sandbox(speed=0)
    await rig.work(box.url, per_day="20.00 USD", timezone=noon())
    handle = await rig.start(rig.document([NEVER_STARTS]))
    await rig.until(handle, lambda progress: progress["open"] == 1)

    async def works() -> dict[str, Any]:
        (row,) = await _rows(desk, rig.account)
        assert (row["orders"], row["campaigns"], row["worker"], row["halted"]) == (1, 1, True, False)
        return row

    charged = box.ledger()["orders"][0]["charge"]
    assert (await assert_eventually(works, every=0.5))["used_today"] == charged

    await asyncio.to_thread(desk.ok, "halt", rig.account, "--why", "wrong film")
    (first,) = await _rows(desk, rig.account)
    assert (first["halted"], first["by"], first["why"]) == (True, "ada", "wrong film")
    assert first["since"].endswith("Z")
    told = f"{rig.account} is halted by ada since {first['since'].replace('T', ' ')}: wrong film"
    assert f"{told}; `campaigner release {rig.account}`" in " ".join((await _text(desk)).split())

    await asyncio.sleep(1.1)  # a moment is told to the second
    await asyncio.to_thread(desk.ok, "halt", rig.account, CAMPAIGNER_USER="bo")
    (again,) = await _rows(desk, rig.account)
    assert (again["by"], again["why"], again["since"]) == ("bo", "wrong film", first["since"]), "halted ever since"

    await asyncio.to_thread(desk.ok, "release", rig.account)
    (free,) = await _rows(desk, rig.account)
    assert (free["halted"], free["by"], free["why"], free["since"]) == (False, "", "", None)
    assert "is halted" not in await _text(desk)
    await handle.execute_update("cancel")
    await rig.control(box, "clock", speed=600)
    await rig.result(handle)
