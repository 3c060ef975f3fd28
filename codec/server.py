"""The codec endpoint for the Web UI and the ``temporal`` CLI: ``/encode`` and ``/decode`` over HTTP.

The browser asks it, not the Temporal server, so it runs where the operator's browser can reach it and the keys may be:
on loopback by default. Whoever can ask it can read every campaign, so it answers the allowed origins only, wants a
bearer token if ``CAMPAIGNER_CODEC_TOKEN`` is set, and refuses to listen beyond this machine without one.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
from typing import TYPE_CHECKING

from google.protobuf.json_format import MessageToDict, Parse, ParseError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route
from temporalio.api.common.v1 import Payloads

import serving
from codec.encryption import EncryptionCodec
from codec.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from temporalio.api.common.v1 import Payload

TOKEN_VARIABLE = "CAMPAIGNER_CODEC_TOKEN"  # noqa: S105 - the variable's name
PORT = 8081
HOST = "127.0.0.1"
ORIGINS = ("http://localhost:8233", "http://127.0.0.1:8233")
"""Where the Web UI of `campaigner dev` is, under both of its names."""
MAX_BODY = 64 * 1024 * 1024
"""Bytes of one request: a page of a history, in base64."""


class CodecServerError(CodecError):
    """The endpoint cannot be served as asked; the message says why."""


def app(codec: EncryptionCodec, origins: Sequence[str] = ORIGINS, token: str = "") -> Starlette:
    """Give the endpoint as an ASGI application.

    Args:
        codec: with the keys.
        origins: of the Web UI, such as ``https://temporal.example.com``; other pages get nothing.
        token: wanted as ``Authorization: Bearer <token>`` if not empty.

    """
    allowed, secret = frozenset(origins), token.encode()

    async def answer(request: Request, work: Callable[[Sequence[Payload]], Awaitable[list[Payload]]]) -> Response:
        origin = request.headers.get("origin")
        if origin is not None and origin not in allowed:
            return _refusal(403, "this origin is not allowed; name it with --origin")
        if secret and not hmac.compare_digest(_bearer(request), secret):
            return _refusal(401, "a bearer token is wanted")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                return _refusal(413, f"more than {MAX_BODY} bytes")
        try:
            asked = Parse(bytes(body), Payloads(), ignore_unknown_fields=True)
        except (ParseError, ValueError, RecursionError):
            return _refusal(400, 'the body is not {"payloads": […]} in JSON')
        try:
            payloads = await work(asked.payloads)
        except CodecError as error:
            return _refusal(400, str(error))
        return JSONResponse(MessageToDict(Payloads(payloads=payloads)), headers={"cache-control": "no-store"})

    async def encode(request: Request) -> Response:
        return await answer(request, codec.encode)

    async def decode(request: Request) -> Response:
        return await answer(request, codec.decode)

    routes = [
        Route(prefix + path, endpoint, methods=["POST"])
        for prefix in ("", "/{namespace}")  # the UI and the CLI may be told http://…/{namespace}
        for path, endpoint in (("/encode", encode), ("/decode", decode))
    ]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["POST"],
        allow_headers=["authorization", "authorization-extras", "content-type", "x-namespace"],
        allow_credentials=True,
        allow_private_network=True,
    )
    return Starlette(routes=routes, middleware=[cors])


async def serve(
    port: int = PORT,
    origins: Sequence[str] = ORIGINS,
    on_ready: Callable[[str], None] | None = None,
    *,
    host: str = HOST,
    codec: EncryptionCodec | None = None,
    token: str | None = None,
) -> None:
    """Serve the endpoint until cancelled.

    Args:
        port: to listen on; 0 takes a free one.
        origins: of the Web UI.
        on_ready: told the endpoint's address once it listens.
        host: to listen on; anything but loopback wants a token.
        codec: with the keys; from the environment when None.
        token: the bearer token; ``CAMPAIGNER_CODEC_TOKEN`` when None.

    Raises:
        CodecKeysError: the keys in the environment cannot be used.
        CodecServerError: there is no key, the port is taken, or the host is open to others and there is no token.

    """
    codec = EncryptionCodec.from_environment() if codec is None else codec
    token = os.environ.get(TOKEN_VARIABLE, "") if token is None else token
    if not codec.key_ids:
        raise CodecServerError("there is no key to decode with; set CAMPAIGNER_CODEC_KEYS")
    if not token and not _is_loopback(host):
        raise CodecServerError(f"on {host} others could read every campaign; set {TOKEN_VARIABLE}, or stay on {HOST}")
    try:
        await serving.serve(app(codec, origins, token), host, port, on_ready)
    except serving.ListenError as error:
        raise CodecServerError(str(error)) from None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bearer(request: Request) -> bytes:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip().encode() if scheme.lower() == "bearer" else b""


def _refusal(status: int, words: str) -> JSONResponse:
    return JSONResponse({"message": words}, status_code=status)
