"""What the campaigns of one account share: its status requests, its rate limit, its search attributes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest, RemoveSearchAttributesRequest
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.contracts import account_id
from embedded import embedded_temporal
from sandbox.limits import Limits
from tests.system.rig import assert_eventually, ledger_agrees, open_rig
from workflows import attributes

if TYPE_CHECKING:
    from pathlib import Path

    from temporalio.client import WorkflowHandle

    from tests.system.rig import Rig


async def test_100_open_orders_of_100_campaigns_cost_one_status_request_a_round(rig: Rig) -> None:
    box = await rig.sandbox(speed=0)
    await rig.work(box.url, poll_every=timedelta(seconds=1.5))
    handles = await asyncio.gather(
        *(
            rig.start(rig.document([{"id": "only", "service": 102, "quantity": 10}], name=rig.name(f"c{number}")))
            for number in range(100)
        )
    )
    account = rig.client.get_workflow_handle(account_id(rig.account))

    async def all_followed() -> None:
        assert len(box.ledger()["orders"]) == 100
        assert (await account.query("progress"))["orders"] == 100

    await assert_eventually(all_followed)
    await _next_round(rig)
    before = await account.query("progress"), box.ledger()["requests"]["status"]
    await _next_round(rig, 3)
    after = await account.query("progress"), box.ledger()["requests"]["status"]
    rounds = after[0]["rounds"] - before[0]["rounds"]
    assert rounds >= 3
    # A round may be on its way at either look.
    assert abs((after[1] - before[1]) - rounds) <= 1
    await rig.control(box, "clock", speed=600)
    reports = await asyncio.gather(*map(rig.result, handles))
    ledger_agrees(box.ledger(), *reports)


async def _next_round(rig: Rig, count: int = 1) -> None:
    account = rig.client.get_workflow_handle(account_id(rig.account))
    start = (await account.query("progress"))["rounds"]

    async def more() -> None:
        assert (await account.query("progress"))["rounds"] >= start + count

    await assert_eventually(more)


async def test_an_account_that_was_terminated_is_missed_and_started_again(rig: Rig) -> None:
    box = await rig.sandbox(speed=0)
    await rig.work(box.url)
    handle = await rig.start(rig.document([{"id": "only", "service": 102, "quantity": 10}]))
    await assert_eventually(lambda: box.ledger()["requests"].get("status", 0) > 0)
    lost = rig.client.get_workflow_handle(account_id(rig.account))
    await lost.terminate("by mistake")
    await rig.control(box, "clock", speed=600)
    report = await rig.result(handle)
    assert report["state"] == "completed"
    ledger_agrees(box.ledger(), report)
    # After ten rounds without a word the campaign asked again.
    assert (await _summaries(handle)).count("follow only") >= 2


async def _summaries(handle: WorkflowHandle[Any, Any]) -> list[str]:
    convert = pydantic_data_converter.payload_converter.from_payload
    history = await handle.fetch_history()
    return [convert(e.user_metadata.summary) for e in history.events if e.user_metadata.HasField("summary")]


async def test_two_workers_share_the_rate_limit_of_one_account(rig: Rig) -> None:
    # The sandbox counts in fixed windows of one second, the queue paces: a tenth more room is for their edges.
    box = await rig.sandbox(limits=Limits(per_ip=None, per_key=13, per_tier=None, window=1.0))
    workers = [await rig.worker_process(box.url, requests_per_minute=600) for _ in range(2)]
    await asyncio.gather(*(worker.up() for worker in workers))
    orders = [
        {"id": f"o{number}", "service": 102, "quantity": 10, "link": f"https://example.com/{number}"}
        for number in range(40)
    ]
    report = await rig.result(await rig.start(rig.document(orders)))
    assert set(report["counts"]) == {"completed"}
    ledger = box.ledger()
    ledger_agrees(ledger, report)
    assert ledger["throttled"] <= 8  # a second's burst at the start
    assert max(ledger["attempts"].values()) <= 3


async def test_a_429_is_obeyed_until_its_reset(rig: Rig) -> None:
    box = await rig.sandbox(faults=("add:throttle:4x1",))
    await rig.work(box.url)
    handle = await rig.start(rig.document([{"id": "only", "service": 102, "quantity": 10}]))
    report = await rig.result(handle)
    ledger_agrees(box.ledger(), report)
    throttled = await _moments_of(handle, "place_order")
    assert len(throttled) == 2
    assert (throttled[1] - throttled[0]) >= 4
    assert box.ledger()["requests"]["add"] == 2


async def _moments_of(handle: WorkflowHandle[Any, Any], activity: str) -> list[float]:
    history = await handle.fetch_history()
    return [
        event.event_time.ToNanoseconds() / 1e9
        for event in history.events
        if event.activity_task_scheduled_event_attributes.activity_type.name == activity
    ]


async def test_campaigns_are_found_by_name_account_and_state(rig: Rig) -> None:
    box = await rig.sandbox(speed=0)
    await rig.work(box.url)
    orders = [{"id": "only", "service": 102, "quantity": 1000}]
    first = await rig.start(rig.document(orders, name=rig.name("first")))
    second = await rig.start(rig.document(orders, name=rig.name("second")))
    await rig.until(first, lambda progress: progress["open"])
    await rig.until(second, lambda progress: progress["open"])
    await second.execute_update("pause", "for a look")

    async def found(query: str) -> set[str]:
        return {execution.id async for execution in rig.client.list_workflows(query)}

    async def listed() -> None:
        ours = f'Account="{rig.account}"'
        assert await found(ours) == {first.id, second.id}
        assert await found(f'CampaignName="{rig.name("first")}"') == {first.id}
        assert await found(f'{ours} AND CampaignState="running"') == {first.id}
        assert await found(f'{ours} AND CampaignState="paused"') == {second.id}

    await assert_eventually(listed)
    await second.execute_update("resume")
    await rig.control(box, "clock", speed=600)
    await rig.result(first)
    await rig.result(second)

    async def ended() -> None:
        query = (
            f'Account="{rig.account}" AND CampaignState="completed" AND Spent=1.2 AND Delivered=100 AND OpenOrders=0'
        )
        assert await found(query) == {first.id, second.id}

    await assert_eventually(ended)


async def test_a_worker_registers_the_search_attributes_a_server_lacks(rig: Rig, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(embedded_temporal(port=0, ui_port=0))
        other = await open_rig(server, tmp_path, stack)
        names = [key.name for key in attributes.ALL]
        operator = other.client.operator_service
        namespace = other.client.namespace
        await operator.remove_search_attributes(
            RemoveSearchAttributesRequest(namespace=namespace, search_attributes=names)
        )
        box = await other.sandbox()
        await other.work(box.url)
        report = await other.result(await other.start(other.document([{"id": "only", "service": 102, "quantity": 10}])))
        assert report["state"] == "completed"
        listed = await operator.list_search_attributes(ListSearchAttributesRequest(namespace=namespace))
        assert {key.name: listed.custom_attributes[key.name] for key in attributes.ALL} == {
            key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in attributes.ALL
        }
