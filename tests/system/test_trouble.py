"""What a campaign does in trouble: a panel that is down or refuses, a worker that dies, a person who stops it."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from tests.system.rig import IMPATIENT, LINK, SKEWED, assert_each_once, assert_eventually, ledger_agrees, states

if TYPE_CHECKING:
    from tests.system.rig import Rig


def _many(count: int, service: int = 102, **more: Any) -> list[dict[str, Any]]:
    return [
        {"id": f"o{number}", "service": service, "quantity": 10 + number, "link": f"{LINK}/{number}", **more}
        for number in range(count)
    ]


async def test_a_worker_killed_again_and_again_places_each_order_once(rig: Rig) -> None:
    # Slow answers make it likely that a kill falls between the sending and the answer.
    box = await rig.sandbox(faults=("add:slow_after:0.3=0.7", "*:slow:0.1=0.3"))
    order = {"id": "views", "service": 102, "quantity": 8000, "drip": {"runs": 8, "every": "1s"}, "concurrent": True}
    handle = await rig.start(rig.document([*_many(12), order], limits={"budget": "50.00 USD"}))
    pause = random.Random(7)
    for _ in range(3):
        worker = await rig.worker_process(box.url, script=IMPATIENT)
        await worker.up()
        adds = box.ledger()["requests"].get("add", 0)
        await assert_eventually(lambda adds=adds: box.ledger()["requests"].get("add", 0) > adds)
        await asyncio.sleep(pause.uniform(0, 0.4))
        await worker.kill()
    box.arm()
    await rig.worker_process(box.url, script=IMPATIENT)
    report = await rig.result(handle, within=120)
    assert set(states(report).values()) == {"completed"}
    ledger_agrees(box.ledger(), report)
    assert len(report["orders"]) == 20


async def test_a_stopped_worker_finishes_what_is_on_its_way(rig: Rig) -> None:
    box = await rig.sandbox(faults=("add:slow_after:1.5",))
    worker = await rig.worker_process(box.url)
    handle = await rig.start(rig.document(_many(3)))
    await assert_eventually(lambda: len(box.ledger()["orders"]) == 3)
    assert await worker.stop() == 0
    await rig.worker_process(box.url)
    report = await rig.result(handle)
    ledger = box.ledger()
    ledger_agrees(ledger, report)
    assert set(ledger["attempts"].values()) == {1}


async def test_workers_whose_clocks_are_hours_off_judge_no_order_by_them(rig: Rig) -> None:
    box = await rig.sandbox(speed=1800, faults=("add:drop_after=0.2", "add:throttle:1=0.1"), seed=5)
    orders = [
        *_many(6),
        {"id": "stalls", "service": 105, "quantity": 100, "cancel": {"stalled_for": "4s"}},
        {"id": "stuck", "service": 104, "quantity": 100, "cancel": {"not_started_in": "4s"}},
        {"id": "slow", "service": 101, "quantity": 1000, "cancel": {"not_started_in": "1h", "stalled_for": "1h"}},
    ]
    handle = await rig.start(rig.document(orders))
    fast = await rig.worker_process(box.url, script=SKEWED, env={"RIG_SKEW": "2"})
    await rig.until(handle, lambda progress: progress["counts"].get("completed", 0) >= 3)
    # What the fast clock saw must not make old of what the slow one sees.
    assert await fast.stop() == 0
    await rig.worker_process(box.url, script=SKEWED, env={"RIG_SKEW": "-2"})
    report = await rig.result(handle)
    ledger_agrees(box.ledger(), report)
    assert states(report) == {
        **{f"o{number}/1": "completed" for number in range(6)},
        "stalls/1": "canceled",
        "stuck/1": "canceled",
        "slow/1": "completed",
    }


async def test_a_storm_of_lost_answers_ends_with_the_ledger_of_the_report(rig: Rig) -> None:
    storm = (
        "add:drop_after=0.15",
        "add:error_after=0.1",
        "add:drop_before=0.05",
        "add:html_200=0.05",
        "add:html_502=0.05",
        "add:throttle:1=0.03",
        "status:drop_after=0.1",
        "status:html_200=0.05",
        "services:error_before=0.3",
    )
    box = await rig.sandbox(faults=storm, seed=11)
    await rig.work(box.url)
    handles = [await rig.start(rig.document(_many(32), name=rig.name(f"storm{number}"))) for number in range(2)]
    reports = await asyncio.gather(*(rig.result(handle, within=150) for handle in handles))
    ledger = box.ledger()
    assert sum(ledger["faults"].values()) > 20
    ledger_agrees(ledger, *reports)
    assert len(ledger["orders"]) == 64
    assert {state for report in reports for state in states(report).values()} == {"completed"}


@pytest.mark.parametrize("way", ["Request Cancellation", "the update"])
async def test_a_canceled_campaign_places_nothing_more_and_completes_with_the_truth(rig: Rig, way: str) -> None:
    box = await rig.sandbox(speed=1800)
    await rig.work(box.url)
    orders = [
        {"id": "fast", "service": 102, "quantity": 500},
        {"id": "slow", "service": 104, "quantity": 100},
        {"id": "half", "service": 105, "quantity": 100},
        {"id": "late", "service": 101, "quantity": 1000, "after": {"order": "fast", "delay": "1h"}},
        {"id": "drip", "service": 102, "quantity": 100, "link": f"{LINK}/d", "drip": {"runs": 5, "every": "1h"}},
    ]
    handle = await rig.start(rig.document(orders))
    await rig.until(handle, lambda progress: progress["counts"].get("completed") == 2)
    await assert_eventually(
        lambda: any(line["delivered"] >= 50 for line in box.ledger()["orders"] if line["service"] == 105)
    )
    if way == "the update":
        assert await handle.execute_update("cancel", {"by": "a test", "why": "enough"}) in ("running", "canceled")
    else:
        await handle.cancel()
    report = await rig.result(handle)
    assert report["state"] == "canceled"
    assert states(report) == {
        "fast/1": "completed",
        "slow/1": "canceled",
        "half/1": "canceled",
        "late/1": "skipped",
        "drip/1": "completed",
        **{f"drip/{run}": "skipped" for run in range(2, 6)},
    }
    half = next(row for row in report["orders"] if row["order"] == "half")
    assert half["delivered"] == 50
    ledger_agrees(box.ledger(), report)
    assert [decision["what"] for decision in report["decisions"]] == ["cancel"]
    assert box.ledger()["requests"]["add"] == 4


@pytest.mark.parametrize("way", ["Request Cancellation", "the update"])
async def test_a_campaign_that_cannot_plan_can_be_canceled(rig: Rig, way: str) -> None:
    box = await rig.sandbox()
    await rig.control(box, "down", down=True)
    await rig.work(box.url)
    handle = await rig.start(rig.document(_many(1)))
    await assert_eventually(lambda: box.front.down == "503")
    progress = await rig.until(handle, lambda _: True)
    assert progress["state"] == "planning"
    await (handle.execute_update("cancel") if way == "the update" else handle.cancel())
    report = await rig.result(handle)
    assert (report["state"], report["spent"], report["orders"]) == ("canceled", "0.00", [])
    assert box.ledger()["orders"] == []


async def test_a_cancellation_that_came_while_no_worker_ran_is_heeded(rig: Rig) -> None:
    box = await rig.sandbox(speed=0)
    async with rig.workers(box.url):
        handle = await rig.start(rig.document([{"id": "slow", "service": 104, "quantity": 100}]))
        await rig.until(handle, lambda progress: progress["open"] == 1)
    await handle.cancel()
    await rig.control(box, "clock", speed=600)
    await rig.work(box.url)
    report = await rig.result(handle)
    assert states(report) == {"slow/1": "canceled"}
    ledger_agrees(box.ledger(), report)


async def test_a_cancellation_before_the_first_step_buys_nothing(rig: Rig) -> None:
    box = await rig.sandbox()
    handle = await rig.start(rig.document(_many(2)))
    await handle.cancel()
    await rig.work(box.url)
    report = await rig.result(handle)
    assert (report["state"], report["orders"]) == ("canceled", [])
    assert box.ledger()["orders"] == []


async def test_a_panel_that_is_down_makes_orders_wait_and_resumes_by_itself(rig: Rig) -> None:
    box = await rig.sandbox(speed=60)
    await rig.work(box.url)
    order = {"id": "views", "service": 102, "quantity": 400, "drip": {"runs": 4, "every": "1s"}}
    handle = await rig.start(rig.document([order]))
    await rig.until(handle, lambda progress: progress["open"])
    await rig.control(box, "down", down="drop")
    await asyncio.sleep(2.5)
    await rig.control(box, "down", down=False)
    report = await rig.result(handle)
    assert set(states(report).values()) == {"completed"}
    ledger_agrees(box.ledger(), report)


async def test_without_funds_orders_hold_and_all_go_on_after_a_top_up_without_a_duplicate(rig: Rig) -> None:
    box = await rig.sandbox(opening_balance="0.10")
    await rig.work(box.url)
    handle = await rig.start(rig.document(_many(8, quantity=50), limits={"budget": "1.00 USD"}))
    progress = await rig.until(handle, lambda progress: progress["counts"].get("held", 0) >= 5)
    assert "no funds" in progress["why"]
    adds = box.ledger()["requests"]["add"]
    await asyncio.sleep(2.5)
    # One order probes; the rest are quiet.
    assert box.ledger()["requests"]["add"] - adds <= 4
    await rig.control(box, "balance", add="5.00")
    report = await rig.result(handle)
    assert set(states(report).values()) == {"completed"}
    ledger_agrees(box.ledger(), report)
    assert len(box.ledger()["orders"]) == 8


async def test_a_wrong_key_holds_everything_until_a_worker_with_the_right_one_runs(rig: Rig) -> None:
    box = await rig.sandbox()
    right = await rig.worker_process(box.url)
    drip = {"runs": 4, "every": "2s"}
    order = {"id": "views", "service": 102, "quantity": 400, "drip": drip, "concurrent": True}
    handle = await rig.start(rig.document([order]))
    await rig.until(handle, lambda progress: progress["open"] or progress["counts"].get("completed"))
    await right.stop()
    wrong = await rig.worker_process(box.url, key="another-key")
    progress = await rig.until(handle, lambda progress: progress["state"] == "needs_attention")
    assert "the account is refused" in progress["why"]
    await wrong.stop()
    await rig.worker_process(box.url)
    report = await rig.result(handle)
    assert set(states(report).values()) == {"completed"}
    ledger_agrees(box.ledger(), report)
    assert "another-key" not in wrong.said()


async def test_a_suspended_account_holds_orders_loudly_and_lets_them_go(rig: Rig) -> None:
    box = await rig.sandbox(speed=600)
    await rig.work(box.url)
    drip = {"runs": 4, "every": "1s"}
    order = {"id": "views", "service": 102, "quantity": 400, "drip": drip, "concurrent": True}
    handle = await rig.start(rig.document([order]))
    await rig.until(handle, lambda progress: progress["open"] or progress["counts"].get("completed"))
    await rig.control(box, "account", suspended=True)
    progress = await rig.until(handle, lambda progress: progress["state"] == "needs_attention")
    assert "the account is refused" in progress["why"]
    await rig.control(box, "account", suspended=False)
    report = await rig.result(handle)
    assert set(states(report).values()) == {"completed"}
    ledger_agrees(box.ledger(), report)


async def test_an_account_refused_while_an_order_is_in_doubt_does_not_buy_it_twice(rig: Rig) -> None:
    box = await rig.sandbox(faults=("add:drop_after:1",))
    await rig.work(box.url)
    handle = await rig.start(rig.document(_many(1)))
    await assert_eventually(lambda: len(box.ledger()["orders"]) == 1)
    await rig.control(box, "account", suspended=True)
    box.arm()
    # The panel refuses whoever asks before it looks at the request id: that says nothing about the order.
    await assert_eventually(lambda: box.ledger()["requests"]["add"] >= 3)
    await rig.control(box, "account", suspended=False)
    report = await rig.result(handle)
    assert set(states(report).values()) == {"completed"}
    ledger_agrees(box.ledger(), report)
    assert len(box.ledger()["attempts"]) == 1


@pytest.mark.parametrize(
    ("orders", "told"),
    [
        ([{"link": "https://elsewhere.example/x", "quantity": 50}], "allowed_targets"),
        ([{"service": 114, "quantity": 500}], "114"),
        ([{"quantity": 5}], "minimum"),
        ([{"quantity": 1_000_000}], "budget"),
        ([{"service": 113, "quantity": 5}], "Custom Comments"),
    ],
    ids=["a link of others", "an inactive service", "below the minimum", "above the budget", "an unknown type"],
)
async def test_what_the_account_or_the_catalog_contradicts_fails_at_once_and_buys_nothing(
    rig: Rig, orders: list[dict[str, Any]], told: str
) -> None:
    box = await rig.sandbox()
    await rig.work(box.url)
    filled = [{"id": f"o{number}", "service": 102, **order} for number, order in enumerate(orders)]
    handle = await rig.start(rig.document(filled, limits={"budget": "10.00 USD"}))
    with pytest.raises(WorkflowFailureError) as caught:
        await rig.result(handle)
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "InvalidCampaign"
    assert told in caught.value.cause.message
    assert "orders[0]" in caught.value.cause.message or told == "budget"
    assert box.ledger()["orders"] == []


async def test_a_service_withdrawn_later_fails_its_order_in_the_panels_words_and_the_rest_goes_on(rig: Rig) -> None:
    box = await rig.sandbox(speed=3600)
    await rig.work(box.url)
    orders = [
        {"id": "first", "service": 102, "quantity": 100},
        {"id": "gone", "service": 101, "quantity": 100, "after": {"order": "first", "delay": "2s"}},
        {"id": "last", "service": 102, "quantity": 100, "after": "gone"},
    ]
    handle = await rig.start(rig.document(orders))
    await rig.until(handle, lambda progress: progress["counts"].get("completed"))
    await rig.control(box, "service", service=101, active=False)
    report = await rig.result(handle)
    assert states(report) == {"first/1": "completed", "gone/1": "failed", "last/1": "completed"}
    assert report["orders"][1]["why"] == "Service not found"
    ledger_agrees(box.ledger(), report)


async def test_a_panel_without_keys_is_asked_once_and_a_person_settles_the_doubt(rig: Rig) -> None:
    box = await rig.sandbox(dialect="classic", idempotent=False, faults=("add:drop_after=1x1", "add:drop_before=1x1"))
    await rig.work(box.url, idempotent=False)
    handle = await rig.start(rig.document(_many(3)))
    progress = await rig.until(handle, lambda p: p["counts"].get("unknown") == 2 and p["counts"].get("completed") == 1)
    assert progress["state"] == "needs_attention"
    assert box.ledger()["requests"]["add"] == 3
    rows = {row["order"]: row for row in await handle.query("orders")}
    doubtful = [row for row in rows.values() if row["state"] == "unknown"]
    known = {row["panel_order"] for row in rows.values()}
    for row in doubtful:
        there = [
            line
            for line in box.ledger()["orders"]
            if line["quantity"] == row["quantity"] and str(line["order"]) not in known
        ]
        answer: dict[str, Any] = {"placed": str(there[0]["order"])} if there else {"not_placed": True}
        wish = {"order": f"{row['order']}/1", "by": "the operator", "why": "looked at the panel", **answer}
        await handle.execute_update("resolve", wish)
        if there:
            await handle.execute_update("resolve", wish)  # the same word twice is no other word
    report = await rig.result(handle)
    assert set(states(report).values()) == {"completed"}
    assert len([decision for decision in report["decisions"] if decision["by"] == "the operator"]) == 2
    ledger_agrees(box.ledger(), report, ignore=["request_id"])


async def test_one_account_unknown_to_the_worker_fails_its_campaign_and_says_what_it_has(rig: Rig) -> None:
    box = await rig.sandbox()
    await rig.work(box.url)
    handle = await rig.start(rig.document(_many(1)) | {"account": "nobody"})
    with pytest.raises(WorkflowFailureError) as caught:
        await rig.result(handle)
    assert rig.account in str(caught.value.cause)
    assert_each_once(box.ledger())


async def test_what_may_be_at_the_panel_is_not_called_refused_when_the_links_allowed_become_fewer(rig: Rig) -> None:
    box = await rig.sandbox(faults=("add:drop_after=1x1",))
    handle = await rig.start(rig.document(_many(1)))
    async with rig.workers(box.url):
        await assert_eventually(lambda: len(box.ledger()["orders"]) == 1)
    async with rig.workers(box.url, allowed_targets=["https://other.example/*"]):
        await rig.until(handle, lambda progress: progress["counts"].get("unknown") == 1)
        await handle.execute_update(
            "resolve", {"order": "o0/1", "placed": box.ledger()["orders"][0]["order"], "by": "a test"}
        )
        report = await rig.result(handle)
    ledger_agrees(box.ledger(), report)
