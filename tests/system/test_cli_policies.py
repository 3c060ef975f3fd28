"""Every steering command on the command line, the approval by a second person, halt and release, and the audit."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.cli_rig import new_desk
from tests.system.rig import LINK, assert_eventually, ledger_agrees

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.cli_rig import Desk, Ended
    from tests.system.rig import Rig


@pytest.fixture
def desk(rig: Rig, tmp_path: Path) -> Desk:
    """A desk without a worker of its own, in a folder of its own."""
    folder = tmp_path / "desk"
    folder.mkdir()
    return new_desk(folder, "http://127.0.0.1:9/api/v2", rig.server.address)


def _configure(rig: Rig, desk: Desk, url: str, **account: Any) -> None:
    chosen = {"url": url, "api_key": "${PANEL_KEY}", "allowed_targets": ["https://example.com/*"]} | account
    (desk.folder / "campaigner.yaml").write_text(json.dumps({"accounts": {rig.account: chosen}}))


async def test_every_decision_is_made_and_recorded_on_the_command_line(rig: Rig, desk: Desk) -> None:
    box = await rig.sandbox(speed=3600)
    await rig.work(box.url, second_person=True)
    _configure(rig, desk, box.url, second_person=True)
    name = rig.name()
    orders = [
        {"id": "fails", "service": 106, "quantity": 10},
        {"id": "stuck", "service": 104, "quantity": 10, "link": f"{LINK}/2"},
        {"id": "later", "service": 102, "quantity": 50, "link": f"{LINK}/3", "concurrent": True,
         "drip": {"runs": 5, "every": "12h"}},
    ]  # fmt: skip
    limits = {"approval_over": "0.10 USD", "budget": "5.00 USD"}
    (desk.folder / "c.yaml").write_text(json.dumps(rig.document(orders, limits=limits)))

    async def run(*arguments: str, **env: str | None) -> Ended:
        return await asyncio.to_thread(desk.run, *arguments, **env)

    async def ok(*arguments: str, **env: str | None) -> Ended:
        done = await run(*arguments, **env)
        assert done.code == 0, f"{arguments}: {done.out} {done.err}"
        return done

    await ok("start", "c.yaml")
    handle = rig.client.get_workflow_handle(f"campaign/{name}")
    await rig.until(handle, lambda progress: progress["state"] == "awaiting_approval")
    (await run("approve", name)).failed_with(1, "ada started the campaign", "second person")
    assert (await ok("approve", name, "--why", "agreed", "--json", CAMPAIGNER_USER="bo")).json["by"] == "bo"
    await rig.until(handle, lambda progress: progress["counts"].get("failed") == 1)
    await ok("retry", name, "fails/1", "--why", "once more")
    (await run("retry", name, "later/9")).failed_with(1, "there is no")
    await ok("skip", name, "later/3")
    await ok("reschedule", name, "2h", "--order", "later", "--why", "storm")
    (await run("raise-budget", name, "1.00 USD")).failed_with(1, "below the present")
    await ok("raise-budget", name, "6.00 USD")
    await ok("pause", name, "--why", "a look")
    await ok("resume", name)
    await ok("cancel", name, "--order", "stuck")
    await rig.until(handle, lambda progress: progress["counts"].get("failed") == 2 and progress["open"] == 0)
    await ok("skip", name, "later")
    report = await rig.result(handle)
    ledger_agrees(box.ledger(), report)
    decisions = [(one["what"], one["by"], one["why"]) for one in report["decisions"]]
    assert decisions == [
        ("approve the planned cost of 0.175 USD", "bo", "agreed"),
        ("retry fails/1", "ada", "once more"),
        ("skip later/3", "ada", ""),
        ("move later later by 2h", "ada", "storm"),
        ("budget from 5.00 USD to 6.00 USD", "ada", ""),
        ("pause", "ada", "a look"),
        ("resume", "ada", ""),
        ("cancel stuck", "ada", ""),
        ("skip later", "ada", ""),
    ]
    shown = (await ok("status", name)).out
    assert "approve the planned cost of 0.175 USD by bo: agreed" in shown
    (await run("approve", name)).failed_with(1, "has ended")


async def test_an_account_is_halted_and_released_and_unknown_ones_are_refused(rig: Rig, desk: Desk) -> None:
    box = await rig.sandbox(speed=3600)
    await rig.work(box.url)
    _configure(rig, desk, box.url)
    halted = await asyncio.to_thread(desk.ok, "halt", rig.account, "--why", "audit", "--json")
    assert halted.json == {"account": rig.account, "halted": True, "by": "ada", "why": "audit"}
    handle = await rig.start(rig.document([{"id": "a", "service": 102, "quantity": 10}]))
    await rig.until(handle, lambda progress: "was halted by ada: audit" in progress["why"])
    (await asyncio.to_thread(desk.run, "halt", "nobody")).failed_with(2, "nobody")
    again = await asyncio.to_thread(desk.ok, "halt", rig.account)
    assert f"until `campaigner release {rig.account}`" in again.out
    assert "on its way to the panel still arrives" in again.err
    assert "goes on; " in (await asyncio.to_thread(desk.ok, "release", rig.account)).out
    assert "was not halted; " in (await asyncio.to_thread(desk.ok, "release", rig.account)).out
    report = await rig.result(handle)
    ledger_agrees(box.ledger(), report)


async def test_an_audit_agrees_with_the_panel_and_finds_what_somebody_changed(rig: Rig, desk: Desk) -> None:
    box = await rig.sandbox(speed=3600)
    await rig.work(box.url)
    _configure(rig, desk, box.url)
    orders = [
        {"id": "good", "service": 107, "quantity": 100},
        {"id": "part", "service": 103, "quantity": 100, "link": f"{LINK}/2", "on_shortfall": "reorder",
         "fallback": [102]},
    ]  # fmt: skip
    handle = await rig.start(rig.document(orders))
    report = await rig.result(handle)
    ledger_agrees(box.ledger(), report)
    agreed = await asyncio.to_thread(desk.ok, "audit", rig.name(), "--json")
    (audit,) = agreed.json
    assert (audit["agrees"], audit["checked"], audit["differences"]) == (True, 3, [])
    assert "nothing differs" in (await asyncio.to_thread(desk.ok, "audit", rig.name())).out
    await rig.control(box, "clock", advance=25 * 3600)  # what was delivered drops

    async def differs() -> None:
        found = await asyncio.to_thread(desk.run, "audit", rig.name(), "--json")
        assert found.code == 1
        (audit,) = found.json
        assert [(one["order"], one["field"], one["campaign"], one["panel"]) for one in audit["differences"]] == [
            ("good/1", "delivered", "100", "75")
        ]

    await assert_eventually(differs, every=1)
    (await asyncio.to_thread(desk.run, "audit", "nobody")).failed_with(1, "there is no campaign")
