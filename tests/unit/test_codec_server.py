"""The codec endpoint: what the Web UI and the CLI send is decoded, for them only."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from temporalio.api.common.v1 import Payload, Payloads

from codec import EncryptionCodec
from codec.server import MAX_BODY, ORIGINS, CodecServerError, app, serve
from commands.codecs import here
from dev_files import DevFiles, DevServer

if TYPE_CHECKING:
    from pathlib import Path

CODEC = EncryptionCodec({"k1": bytes(32)}, "k1")
UI = ORIGINS[0]
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"link": "https://example.com/a"}')


def body(*payloads: Payload) -> dict[str, Any]:
    written: dict[str, Any] = MessageToDict(Payloads(payloads=payloads))
    return written


async def sealed() -> dict[str, Any]:
    return body(*await CODEC.encode([PLAIN]))


def browser(token: str = "", codec: EncryptionCodec = CODEC) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app(codec, ORIGINS, token))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8081", headers={"origin": UI})


@pytest.mark.parametrize("prefix", ["", "/default"])
async def test_what_the_ui_sends_is_decoded_and_what_it_writes_is_encrypted(prefix: str) -> None:
    async with browser() as http:
        decoded = await http.post(f"{prefix}/decode", json=await sealed(), headers={"x-namespace": "default"})
        assert decoded.status_code == 200
        assert decoded.json() == body(PLAIN)
        encoded = await http.post(f"{prefix}/encode", json=body(PLAIN))
        assert base64.b64decode(encoded.json()["payloads"][0]["metadata"]["encoding"]) == b"binary/encrypted"
        again = await http.post(f"{prefix}/decode", json=encoded.json())
        assert again.json() == body(PLAIN)
        assert again.headers["cache-control"] == "no-store"


async def test_what_is_not_encrypted_passes_and_nothing_gives_nothing() -> None:
    async with browser() as http:
        assert (await http.post("/decode", json=body(PLAIN))).json() == body(PLAIN)
        assert (await http.post("/decode", json={})).json() == {}
        newer = {"payloads": body(PLAIN)["payloads"], "fieldOfALaterVersion": 1}
        assert (await http.post("/decode", json=newer)).json() == body(PLAIN)


async def test_the_browser_is_told_that_the_ui_may_ask() -> None:
    asked = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-namespace,authorization",
        "access-control-request-private-network": "true",
    }
    async with browser() as http:
        answer = await http.options("/decode", headers=asked)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == UI
        assert answer.headers["access-control-allow-private-network"] == "true"
        assert (await http.post("/decode", json={})).headers["access-control-allow-origin"] == UI


async def test_another_page_gets_nothing() -> None:
    async with browser() as http:
        stranger = {"origin": "https://evil.example"}
        answer = await http.post("/decode", json=await sealed(), headers=stranger)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
        preflight = await http.options("/decode", headers=stranger | {"access-control-request-method": "POST"})
        assert preflight.status_code == 400


async def test_the_cli_has_no_origin_and_is_served() -> None:
    transport = httpx.ASGITransport(app(CODEC))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8081") as http:
        assert (await http.post("/decode", json=await sealed())).json() == body(PLAIN)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("Basic s3cret", 401),
        ("Bearer é", 401),
        ("Bearer s3cret", 200),
        ("bearer s3cret", 200),
    ],
)
async def test_a_token_is_wanted_if_there_is_one(sent: str | None, status: int) -> None:
    async with browser(token="s3cret") as http:
        headers = [(b"authorization", sent.encode("latin-1"))] if sent else []
        answer = await http.post("/decode", json=await sealed(), headers=headers)
        assert answer.status_code == status


@pytest.mark.parametrize("sent", [b"", b"nonsense", b'{"payloads": 7}', b"\xff", b'{"a":' * 5000])
async def test_a_body_that_is_none_is_refused_and_not_a_crash(sent: bytes) -> None:
    async with browser() as http:
        answer = await http.post("/decode", content=sent)
        assert answer.status_code == 400


async def test_a_body_without_end_is_refused() -> None:
    async with browser() as http:
        assert (await http.post("/decode", content=b" " * (MAX_BODY + 1))).status_code == 413


async def test_a_key_that_is_not_here_is_named() -> None:
    async with browser(codec=EncryptionCodec({"k2": bytes(32)}, "k2")) as http:
        answer = await http.post("/decode", json=await sealed())
        assert answer.status_code == 400
        assert answer.json() == {
            "message": "a payload is encrypted with the key 'k1', which is not in CAMPAIGNER_CODEC_KEYS"
        }


async def test_it_listens_on_loopback_says_where_and_stops_when_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(0, on_ready=ready.set_result, codec=CODEC, token=""))
    url = await asyncio.wait_for(ready, 10)
    assert url.startswith("http://127.0.0.1:")
    async with httpx.AsyncClient() as http:
        assert (await http.post(f"{url}/decode", json=await sealed())).json() == body(PLAIN)
        taken = int(url.rpartition(":")[2])
        with pytest.raises(CodecServerError, match=f"port {taken}: Address already in use"):
            await serve(taken, codec=CODEC, token="")
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert json.dumps(MessageToDict(PLAIN)) not in caplog.text


async def test_it_refuses_to_be_open_to_others_and_to_have_no_key() -> None:
    with pytest.raises(CodecServerError, match="others could read every campaign"):
        await serve(0, host="0.0.0.0", codec=CODEC, token="")  # noqa: S104 - what is refused
    with pytest.raises(CodecServerError, match="no key"):
        await serve(0, codec=EncryptionCodec({}, None), token="")
    with pytest.raises(CodecServerError, match="no such port"):
        await serve(70000, codec=CODEC, token="")


def test_without_an_origin_it_is_the_web_ui_of_this_folders_dev(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert here() == ["http://localhost:8233", "http://127.0.0.1:8233"]
    files = DevFiles()
    with files.held():
        files.tell(DevServer(address="127.0.0.1:1", ui="http://127.0.0.1:2", pid=3))
        assert here() == ["http://localhost:2", "http://127.0.0.1:2"]
