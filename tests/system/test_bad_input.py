"""Whatever a program sends, a workflow ends or refuses: it is never left failing its task for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowFailureError, WorkflowQueryFailedError, WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.contracts import CAMPAIGNS_QUEUE, account_id
from embedded import temporal_binary
from tests.system.rig import LINK, assert_eventually, ledger_agrees

if TYPE_CHECKING:
    from temporalio.client import WorkflowHandle

    from tests.system.rig import Rig


def _payload(data: bytes, encoding: str = "json/plain") -> RawValue:
    return RawValue(Payload(metadata={"encoding": encoding.encode()}, data=data))


def _nested(depth: int) -> RawValue:
    return _payload(b'{"orders":' + b"[" * depth + b"]" * depth + b"}")


GOOD = {"version": 1, "name": "start", "account": "nobody", "orders": [{"id": "a", "service": 1, "link": LINK}]}
STARTS: dict[str, tuple[list[Any], str]] = {
    "nothing": ([], "empty"),
    "null": ([None], "empty"),
    "a list": ([[]], "mapping"),
    "text": (["x"], "mapping"),
    "a number": ([7], "mapping"),
    "two arguments": ([GOOD, GOOD], "one argument"),
    "three arguments": ([{}, {}, {}], "one argument"),
    "an unknown field": ([{"bad": 1}], "bad"),
    "an unknown account": ([GOOD], "account"),
    "invalid JSON": ([_payload(b"{nonsense")], "JSON"),
    "no UTF-8": ([_payload(b'{"a": "\xff\xfe"}')], "JSON"),
    "no bytes": ([_payload(b"")], "JSON"),
    "bytes": ([_payload(b"\x00\x01", "binary/plain")], "mapping"),
    "an unknown encoding": ([_payload(b"{}", "application/x-nobody")], "JSON"),
    "protobuf of a stranger": ([_payload(b"\x0a\x00", "binary/protobuf")], "JSON"),
    "deep nesting": ([_nested(150)], "orders"),
    "nesting beyond the parser": ([_nested(100_000)], "JSON"),
    "a long text": (["x" * 1_000_000], "mapping"),
    "a long name": ([GOOD | {"name": "x" * 1_000_000}], "name"),
    "many unknown fields": ([{f"f{number}": number for number in range(20_000)}], "f0"),
    "a huge number": ([_payload(b'{"version": ' + b"9" * 10_000 + b"}")], "JSON"),
    "an infinite number": ([_payload(b'{"version": 1e999}')], "version"),
    "NUL bytes": ([GOOD | {"name": "a\0b"}], "name"),
    "half a surrogate": ([_payload(b'{"name": "\\ud800"}')], ""),
    "a carried state of nonsense": ([{"continued": {}, "state": "nonsense"}], "carried state"),
    "a carried state of a number": ([{"continued": {}, "state": 7}], "carried state"),
    "a carried state of nothing": ([{"continued": None, "state": ""}], "carried state"),
}


async def test_every_wrong_start_fails_at_once_and_says_where(rig: Rig) -> None:
    box = await rig.sandbox()
    await rig.work(box.url)

    async def check(number: int, what: str) -> None:
        arguments, told = STARTS[what]
        # As a slot of the campaign "start": none is refused for its id alone.
        handle = await rig.start_raw(*arguments, name=f"start-2026-12-04T15:00:{number:02}Z")
        with pytest.raises(WorkflowFailureError) as caught:
            await rig.result(handle)
        assert isinstance(caught.value.cause, ApplicationError)
        assert caught.value.cause.type == "InvalidCampaign", what
        message = caught.value.cause.message
        assert told in message, what
        assert len(message) < 20_000, what
        assert await rig.failures(handle) == [], what
        progress = await handle.query("progress")
        assert (progress["state"], progress["why"]) == ("failed", message), what

    await asyncio.gather(*(check(number, what) for number, what in enumerate(STARTS)))
    assert box.ledger()["requests"] == {}


async def test_a_campaign_under_a_foreign_id_fails_at_once_and_buys_nothing(rig: Rig) -> None:
    box = await rig.sandbox()
    await rig.work(box.url)
    name = rig.name("sp")
    document = rig.document([{"id": "a", "service": 102, "quantity": 50}], name)
    document["notify"] = {"webhook": "http://127.0.0.1:9/hook", "on": ["failed"]}
    foreign = (
        "foo",
        name,
        f"campaign/{name}2",
        f"campaign/{name}-two",
        f"campaign/x{name}",
        f"Campaign/{name}",
        f"account/{name}",
        "campaign/",
    )

    async def start(workflow_id: str) -> WorkflowHandle[Any, Any]:
        unique = workflow_id if name in workflow_id else f"{workflow_id}{rig.tag}"
        return await rig.client.start_workflow("Campaign", document, id=unique, task_queue=CAMPAIGNS_QUEUE)

    for workflow_id in foreign:
        handle = await start(workflow_id)
        with pytest.raises(WorkflowFailureError) as caught:
            await rig.result(handle)
        assert isinstance(caught.value.cause, ApplicationError)
        assert (caught.value.cause.type, caught.value.cause.non_retryable) == ("InvalidCampaign", True)
        assert f"the workflow id of this campaign is campaign/{name}; start it under that id" in str(caught.value.cause)
        history = await handle.fetch_history()
        assert not [e for e in history.events if e.HasField("activity_task_scheduled_event_attributes")]
        progress = await handle.query("progress")
        assert (progress["state"], progress["why"]) == ("failed", caught.value.cause.message)
    assert box.ledger()["requests"] == {}
    own = [await start(f"campaign/{name}"), await start(f"campaign/{name}-2026-12-04T15:00:00Z")]
    reports = [await rig.result(handle) for handle in own]
    ledger_agrees(box.ledger(), *reports)


async def test_the_temporal_cli_with_a_wrong_field_fails_within_seconds_and_names_it(rig: Rig) -> None:
    box = await rig.sandbox()
    await rig.work(box.url)
    handle = rig.client.get_workflow_handle(f"campaign/{rig.name()}")
    process = await asyncio.create_subprocess_exec(
        temporal_binary(),
        *("workflow", "start", "--address", rig.server.address, "--type", "Campaign", "--task-queue", CAMPAIGNS_QUEUE),
        *("--workflow-id", handle.id, "--input", '{"bad": 1}'),
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0
    with pytest.raises(WorkflowFailureError) as caught:
        await rig.result(handle, within=20)
    assert "bad" in str(caught.value.cause)
    assert await rig.failures(handle) == []


BLOB = Payload(metadata={"encoding": b"json/plain"}, data=b"{nonsense")
WRONG: list[list[Any]] = [
    [7],
    [[]],
    [{"nobody": "knows"}],
    [{"by": ["x"]}],
    [{"why": "x" * 1001}],
    [{"by": "a"}, {"by": "b"}],
    [RawValue(BLOB)],
]
UPDATES = (
    *("pause", "resume", "cancel", "approve", "skip", "retry", "raise_budget", "reschedule", "resolve"),
    "nobody",
)
WISHES: list[tuple[str, list[Any]]] = [(update, wrong) for update in UPDATES for wrong in WRONG]
RESOLUTIONS: list[list[Any]] = [
    [],
    [None],
    ["seed/1"],
    [{"order": "seed/1"}],
    [{"order": "seed/1", "placed": "x", "not_placed": True}],
    [{"order": "seed/1", "placed": ""}],
    [{"order": "seed/1", "not_placed": True}],
    [{"order": "nobody/1", "not_placed": True}],
    [{"order": "../../etc", "not_placed": True}],
    [{"order": 7, "not_placed": True}],
]
SIGNALS: list[tuple[str, list[Any]]] = [
    ("news", []),
    ("news", [None]),
    ("news", [{"readings": 7}]),
    ("news", [{"readings": []}, {"readings": []}]),
    ("news", [RawValue(BLOB)]),
    ("news", [{"readings": [{"panel_order": "x", "status": "completed", "observed_at": "2026-01-01T00:00:00"}]}]),
    ("news", [{"readings": [{"panel_order": "x", "status": "eaten", "observed_at": "2026-01-01T00:00:00Z"}]}]),
    ("nobody", ["x"]),
]


async def test_wrong_updates_queries_and_signals_leave_no_trace_in_a_running_campaign(rig: Rig) -> None:
    box = await rig.sandbox(speed=0)
    await rig.work(box.url)
    handle = await rig.start(rig.document([{"id": "seed", "service": 102, "quantity": 50}]))
    await rig.until(handle, lambda progress: progress["open"] == 1)
    for update, arguments in [*WISHES, *(("resolve", arguments) for arguments in RESOLUTIONS)]:
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(update, args=arguments)
    pages: list[list[Any]] = [["x"], [{"offset": -1}], [{"limit": 10_000}], [{}, {}], [RawValue(BLOB)]]
    for page in pages:
        with pytest.raises((WorkflowQueryFailedError, RPCError)):
            await handle.query("orders", args=page)
    for signal, arguments in SIGNALS:
        await handle.signal(signal, args=arguments)
    # A moment of no zone could not be compared with any other.
    reading = {"observed_at": "2026-01-01T00:00:00", "status": "completed"}
    known = {"panel_order": box.ledger()["orders"][0]["order"]}
    await handle.signal("news", {"readings": [reading | known]})
    # Nor could what comes after the end of time, and no panel charges so much.
    for nonsense in (
        {"observed_at": "9999-12-31T23:59:59Z", "status": "in_progress"},
        {"observed_at": "2026-01-01T00:00:00Z", "status": "completed", "charge": "1e999999"},
        {"observed_at": "2026-01-01T00:00:00Z", "status": "completed", "remains": 10**400},
    ):
        await handle.signal("news", {"readings": [nonsense | known]})
    progress = await rig.until(handle, lambda _: True)
    assert (progress["state"], progress["decisions"], progress["open"]) == ("running", [], 1)
    history = await handle.fetch_history()
    accepted = [
        event for event in history.events if event.HasField("workflow_execution_update_accepted_event_attributes")
    ]
    assert accepted == []
    assert await rig.failures(handle) == []
    await rig.control(box, "clock", speed=600)
    report = await rig.result(handle)
    ledger_agrees(box.ledger(), report)


ACCOUNTS: list[list[Any]] = [
    [],
    [None],
    ["main"],
    [{}],
    [{"account": 7}],
    [{"account": ""}],
    [{"account": "a" * 1000}],
    [{"account": "main"}, {"account": "main"}],
    [{"account": "main", "next_round": "2026-01-01T00:00:00"}],
    [{"account": "main", "followed": 7}],
    [RawValue(BLOB)],
]


async def test_every_wrong_start_of_an_account_fails_at_once(rig: Rig) -> None:
    box = await rig.sandbox()
    await rig.work(box.url)

    async def check(number: int, arguments: list[Any]) -> None:
        handle: WorkflowHandle[Any, Any] = await rig.client.start_workflow(
            "Account", args=arguments, id=account_id(f"{rig.account}-{number}"), task_queue=CAMPAIGNS_QUEUE
        )
        with pytest.raises(WorkflowFailureError):
            await rig.result(handle)
        assert await rig.failures(handle) == [], arguments

    await asyncio.gather(*(check(number, arguments) for number, arguments in enumerate(ACCOUNTS)))


async def test_wishes_of_nonsense_do_not_stop_an_account_from_serving_others(rig: Rig) -> None:
    box = await rig.sandbox(speed=0)
    await rig.work(box.url)
    handle = await rig.start(rig.document([{"id": "seed", "service": 102, "quantity": 50}]))
    account = rig.client.get_workflow_handle(account_id(rig.account))
    await rig.until(handle, lambda progress: progress["open"] == 1)
    await assert_eventually(lambda: box.ledger()["requests"].get("status", 0) > 0)
    wish = {"campaign": handle.id, "panel_orders": ["nobody"], "every": 1}
    hostile: list[list[Any]] = [
        [],
        [None],
        [wish, wish],
        [RawValue(BLOB)],
        [wish | {"every": 0}],
        [wish | {"every": -1}],
        [wish | {"every": "NaN"}],
        [wish | {"every": "inf"}],
        [wish | {"every": 1e300}],
        [wish | {"until": "2026-01-01T00:00:00"}],
        [wish | {"campaign": ""}],
        [wish | {"campaign": "x" * 100_000}],
        [wish | {"campaign": "nobody\0there"}],
        [wish | {"campaign": "nobody"}],
        [wish | {"campaign": account.id, "panel_orders": ["x"]}],
        [wish | {"panel_orders": [""]}],
        [wish | {"panel_orders": ["a,b", "a b", "\0", "ü"]}],
    ]
    for arguments in hostile:
        await account.signal("follow", args=arguments)
    await rig.control(box, "clock", speed=600)
    report = await rig.result(handle)
    ledger_agrees(box.ledger(), report)
    assert await rig.failures(account) == []
