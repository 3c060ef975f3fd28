"""The panel's webhooks, end to end: an order that ends is read at once, and nothing but a status is believed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import SecretStr
from temporalio.client import WorkflowQueryFailedError
from temporalio.service import RPCError

from activities.contracts import account_id
from connection import connect
from embedded import embedded_temporal
from panel import PanelClient, SignatureScheme, sign
from receiver import Endpoint, Hints, UnheardError, serve
from tests.system.rig import KEY, PATIENCE, ROOT, assert_eventually, ledger_agrees, open_rig
from workflows.account import GATHER

if TYPE_CHECKING:
    from pathlib import Path

    from temporalio.client import WorkflowHandle

    from sandbox.server import Sandbox
    from tests.system.rig import Rig

SCHEME = SignatureScheme()
SECRET = "whsec_of_this_test"
HOUR = timedelta(hours=1)
QUICK = {"id": "quick", "service": 102, "quantity": 500}
STUCK = {"id": "stuck", "service": 104, "quantity": 100}


@dataclass
class Hooks:
    """A receiver in this process, and somebody who delivers to it."""

    url: str
    http: httpx.AsyncClient
    secrets: dict[str, Endpoint]
    account: str
    statuses: list[int] = field(default_factory=list)

    async def deliver(self, order: str, secret: str = SECRET) -> int:
        """Deliver the news of an order, signed with a secret; give the answer."""
        body = json.dumps({"event": "order.completed", "order": order, "status": "completed"}).encode()
        headers = {SCHEME.header: sign(secret, int(time.time()), body)}
        answer = await self.http.post(f"{self.url}/{self.account}", content=body, headers=headers)
        self.statuses.append(answer.status_code)
        return answer.status_code


async def hooked(rig: Rig) -> Hooks:
    """Serve a receiver for this test's account until the test ends."""
    secrets = {rig.account: Endpoint(SecretStr(SECRET), SCHEME)}
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(secrets, Hints(rig.client).tell, ready.set_result, port=0))

    async def stop() -> None:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    rig.stack.push_async_callback(stop)
    limits = httpx.Limits(max_connections=50)
    http = await rig.stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=PATIENCE, limits=limits))
    return Hooks(await asyncio.wait_for(ready, PATIENCE), http, secrets, rig.account)


async def register(rig: Rig, box: Sandbox, hooks: Hooks) -> None:
    """Have the sandbox deliver to the receiver, as `campaigner webhooks` does."""
    async with PanelClient(box.url, KEY) as panel:
        added = await panel.webhook_add(f"{hooks.url}/{rig.account}")
    assert added.secret is not None
    hooks.secrets[rig.account] = Endpoint(added.secret, SCHEME)


def account_of(rig: Rig) -> WorkflowHandle[Any, Any]:
    return rig.client.get_workflow_handle(account_id(rig.account))


async def asleep(rig: Rig, orders: int = 1) -> dict[str, Any]:
    """Wait until the account has read its orders, and sleeps for an hour; give its figures."""

    async def looked() -> dict[str, Any]:
        try:
            progress: dict[str, Any] = await account_of(rig).query("progress")
        except (RPCError, WorkflowQueryFailedError) as error:
            raise AssertionError(error.message) from None  # not started yet, or it moved on meanwhile
        assert progress["orders"] == orders
        assert progress["rounds"] >= 1
        return progress

    found: dict[str, Any] = await assert_eventually(looked)
    return found


async def hints_heard(rig: Rig) -> int:
    """Count the signals that the account was sent."""
    history = await account_of(rig).fetch_history()
    return sum(
        1
        for event in history.events
        if event.HasField("workflow_execution_signaled_event_attributes")
        and event.workflow_execution_signaled_event_attributes.signal_name == "hint"
    )


def status_requests(box: Sandbox) -> int:
    count: int = box.ledger()["requests"].get("status", 0)
    return count


async def test_an_order_that_ends_is_read_at_once_although_statuses_are_read_every_hour(rig: Rig) -> None:
    box = await rig.sandbox(speed=1, allow_private_webhooks=True)
    await rig.work(box.url, poll_every=HOUR)
    hooks = await hooked(rig)
    await register(rig, box, hooks)
    handle = await rig.start(rig.document([QUICK]))
    await asleep(rig)
    before = status_requests(box)
    box.clock.advance(7200)
    report = await rig.result(handle)
    assert report["state"] == "completed"
    ledger_agrees(box.ledger(), report)
    assert status_requests(box) == before + 1
    assert await rig.failures(account_of(rig)) == []


async def test_a_storm_of_deliveries_costs_a_round_every_two_seconds_at_most(rig: Rig) -> None:
    box = await rig.sandbox(speed=1)
    await rig.work(box.url, poll_every=HOUR)
    hooks = await hooked(rig)
    handle = await rig.start(rig.document([STUCK]))
    planned = (await asleep(rig))["next_round"]
    (order,) = (line["order"] for line in box.ledger()["orders"])
    before, began = status_requests(box), time.monotonic()
    await asyncio.gather(*(hooks.deliver(order if number % 3 else f"ord_{number}") for number in range(300)))
    assert hooks.statuses == [204] * 300

    async def calm() -> None:
        progress = await account_of(rig).query("progress")
        assert status_requests(box) > before
        assert progress["next_round"] == planned, "the hour's own round comes when it would have come"

    await assert_eventually(calm)
    # A busy machine takes longer over the storm, and each two seconds of it may cost a round.
    assert status_requests(box) - before <= (time.monotonic() - began) / GATHER.total_seconds() + 1
    assert (await handle.query("progress"))["open"] == 1, "a delivery that says completed completes nothing"
    assert await rig.failures(account_of(rig)) == []


async def test_a_hint_that_comes_while_its_order_is_read_has_it_read_once_more(rig: Rig) -> None:
    box = await rig.sandbox(speed=1)
    await rig.work(box.url, poll_every=HOUR)
    hooks = await hooked(rig)
    handle = await rig.start(rig.document([QUICK]))
    await asleep(rig)
    (order,) = (line["order"] for line in box.ledger()["orders"])
    before = status_requests(box)
    box.arm("status:slow_after:3=1x1")  # what it answers is what was so before the order ended
    assert await hooks.deliver(order) == 204
    await assert_eventually(lambda: status_requests(box) == before + 1)
    box.clock.advance(7200)
    assert await hooks.deliver(order) == 204
    assert (await rig.result(handle))["state"] == "completed"
    assert status_requests(box) == before + 2


async def test_what_is_forged_or_of_nobody_costs_no_request(rig: Rig) -> None:
    box = await rig.sandbox(speed=1)
    await rig.work(box.url, poll_every=HOUR)
    hooks = await hooked(rig)
    assert await hooks.deliver("ord_early") == 204, "the account's workflow does not run yet"
    await rig.start(rig.document([STUCK]))
    before = await asleep(rig)
    (order,) = (line["order"] for line in box.ledger()["orders"])
    forged = await asyncio.gather(*(hooks.deliver(order, secret="whsec_guessed") for _ in range(20)))
    assert set(forged) == {401}
    assert await hints_heard(rig) == 0
    assert await hooks.deliver("ord_of_somebody_else") == 204
    for bad in ({"order": order}, 7.5, None):
        await account_of(rig).signal("hint", bad)
    await account_of(rig).signal("hint", args=[order, order])
    after = await account_of(rig).query("progress")
    assert after == before
    assert status_requests(box) == before["requests"]
    assert await rig.failures(account_of(rig)) == []


async def test_the_account_of_a_foreign_program_takes_one_id_as_well_as_a_list(rig: Rig) -> None:
    box = await rig.sandbox(speed=1, dialect="classic", idempotent=False)
    await rig.work(box.url, poll_every=HOUR, idempotent=False)
    handle = await rig.start(rig.document([QUICK, {**QUICK, "id": "other", "link": "https://example.com/b"}]))
    await asleep(rig, orders=2)
    first, second = (line["order"] for line in box.ledger()["orders"])
    box.clock.advance(7200)
    await account_of(rig).signal("hint", int(first))  # numbers are what classic panels give
    await account_of(rig).signal("hint", [second])
    assert (await rig.result(handle))["state"] == "completed"


async def test_noise_does_not_fill_the_history_of_an_account_that_sleeps(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        short = embedded_temporal(port=0, ui_port=0, dynamic=["limit.historyCount.suggestContinueAsNew=60"])
        rig = await open_rig(await stack.enter_async_context(short), tmp_path, stack)
        box = await rig.sandbox(speed=1)
        await rig.work(box.url, poll_every=HOUR)
        await rig.start(rig.document([STUCK]))
        planned = (await asleep(rig))["next_round"]
        first = (await account_of(rig).describe()).run_id

        async def continued() -> None:
            await account_of(rig).signal("hint", "ord_of_somebody_else")
            assert (await account_of(rig).describe()).run_id != first

        await assert_eventually(continued)

        async def as_before() -> None:
            progress = await account_of(rig).query("progress")
            assert (progress["orders"], progress["next_round"]) == (1, planned)

        await assert_eventually(as_before)
        assert status_requests(box) == 1


async def test_without_temporal_the_panel_is_asked_to_deliver_again() -> None:
    async with embedded_temporal(port=0, ui_port=0) as server:
        hints = Hints(await connect(server.address))
        await hints.tell("nobody", "ord_1")
    told = await asyncio.gather(*(hints.tell("nobody", f"ord_{n}") for n in range(20)), return_exceptions=True)
    assert {type(each) for each in told} == {UnheardError}
    assert "UNAVAILABLE" in str(told[0]) or "DEADLINE_EXCEEDED" in str(told[0])


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_receives_until_it_is_told_to_stop(rig: Rig, tmp_path: Path, end: signal.Signals) -> None:
    box = await rig.sandbox(speed=1)
    await rig.work(box.url, poll_every=HOUR)
    handle = await rig.start(rig.document([QUICK]))
    await asleep(rig)
    other = {"url": box.url, "api_key": "${NOT_SET_HERE}"}
    path = tmp_path / "receiver.yaml"
    path.write_text(
        json.dumps({"accounts": {rig.account: {**other, "webhook_secret": "${HOOK_SECRET}"}, "other": other}})
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    environment |= {"CAMPAIGNER_CONFIG": str(path), "TEMPORAL_ADDRESS": rig.server.address, "HOOK_SECRET": SECRET}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "cli.py"), "receiver", "--port", "0"),
        env=environment,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        said = (await asyncio.wait_for(process.stderr.readuntil(b"receiver is up"), PATIENCE)).decode()
        url = re.search(rf"(http://127\.0\.0\.1:\d+)/{rig.account}\n", said)
        assert url is not None, said
        assert "without an endpoint: other" in said
        box.clock.advance(7200)
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            hooks = Hooks(url[1], http, {}, rig.account)
            assert await hooks.deliver("ord_1", secret="whsec_guessed") == 401
            (order,) = (line["order"] for line in box.ledger()["orders"])
            assert await hooks.deliver(order) == 204
            assert (await http.get(f"{url[1]}/health")).status_code == 200
            assert (await rig.result(handle))["state"] == "completed"
            process.send_signal(end)
            rest = (await asyncio.wait_for(process.stderr.read(), PATIENCE)).decode()
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert SECRET not in said + rest
    assert "Traceback" not in rest
    assert f"order.completed of {order}" in rest
