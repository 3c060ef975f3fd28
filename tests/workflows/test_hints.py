"""Hints over hours: they bring single rounds forward and change nothing else of an account's rhythm."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from activities.contracts import account_id
from tests.workflows.test_account import NEVER_STARTS, followed
from workflows.account import GATHER, UNANSWERED
from workflows.kept import EARLY_FOR

if TYPE_CHECKING:
    from temporalio.client import WorkflowHandle

    from tests.workflows.timelapse import Timelapse

HOUR = timedelta(hours=1)


async def _asleep(lapse: Timelapse) -> tuple[WorkflowHandle[Any, Any], dict[str, Any], str]:
    """Follow one order until the account sleeps for an hour; give it, its figures and the order."""
    await lapse.start(NEVER_STARTS)
    account = await followed(lapse)
    await lapse.sleep(timedelta(minutes=5))
    progress = await account.query("progress")
    assert progress["rounds"] >= 1
    return account, progress, lapse.box.ledger()["orders"][0]["order"]


def _since(progress: dict[str, Any], before: dict[str, Any]) -> tuple[int, int, int]:
    rounds, requests, hints = (progress[name] - before[name] for name in ("rounds", "requests", "hints"))
    return rounds, requests, hints


async def test_a_hint_is_followed_up_soon_and_the_hours_own_round_comes_when_it_would_have(lapse: Timelapse) -> None:
    account, before, order = await _asleep(lapse)
    for _ in range(10):
        await account.signal("hint", [order, "ord_of_somebody_else"])
    hinted = await account.query("progress")
    assert _since(hinted, before) == (0, 0, 10)
    assert datetime.fromisoformat(hinted["next_round"]) < datetime.fromisoformat(before["next_round"]) - HOUR / 2
    await lapse.sleep(2 * GATHER)
    after = await account.query("progress")
    assert _since(after, before) == (1, 1, 10)
    assert after["next_round"] == before["next_round"]
    await lapse.sleep(2 * HOUR)
    assert (await account.query("progress"))["rounds"] - after["rounds"] == 2


async def test_a_hint_that_the_panel_cannot_be_asked_about_is_taken_up_again_before_the_hour(lapse: Timelapse) -> None:
    account, before, order = await _asleep(lapse)
    lapse.box.arm("status:html_502=1x4")  # as many as one request is tried
    await account.signal("hint", order)
    await lapse.sleep(GATHER + UNANSWERED / 2)
    failed = await account.query("progress")
    assert _since(failed, before) == (1, 1, 1)
    assert failed["trouble"]
    await lapse.sleep(2 * UNANSWERED)
    after = await account.query("progress")
    assert _since(after, before) == (2, 2, 1)
    assert not after["trouble"]
    assert after["next_round"] == before["next_round"]


async def test_what_is_no_hint_changes_nothing(lapse: Timelapse) -> None:
    account, before, order = await _asleep(lapse)
    for bad in (None, {"orders": [order]}, [[order]], ["x" * 129], "", True):
        await account.signal("hint", bad)
    await account.signal("hint", args=[order, order])
    await account.signal("hint", "ord_of_somebody_else")
    await lapse.sleep(2 * GATHER)
    assert await account.query("progress") == before


async def test_an_order_that_ended_before_anybody_asked_for_it_is_read_as_soon_as_somebody_does(
    lapse: Timelapse,
) -> None:
    account, before, _ = await _asleep(lapse)
    wish = {"campaign": "campaign/month", "every": HOUR.total_seconds()}
    await account.signal("hint", "ord_early")
    await lapse.sleep(2 * GATHER)
    assert await account.query("progress") == before
    await account.signal("follow", {**wish, "panel_orders": ["ord_early"]})
    await lapse.sleep(2 * GATHER)
    after = await account.query("progress")
    assert _since(after, before)[:2] == (1, 1)
    assert after["next_round"] == before["next_round"]
    await account.signal("hint", "ord_late")
    await lapse.sleep(EARLY_FOR)
    await account.signal("follow", {**wish, "panel_orders": ["ord_late"]})
    await lapse.sleep(2 * GATHER)
    assert (await account.query("progress"))["rounds"] == after["rounds"]


async def test_an_account_ends_as_before_when_nobody_wants_its_orders_any_more(lapse: Timelapse) -> None:
    account, _, order = await _asleep(lapse)
    await account.signal("hint", order)
    await lapse.client.get_workflow_handle("campaign/month").terminate("by a person")
    await lapse.sleep(timedelta(days=2))
    described = await lapse.client.get_workflow_handle(account_id("main")).describe()
    assert described.status is not None
    assert described.status.name == "COMPLETED"
