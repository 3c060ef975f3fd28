"""The policies on the real thing: shortfall, refill, every guard on money, also under faults and with two workers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities import gating
from activities.contracts import CAMPAIGNS_QUEUE, PlaceOrder, account_id, campaign_id
from campaigns.definition import Definition
from campaigns.messages import OrderForm
from campaigns.reviewed import Reviewed
from tests.system.rig import LINK, assert_each_once, assert_eventually, ledger_agrees, noon
from workflows import halting
from workflows.starting import start_campaign

if TYPE_CHECKING:
    from temporalio.client import WorkflowHandle

    from sandbox.server import Sandbox
    from tests.system.rig import Report, Rig

LOSSY = ("add:drop_after=0.3",)
TEN = Decimal("0.012")
"""What ten units of service 102 cost."""


def tens(count: int, name: str = "o") -> list[dict[str, Any]]:
    return [
        {"id": f"{name}{number}", "service": 102, "quantity": 10, "link": f"{LINK}/{name}/{number}"}
        for number in range(count)
    ]


async def two_workers(rig: Rig, box: Sandbox, **account: Any) -> None:
    workers = [await rig.worker_process(box.url, **account) for _ in range(2)]
    await asyncio.gather(*(worker.up() for worker in workers))


def charged(box: Sandbox) -> Decimal:
    return sum((Decimal(line["charge"]) for line in box.ledger()["orders"]), Decimal(0))


async def held(rig: Rig, handle: WorkflowHandle[Any, Report], words: str) -> list[Report]:
    """Wait until orders are held with these words; give their rows."""

    async def found() -> list[Report]:
        rows = await handle.query("orders")
        # What is in doubt stays `placing`: it may be at the panel, and its request id is kept.
        holding = [row for row in rows if row["state"] in ("held", "placing") and words in row["why"]]
        assert holding, rows
        return holding

    rows: list[Report] = await assert_eventually(found)
    return rows


async def test_a_stalled_order_is_asked_back_bought_elsewhere_and_refilled_and_the_money_is_the_ledgers(
    rig: Rig,
) -> None:
    box = await rig.sandbox(speed=3600)
    await rig.work(box.url)
    stalls = {"service": 105, "quantity": 200, "cancel": {"stalled_for": "2s"}, "on_shortfall": "reorder"}
    orders = [
        {"id": "plain", **stalls, "fallback": [205]},
        {"id": "drops", **stalls, "link": f"{LINK}/2", "fallback": [309, 107],
         "refill": {"within": "1h", "every": "4s", "max": 1}},
    ]  # fmt: skip
    await rig.control(box, "service", service=309, min=5000)
    handle = await rig.start(rig.document(orders, limits={"budget": "2.00 USD"}))
    await rig.until(handle, lambda progress: progress["counts"].get("completed") == 2)
    await rig.control(box, "clock", advance=25 * 3600)
    report = await rig.result(handle)
    ledger_agrees(box.ledger(), report)
    chain = {(row["order"], row["service"]): row for row in report["orders"]}
    assert {key: (row["state"], row["delivered"], row["quantity"]) for key, row in chain.items()} == {
        ("plain", 105): ("canceled", 100, 200),
        ("plain", 205): ("completed", 100, 100),
        ("drops", 105): ("canceled", 100, 200),
        ("drops", 107): ("completed", 100, 100),
    }
    assert chain["plain", 205]["replaces"] == "plain/1"
    assert chain["plain", 105]["replaces"] is None
    assert "canceled on our request" in chain["plain", 105]["why"]
    assert Decimal(report["spent"]) == 2 * Decimal("0.31") + Decimal("0.39") + Decimal("0.275")
    assert (box.ledger()["requests"]["refill"], report["delivered_percent"]) == (1, "100.0")


async def test_a_budget_and_a_days_limit_hold_under_lost_answers_with_two_workers(rig: Rig) -> None:
    box = await rig.sandbox(speed=3600, faults=LOSSY, seed=5)
    await two_workers(rig, box)
    # Planned 1.24 of 1.30; what the dearer fallback would add for the second halves does not fit in.
    stalling = [
        {"id": f"s{n}", "service": 105, "quantity": 100, "link": f"{LINK}/s/{n}", "cancel": {"stalled_for": "1s"},
         "on_shortfall": "reorder", "fallback": [309]}
        for n in range(4)
    ]  # fmt: skip
    budget = await rig.start(rig.document(stalling, name=rig.name("budget"), limits={"budget": "1.30 USD"}))
    # 0.12 planned, 0.04 a day: three of ten.
    daily = await rig.start(
        rig.document(tens(10), name=rig.name("daily"), limits={"per_day": "0.04 USD"}, timezone=noon())
    )
    by_day = await held(rig, daily, "would pass the day's limit of 0.04 USD")
    await held(rig, budget, "would pass the budget of 1.30 USD")
    await assert_eventually(lambda: sum(line["service"] == 102 for line in box.ledger()["orders"]) == 3)
    assert len(by_day) == 7
    settled = await rig.until(budget, lambda progress: not progress["open"] and "309" not in progress["why"])
    assert (settled["state"], Decimal(settled["spent"]) <= Decimal("1.30")) == ("needs_attention", True)
    assert charged(box) <= Decimal("1.30") + 3 * TEN
    await daily.execute_update("cancel")
    assert await budget.execute_update("raise_budget", {"budget": "1.60 USD", "by": "ada", "why": "more"}) == "running"
    reports = await asyncio.gather(rig.result(budget), rig.result(daily))
    ledger_agrees(box.ledger(), *reports)
    assert Decimal(reports[0]["spent"]) == 4 * (Decimal("0.155") + Decimal("0.23"))
    assert Decimal(reports[1]["spent"]) == 3 * TEN
    assert box.ledger()["faults"]["add:drop_after"] >= 1


async def test_the_accounts_limit_of_the_day_holds_for_all_campaigns_and_workers_together_under_lost_answers(
    rig: Rig,
) -> None:
    box = await rig.sandbox(speed=3600, faults=LOSSY, seed=3)
    await two_workers(rig, box, per_day="0.07 USD", timezone=noon())
    handles = [await rig.start(rig.document(tens(4, f"c{n}"), name=rig.name(f"c{n}"))) for n in range(3)]
    await assert_eventually(lambda: len(box.ledger()["orders"]) == 5)

    async def holding() -> None:
        rows = [row for handle in handles for row in await handle.query("orders")]
        assert sum(row["state"] == "completed" for row in rows) == 5
        assert sum("of the account's 0.07 a day are used" in row["why"] for row in rows) == 7

    await assert_eventually(holding)
    # A word of release changes nothing: every placement asks again.
    await halting.release(rig.client, rig.account)
    await asyncio.sleep(2)
    account = await rig.client.get_workflow_handle(account_id(rig.account)).query("progress")
    assert Decimal(account["reserved_today"]) == 5 * TEN
    for handle in handles:
        with suppress(RPCError):  # one of them may have had room for all of its orders
            await handle.execute_update("cancel")
    reports = await asyncio.gather(*map(rig.result, handles))
    ledger_agrees(box.ledger(), *reports)
    assert sum(Decimal(report["spent"]) for report in reports) == 5 * TEN


async def test_the_accounts_limit_is_free_again_for_what_the_panel_refused(rig: Rig) -> None:
    box = await rig.sandbox(speed=3600)
    await rig.work(box.url, per_day="0.012 USD")
    await rig.control(box, "balance", set="0.01")
    handle = await rig.start(rig.document(tens(1)))
    await rig.until(handle, lambda progress: "no funds" in progress["why"])
    await rig.control(box, "balance", set="0.10")
    report = await rig.result(handle)
    ledger_agrees(box.ledger(), report)
    assert report["counts"] == {"completed": 1}


async def test_a_service_that_became_dearer_is_held_with_both_rates_until_it_is_approved(rig: Rig) -> None:
    box = await rig.sandbox(speed=3600)
    await rig.work(box.url)
    orders = [
        {"id": "seed", "service": 102, "quantity": 10},
        {"id": "views", "service": 101, "quantity": 1000, "after": {"order": "seed", "when": "placed", "delay": "6s"}},
    ]
    handle = await rig.start(rig.document(orders, limits={"max_rate_increase": "10%", "budget": "1.20 USD"}))
    await rig.until(handle, lambda progress: progress["open"])
    await rig.control(box, "service", service=101, rate="1.10")
    progress = await rig.until(handle, lambda progress: progress["state"] == "needs_attention")
    assert "service 101 went from 0.90 to 1.10 per 1,000, more than 10%" in progress["why"]
    await asyncio.sleep(1)
    assert [line["service"] for line in box.ledger()["orders"]] == [102]
    await handle.execute_update("approve", {"by": "ada", "why": "worth it"})
    report = await rig.result(handle)
    ledger_agrees(box.ledger(), report)
    assert Decimal(report["spent"]) == TEN + Decimal("1.10")
    (decision,) = report["decisions"]
    assert decision["what"] == "approve service 101 at 1.10 per 1,000 (planned 0.90)"
    assert (decision["by"], decision["why"]) == ("ada", "worth it")


@pytest.mark.parametrize("second", [True, False])
async def test_nothing_is_ordered_before_the_approval_and_the_starter_cannot_give_it_where_two_are_wanted(
    rig: Rig, *, second: bool
) -> None:
    box = await rig.sandbox(speed=3600)
    await rig.work(box.url, second_person=second)
    definition = Definition.model_validate(rig.document(tens(2), limits={"approval_over": "0.02 USD"}))
    handle = await start_campaign(rig.client, definition, by="ada")
    await rig.until(handle, lambda progress: progress["state"] == "awaiting_approval")
    if second:
        with pytest.raises(Exception, match="Workflow update failed"):
            await handle.execute_update("approve", {"by": "Ada "})
    await asyncio.sleep(0.5)
    assert box.ledger()["requests"].get("add", 0) == 0
    await handle.execute_update("approve", {"by": "bo" if second else "ada", "why": "fine"})
    report = await rig.result(handle)
    ledger_agrees(box.ledger(), report)
    assert [decision["what"] for decision in report["decisions"]] == ["approve the planned cost of 0.024 USD"]


@pytest.mark.parametrize("memo", [None, {"started_by": None}, {"started_by": ["ada"]}, {"started_by": "ada"}])
async def test_a_raw_start_is_approved_only_where_its_memo_says_who_the_first_person_is(
    rig: Rig, memo: dict[str, Any] | None
) -> None:
    box = await rig.sandbox(speed=3600)
    await rig.work(box.url, second_person=True)
    document = rig.document(tens(2), limits={"approval_over": "0.02 USD"})
    handle = await rig.client.start_workflow(
        "Campaign", document, id=campaign_id(rig.name()), task_queue=CAMPAIGNS_QUEUE, memo=memo
    )
    await rig.until(handle, lambda progress: progress["state"] == "awaiting_approval")
    if memo == {"started_by": "ada"}:
        await handle.execute_update("approve", {"by": "bo"})
        report = await rig.result(handle)
        ledger_agrees(box.ledger(), report)
        return
    for by in ("ada", "bo", ""):
        with pytest.raises(WorkflowUpdateFailedError) as caught:
            await handle.execute_update("approve", {"by": by})
        assert ("nobody is on record" if by else "who approves") in str(caught.value.cause)
    await handle.execute_update("cancel", {"by": "bo"})
    assert (await rig.result(handle))["spent"] == "0.00"
    assert box.ledger()["requests"].get("add", 0) == 0


async def test_a_halt_stops_every_campaign_and_worker_and_a_release_lets_all_go_on_without_loss_or_repeat(
    rig: Rig,
) -> None:
    box = await rig.sandbox(speed=3600, faults=("add:drop_after=0.2",), seed=2)
    await two_workers(rig, box, probe_every="5m")
    dripping = {"service": 102, "quantity": 400, "drip": {"runs": 40, "every": "1s"}, "concurrent": True}
    handles = [
        await rig.start(rig.document([{"id": "views", "link": f"{LINK}/{n}", **dripping}], name=rig.name(f"h{n}")))
        for n in range(2)
    ]
    await assert_eventually(lambda: len(box.ledger()["orders"]) >= 4)
    await halting.halt(rig.client, rig.account, by="ada", why="look into it")

    async def quiet() -> int:
        before = box.ledger()["requests"]["add"]
        await asyncio.sleep(3)
        assert box.ledger()["requests"]["add"] == before
        return int(before)

    # What was on its way, and what a worker may still take for granted, arrives first; then nothing does.
    after = await assert_eventually(quiet, within=10)
    for handle in handles:
        await held(rig, handle, f"account {rig.account} was halted by ada: look into it")
    halted = await rig.client.get_workflow_handle(account_id(rig.account)).query("halted")
    assert (halted["by"], halted["why"]) == ("ada", "look into it")
    await halting.release(rig.client, rig.account, by="ada")
    # At once, and not at the probe in five minutes.
    await assert_eventually(lambda: box.ledger()["requests"]["add"] > after)
    box.arm()
    for handle in handles:
        await handle.execute_update("skip", {"order": "views", "why": "enough for a test"})
    reports = await asyncio.gather(*map(rig.result, handles))
    ledger_agrees(box.ledger(), *reports)
    assert_each_once(box.ledger())
    assert {row["state"] for report in reports for row in report["orders"]} <= {"completed", "skipped"}


async def test_without_a_word_of_the_account_on_its_day_an_order_is_surely_not_sent(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody works, so nobody answers in time; an error that no one foresaw would leave the order in doubt."""
    monkeypatch.setattr(gating, "_PATIENCE", timedelta(seconds=1))
    form = OrderForm(service=102, request_id="one", link=LINK, quantity=10)
    now = datetime.now(UTC)
    order = PlaceOrder(account=rig.account, key="a/1", form=form, first=True, due=now, repeat_until=now, cost=TEN)
    with pytest.raises(gating.NoWordError, match="the day's limit"):
        await gating.Gate(rig.client).ask(order, gating.DailyLimit(Decimal(5), "UTC"))


async def test_an_order_in_doubt_is_not_said_to_be_unsent_while_the_account_is_halted(rig: Rig) -> None:
    box = await rig.sandbox(speed=3600, faults=("add:drop_after",))
    await rig.work(box.url)
    handle = await rig.start(rig.document(tens(1)))
    await assert_eventually(lambda: box.ledger()["requests"].get("add", 0) >= 1)
    await halting.halt(rig.client, rig.account, by="ada")

    async def doubted() -> None:
        (row,) = await handle.query("orders")
        assert row["state"] == "placing"
        assert "was halted by ada; it may be at the panel already" in row["why"]

    await assert_eventually(doubted)
    box.arm()
    await halting.release(rig.client, rig.account, by="ada")
    report = await rig.result(handle)
    ledger_agrees(box.ledger(), report)


async def test_a_campaign_started_while_the_account_is_halted_orders_nothing_until_the_release(rig: Rig) -> None:
    box = await rig.sandbox(speed=3600)
    await rig.work(box.url, probe_every=timedelta(minutes=5))
    await halting.halt(rig.client, rig.account)
    handle = await rig.start(rig.document(tens(3)))
    await held(rig, handle, "was halted")
    assert box.ledger()["requests"].get("add", 0) == 0
    assert (await halting.release(rig.client, rig.account)).was_halted

    async def finished() -> None:
        # The list of running campaigns lags behind: an operator who sees one waiting releases again.
        assert not (await halting.release(rig.client, rig.account)).was_halted
        assert len(box.ledger()["orders"]) == 3

    await assert_eventually(finished, every=0.5)
    report = await rig.result(handle)
    ledger_agrees(box.ledger(), report)


async def test_a_halt_outlives_the_cancellation_of_the_accounts_workflow(rig: Rig) -> None:
    box = await rig.sandbox()
    await rig.work(box.url, probe_every=timedelta(seconds=1))
    await halting.halt(rig.client, rig.account, why="look into it")
    account = rig.client.get_workflow_handle(account_id(rig.account))
    await account.cancel()
    handle = await rig.start(rig.document(tens(1)))
    await held(rig, handle, "was halted: look into it")
    assert (await account.describe()).status is WorkflowExecutionStatus.RUNNING
    assert box.ledger()["requests"].get("add", 0) == 0
    await halting.release(rig.client, rig.account)
    report = await rig.result(handle)
    ledger_agrees(box.ledger(), report)


async def test_what_became_dearer_between_the_review_and_the_first_worker_is_refused(rig: Rig) -> None:
    box = await rig.sandbox()
    orders = [{"id": "seed", "service": 102, "quantity": 500}]
    seen = Reviewed(rates={102: Decimal("1.00")}, allowed=Decimal(10))
    definition = Definition.model_validate(rig.document(orders))
    handle = await start_campaign(rig.client, definition, reviewed=seen)
    await rig.work(box.url)
    with pytest.raises(WorkflowFailureError) as failed:
        await rig.result(handle)
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "InvalidCampaign"
    assert "service 102 went from 1.00 to 1.20 per 1,000 since the plan was reviewed" in cause.message
    assert box.ledger()["orders"] == []
