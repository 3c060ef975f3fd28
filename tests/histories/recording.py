"""Records the histories that every later version must replay.

    python -m tests.histories.recording              record every scenario anew
    python -m tests.histories.recording cancelled    only this one

Each scenario is played on a real server against the sandbox, and ends as files in ``recorded/``: one for each run of
the campaign's workflow, and of the account's. Old files stay beside the new ones when they are renamed first, such as
to ``completed.v1-campaign-1.json``: a campaign that was started by an old version runs for weeks.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporalio.client import WorkflowQueryFailedError
from temporalio.service import RPCError

from activities.contracts import account_id
from embedded import embedded_temporal
from tests.system.receiver import receiving
from tests.system.rig import LINK, Rig, assert_eventually, noon, open_rig
from tests.system.test_continuation import point_of, reset
from workflows import halting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from temporalio.client import WorkflowHandle

    Handle = WorkflowHandle[Any, dict[str, Any]]

FOLDER = Path(__file__).with_name("recorded")
SHORT = ["limit.historyCount.suggestContinueAsNew=40"]


def _drip(runs: int, **more: Any) -> dict[str, Any]:
    drip = {"runs": runs, "every": "1s"}
    return {"id": "views", "service": 102, "quantity": 100 * runs, "drip": drip, "concurrent": True, **more}


async def completed(rig: Rig) -> Handle:
    """A sequence, a drip, a refill and a cancellation by policy, all settled."""
    box = await rig.sandbox(speed=1800)
    await rig.work(box.url)
    orders = [
        {"id": "seed", "service": 102, "quantity": 500, "link": f"{LINK}/seed"},
        _drip(3, after="seed"),
        {"id": "likes", "service": 103, "quantity": 100, "refill": {"within": "8s", "every": "5s", "max": 1}},
        {"id": "stall", "service": 105, "quantity": 100, "cancel": {"stalled_for": "3s"}},
    ]
    handle = await rig.start(rig.document(orders, limits={"budget": "20.00 USD"}))
    await rig.result(handle)
    return handle


async def cancelled(rig: Rig) -> Handle:
    """Canceled by the update, after a pause and a resume, with an order open."""
    box = await rig.sandbox(speed=600)
    await rig.work(box.url)
    slow = {"id": "slow", "service": 104, "quantity": 100}
    handle = await rig.start(rig.document([slow, _drip(3, after={"order": "slow", "when": "completed"})]))
    await rig.until(handle, lambda progress: progress["open"] == 1)
    await handle.execute_update("pause", {"by": "recorder", "why": "a look"})
    await handle.execute_update("resume", "go on")
    await handle.execute_update("cancel", {"by": "recorder", "why": "enough"})
    await rig.result(handle)
    return handle


async def requested(rig: Rig) -> Handle:
    """Canceled by Temporal's own Request Cancellation."""
    box = await rig.sandbox(speed=600)
    await rig.work(box.url)
    handle = await rig.start(rig.document([{"id": "slow", "service": 104, "quantity": 100}]))
    await rig.until(handle, lambda progress: progress["open"] == 1)
    await handle.cancel()
    await rig.result(handle)
    return handle


async def continued(rig: Rig) -> Handle:
    """Continued as new several times."""
    box = await rig.sandbox(speed=600)
    await rig.work(box.url)
    handle = await rig.start(rig.document([_drip(8)]))
    await rig.result(handle)
    return handle


async def blocked(rig: Rig) -> Handle:
    """Without funds, then topped up; with a rejected order."""
    box = await rig.sandbox(opening_balance="0.00")
    await rig.work(box.url)
    gone = {"id": "gone", "service": 101, "quantity": 100, "link": f"{LINK}/gone"}
    handle = await rig.start(rig.document([_drip(2), gone]))
    await rig.until(handle, lambda progress: "no funds" in progress["why"])
    await rig.control(box, "service", service=101, active=False)
    await rig.control(box, "balance", add="5.00")
    await rig.result(handle)
    return handle


async def lost(rig: Rig) -> Handle:
    """Answers lost on the way, repeated with the same request id."""
    box = await rig.sandbox(faults=("add:drop_after=1x2", "add:throttle:2=1x1", "status:html_502=1x2"))
    await rig.work(box.url)
    handle = await rig.start(rig.document([_drip(3)]))
    await rig.result(handle)
    return handle


async def resolved(rig: Rig) -> Handle:
    """Unknown orders on a panel without keys, settled by a person."""
    box = await rig.sandbox(dialect="classic", idempotent=False, faults=("add:drop_before=1x1",))
    await rig.work(box.url, idempotent=False)
    handle = await rig.start(rig.document([{"id": "seed", "service": 102, "quantity": 50}]))
    await rig.until(handle, lambda progress: progress["counts"].get("unknown") == 1)
    await handle.execute_update("resolve", {"order": "seed/1", "not_placed": True, "by": "recorder", "why": "looked"})
    await rig.result(handle)
    return handle


async def was_reset(rig: Rig) -> Handle:
    """Reset between placements after it had completed."""
    box = await rig.sandbox(speed=1200)
    await rig.work(box.url)
    handle = await rig.start(rig.document([_drip(3)]))
    await rig.result(handle)
    await reset(rig, handle, await point_of(handle, "between placements"))
    again: Handle = rig.client.get_workflow_handle(handle.id)
    await rig.result(again)
    return again


async def retried(rig: Rig) -> Handle:
    """A run that was skipped, and taken up again by a person; in ``retried.v1`` another run replaced it."""
    box = await rig.sandbox(speed=600)
    await rig.work(box.url)
    seed = {"id": "seed", "service": 102, "quantity": 50}
    handle = await rig.start(rig.document([seed, _drip(2, after={"order": "seed", "when": "placed", "delay": "1h"})]))
    await rig.until(handle, lambda progress: progress["open"] == 1)
    await handle.execute_update("skip", {"order": "views", "by": "recorder", "why": "not now"})
    await handle.execute_update("retry", {"order": "views/2", "by": "recorder", "why": "now"})
    await rig.result(handle)
    return handle


async def released(rig: Rig) -> Handle:
    """Held by the account's day, and released in vain, twice; in ``released.v1`` each release told it again."""
    box = await rig.sandbox(speed=600)
    await rig.work(box.url, per_day="0.02 USD", timezone=noon())
    with receiving() as receiver:
        first, second = ({"id": name, "service": 102, "quantity": 10, "link": f"{LINK}/{name}"} for name in "ab")
        notify = {"webhook": receiver.url, "on": ["held"]}
        handle = await rig.start(rig.document([first, second | {"after": "a"}], notify=notify))
        for _ in range(2):
            await rig.until(handle, lambda progress: progress["counts"].get("held") == 1)
            await halting.release(rig.client, rig.account, by="recorder")
            await asyncio.sleep(2)  # it asks again, and is told the same
        await handle.execute_update("cancel", {"by": "recorder", "why": "enough"})
        await rig.result(handle)
    return handle


async def hinted(rig: Rig) -> Handle:
    """Its order was hinted at while the account slept; in ``hinted.v1`` by a worker that did not know the signal."""
    box = await rig.sandbox(speed=1)
    await rig.work(box.url, poll_every=timedelta(seconds=15))
    handle = await rig.start(rig.document([{"id": "seed", "service": 102, "quantity": 500}]))
    account = rig.client.get_workflow_handle(account_id(rig.account))

    async def read_once() -> None:
        try:
            assert (await account.query("progress"))["rounds"] >= 1
        except (RPCError, WorkflowQueryFailedError) as error:
            raise AssertionError(error) from None  # not started yet, or it moved on meanwhile

    await assert_eventually(read_once)
    box.clock.advance(7200)
    for told in ([box.ledger()["orders"][0]["order"], "ord_of_somebody_else"], "ord_of_somebody_else", {"bad": 1}):
        await account.signal("hint", told)
    await rig.result(handle)
    return handle


async def refused(rig: Rig) -> Handle:
    """A definition that is wrong."""
    box = await rig.sandbox()
    await rig.work(box.url)
    handle = await rig.start_raw({"bad": 1})
    await asyncio.gather(rig.result(handle), return_exceptions=True)
    return handle


async def foreign(rig: Rig) -> Handle:
    """Started under an id that is not its own: refused; ``foreign.v1`` is from when it ran."""
    box = await rig.sandbox(speed=1200)
    await rig.work(box.url)
    document = rig.document([{"id": "seed", "service": 102, "quantity": 50}])
    handle = await rig.start_raw(document, name=rig.name("other"))
    await asyncio.gather(rig.result(handle), return_exceptions=True)
    return handle


SCENARIOS: dict[str, Callable[[Rig], Awaitable[Handle]]] = {
    scenario.__name__: scenario
    for scenario in (
        completed,
        cancelled,
        requested,
        continued,
        blocked,
        lost,
        resolved,
        retried,
        released,
        hinted,
        was_reset,
        refused,
        foreign,
    )
}


def _impersonal(part: Any) -> Any:
    """Leave out what only this machine says: stack traces, and who it was."""
    if isinstance(part, dict):
        kept = {name: _impersonal(value) for name, value in part.items() if name != "stackTrace"}
        return kept | ({"identity": "recorder"} if "identity" in kept else {})
    return [_impersonal(value) for value in part] if isinstance(part, list) else part


async def record(name: str) -> list[Path]:
    """Play one scenario and write its histories; give the files."""
    written = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = embedded_temporal(port=0, ui_port=0, dynamic=SHORT if name == "continued" else ())
        rig = await open_rig(await stack.enter_async_context(server), folder, stack)
        handle = await SCENARIOS[name](rig)
        for file in FOLDER.glob(f"{name}-*.json"):
            file.unlink()
        await asyncio.sleep(1)  # visibility is eventual
        for kind, workflow_id in (("campaign", handle.id), ("account", account_id(rig.account))):
            runs = [e async for e in rig.client.list_workflows(f'WorkflowId="{workflow_id}"')]
            for number, run in enumerate(sorted(runs, key=lambda e: (e.start_time, e.run_id)), start=1):
                history = await rig.client.get_workflow_handle(workflow_id, run_id=run.run_id).fetch_history()
                file = FOLDER / f"{name}-{kind}-{number}.json"
                file.write_text(json.dumps(_impersonal(json.loads(history.to_json())), separators=(",", ":")) + "\n")
                written.append(file)
    return written


async def main(names: list[str]) -> None:
    """Record what was asked for."""
    FOLDER.mkdir(exist_ok=True)
    for name in names or list(SCENARIOS):
        for file in await record(name):
            print(file.name, file.stat().st_size)  # noqa: T201 - what it wrote


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
