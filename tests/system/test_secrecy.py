"""The API key is nowhere but in the requests to the panel: not even when everything goes wrong, at debug level."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import httpx
from temporalio.client import WorkflowFailureError

from activities.contracts import account_id, panel_queue
from tests.system.rig import LINK, LOUD, ledger_agrees

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.rig import Rig

SENTINEL = "sk/7f3e+Q9=zz&Never-Seen"


def _spellings(key: str) -> Iterator[bytes]:
    """Give the key as it would look in a URL, a form, a JSON text, base64 of any alignment, and a part of it."""
    yield from (key.encode(), quote(key).encode(), quote(key, safe="").encode(), quote_plus(key).encode())
    yield json.dumps(key)[1:-1].replace("/", "\\/").encode()
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + key.encode())
        yield encoded[4 if shift else 0 : -4]
    yield key[:12].encode()


async def test_the_key_is_in_no_history_log_query_error_or_answer_of_the_web_ui(rig: Rig) -> None:
    storm = (
        "add:drop_after=0.2",
        "add:error_after=0.1",
        "add:html_200=0.2",
        "status:drop_before=0.2",
        "services:html_502x1",
        "services:error_beforex1",
    )
    box = await rig.sandbox(api_keys={SENTINEL}, faults=storm, seed=5)
    worker = await rig.worker_process(box.url, key=SENTINEL, script=LOUD, env={"RUST_LOG": "debug"})
    orders = [{"id": f"o{number}", "service": 102, "quantity": 10, "link": f"{LINK}/{number}"} for number in range(8)]
    # An order refused in the panel's words, a link of others, and a panel that hears a wrong key.
    refused = await rig.start(rig.document([{"id": "x", "service": 114, "quantity": 500}], name=rig.name("refused")))
    foreign = {"id": "x", "service": 102, "quantity": 50, "link": "https://elsewhere.example/x"}
    stranger = await rig.start(rig.document([foreign], name=rig.name("stranger")))
    handle = await rig.start(rig.document(orders, description="to be searched"))
    report = await rig.result(handle)
    for other in (refused, stranger):
        with suppress(WorkflowFailureError):
            await rig.result(other)
    ledger_agrees(box.ledger(), report)
    assert sum(box.ledger()["faults"].values()) > 3
    late = await rig.worker_process(box.url, key=SENTINEL + "-wrong", script=LOUD)
    again = await rig.start(rig.document(orders[:1], name=rig.name("again")))
    await worker.stop()
    await rig.until(again, lambda progress: "planning" in progress["state"])
    await late.stop()

    said: dict[str, bytes] = {"worker's log": worker.said().encode(), "second worker's log": late.said().encode()}
    for workflow in (handle.id, refused.id, stranger.id, again.id, account_id(rig.account)):
        described = rig.client.get_workflow_handle(workflow)
        said[f"history of {workflow}"] = (await described.fetch_history()).to_json().encode()
        said[f"payloads of {workflow}"] = b"".join(
            event.SerializeToString() for event in (await described.fetch_history()).events
        )
        said[f"description of {workflow}"] = (await described.describe()).raw_description.SerializeToString()
    async with httpx.AsyncClient(base_url=rig.server.ui) as web:
        base = f"/api/v1/namespaces/{rig.client.namespace}"
        said["web list"] = (await web.get(f"{base}/workflows")).content
        said["web history"] = (await web.get(f"{base}/workflows/{handle.id.replace('/', '%2F')}/history")).content
        said["web queue"] = (await web.get(f"{base}/task-queues/{panel_queue(rig.account)}")).content
    assert all(len(text) > 20 for text in said.values()), {name: len(text) for name, text in said.items()}
    found = [(where, spelling) for where, text in said.items() for spelling in _spellings(SENTINEL) if spelling in text]
    assert found == []
    assert b"DEBUG:httpcore" in said["worker's log"]  # it was as loud as it gets
