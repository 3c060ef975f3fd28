"""Notices on the real thing: signed, repeated until they are taken, told apart by id, and never in a campaign's way."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError

from activities.telling import NOTICE_ID, SECRET_VARIABLE, SIGNATURE
from embedded import embedded_temporal
from panel import SignatureScheme, verify
from tests.system.receiver import receiving
from tests.system.rig import LINK, ledger_agrees, open_rig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.rig import Rig

SECRET = "a-secret-of-this-test"
ALL = ["settled", "failed", "needs_attention", "awaiting_approval", "held", "low_balance", "completed"]


def _two(**more: Any) -> list[dict[str, Any]]:
    return [
        {"id": "good", "service": 102, "quantity": 10, **more},
        {"id": "bad", "service": 106, "quantity": 10, "link": f"{LINK}/2", **more},
    ]


async def test_notices_are_signed_repeated_until_taken_and_each_is_told_once_by_its_id(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with receiving(500, 503) as receiver:
        monkeypatch.setenv("ALERT_URL", f"{receiver.url}/very-secret")
        monkeypatch.setenv(SECRET_VARIABLE, SECRET)
        box = await rig.sandbox(speed=3600)
        await rig.work(box.url)
        notify = {"webhook": "${ALERT_URL}", "on": ALL}
        document = rig.document(_two(), notify=notify, limits={"approval_over": "0.01 USD"})
        handle = await rig.start(document)
        await rig.until(handle, lambda progress: progress["state"] == "awaiting_approval")
        await handle.execute_update("approve", {"by": "bo"})
        report = await rig.result(handle)
    ledger_agrees(box.ledger(), report)
    taken = [delivery.body for delivery in receiver.taken]
    assert [(body["kind"], body["order"]) for body in taken[:1]] == [("awaiting_approval", None)]
    assert sorted((body["kind"], body["order"]) for body in taken[1:-1]) == [
        ("failed", "bad/1"), ("settled", "bad/1"), ("settled", "good/1"),
    ]  # fmt: skip
    last = taken[-1]
    assert set(last) == {"id", "kind", "at", "campaign", "account", "order", "text", "data"}
    assert (last["kind"], last["campaign"], last["account"]) == ("completed", handle.id, rig.account)
    assert last["data"] == {"spent": "0.012", "reserved": "0.00", "currency": "USD"}
    assert last["text"] == f"{rig.name()}: completed, spent 0.012 USD"
    # The first one was repeated as it was; by its id it is the same.
    assert len({delivery.body["id"] for delivery in receiver.deliveries}) == len(taken) == len(receiver.deliveries) - 2
    assert len({delivery.raw for delivery in receiver.deliveries[:3]}) == 1
    for delivery in receiver.deliveries:
        assert delivery.headers[NOTICE_ID.lower()] == delivery.body["id"]
        now = datetime.now(UTC)
        verify(delivery.headers, delivery.raw, SECRET, now, SignatureScheme(header=SIGNATURE))
        # As docs/policies.md has it, without any code of ours:
        at, given = (part.partition("=")[2] for part in delivery.headers[SIGNATURE.lower()].split(","))
        expected = hmac.new(SECRET.encode(), at.encode() + b"." + delivery.raw, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(given, expected)
        assert abs(time.time() - int(at)) < 300
    history = (await handle.fetch_history()).to_json()
    for secret in ("very-secret", receiver.url, SECRET):
        assert secret not in history
        assert secret not in caplog.text
    assert "${ALERT_URL}" in json.dumps(document)


async def test_a_chat_gets_text_of_the_kinds_it_asked_for_and_no_signature_without_a_secret(rig: Rig) -> None:
    with receiving() as receiver:
        box = await rig.sandbox(speed=3600)
        await rig.work(box.url)
        notify = {"webhook": receiver.url, "format": "text", "on": ["failed"]}
        await rig.result(await rig.start(rig.document(_two(), notify=notify)))
    (delivery,) = receiver.deliveries
    text = f'{rig.name()}: bad/1 failed (the panel says "fail")'
    assert delivery.body == {"text": text, "content": text}
    assert SIGNATURE.lower() not in delivery.headers


@pytest.mark.parametrize("webhook", ["http://127.0.0.1:9/nobody", "${NOT_SET_ANYWHERE}", "${RIG_KEY}", "refuses"])
async def test_a_webhook_that_takes_nothing_neither_holds_up_nor_fails_a_campaign(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, webhook: str
) -> None:
    monkeypatch.setenv("RIG_KEY", "sandbox-key")
    with receiving(*[410] * 50) as receiver:
        box = await rig.sandbox(speed=3600)
        await rig.work(box.url)
        notify = {"webhook": receiver.url if webhook == "refuses" else webhook, "on": ALL}
        handle = await rig.start(rig.document(_two(), notify=notify))
        report = await rig.result(handle, within=60)
    ledger_agrees(box.ledger(), report)
    assert (report["state"], await rig.failures(handle)) == ("completed", [])
    assert "sandbox-key" not in (await handle.fetch_history()).to_json()
    assert len(receiver.deliveries) == (4 if webhook == "refuses" else 0)


async def test_a_campaign_that_is_refused_says_so_to_whoever_asked_to_be_told(rig: Rig) -> None:
    with receiving() as receiver:
        box = await rig.sandbox(speed=3600)
        await rig.work(box.url)
        document = rig.document(
            [{"id": "a", "service": 102, "quantity": 1000}],
            limits={"budget": "1.00 USD"},
            notify={"webhook": receiver.url},
        )
        with pytest.raises(WorkflowFailureError):
            await rig.result(await rig.start(document))
    (delivery,) = receiver.deliveries
    assert delivery.body["kind"] == "failed"
    assert delivery.body["text"].startswith(
        f"{rig.name()}: refused, nothing was ordered: limits.budget: the plan costs"
    )


async def test_updates_count_once_by_their_id_also_after_the_history_was_cut_and_refused_ones_leave_no_trace(
    tmp_path: Path,
) -> None:
    async with AsyncExitStack() as stack:
        short = embedded_temporal(port=0, ui_port=0, dynamic=["limit.historyCount.suggestContinueAsNew=30"])
        rig = await open_rig(await stack.enter_async_context(short), tmp_path, stack)
        box = await rig.sandbox(speed=3600)
        await rig.work(box.url)
        dripping = {"service": 102, "quantity": 300, "drip": {"runs": 30, "every": "1s"}, "concurrent": True}
        handle = await rig.start(rig.document([{"id": "views", **dripping}], limits={"budget": "1.00 USD"}))
        await rig.until(handle, lambda progress: progress["open"])
        raised = {"budget": "2.00 USD", "by": "ada"}
        await handle.execute_update("skip", {"order": "views/29", "by": "ada"}, id="skip-29")
        await handle.execute_update("raise_budget", raised, id="raise-1")
        first = (await handle.describe()).run_id

        async def cut() -> bool:
            return bool((await handle.describe()).run_id != first)

        for _ in range(300):
            if await cut():
                break
            await asyncio.sleep(0.1)
        assert await cut()
        assert await handle.execute_update("raise_budget", raised, id="raise-1") == "running"
        assert await handle.execute_update("skip", {"order": "views/29", "by": "ada"}, id="skip-29") == "running"
        told = [(one["what"], one["by"]) for one in (await handle.query("progress"))["decisions"]]
        assert told == [("skip views/29", "ada"), ("budget from 1.00 USD to 2.00 USD", "ada")]
        for update, wish in (
            ("skip", {"order": "nobody"}), ("retry", {"order": "views/1", "extra": 1}), ("approve", None),
            ("raise_budget", {"budget": "1.00 EUR"}), ("reschedule", {"later": "0s"}),
            ("cancel", {"order": "views/99"}), ("raise_budget", {"budget": "1.99 USD"}),
            ("resolve", {"order": "views/1", "not_placed": True}),
        ):  # fmt: skip
            with pytest.raises(WorkflowUpdateFailedError):
                await handle.execute_update(update, wish)
        history = await handle.fetch_history()
        accepted = [
            event.workflow_execution_update_accepted_event_attributes.accepted_request.input.name
            for event in history.events
            if event.HasField("workflow_execution_update_accepted_event_attributes")
        ]
        assert set(accepted) <= {"raise_budget", "skip"}
        assert len(accepted) <= 2
        await handle.execute_update("cancel", "enough")
        report = await rig.result(handle)
        ledger_agrees(box.ledger(), report)
