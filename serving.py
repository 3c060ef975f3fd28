"""What the small HTTP endpoints share: a socket that says why it cannot listen, and a server that stops gracefully."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp


class ListenError(Exception):
    """The endpoint cannot be served there; the message says why."""


async def serve(
    app: ASGIApp, host: str, port: int, on_ready: Callable[[str], None] | None = None, *, grace: int = 1
) -> None:
    """Serve an application until cancelled; what is being answered then is answered first.

    Args:
        app: the application.
        host: the address to listen on.
        port: to listen on; 0 takes a free one.
        on_ready: told the endpoint's address once it listens.
        grace: seconds that answers may take after the cancellation.

    Raises:
        ListenError: the port is taken, or there is no such address.

    """
    listening = listen(host, port)
    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=grace,
    )
    shown = f"[{host}]" if ":" in host else host
    server = _Server(config, lambda: on_ready and on_ready(f"http://{shown}:{listening.getsockname()[1]}"))
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise
    finally:
        listening.close()


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address.

    Raises:
        ListenError: the port is taken, or there is no such address.

    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such port"
        raise ListenError(f"cannot listen on {host} port {port}: {reason}") from None


class _Server(uvicorn.Server):
    """A server that leaves signals to its host and says when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._ready = ready

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()
