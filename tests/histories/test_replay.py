"""Histories of every scenario fit the code of today, and hold the request ids they must."""

from __future__ import annotations

import base64
import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

import worker
from workflows.account import Account
from workflows.campaign import Campaign
from workflows.payloads import tolerant_converter

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDED = sorted(Path(__file__).with_name("recorded").glob("*.json"))
SCENARIOS = (
    *("completed", "cancelled", "requested", "continued", "blocked", "lost", "resolved", "was_reset", "refused"),
    *("foreign", "foreign.v1", "retried", "retried.v1", "released", "released.v1", "hinted", "hinted.v1"),
)


def _history(file: Path) -> WorkflowHistory:
    recorded = json.loads(file.read_text())
    started = recorded["events"][0]["workflowExecutionStartedEventAttributes"]
    return WorkflowHistory.from_json(str(started.get("workflowId", "recorded")), recorded)


def test_every_scenario_is_recorded() -> None:
    names = {file.name for file in RECORDED}
    assert {f"{scenario}-campaign-1.json" for scenario in SCENARIOS} <= names
    assert {"completed-account-1.json", "continued-campaign-3.json", "was_reset-campaign-2.json"} <= names


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
async def test_a_recorded_history_is_replayed_with_the_code_of_today(file: Path) -> None:
    replayer = Replayer(
        workflows=[Campaign, Account],
        data_converter=tolerant_converter(pydantic_data_converter),
        workflow_runner=worker._runner(),
    )
    await replayer.replay_workflow(_history(file))


def _placements(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the chain's first run id and the input of every placement: a replay does not compare those."""
    events = json.loads(file.read_text())["events"]
    root = events[0]["workflowExecutionStartedEventAttributes"]["firstExecutionRunId"]
    for event in events:
        asked = event.get("activityTaskScheduledEventAttributes", {})
        if asked.get("activityType", {}).get("name") == "place_order":
            yield root, json.loads(base64.b64decode(asked["input"]["payloads"][0]["data"]))


def test_every_recorded_request_id_is_of_the_chains_first_run_the_order_run_and_a_submission() -> None:
    seen: dict[str, str] = {}
    for file in RECORDED:
        for root, order in _placements(file):
            request_id, key = order["form"]["request_id"], order["key"]
            possible = [str(uuid.uuid5(uuid.UUID(root), f"{key}/{submission}")) for submission in range(1, 100)]
            assert request_id in possible, f"{file.name}: {key}"
            # One id is one body, whatever run of the chain sends it.
            body = json.dumps(order["form"], sort_keys=True)
            assert seen.setdefault(request_id, body) == body
    assert len(seen) >= 20


def test_a_submission_grows_only_after_a_definite_refusal() -> None:
    grown = set()
    for file in RECORDED:
        for root, order in _placements(file):
            first = str(uuid.uuid5(uuid.UUID(root), f"{order['key']}/1"))
            if order["form"]["request_id"] != first:
                grown.add(file.name.partition("-")[0])
    assert grown == {"blocked", "resolved"}


def test_a_hint_moves_a_round_only_in_histories_that_know_hints() -> None:
    """Else the timers of what an older worker slept through would not be found again."""
    for name, marked in (("hinted", True), ("hinted.v1", False)):
        events = json.loads((Path(__file__).with_name("recorded") / f"{name}-account-1.json").read_text())["events"]
        kinds = [event["eventType"] for event in events]
        signals = [event.get("workflowExecutionSignaledEventAttributes", {}).get("signalName") for event in events]
        assert signals.count("hint") == 3
        assert ("EVENT_TYPE_MARKER_RECORDED" in kinds) is marked
        assert ("EVENT_TYPE_TIMER_CANCELED" in kinds) is marked
