"""What people see in the Temporal Web UI: summaries, live details, descriptions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.contracts import account_id
from tests.system.rig import assert_eventually

if TYPE_CHECKING:
    from temporalio.client import WorkflowHandle

    from tests.system.rig import Report, Rig


async def _summaries(handle: WorkflowHandle[Any, Any]) -> dict[int, list[str]]:
    history = await handle.fetch_history()
    found: dict[int, list[str]] = {}
    for event in history.events:
        if event.HasField("user_metadata") and event.user_metadata.HasField("summary"):
            words = pydantic_data_converter.payload_converter.from_payload(event.user_metadata.summary)
            found.setdefault(event.event_type, []).append(words)
    return found


async def _metadata(handle: WorkflowHandle[Any, Any]) -> WorkflowMetadata:
    given: WorkflowMetadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return given


def _plain(details: str) -> str:
    """Take out the spaces that only keep the columns of the Web UI's table apart."""
    for space, instead in (("\u2003", " "), ("\u2060", ""), ("\xa0", " ")):
        details = details.replace(space, instead)
    return re.sub(" +", " ", details)


async def test_every_step_says_in_the_operators_words_what_it_is(rig: Rig) -> None:
    box = await rig.sandbox(speed=1200)
    await rig.work(box.url)
    orders = [
        {"id": "views", "service": 102, "quantity": 2000, "drip": {"runs": 2, "every": "1s"}},
        {"id": "likes", "service": 103, "quantity": 100, "refill": {"within": "5s", "every": "3s", "max": 1}},
        {"id": "stall", "service": 104, "quantity": 100, "cancel": {"not_started_in": "2s"}},
    ]
    document = rig.document(
        orders, description="What it is for", timezone="Europe/Istanbul", limits={"budget": "9.00 USD"}
    )
    handle = await rig.start(document)

    live: list[str] = []

    async def table_is_shown() -> None:
        details = _plain((await _metadata(handle)).current_details)
        live.append(details)
        assert "| views 1/2 |" in details
        assert "**running**" in details

    await assert_eventually(table_is_shown)
    report: Report = await rig.result(handle)
    assert report["state"] == "completed"

    described = await handle.describe()
    assert await described.static_summary() == f"{rig.name()}: 3 orders on account {rig.account}, budget 9.00 USD"
    assert await described.static_details() == "What it is for"
    details = _plain((await _metadata(handle)).current_details)
    assert "**completed**" in details
    assert "| views 2/2 | ✓ completed | 1,000 / 1,000 | 1.20 |" in details

    summaries = await _summaries(handle)
    activities = summaries[EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED]
    assert {
        f"look up account {rig.account}",
        f"read the catalog of account {rig.account}",
        "place views 1/2: 1,000 of service 102",
        "place views 2/2: 1,000 of service 102",
        "place likes: 100 of service 103",
        "ask to cancel stall",
        "ask to refill likes",
    } <= set(activities)
    timers = summaries[EventType.EVENT_TYPE_TIMER_STARTED]
    assert any(timer.startswith("next: views 2/2, ") and timer.endswith("Europe/Istanbul") for timer in timers)

    history = await handle.fetch_history()
    quiet = [
        event.event_id
        for event in history.events
        if event.event_type in (EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, EventType.EVENT_TYPE_TIMER_STARTED)
        and not event.user_metadata.HasField("summary")
    ]
    assert quiet == []

    account = rig.client.get_workflow_handle(account_id(rig.account))
    assert rig.account in (await (await account.describe()).static_summary() or "")
    reading = await _summaries(account)
    assert any(words.startswith("read ") for words in reading[EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED])
    assert any(words.startswith("next round: ") for words in reading[EventType.EVENT_TYPE_TIMER_STARTED])
    assert re.search(r"[0-9] status requests? in [0-9]+ rounds? since", (await _metadata(account)).current_details)


async def test_every_update_query_and_signal_has_a_description(rig: Rig) -> None:
    box = await rig.sandbox(speed=0)
    await rig.work(box.url)
    handle = await rig.start(rig.document([{"id": "only", "service": 102, "quantity": 10}]))
    account = rig.client.get_workflow_handle(account_id(rig.account))
    await assert_eventually(lambda: box.ledger()["requests"].get("status", 0) > 0)
    for workflow in (handle, account):
        definition = (await _metadata(workflow)).definition
        messages = [*definition.update_definitions, *definition.query_definitions, *definition.signal_definitions]
        ours = [message for message in messages if not message.name.startswith("__")]
        assert ours
        assert [message.name for message in ours if not message.description] == []
