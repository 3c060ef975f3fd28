"""The sandbox goes wrong on request: limits, faults, control endpoints, webhooks, restarts."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sandbox.limits import Limits
from sandbox.server import Sandbox, in_thread, running
from sandbox.settings import SandboxSettings

if TYPE_CHECKING:
    from pathlib import Path

LINK = "https://example.com/brand/film"


def settings(**more: Any) -> SandboxSettings:
    told: dict[str, Any] = {"speed": 0, "control": True, "limits": Limits.off(), **more}
    return SandboxSettings(**told)


async def send(client: httpx.AsyncClient, box: Sandbox, action: str, **fields: object) -> httpx.Response:
    form = {"key": "sandbox-key", "action": action} | {name: str(value) for name, value in fields.items()}
    return await client.post(box.url, data=form)


async def add(client: httpx.AsyncClient, box: Sandbox, request_id: str, **more: object) -> httpx.Response:
    return await send(
        client, box, "add", **{"service": 101, "request_id": request_id, "link": LINK, "quantity": 1000, **more}
    )


@pytest.mark.parametrize(("kind", "orders"), [("drop_before", 0), ("drop_after", 1)])
async def test_a_dropped_connection_reaches_the_client_as_a_network_error(kind: str, orders: int) -> None:
    async with running(settings(faults=[f"add:{kind}"])) as box, httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await add(client, box, "a")
        assert box.ledger()["count"] == orders
        box.arm()
        assert (await add(client, box, "a")).status_code == 200
        assert box.ledger()["count"] == 1
        assert box.ledger()["faults"] == {f"add:{kind}": 1}


@pytest.mark.parametrize(
    ("kind", "status", "kind_of_body", "orders"),
    [
        ("error_before", 500, "application/json", 0),
        ("error_after", 500, "application/json", 1),
        ("html_502", 502, "text/html; charset=utf-8", 0),
        ("html_200", 200, "text/html; charset=utf-8", 0),
        ("throttle", 429, "application/json", 0),
    ],
)
async def test_a_broken_answer_is_what_it_says(kind: str, status: int, kind_of_body: str, orders: int) -> None:
    async with running(settings(faults=[f"add:{kind}"])) as box, httpx.AsyncClient(trust_env=False) as client:
        answer = await add(client, box, "a")
        assert (answer.status_code, answer.headers["content-type"]) == (status, kind_of_body)
        assert box.ledger()["count"] == orders


async def test_a_slow_order_is_placed_although_its_client_has_gone() -> None:
    async with running(settings(faults=["add:slow:0.3x1"])) as box, httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(
                box.url,
                data={
                    "key": "sandbox-key",
                    "action": "add",
                    "service": "101",
                    "request_id": "a",
                    "link": LINK,
                    "quantity": "1000",
                },
                timeout=0.1,
            )
        answer = await add(client, box, "a")
        await asyncio.sleep(0.4)
        assert [row["order"] for row in box.ledger()["orders"]] == [answer.json()["order"]]


async def test_the_same_seed_strikes_the_same_requests_whatever_else_is_asked() -> None:
    async def struck(*, chatter: bool) -> list[int]:
        async with running(settings(faults=["*:error_before=0.3"], seed=7)) as box, httpx.AsyncClient() as client:
            seen = []
            for number in range(20):
                if chatter:
                    await send(client, box, "balance")
                seen.append((await add(client, box, f"r{number}")).status_code)
            return seen

    quiet = await struck(chatter=False)
    assert quiet == await struck(chatter=True)
    assert {200, 500} == set(quiet)


async def test_the_key_limit_answers_429_with_the_documented_headers_until_its_reset() -> None:
    limits = Limits(per_key=2, window=1.0)
    async with running(settings(limits=limits)) as box, httpx.AsyncClient(trust_env=False) as client:
        first = await send(client, box, "balance")
        assert first.headers["X-RateLimit-Limit"] == "2"
        assert first.headers["X-RateLimit-Remaining"] == "1"
        assert first.headers["X-RateLimit-Tier-Remaining"] == "599"
        await send(client, box, "balance")
        denied = await send(client, box, "balance")
        assert (denied.status_code, denied.json()) == (429, {"error": "Rate limit exceeded"})
        assert denied.headers["X-RateLimit-DeniedBy"] == "key"
        assert 0 < int(denied.headers["X-RateLimit-Reset"]) - time.time() <= 2
        assert box.ledger()["throttled"] == 1
        await asyncio.sleep(1.05)
        assert (await send(client, box, "balance")).status_code == 200


async def test_the_address_is_limited_before_the_key_is_looked_at() -> None:
    async with running(settings(limits=Limits(per_ip=1))) as box, httpx.AsyncClient(trust_env=False) as client:
        assert (await send(client, box, "balance", key="wrong")).status_code == 403
        denied = await send(client, box, "balance", key="wrong")
        assert (denied.status_code, denied.headers["X-RateLimit-DeniedBy"]) == (429, "ip")


async def test_the_controls_turn_everything_at_run_time_and_refuse_nonsense() -> None:
    async with running(settings()) as box, httpx.AsyncClient(base_url=box.base_url, trust_env=False) as client:

        async def control(name: str, **order: object) -> httpx.Response:
            return await client.post(f"/control/{name}", json=order)

        assert (await control("balance", set="5.00")).json() == {"balance": "5.00"}
        assert (await control("balance", add="2.50")).json() == {"balance": "7.50"}
        await control("service", service=101, active=False)
        assert (await add(client, box, "a")).json() == {"error": "Service not found"}
        await control("service", service=101, active=True, rate="2.00")
        await add(client, box, "b")
        assert box.ledger()["balance"] == "5.50"
        await control("clock", advance=7200)
        assert box.ledger()["orders"][0]["status"] == "completed"
        await control("faults", faults=["add:throttle", {"action": "status", "kind": "html_502"}])
        assert (await add(client, box, "c")).status_code == 429
        await control("down", down=True)
        assert (await send(client, box, "balance")).status_code == 503
        await control("down", down="drop")
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await send(client, box, "balance")
        await control("down", down=False)
        assert (await send(client, box, "balance")).status_code == 200
        nonsense: list[tuple[str, dict[str, object]]] = [
            ("faults", {"faults": ["add:explode"]}),
            ("clock", {"advance": -1}),
            ("service", {"service": 5}),
            ("balance", {}),
            ("balance", {"set": "NaN"}),
        ]
        for name, order in nonsense:
            assert (await control(name, **order)).status_code == 400, name
        assert (await client.post("/control/clock", content='{"advance": 1}')).status_code == 415


async def test_there_are_no_controls_unless_they_were_asked_for() -> None:
    async with running(settings(control=False)) as box, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.post(f"{box.base_url}/control/clock", json={"advance": 1})).status_code == 404


async def test_the_books_and_the_clock_outlive_a_restart(tmp_path: Path) -> None:
    kept = settings(db=str(tmp_path / "panel.db"))
    async with running(kept) as box, httpx.AsyncClient(trust_env=False) as client:
        order = (await add(client, box, "a")).json()["order"]
        box.clock.advance(2 * 86400)
    async with running(kept) as box, httpx.AsyncClient(trust_env=False) as client:
        book = box.ledger()
        assert (book["orders"][0]["order"], book["orders"][0]["status"]) == (order, "completed")
        assert (book["requests"], book["attempts"], book["opening_balance"]) == ({"add": 1}, {"a": 1}, "1000.00")


async def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    async with running(settings()) as first, running(settings(port=first.port)) as second:
        assert second.port != first.port
        assert second.base_url == f"http://127.0.0.1:{second.port}"


def test_a_sandbox_in_a_thread_serves_plain_code_and_frees_its_port() -> None:
    with in_thread(settings()) as box:
        assert httpx.get(f"{box.base_url}/ledger.json", trust_env=False).json()["balance"] == "1000.00"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", box.port), timeout=1)


async def test_a_client_that_dies_in_the_middle_of_its_request_leaves_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(settings()) as box:
        _, writer = await asyncio.open_connection("127.0.0.1", box.port)
        writer.write(b"POST /api/v2 HTTP/1.1\r\nHost: box\r\nContent-Length: 100\r\n\r\nkey=")
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.close()
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await send(client, box, "balance")).status_code == 200
    assert "Traceback" not in caplog.text


async def test_webhooks_are_taken_only_for_public_https_and_their_secret_is_shown_once() -> None:
    async with running(settings()) as box, httpx.AsyncClient(trust_env=False) as client:
        for url in (
            "http://example.com/",
            "https://127.0.0.1/",
            "https://localhost/",
            "https://10.0.0.1/",
            "https://[::1]/",
        ):
            refused = await send(client, box, "webhook.add", url=url)
            assert refused.json() == {"error": "Webhook URL must be a public https URL"}, url
        made = [(await send(client, box, "webhook.add", url=f"https://example.com/{n}")).json() for n in range(5)]
        assert made[0]["secret"].startswith("whsec_")
        sixth = await send(client, box, "webhook.add", url="https://example.com/6")
        assert (sixth.status_code, sixth.json()["error"]) == (400, "Maximum 5 webhook endpoints per key")
        await send(client, box, "webhook.remove", id=made[0]["id"])
        listed = (await send(client, box, "webhook.list")).json()
        assert [set(row) for row in listed] == [{"id", "url", "events"}] * 4


async def test_an_end_is_told_to_the_webhook_with_a_signature_over_the_raw_body() -> None:
    heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(headers["content-length"]))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        heard.put_nowait((headers["x-notpanel-signature"], body))

    listener = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    allowed = settings(allow_private_webhooks=True)
    async with listener, running(allowed) as box, httpx.AsyncClient(trust_env=False) as client:
        hook = (await send(client, box, "webhook.add", url=f"http://127.0.0.1:{port}/", events="order.failed")).json()
        await add(client, box, "a")
        order = (await add(client, box, "b", service=106)).json()["order"]
        box.clock.advance(7200)
        signature, body = await asyncio.wait_for(heard.get(), 5)
        stamp, _, digest = signature.removeprefix("t=").partition(",v1=")
        expected = hmac.new(hook["secret"].encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        assert digest == expected
        told = json.loads(body)
        assert (told["event"], told["order"], told["status"]) == ("order.failed", order, "fail")
        await asyncio.sleep(0.5)
        assert heard.empty()


async def test_the_page_shows_orders_and_violations_with_everything_escaped() -> None:
    async with running(settings()) as box, httpx.AsyncClient(trust_env=False) as client:
        hostile = "https://example.com/<script>alert(1)</script>"
        await add(client, box, '"><img src=x>', link=hostile)
        await add(client, box, '"><img src=x>', link=LINK)
        page = await client.get(f"{box.base_url}/")
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
        assert "<script" not in page.text
        assert "<img" not in page.text
        assert "request_id_conflict" in page.text
        assert "sandbox-key" not in page.text
