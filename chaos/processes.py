"""The parts of the system as processes of their own: the server, the panel, the workers. Each can be killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter, deque
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from activities.faultpoints import VARIABLE
from embedded import Embedded, die_with_parent, embedded_temporal, temporal_binary

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[1]
KEY_VARIABLE = "CHAOS_PANEL_KEY"
DEPLOYMENT = "campaigner"
_HOPELESS = 5
"""Workers that ended by themselves, after which no more are started."""
_LAST_WORDS = 500
"""Characters of a log that tell why a process ended."""
_NO_SERVER = "no Temporal server answers"
"""What a worker says that starts while the server is down, before it ends: its orchestrator is to try again."""


class ChaosError(Exception):
    """The rig itself failed, not what it tests."""


async def _spawn(
    *arguments: str, log: Path, folder: Path, env: Mapping[str, str], piped: bool = False
) -> asyncio.subprocess.Process:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TEMPORAL_", "CAMPAIGNER_"))}
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if piped else output,
            stderr=output,
            env={**inherited, "PYTHONPATH": str(ROOT), **env},
            cwd=folder,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )


async def _end(process: asyncio.subprocess.Process, number: signal.Signals = signal.SIGKILL) -> None:
    if process.returncode is None:
        process.send_signal(number)
    await process.wait()


@dataclass
class Server:
    """The real Temporal server with a file store; killed, it comes back on the same port and the same file."""

    folder: Path
    continue_at: int
    """Events after which a campaign is told to continue as new."""
    address: str = ""
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _running: Embedded | None = None

    async def start(self) -> None:
        """Start it, on the port it had."""
        port = int(self.address.rpartition(":")[2] or 0)
        self._running = await self._stack.enter_async_context(
            embedded_temporal(
                database=self.folder / "temporal.db",
                port=port,
                ui_port=0,
                log=self.folder / "temporal.log",
                dynamic=[f"limit.historyCount.suggestContinueAsNew={self.continue_at}"],
            )
        )
        if self.address and self._running.address != self.address:
            raise ChaosError("somebody took the server's port while it was down")
        self.address = self._running.address

    async def kill(self) -> None:
        """End it as a power cut would."""
        if self._running is not None:
            await _end(self._running.process)

    async def stop(self) -> None:
        """End it."""
        await self._stack.aclose()


@dataclass
class Panel:
    """The sandbox over HTTP, its books in a file."""

    folder: Path
    settings: Mapping[str, Any]
    url: str = ""
    orders: int = 0
    """In its books, half a second ago."""
    _base: str = ""
    _process: asyncio.subprocess.Process | None = None
    _reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it."""
        settings = json.dumps({"db": str(self.folder / "panel.db"), **self.settings})
        self._process = await _spawn(
            "-m", "chaos.panel", settings, log=self.folder / "panel.log", folder=self.folder, env={}, piped=True
        )
        where = await self._line()
        self.url, self._base = where["url"], where["base_url"]
        self._reading = asyncio.create_task(self._count())

    async def _line(self) -> dict[str, Any]:
        assert self._process is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        line = await self._process.stdout.readline()
        if not line:
            raise ChaosError(f"the panel ended: {(self.folder / 'panel.log').read_text()[-500:]}")
        told: dict[str, Any] = json.loads(line)
        return told

    async def _count(self) -> None:
        while True:
            self.orders = (await self._line())["orders"]

    async def control(self, what: str, **order: Any) -> None:
        """Turn one of its knobs."""
        async with httpx.AsyncClient(timeout=30) as http:
            (await http.post(f"{self._base}/control/{what}", json=order)).raise_for_status()

    async def ledger(self) -> dict[str, Any]:
        """Read its books."""
        async with httpx.AsyncClient(timeout=120) as http:
            answer: dict[str, Any] = (await http.get(f"{self._base}/ledger.json")).json()
            return answer

    async def stop(self) -> None:
        """End it."""
        if self._reading is not None:
            self._reading.cancel()
        if self._process is not None:
            await _end(self._process)


@dataclass(frozen=True, slots=True)
class Kill:
    """One process ended without warning."""

    what: str
    at: float
    """Seconds since 1970."""
    back_at: float | None = None
    """When it was up again, where nothing could go on without it."""


@dataclass
class Fleet:
    """Several real workers; whoever dies is replaced, as an orchestrator does."""

    folder: Path
    server: str
    panel: str
    account: Mapping[str, Any]
    module: str
    arms: deque[str] = field(default_factory=deque)
    """Fault points of the workers to come: the next one that starts takes the first."""
    kills: list[Kill] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    """Workers that ended although nobody killed them."""
    server_downs: int = 0
    """How often the server was taken down so far."""
    server_is_down: bool = False
    _slots: dict[int, asyncio.subprocess.Process] = field(default_factory=dict)
    _tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    _killed: set[int] = field(default_factory=set)
    _leaving: set[int] = field(default_factory=set)

    def add(self, env: Mapping[str, str] | None = None) -> int:
        """Keep one more worker running; give its number."""
        slot = len(self._tasks) + 1
        self._tasks[slot] = asyncio.create_task(self._keep(slot, env or {}))
        return slot

    async def _keep(self, slot: int, env: Mapping[str, str]) -> None:
        configuration = self.folder / "campaigner.yaml"
        accounts = {"main": {"url": self.panel, "api_key": f"${{{KEY_VARIABLE}}}", **self.account}}
        configuration.write_text(json.dumps({"accounts": accounts}))
        log = self.folder / f"worker-{slot}.log"
        settings = {"CAMPAIGNER_CONFIG": str(configuration), "TEMPORAL_ADDRESS": self.server}
        settings |= {KEY_VARIABLE: "sandbox-key", **env}
        while slot not in self._leaving and not self.is_hopeless:
            armed = self.arms.popleft() if self.arms else ""
            more = {VARIABLE: armed} if armed else {}
            downs, was_down = self.server_downs, self.server_is_down
            process = await _spawn("-m", self.module, log=log, folder=self.folder, env=settings | more)
            self._slots[slot] = process
            code = await process.wait()
            was_down = was_down or self.server_is_down or self.server_downs > downs
            self._note(process.pid, code, slot, armed, log, was_down=was_down)

    def _note(self, pid: int, code: int, slot: int, armed: str, log: Path, *, was_down: bool) -> None:
        if slot in self._leaving:
            return
        if was_down and code == 1 and _NO_SERVER in log.read_text(errors="replace")[-_LAST_WORDS:]:
            if armed:
                self.arms.appendleft(armed)
            return
        if pid in self._killed:
            self.kills.append(Kill("worker", time.time()))
        elif code == -signal.SIGKILL and armed:
            self.kills.append(Kill(armed.partition(":")[0], time.time()))
        else:
            self.trouble.append(f"worker {slot} ended with {code}: {log.read_text(errors='replace')[-_LAST_WORDS:]}")

    def kill(self, chance: random.Random) -> None:
        """Kill any worker that runs."""
        alive = [process for process in self._slots.values() if process.returncode is None]
        if alive:
            process = chance.choice(alive)
            self._killed.add(process.pid)
            process.kill()

    async def leave(self, slot: int) -> int | None:
        """Stop one worker as an operator does; give its exit code."""
        self._leaving.add(slot)
        process = self._slots[slot]
        await _end(process, signal.SIGTERM)
        await self._tasks[slot]
        return process.returncode

    async def stop(self) -> None:
        """End them all."""
        self._leaving.update(self._tasks)
        for task in self._tasks.values():
            task.cancel()
        for process in self._slots.values():
            await _end(process)

    @property
    def is_hopeless(self) -> bool:
        """Whether workers end by themselves again and again."""
        return len(self.trouble) >= _HOPELESS

    @property
    def counted(self) -> Counter[str]:
        """How many were killed, and how."""
        return Counter(kill.what for kill in self.kills)

    def said(self, slot: int) -> str:
        """Give what a worker and its predecessors in this place wrote."""
        log = self.folder / f"worker-{slot}.log"
        return log.read_text(errors="replace") if log.exists() else ""


def build(number: str) -> dict[str, str]:
    """Give the environment of a worker of this build."""
    return {"TEMPORAL_DEPLOYMENT_NAME": DEPLOYMENT, "TEMPORAL_WORKER_BUILD_ID": number}


async def set_current(address: str, number: str, tries: int = 60) -> None:
    """Make a build current, as docs/operations.md says; its queues are known once its workers have polled."""
    told: Sequence[str] = ("worker", "deployment", "set-current-version", "--deployment-name", DEPLOYMENT)
    for _ in range(tries):
        process = await asyncio.create_subprocess_exec(
            temporal_binary(),
            *told,
            *("--build-id", number, "--yes", "--address", address),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        if await process.wait() == 0:
            return
        await asyncio.sleep(0.5)
    raise ChaosError(f"build {number} cannot be made current")
