"""With the codec on, nothing a campaign says stands in clear on the server: not in histories, answers or its files."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import sys
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest, QueryWorkflowRequest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from activities.contracts import account_id
from codec import KEYS_VARIABLE
from codec.server import serve
from commands.campaigns import decide
from commands.console import CommandError
from connection import connect
from tests.system.rig import PATIENCE, ROOT, ledger_agrees

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from temporalio.client import WorkflowHandle

    from tests.system.rig import Rig

KEYS = ",".join(f"{name}:{base64.b64encode(uuid.uuid4().bytes * 2).decode()}" for name in ("new", "old"))


def payloads(message: Message) -> list[Payload]:
    """Give every payload of a message, as the Web UI finds them."""
    if isinstance(message, Payload):
        return [message]
    found: list[Payload] = []
    for field, value in message.ListFields():
        if field.message_type is None or field.name == "search_attributes":
            continue
        is_map = field.message_type.GetOptions().map_entry
        values = value.values() if is_map else value if field.is_repeated else [value]
        found += [payload for inner in values if hasattr(inner, "ListFields") for payload in payloads(inner)]
    return found


async def everything_said(rig: Rig, handle: WorkflowHandle[Any, Any]) -> list[Message]:
    """Fetch what anybody with access to the namespace gets to see of a workflow."""
    service, execution = rig.client.workflow_service, WorkflowExecution(workflow_id=handle.id)
    # The SDK writes which patches a run knows in clear: names of ours, and nothing of the operator's.
    said: list[Message] = [
        event
        async for event in handle.fetch_history_events()
        if event.marker_recorded_event_attributes.marker_name != "core_patch"
    ]
    said.append(
        await service.describe_workflow_execution(
            DescribeWorkflowExecutionRequest(namespace=rig.client.namespace, execution=execution)
        )
    )
    for query in ("progress", "orders", "__temporal_workflow_metadata"):
        if handle.id.startswith("account/") and query == "orders":
            continue
        asked = QueryWorkflowRequest(
            namespace=rig.client.namespace, execution=execution, query=WorkflowQuery(query_type=query)
        )
        said.append(await service.query_workflow(asked))
    return said


async def test_a_campaign_is_unreadable_on_the_server_and_readable_through_the_codec_endpoint(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEYS_VARIABLE, KEYS)
    rig.client = await connect(rig.server.address)
    word = f"film-{uuid.uuid4().hex}"
    box = await rig.sandbox(speed=6000)
    await rig.work(box.url)
    order = {"id": "views", "service": 101, "link": f"https://example.com/brand/{word}", "quantity": 2000}
    handle = await rig.start(
        rig.document([order | {"drip": {"runs": 2, "every": "1s"}, "concurrent": True}], description=f"for {word}")
    )
    report = await rig.result(handle)
    ledger_agrees(box.ledger(), report)

    account = rig.client.get_workflow_handle(account_id(rig.account))
    said = [*await everything_said(rig, handle), *await everything_said(rig, account)]
    raw = b"\n".join(message.SerializeToString() for message in said)
    secrets = [word, "example.com", "quantity", report["spent"], report["orders"][0]["panel_order"]]
    assert [secret for secret in secrets if secret.encode() in raw] == []
    found = [payload for message in said for payload in payloads(message)]
    assert {payload.metadata["encoding"] for payload in found} == {b"binary/encrypted"}
    assert {payload.metadata["encryption-key-id"] for payload in found} == {b"new"}
    assert "Spent" not in (await handle.describe()).search_attributes
    for file in (rig.folder.parent).rglob("temporal.db*"):
        assert word.encode() not in file.read_bytes(), file

    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(0, on_ready=ready.set_result))
    async with httpx.AsyncClient() as http:
        asked = {"payloads": [MessageToDict(payload) for payload in found]}
        answer = await http.post(f"{await ready}/decode", json=asked, headers={"x-namespace": "default"})
    serving.cancel()
    decoded = b"\n".join(
        base64.b64decode(payload["data"]) for payload in answer.json()["payloads"] if "data" in payload
    )
    assert answer.status_code == 200
    assert [secret for secret in secrets if secret.encode() not in decoded] == []


async def test_what_a_failure_says_is_encrypted_too(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEYS_VARIABLE, KEYS)
    rig.client = await connect(rig.server.address)
    word = f"film-{uuid.uuid4().hex}"
    box = await rig.sandbox()
    await rig.work(box.url)
    order = {"id": "views", "service": 101, "link": f"https://example.org/{word}", "quantity": 100}
    handle = await rig.start(rig.document([order]))
    with pytest.raises(WorkflowFailureError) as caught:
        await rig.result(handle)
    assert isinstance(caught.value.cause, ApplicationError)
    assert word in caught.value.cause.message
    raw = (await handle.fetch_history()).to_json()
    assert word not in raw
    assert "Encoded failure" in raw


async def test_switched_on_midway_a_campaign_goes_on(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    box = await rig.sandbox(speed=6000)
    plain = rig.client
    document = rig.document(
        [{"id": "views", "service": 101, "quantity": 2000, "drip": {"runs": 2, "every": "2s"}, "concurrent": True}]
    )
    async with rig.workers(box.url):
        handle = await rig.start(document)
        await rig.until(handle, lambda _: box.ledger()["orders"])
    monkeypatch.setenv(KEYS_VARIABLE, KEYS)
    rig.client = await connect(rig.server.address)
    await rig.work(box.url)
    report = await rig.client.get_workflow_handle(handle.id).result()
    ledger_agrees(box.ledger(), report)
    encodings = {
        payload.metadata["encoding"] for event in await _events(plain, handle.id) for payload in payloads(event)
    }
    assert {b"json/plain", b"binary/encrypted"} <= encodings


async def test_a_decision_without_the_keys_is_told_as_one_that_may_have_been_done(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEYS_VARIABLE, KEYS)
    monkeypatch.setenv("TEMPORAL_ADDRESS", rig.server.address)
    rig.client = await connect(rig.server.address)
    box = await rig.sandbox()
    await rig.work(box.url)
    handle = await rig.start(rig.document([{"id": "views", "service": 101, "quantity": 100}]))
    await rig.until(handle, lambda _: box.ledger()["orders"])
    monkeypatch.delenv(KEYS_VARIABLE)
    with pytest.raises(CommandError, match=r"pause was sent to .* and may have been done: .* key 'new', which is not"):
        await decide(handle.id, "pause", "", as_machine=False)
    assert (await handle.query("progress"))["state"] == "paused"
    await handle.terminate()


async def test_the_command_serves_the_endpoint_until_it_is_told_to_stop() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "cli.py"), "codec-server", "--port", "0", "--origin", "https://ui.example/"),
        env=os.environ | {KEYS_VARIABLE: KEYS},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said = (await asyncio.wait_for(process.stderr.readuntil(b"no bearer token is wanted"), PATIENCE)).decode()
    url = re.search(r"http://127\.0\.0\.1:\d+", said)
    assert url is not None
    assert "new, old" in said
    assert not any(entry.partition(":")[2] in said for entry in KEYS.split(","))
    async with httpx.AsyncClient(headers={"origin": "https://ui.example"}) as http:
        answer = await http.post(f"{url[0]}/encode", json={"payloads": [{"data": "eA=="}]})
        assert answer.status_code == 200
        assert "binary/encrypted" in base64.b64decode(answer.json()["payloads"][0]["metadata"]["encoding"]).decode()
    process.terminate()
    assert await process.wait() == 0


async def _events(client: Any, workflow_id: str) -> list[Message]:
    return [event async for event in client.get_workflow_handle(workflow_id).fetch_history_events()]
