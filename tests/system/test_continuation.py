"""Histories that are cut: continued as new many times over, and reset to every kind of point."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, ResetReapplyType
from temporalio.api.workflowservice.v1 import (
    ResetWorkflowExecutionRequest,
    ResetWorkflowExecutionResponse,
)

from activities.contracts import account_id
from activities.recalling import Memory
from embedded import embedded_temporal
from tests.system.rig import LINK, assert_eventually, ledger_agrees, open_rig, states

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from temporalio.api.history.v1 import HistoryEvent
    from temporalio.client import WorkflowHandle, WorkflowHistory

    from sandbox.server import Sandbox
    from tests.system.rig import Report, Rig


async def test_a_campaign_and_its_account_continue_as_new_many_times_and_lose_nothing(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        short = embedded_temporal(port=0, ui_port=0, dynamic=["limit.historyCount.suggestContinueAsNew=40"])
        rig = await open_rig(await stack.enter_async_context(short), tmp_path, stack)
        box = await rig.sandbox(speed=900, faults=("add:drop_after=0.2", "status:html_502=0.1"))
        await rig.work(box.url)
        orders = [
            {"id": "views", "service": 101, "quantity": 8000, "drip": {"runs": 8, "every": "1s"}, "concurrent": True},
            {"id": "likes", "service": 103, "quantity": 100, "refill": {"within": "12s", "every": "6s", "max": 1}},
            {"id": "stall", "service": 105, "quantity": 100, "cancel": {"stalled_for": "4s"}},
            {"id": "after", "service": 102, "quantity": 50, "after": "stall"},
        ]
        handle = await rig.start(rig.document(orders, limits={"budget": "20.00 USD"}))
        await rig.until(handle, lambda progress: progress["open"])
        await handle.execute_update("pause", "a look", id="once")
        await handle.execute_update("resume")
        report = await rig.result(handle)
        assert states(report) == {
            **{f"views/{run}": "completed" for run in range(1, 9)},
            "likes/1": "completed",
            "stall/1": "canceled",
            "after/1": "completed",
        }
        ledger_agrees(box.ledger(), report)
        assert [decision["what"] for decision in report["decisions"]] == ["pause", "resume"]
        assert await _runs(rig, handle.id) >= 4
        assert await _runs(rig, account_id(rig.account)) >= 2
        first = await rig.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id).describe()
        assert report["run_id"] != first.run_id


async def _runs(rig: Rig, workflow_id: str) -> int:
    async def counted() -> int:
        count = [e.run_id async for e in rig.client.list_workflows(f'WorkflowId="{workflow_id}"')]
        assert count
        return len(count)

    found: int = await assert_eventually(counted)
    return found


def _completed_tasks(history: WorkflowHistory, stop: Callable[[HistoryEvent], bool]) -> int:
    """Give the event id of the workflow task that completed last before the first event that ``stop`` likes."""
    last = 0
    for event in history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            last = event.event_id
        elif last and stop(event):
            break
    return last


def _scheduled(activity: str, which: int = 1) -> Callable[[HistoryEvent], bool]:
    seen = [0]

    def looked(event: HistoryEvent) -> bool:
        seen[0] += event.activity_task_scheduled_event_attributes.activity_type.name == activity
        return seen[0] == which

    return looked


async def point_of(handle: WorkflowHandle[Any, Report], point: str) -> int:
    event = _completed_tasks(await handle.fetch_history(), POINTS[point]())
    assert event, "nothing to go back to yet"
    return event


async def reset(
    rig: Rig, handle: WorkflowHandle[Any, Report], event_id: int, run_id: str = "", name: str = "reset"
) -> str:
    """Reset a run, the present one unless told; give the id of the run that this makes."""
    made: ResetWorkflowExecutionResponse = await rig.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=rig.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=run_id),
            reason="a test",
            request_id=rig.name(f"{name}{event_id}"),
            workflow_task_finish_event_id=event_id,
            reset_reapply_type=ResetReapplyType.RESET_REAPPLY_TYPE_ALL_ELIGIBLE,
        )
    )
    return made.run_id


POINTS: dict[str, Callable[[], Callable[[HistoryEvent], bool]]] = {
    "the first step": lambda: lambda event: event.event_id > 4,
    "before the first placement": lambda: _scheduled("place_order"),
    "between placements": lambda: _scheduled("place_order", 3),
    "the last step": lambda: lambda _: False,
}


@pytest.mark.parametrize("when", ["running", "completed"])
async def test_campaigns_that_are_reset_twice_to_any_point_buy_nothing_twice(rig: Rig, when: str) -> None:
    box = await rig.sandbox(speed=1200)
    await rig.work(box.url)

    async def campaign(point: str) -> Report:
        link = f"{LINK}/{point.replace(' ', '-')}"
        drip = {"runs": 3, "every": "1s"}
        orders = [
            {"id": "seed", "service": 102, "quantity": 50, "link": link},
            {"id": "views", "service": 101, "quantity": 400, "drip": drip, "concurrent": True, "link": link},
            {"id": "last", "service": 102, "quantity": 60, "after": "seed", "link": f"{link}/2"},
        ]
        handle = await rig.start(rig.document(orders, name=rig.name(point.replace(" ", "-"))))
        if when == "running":
            await rig.until(handle, lambda p: p["counts"] and p["runs"] - p["counts"].get("planned", 0) > 3)
        else:
            await rig.result(handle)
        current = rig.client.get_workflow_handle(handle.id)
        for _ in range(2):
            event = await assert_eventually(lambda: point_of(current, point))
            await reset(rig, handle, event)
        report: Report = await rig.result(current)
        assert set(states(report).values()) == {"completed"}
        return report

    reports = await asyncio.gather(*map(campaign, POINTS))
    ledger = box.ledger()
    ledger_agrees(ledger, *reports)
    assert len(ledger["orders"]) == 5 * len(POINTS)


async def test_a_reset_long_after_the_panel_forgot_its_ids_still_buys_nothing_twice(rig: Rig) -> None:
    box = await rig.sandbox(key_memory=0.0)
    await rig.work(box.url)
    handle = await rig.start(rig.document([{"id": "seed", "service": 102, "quantity": 50}]))
    await rig.result(handle)
    await reset(rig, handle, await point_of(handle, "the first step"))
    report = await rig.result(rig.client.get_workflow_handle(handle.id))
    ledger_agrees(box.ledger(), report)
    assert len(box.ledger()["orders"]) == 1


async def test_a_reset_after_refusals_follows_the_old_submissions(rig: Rig) -> None:
    # The panel does not remember refusals: the refused id, sent again, would buy beside the id that followed it.
    box = await rig.sandbox(opening_balance="0.00")
    await rig.work(box.url)
    handle = await rig.start(rig.document([{"id": "seed", "service": 102, "quantity": 50}]))
    await rig.until(handle, lambda progress: "no funds" in progress["why"])
    await rig.control(box, "balance", add="5.00")
    before = await rig.result(handle)
    await reset(rig, handle, await point_of(handle, "before the first placement"))
    report = await rig.result(rig.client.get_workflow_handle(handle.id))
    ledger_agrees(box.ledger(), report)
    assert report["orders"][0]["request_id"] == before["orders"][0]["request_id"]


async def test_a_reset_of_an_earlier_run_of_a_continued_campaign_buys_nothing_twice(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        short = embedded_temporal(port=0, ui_port=0, dynamic=["limit.historyCount.suggestContinueAsNew=40"])
        rig = await open_rig(await stack.enter_async_context(short), tmp_path, stack)
        box = await rig.sandbox(speed=900, key_memory=0.0)
        await rig.work(box.url)
        drip = {"runs": 8, "every": "1s"}
        order = {"id": "views", "service": 101, "quantity": 8000, "drip": drip, "concurrent": True}
        handle = await rig.start(rig.document([order]))
        await rig.until(handle, lambda progress: progress["run_id"] != handle.first_execution_run_id)
        assert handle.first_execution_run_id is not None
        first = rig.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
        event = await point_of(first, "between placements")
        await reset(rig, handle, event, handle.first_execution_run_id)
        report = await rig.result(rig.client.get_workflow_handle(handle.id))
        ledger_agrees(box.ledger(), report)
        assert len(box.ledger()["orders"]) == 8


@pytest.mark.parametrize("idempotent", [True, False], ids=["forgotten", "without keys"])
async def test_a_second_reset_of_the_same_old_run_knows_what_the_first_one_bought(
    rig: Rig, *, idempotent: bool
) -> None:
    panel = {"key_memory": 0.0} if idempotent else {"dialect": "classic", "idempotent": False}
    box = await rig.sandbox(**panel)
    await rig.work(box.url, idempotent=idempotent)
    seed = {"id": "seed", "service": 102, "quantity": 50, "link": f"{LINK}/seed"}
    later = {"id": "later", "service": 102, "quantity": 60, "after": {"order": "seed", "delay": "3s"}}
    handle = await rig.start(rig.document([seed, later]))
    old = rig.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
    await rig.until(handle, lambda progress: progress["counts"].get("completed"))
    point = await point_of(old, "before the first placement")
    await reset(rig, handle, point, handle.first_execution_run_id or "")
    first = await rig.result(rig.client.get_workflow_handle(handle.id))
    assert len(box.ledger()["orders"]) == 2
    await reset(rig, old, point, handle.first_execution_run_id or "", name="again")
    second = await rig.result(rig.client.get_workflow_handle(handle.id))
    ledger_agrees(box.ledger(), second, ignore=() if idempotent else ("request_id",))
    assert states(second) == states(first)
    assert second["run_id"] != first["run_id"]


async def _reset_in_flight(rig: Rig, box: Sandbox, until: Callable[[Report], Any], **account: Any) -> Report:
    """Reset to a point at which the only placement is on its way: Temporal hands it out again as it was."""
    await rig.work(box.url, **account)
    handle = await rig.start(rig.document([{"id": "seed", "service": 102, "quantity": 50}]))
    await assert_eventually(lambda: box.ledger()["requests"].get("add", 0) >= 1)
    await handle.execute_update("pause", "to have a point")
    await handle.execute_update("resume")
    history = await handle.fetch_history()
    point = _completed_tasks(history, lambda _: False)
    await rig.until(handle, until)
    await reset(rig, handle, point)
    return await rig.result(rig.client.get_workflow_handle(handle.id))


SLOW_ANSWER = "add:slow_after:2=1x1"


@pytest.mark.parametrize(
    ("panel", "account"),
    [
        ({"key_memory": 0.0}, {}),
        ({"dialect": "classic", "idempotent": False}, {"idempotent": False}),
    ],
    ids=["forgotten", "without keys"],
)
async def test_a_reset_while_a_placement_is_on_its_way_does_not_repeat_it(
    rig: Rig, panel: dict[str, Any], account: dict[str, Any]
) -> None:
    box = await rig.sandbox(faults=(SLOW_ANSWER,), **panel)
    report = await _reset_in_flight(rig, box, lambda progress: progress["counts"].get("completed"), **account)
    ledger_agrees(box.ledger(), report, ignore=("request_id",) if account else ())
    assert len(box.ledger()["orders"]) == 1


async def test_a_reset_while_what_was_refused_later_is_on_its_way_follows_the_old_submissions(rig: Rig) -> None:
    box = await rig.sandbox(opening_balance="0.00", faults=(SLOW_ANSWER,))

    async def topped_up() -> None:
        await assert_eventually(lambda: box.ledger()["requests"].get("add", 0) >= 2)
        await rig.control(box, "balance", add="5.00")

    topping = asyncio.create_task(topped_up())
    report = await _reset_in_flight(rig, box, lambda progress: progress["counts"].get("completed"))
    await topping
    ledger_agrees(box.ledger(), report)
    assert len(box.ledger()["orders"]) == 1


async def test_a_reset_run_knows_until_when_the_replaced_one_may_have_sent(rig: Rig) -> None:
    box = await rig.sandbox(faults=("add:error_before=1",))
    await rig.work(box.url)
    handle = await rig.start(rig.document([{"id": "seed", "service": 102, "quantity": 50}]))
    await assert_eventually(lambda: box.ledger()["requests"].get("add", 0) >= 2)
    tried = datetime.now(UTC)
    made = await reset(rig, handle, await point_of(handle, "before the first placement"))
    (sent,) = (await Memory(rig.client).sendings(handle.id, made, [made])).sent.values()
    # The first of its attempts was a second earlier at least: their activity was open until the reset.
    assert sent.lost_at is not None
    assert sent.lost_at >= tried
    box.arm()
    report = await rig.result(rig.client.get_workflow_handle(handle.id))
    ledger_agrees(box.ledger(), report)
    assert len(box.ledger()["orders"]) == 1


async def test_a_reset_does_not_buy_what_was_refused_beside_what_was_bought_in_its_stead(rig: Rig) -> None:
    box = await rig.sandbox()
    await rig.work(box.url)
    first = {"id": "first", "service": 102, "quantity": 50}
    gone = {
        "id": "gone",
        "service": 101,
        "quantity": 100,
        "link": f"{LINK}/gone",
        "after": {"order": "first", "delay": "1s"},
    }
    handle = await rig.start(rig.document([first, gone | {"on_shortfall": "reorder", "fallback": [102]}]))
    await rig.until(handle, lambda progress: progress["open"] or progress["counts"].get("completed"))
    await rig.control(box, "service", service=101, active=False)
    await rig.result(handle)
    await rig.control(box, "service", service=101, active=True)
    await reset(rig, handle, await point_of(handle, "before the first placement"))
    report = await rig.result(rig.client.get_workflow_handle(handle.id))
    ledger_agrees(box.ledger(), report)
    assert len(box.ledger()["orders"]) == 2


async def test_on_a_panel_without_keys_a_reset_does_not_repeat_what_is_in_doubt(rig: Rig) -> None:
    box = await rig.sandbox(dialect="classic", idempotent=False, faults=("add:drop_after=1x1",))
    await rig.work(box.url, idempotent=False)
    handle = await rig.start(rig.document([{"id": "seed", "service": 102, "quantity": 50}]))
    await rig.until(handle, lambda progress: progress["counts"].get("unknown") == 1)
    await reset(rig, handle, await point_of(handle, "before the first placement"))
    again = rig.client.get_workflow_handle(handle.id)
    await rig.until(again, lambda progress: progress["counts"].get("unknown") == 1)
    assert len(box.ledger()["orders"]) == 1


async def test_what_was_bought_before_a_reset_and_not_wanted_after_it_is_still_in_the_report(rig: Rig) -> None:
    # Temporal carries the update over: the reset run is canceled before it comes to any placement.
    box = await rig.sandbox(speed=600)
    await rig.work(box.url)
    seeds = [{"id": f"o{n}", "service": 102, "quantity": 10 + n, "link": f"{LINK}/{n}"} for n in range(2)]
    elsewhere = {"on_shortfall": "reorder", "fallback": [102]}
    failing = {"id": "fails", "service": 106, "quantity": 20, "link": f"{LINK}/f", **elsewhere}
    stuck = {"id": "stuck", "service": 104, "quantity": 100, "link": f"{LINK}/s"}
    handle = await rig.start(rig.document([*seeds, failing, stuck]))
    await rig.until(handle, lambda progress: progress["counts"].get("completed") == 3)
    await handle.execute_update("cancel", "enough")
    before = await rig.result(handle)
    await reset(rig, handle, await point_of(handle, "before the first placement"))
    report = await rig.result(rig.client.get_workflow_handle(handle.id))
    ledger_agrees(box.ledger(), report)
    assert (report["state"], report["spent"]) == ("canceled", before["spent"])
    assert {row["key"]: row["state"] for row in report["orders"]} == {
        row["key"]: row["state"] for row in before["orders"]
    }
    assert await rig.failures(rig.client.get_workflow_handle(handle.id)) == []


async def test_what_was_in_doubt_before_a_reset_and_not_wanted_after_it_is_left_to_a_person(rig: Rig) -> None:
    box = await rig.sandbox(dialect="classic", idempotent=False, faults=("add:drop_after=1x1",))
    await rig.work(box.url, idempotent=False)
    handle = await rig.start(rig.document([{"id": "seed", "service": 102, "quantity": 50}]))
    await rig.until(handle, lambda progress: progress["counts"].get("unknown") == 1)
    await handle.execute_update("cancel", "enough")
    await reset(rig, handle, await point_of(handle, "before the first placement"))
    again = rig.client.get_workflow_handle(handle.id)
    progress = await rig.until(again, lambda progress: progress["counts"].get("unknown") == 1)
    assert progress["state"] == "needs_attention"
    (order,) = box.ledger()["orders"]
    await again.execute_update("resolve", {"order": "seed/1", "placed": str(order["order"]), "by": "a test"})
    report = await rig.result(again)
    ledger_agrees(box.ledger(), report, ignore=("request_id",))
