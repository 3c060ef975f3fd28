"""The audit of several campaigns at once: few requests, patience with the panel, and a partial result at the worst."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from commands.auditing import every_campaign
from configuration import Configuration
from tests.system.cli_rig import new_desk
from tests.system.rig import LINK
from tests.system.test_continuation import point_of, reset
from worker import running_workers

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.server import Sandbox
    from tests.system.cli_rig import Desk, Ended
    from tests.system.rig import Report, Rig

NOWHERE = "http://127.0.0.1:9/api/v2"


@pytest.fixture
def desk(rig: Rig, tmp_path: Path) -> Desk:
    """A desk without a worker of its own, in a folder of its own."""
    folder = tmp_path / "desk"
    folder.mkdir()
    return new_desk(folder, NOWHERE, rig.server.address)


def _configure(desk: Desk, *keyless: str, **urls: str) -> None:
    accounts = {
        name: {"url": url, "api_key": "${NO_KEY}" if name in keyless else "${PANEL_KEY}", "requests_per_minute": 600}
        for name, url in urls.items()
    }
    (desk.folder / "campaigner.yaml").write_text(json.dumps({"accounts": accounts}))


async def _bought(rig: Rig, name: str, number: int, **more: Any) -> Report:
    order = {"id": "a", "service": 102, "quantity": 10, "link": f"{LINK}/{number}"}
    return await rig.result(await rig.start(rig.document([order], name, **more)))


async def _audit(desk: Desk, *arguments: str) -> Ended:
    return await asyncio.to_thread(desk.run, "audit", *arguments)


def _asked(box: Sandbox) -> int:
    return int(box.ledger()["requests"].get("status", 0))


async def test_campaigns_share_their_requests_and_a_throttled_or_failing_panel_is_asked_again(
    rig: Rig, desk: Desk
) -> None:
    box = await rig.sandbox(speed=3600)
    names = [rig.name(f"c{number}") for number in range(5)]
    async with rig.workers(box.url):
        await asyncio.gather(*(_bought(rig, name, number) for number, name in enumerate(names)))
    _configure(desk, **{rig.account: box.url})
    before = _asked(box)
    await rig.control(box, "faults", faults=["status:throttle:2=1x2", "status:error_before=1x1"])
    audited = await _audit(desk, *names, names[0], "--json")
    assert (audited.code, [one["id"] for one in audited.json]) == (0, [f"campaign/{name}" for name in names])
    assert all((one["agrees"], one["checked"], one["unread"]) == (True, 1, 0) for one in audited.json)
    assert _asked(box) - before == 4  # two that were throttled, one that failed, and one for all five
    assert audited.err.count("the panel throttles until") == 1
    await rig.control(box, "faults", faults=["status:throttle:3000"])
    given_up = await _audit(desk, names[0], "--json")
    assert given_up.code == 1
    (one,) = given_up.json
    assert (one["agrees"], one["checked"], one["unread"], one["differences"]) == (False, 0, 1, [])
    assert f"account {rig.account}: the panel throttles until" in one["why_unread"]
    assert one["why_unread"] in given_up.err


async def test_a_panel_that_cannot_be_read_does_not_keep_the_others_from_being_compared(rig: Rig, desk: Desk) -> None:
    other = f"{rig.account}-b"
    boxes = {rig.account: await rig.sandbox(speed=3600), other: await rig.sandbox(speed=3600)}
    accounts = {name: rig.configuration(box.url).accounts[rig.account] for name, box in boxes.items()}
    near, far = rig.name("near"), rig.name("far")
    async with running_workers(rig.client, Configuration(path="rig.yaml", accounts=accounts)):
        await _bought(rig, near, 1)
        await _bought(rig, far, 2, account=other)
    there = {rig.account: boxes[rig.account].url}
    for urls, keyless in ((there | {other: NOWHERE}, ()), (there, ()), (there | {other: boxes[other].url}, (other,))):
        _configure(desk, *keyless, **urls)
        audited = await _audit(desk, near, far, "--json")
        audited.failed_with(1, other)
        read, unread = audited.json
        assert (read["agrees"], read["checked"]) == (True, 1)
        assert (unread["agrees"], unread["checked"], unread["unread"]) == (False, 0, 1)
        assert other in unread["why_unread"]
    assert f"1 order of account {other} could not be read" in (await _audit(desk, near, far)).failed_with(1, other).out


async def test_a_campaign_that_nobody_answers_for_is_told_and_the_others_are_compared(rig: Rig, desk: Desk) -> None:
    box = await rig.sandbox(speed=3600)
    done, silent = rig.name("done"), rig.name("silent")
    _configure(desk, **{rig.account: box.url})
    async with rig.workers(box.url):
        await _bought(rig, done, 1)
    order = {"id": "a", "service": 102, "quantity": 10, "link": f"{LINK}/2"}
    handle = await rig.start(rig.document([order], silent))
    audited = (await _audit(desk, "--json")).failed_with(1)
    by_id = {one["id"].removeprefix("campaign/"): one for one in audited.json}
    assert (by_id[done]["agrees"], by_id[done]["checked"]) == (True, 1)
    assert (by_id[silent]["agrees"], by_id[silent]["checked"], by_id[silent]["spent"]) == (False, 0, None)
    assert "no worker" in by_id[silent]["why_unread"]
    shown = (await _audit(desk, silent, done)).failed_with(1).out
    assert f"✗ {silent}: could not be asked, so nothing is compared: no worker" in shown
    assert f"✓ {done}: 1 order checked" in shown
    await handle.terminate("the test is over")


async def test_an_order_that_two_campaigns_claim_is_told_with_both_names(rig: Rig, desk: Desk) -> None:
    box = await rig.sandbox(speed=3600, dialect="classic", idempotent=False)
    first, second = rig.name("first"), rig.name("second")
    _configure(desk, **{rig.account: box.url})
    async with rig.workers(box.url, idempotent=False):
        (row,) = (await _bought(rig, first, 1))["orders"]
        await rig.control(box, "faults", faults=["add:drop_before=1x1"])
        doubtful = {"id": "a", "service": 102, "quantity": 10, "link": f"{LINK}/2"}
        handle = await rig.start(rig.document([doubtful], second))
        await rig.until(handle, lambda progress: progress["counts"].get("unknown"))
        resolved = await asyncio.to_thread(desk.ok, "resolve", second, "a/1", "--placed", row["panel_order"])
        assert resolved.err == ""
        assert f"{second}: a/1 is followed as {row['panel_order']} (now " in resolved.out
        await rig.result(handle)
    audited = (await _audit(desk, first, second, "--json")).failed_with(1)
    for one in audited.json:
        (found,) = one["differences"]
        assert (found["order"], found["panel_order"]) == ("a/1", row["panel_order"])
        assert found["campaign"] == f"claimed by {first} a/1 and {second} a/1"
    assert (await _audit(desk, second, "--json")).code == 0


async def test_the_runs_that_a_reset_replaced_claim_nothing(rig: Rig, desk: Desk) -> None:
    box = await rig.sandbox(speed=3600)
    _configure(desk, **{rig.account: box.url})
    async with rig.workers(box.url):
        drip = {"runs": 3, "every": "1s"}
        order = {"id": "a", "service": 102, "quantity": 30, "drip": drip, "concurrent": True}
        handle = await rig.start(rig.document([order]))
        await rig.result(handle)
        old = rig.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
        await reset(rig, handle, await point_of(old, "between placements"), handle.first_execution_run_id or "")
        report = await rig.result(rig.client.get_workflow_handle(handle.id))
    # All campaigns of this server would include other tests'.
    ours = [found.run_id for found in await every_campaign(rig.client) if found.id == handle.id]
    assert ours == [report["run_id"]]
    assert ours != [handle.first_execution_run_id]
    (one,) = (await _audit(desk, handle.id, "--json")).json
    assert (one["run_id"], one["agrees"], one["checked"]) == (report["run_id"], True, 3)
