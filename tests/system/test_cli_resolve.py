"""`campaigner resolve`: an id is held against the panel before it is taken, as far as the panel can be asked."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from tests.system.cli_rig import KEY, new_desk
from tests.system.rig import LINK

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.cli_rig import Desk, Ended
    from tests.system.rig import Rig

NOWHERE = "http://127.0.0.1:9/api/v2"


def _configure(desk: Desk, account: str, url: str) -> None:
    # The key of another account is nobody's business here.
    keys = {account: "${PANEL_KEY:?set it to your panel key}", "elsewhere": "${ELSEWHERE_KEY}"}
    accounts = {name: {"url": url, "api_key": key} for name, key in keys.items()}
    (desk.folder / "campaigner.yaml").write_text(json.dumps({"accounts": accounts}))


async def _placed(desk: Desk, name: str, order: str, **env: str | None) -> Ended:
    return await asyncio.to_thread(desk.run, "resolve", name, "a/1", "--placed", order, "--json", **env)


async def test_an_id_that_the_panel_does_not_know_is_refused_and_taken_only_where_the_panel_cannot_be_asked(
    rig: Rig, tmp_path: Path
) -> None:
    folder = tmp_path / "desk"
    folder.mkdir()
    desk = new_desk(folder, NOWHERE, rig.server.address)
    box = await rig.sandbox(dialect="classic", idempotent=False, faults=("add:drop_before=1x4",))
    unasked = ("did not say whether it knows 987654", "your word is taken")
    async with rig.workers(box.url, idempotent=False):
        handles = []
        for number in range(4):
            order = {"id": "a", "service": 102, "quantity": 10, "link": f"{LINK}/{number}"}
            handle = await rig.start(rig.document([order], rig.name(f"c{number}")))
            await rig.until(handle, lambda progress: progress["counts"].get("unknown"))
            handles.append(handle)
        first, *others = handles
        _configure(desk, rig.account, box.url)
        refused = await _placed(desk, first.id, "987654")
        refused.failed_with(1, "nothing was changed", "does not know the order 987654", "--not-placed")
        assert refused.json["error"]["kind"] == "refused"
        (await _placed(desk, first.id, "98,76")).failed_with(1, "98,76 is not an id that a panel could have given")
        assert (await first.query("progress"))["counts"] == {"unknown": 1}
        no_key = await _placed(desk, others[0].id, "987654", PANEL_KEY=None)
        await rig.control(box, "faults", faults=["status:throttle:60=1x1"])
        throttled = await _placed(desk, others[1].id, "987654")
        _configure(desk, rig.account, NOWHERE)
        unreachable = await _placed(desk, others[2].id, "987654")
        for done, words in ((no_key, "PANEL_KEY"), (throttled, "was throttled"), (unreachable, "was not sent")):
            assert done.code == 0, done.err
            assert done.json["update"] == "resolve"
            for word in (*unasked, words, "campaigner audit"):
                assert word in done.err
            assert KEY not in done.err
        for handle in handles:
            await handle.terminate("the test is over")
