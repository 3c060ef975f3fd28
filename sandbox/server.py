"""Starts a sandbox: inside an event loop (`running`), beside a test (`in_thread`), or for a person (`serve`)."""

from __future__ import annotations

import asyncio
import signal
import socket
import struct
import threading
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.app import ABORT, Front
from sandbox.settings import SandboxSettings
from sandbox.webhooks import Courier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from starlette.types import Receive, Scope, Send

    from sandbox.clock import SandboxClock
    from sandbox.settings import DialectName

_TICK = 0.2  # real seconds between looks at what has ended
_LINGER_NOT = struct.pack("ii", 1, 0)


class _Protocol(H11Protocol):
    """HTTP whose connections the application can reset."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        answer = self.app

        def abort() -> None:
            held = transport.get_extra_info("socket")
            if held is not None:
                held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)  # RST, not FIN
            transport.abort()

        async def with_abort(scope: Scope, receive: Receive, send: Send) -> None:
            scope[ABORT] = abort
            with suppress(ClientDisconnect):  # a client that dies while it asks is no fault of ours
                await answer(scope, receive, send)

        self.app = with_abort


class _Server(uvicorn.Server):
    """A server that leaves signals to its host and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox."""

    front: Front
    base_url: str
    port: int

    @property
    def url(self) -> str:
        """The panel's endpoint."""
        return f"{self.base_url}/api/v2"

    @property
    def clock(self) -> SandboxClock:
        """Sandbox time, to push forward."""
        return self.front.desk.clock

    def ledger(self) -> dict[str, Any]:
        """The books, as `/ledger.json` shows them."""
        return self.front.ledger()

    def arm(self, *faults: str) -> None:
        """Replace the armed faults; none disarms."""
        self.front.faults.arm(faults)


@asynccontextmanager
async def running(settings: SandboxSettings | None = None) -> AsyncIterator[Sandbox]:
    """Serve a sandbox in this event loop until the block ends. A taken port is replaced by a free one."""
    settings = settings or SandboxSettings()
    front = Front(settings)
    try:
        listening = _listen(settings.host, settings.port)
    except OSError:
        front.desk.close()
        raise
    config = uvicorn.Config(
        front.app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    ticking = asyncio.create_task(_tick(front))
    try:
        await server.ready.wait()
        port = listening.getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        yield Sandbox(front, f"http://{host}:{port}", port)
    finally:
        server.should_exit = True
        ticking.cancel()
        await asyncio.gather(serving, ticking, return_exceptions=True)
        front.desk.close()


@contextmanager
def in_thread(settings: SandboxSettings | None = None) -> Iterator[Sandbox]:
    """Serve a sandbox in a thread of its own, for code that is not asynchronous."""
    started: list[Sandbox] = []
    failed: list[BaseException] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    leave = asyncio.Event()

    async def main() -> None:
        async with running(settings) as box:
            started.append(box)
            ready.set()
            await leave.wait()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(main())
        except BaseException as error:  # noqa: BLE001  # told to the thread that waits
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="sandbox", daemon=True)
    thread.start()
    ready.wait()
    if failed:
        raise failed[0]
    try:
        yield started[0]
    finally:
        loop.call_soon_threadsafe(leave.set)
        thread.join()


def serve(settings: SandboxSettings, *, on_ready: Callable[[Sandbox], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM. `on_ready` is told where, since a taken port is replaced by a free one."""
    stop = asyncio.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with running(settings) as box:
            if on_ready is not None:
                on_ready(box)
            await stop.wait()

    asyncio.run(main())


def serve_from_options(
    *,
    port: int = 8900,
    db: str = ":memory:",
    speed: float = 1.0,
    balance: str = "1000.00",
    faults: Sequence[str] = (),
    seed: int = 0,
    dialect: DialectName = "notpanel",
    control: bool = False,
    on_ready: Callable[[Sandbox], None] | None = None,
) -> None:
    """What `campaigner sandbox` runs; a wrong option is a ValueError before anything starts."""
    serve(
        SandboxSettings(
            port=port,
            db=db,
            speed=speed,
            opening_balance=balance,
            faults=tuple(faults),
            seed=seed,
            dialect=dialect,
            control=control,
        ),
        on_ready=on_ready,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for wanted in (port, 0):
        # The protocol is named so that asyncio sets TCP_NODELAY; without it every answer waits 40 ms for an ACK.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, wanted))
            listening.listen(2048)
        except OSError:
            listening.close()
            if wanted == 0:
                raise
        else:
            listening.setblocking(False)
            return listening
    raise AssertionError("unreachable")


async def _tick(front: Front) -> None:
    """Notice ends nobody asked about, tell the webhooks, and keep the clock."""
    desk = front.desk
    courier = Courier(desk.books)
    try:
        while True:
            await asyncio.sleep(_TICK)
            desk.settle()
            while desk.events:
                courier.send(desk.events.popleft())
            desk.save()
    finally:
        await courier.close()
