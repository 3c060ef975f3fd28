"""The receiver over real HTTP: what it takes, what it refuses, and that it tells strangers nothing."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import SecretStr

from panel import SignatureScheme, sign
from receiver import MAX_BODY, Endpoint, UnheardError, serve
from serving import ListenError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECRET = "whsec_Tz81Qw"
OTHER_SECRET = "whsec_other"
DEFAULT = SignatureScheme()
OWN = SignatureScheme(header="X-Signature", timestamp_header="X-Time", prefix="sha256=", encoding="base64")
BODY = b'{"event":"order.completed","order":"ord_1","status":"completed"}'


@dataclass
class Post:
    """A receiver, and what it told."""

    http: httpx.AsyncClient
    url: str
    told: list[tuple[str, str]] = field(default_factory=list)
    failure: Exception | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def tell(self, account: str, order: str) -> None:
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.told.append((account, order))

    async def deliver(
        self, body: bytes = BODY, account: str = "main", secret: str = SECRET, age: float = 0.0
    ) -> httpx.Response:
        headers = {DEFAULT.header: sign(secret, int(time.time() - age), body)}
        return await self.http.post(f"{self.url}/{account}", content=body, headers=headers)


@asynccontextmanager
async def receiving() -> AsyncIterator[Post]:
    endpoints = {"main": Endpoint(SecretStr(SECRET), DEFAULT), "own": Endpoint(SecretStr(OTHER_SECRET), OWN)}
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with httpx.AsyncClient(trust_env=False) as http:
        post = Post(http, "")
        post.gate.set()
        serving = asyncio.create_task(serve(endpoints, post.tell, ready.set_result, port=0))
        post.url = await asyncio.wait_for(ready, 30)
        try:
            yield post
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture
async def post(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Post]:
    caplog.set_level(logging.DEBUG)
    async with receiving() as post:
        yield post
    assert "Traceback" not in caplog.text
    assert not any(record.exc_info for record in caplog.records)
    assert SECRET not in caplog.text
    assert OTHER_SECRET not in caplog.text


def refused(answer: httpx.Response, status: int) -> str:
    """Hold that an answer says no and nothing of the inside; give its words."""
    assert answer.status_code == status, answer.text
    assert "Traceback" not in answer.text
    assert SECRET not in f"{answer.text}{answer.headers}"
    assert "server" not in answer.headers
    told = answer.json()
    assert set(told) == {"message"}
    return str(told["message"])


async def test_a_signed_delivery_is_taken_and_told_to_its_account(post: Post) -> None:
    answer = await post.deliver()
    assert (answer.status_code, answer.content) == (204, b"")
    body = b'{"type":"order.failed","data":{"order":{"id":7}}}'
    at = int(time.time())
    headers = {OWN.header: sign(OTHER_SECRET, at, body, OWN), "X-Time": str(at)}
    assert (await post.http.post(f"{post.url}/own", content=body, headers=headers)).status_code == 204
    assert post.told == [("main", "ord_1"), ("own", "7")]


async def test_an_event_of_no_order_is_taken_and_told_to_nobody(post: Post) -> None:
    assert (await post.deliver(b'{"event":"balance.low","balance":"1.00"}')).status_code == 204
    assert post.told == []


async def test_what_is_not_signed_with_the_accounts_secret_just_now_is_not_believed(post: Post) -> None:
    window = DEFAULT.tolerance + timedelta(minutes=1)
    for answer in (
        await post.deliver(secret=OTHER_SECRET),
        await post.deliver(age=window.total_seconds()),
        await post.deliver(age=-window.total_seconds()),
        await post.deliver(account="own", secret=OTHER_SECRET),
        await post.http.post(f"{post.url}/main", content=BODY),
        await post.http.post(f"{post.url}/main", content=BODY + b" ", headers={DEFAULT.header: sign(SECRET, 1, BODY)}),
        await post.http.post(f"{post.url}/main", content=BODY, headers=[(DEFAULT.header.encode(), b"t=\xb2,v1=zz")]),
    ):
        refused(answer, 401)
    assert post.told == []


@pytest.mark.parametrize(
    "body", [b"", b"garbage", b"[]", b'{"order":"ord_1"}', b"\xff\xfe", b'{"a":' * 5000, b'{"event": NaN}']
)
async def test_a_signed_body_that_nobody_can_read_is_refused(post: Post, body: bytes) -> None:
    refused(await post.deliver(body), 400)
    assert post.told == []


async def test_an_account_without_a_secret_has_no_endpoint(post: Post) -> None:
    for account in ("other", "main/", "main/more", "", "%2e%2e", "%00", "a" * 5000):
        refused(await post.deliver(account=account), 404)
    assert post.told == []


async def test_only_deliveries_are_posted_and_the_health_is_asked_for(post: Post) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        answer = await post.http.request(method, f"{post.url}/main")
        refused(answer, 405)
        assert answer.headers["allow"] == "POST"
    answer = await post.http.get(f"{post.url}/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_a_large_body_is_not_read_whether_it_says_so_or_not(post: Post) -> None:
    refused(await post.deliver(b" " * (MAX_BODY + 1)), 413)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY // 1024 + 64):
            yield b" " * 1024

    try:
        answer = await post.http.post(f"{post.url}/main", content=endless())
    except httpx.WriteError:
        pass  # it hung up while we still spoke
    else:
        refused(answer, 413)
    largest = BODY[:-1] + b" " * (MAX_BODY - len(BODY)) + b"}"
    assert (await post.deliver(largest)).status_code == 204
    assert post.told == [("main", "ord_1")]


async def test_when_it_cannot_be_told_the_panel_is_asked_to_deliver_again(post: Post) -> None:
    post.failure = UnheardError("Temporal answers UNAVAILABLE")
    refused(await post.deliver(), 503)
    post.failure = None
    assert (await post.deliver()).status_code == 204


async def test_a_fault_of_our_own_is_not_told_to_strangers(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    post.failure = RuntimeError(f"with {OTHER_SECRET} in it")
    assert "RuntimeError" not in refused(await post.deliver(), 500)
    assert "main: a delivery failed: RuntimeError" in caplog.messages


async def test_words_of_a_stranger_cannot_write_lines_into_the_log(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    hostile = json.dumps({"event": "x\nERROR forged \x1b[31m", "order": "ord_1"}).encode()
    assert (await post.deliver(hostile)).status_code in (204, 400)
    assert not any("\n" in message or "\x1b" in message for message in caplog.messages)


async def test_somebody_who_leaves_in_the_middle_of_a_delivery_costs_nothing(post: Post) -> None:
    host, _, port = post.url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /main HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await post.deliver()).status_code == 204


async def test_what_is_being_taken_when_it_is_told_to_stop_is_taken_first() -> None:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    begun, go_on = asyncio.Event(), asyncio.Event()
    told: list[Any] = []

    async def tell(account: str, order: str) -> None:
        begun.set()
        await go_on.wait()
        told.append((account, order))

    serving = asyncio.create_task(serve({"main": Endpoint(SecretStr(SECRET), DEFAULT)}, tell, ready.set_result, port=0))
    async with httpx.AsyncClient(trust_env=False) as http:
        delivering = asyncio.create_task(Post(http, await ready).deliver())
        await begun.wait()
        serving.cancel()
        await asyncio.sleep(0)
        go_on.set()
        assert (await delivering).status_code == 204
    assert told == [("main", "ord_1")]
    with pytest.raises(asyncio.CancelledError):
        await serving


async def test_a_port_that_is_taken_is_told() -> None:
    async with receiving() as post:
        taken = int(post.url.rpartition(":")[2])
        with pytest.raises(ListenError, match=f"port {taken}: Address already in use"):
            await serve({}, post.tell, port=taken)
