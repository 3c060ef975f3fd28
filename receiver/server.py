"""The endpoint for the panel's webhooks: ``POST /<account>``.

It is meant to be reached from the internet, through a reverse proxy. So nothing is believed that is not signed, little
is read, and no answer says more than its status. A delivery is never believed as a status either: it is a hint to read
that order now.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import serving
from campaigns.wording import escaped
from panel import BadSignature, SignatureScheme, UnreadableDelivery, parse_delivery, verify
from receiver.hints import UnheardError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pydantic import SecretStr
    from starlette.requests import Request

HOST = "127.0.0.1"
PORT = 8090
MAX_BODY = 64 * 1024
"""Bytes of one delivery; the ones known are a few hundred."""
READING = 10.0
"""Seconds in which a delivery must have arrived."""
GRACE = 7
"""Seconds that deliveries may take once it was told to stop: what Temporal has to take two signals, and a little."""
_log = logging.getLogger("campaigner.receiver")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How the deliveries for one account are known to be the panel's."""

    secret: SecretStr
    scheme: SignatureScheme


def app(endpoints: Mapping[str, Endpoint], tell: Callable[[str, str], Awaitable[None]]) -> Starlette:
    """Give the endpoint as an ASGI application.

    Args:
        endpoints: by account; the others have none.
        tell: called with an account and a panel order that something happened to; raises UnheardError when it could
            not be told.

    """

    async def deliver(request: Request) -> Response:
        account = request.path_params["account"]
        endpoint = endpoints.get(account)
        if endpoint is None:
            return _answer(404, "there is no such endpoint")
        try:
            async with asyncio.timeout(READING):
                body = await _body(request)
        except TimeoutError:
            return _answer(408, "the delivery did not arrive in time")
        except ClientDisconnect:
            return _answer(400, "the delivery broke off")  # nobody hears it
        if body is None:
            return _answer(413, f"more than {MAX_BODY} bytes")
        try:
            verify(request.headers, body, endpoint.secret, datetime.now(UTC), endpoint.scheme)
        except BadSignature as error:
            _log.warning("%s: a delivery is not believed: %s", account, error)
            return _answer(401, "not signed, not signed with this secret, or not signed just now")
        try:
            delivery = parse_delivery(body)
        except UnreadableDelivery as error:
            _log.warning("%s: a delivery cannot be read: %s", account, error)
            return _answer(400, str(error))
        if delivery.order is None:
            _log.info("%s: %s, of no order", account, escaped(delivery.event))
            return Response(status_code=204)
        try:
            await tell(account, delivery.order)
        except UnheardError:
            return _answer(503, "not taken now; deliver again")
        _log.info("%s: %s of %s", account, escaped(delivery.event), escaped(delivery.order))
        return Response(status_code=204)

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def guarded(request: Request) -> Response:
        try:
            return await deliver(request)
        except Exception as error:  # noqa: BLE001 - no traceback for strangers
            _log.error("%s: a delivery failed: %s", request.path_params["account"], type(error).__name__)
            return _answer(500, "that should not have happened")

    routes = [Route("/health", health, methods=["GET"]), Route("/{account}", guarded, methods=["POST"])]
    served = Starlette(routes=routes, exception_handlers={HTTPException: _refused})
    served.router.redirect_slashes = False
    return served


async def serve(
    endpoints: Mapping[str, Endpoint],
    tell: Callable[[str, str], Awaitable[None]],
    on_ready: Callable[[str], None] | None = None,
    *,
    host: str = HOST,
    port: int = PORT,
) -> None:
    """Serve the endpoint until cancelled; deliveries that are being taken then are taken first.

    Args:
        endpoints: by account.
        tell: as for :func:`app`.
        on_ready: told the endpoint's address once it listens.
        host: to listen on.
        port: to listen on; 0 takes a free one.

    Raises:
        serving.ListenError: the port is taken, or there is no such address.

    """
    await serving.serve(app(endpoints, tell), host, port, on_ready, grace=GRACE)


async def _body(request: Request) -> bytes | None:
    """Read a delivery; None when it is too large, of which no more is read than it takes to know."""
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told[:20]) > MAX_BODY:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return bytes(body)


def _answer(status: int, words: str) -> JSONResponse:
    return JSONResponse({"message": words}, status_code=status)


async def _refused(_request: Request, error: Exception) -> Response:
    """Answer what no route takes (404, 405) as everything else is answered."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for nothing else
    return JSONResponse({"message": error.detail}, status_code=error.status_code, headers=error.headers)
