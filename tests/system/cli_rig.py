"""What the tests of the command line stand on: the real program, as a person or a script starts it."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.limits import Limits
from sandbox.server import Sandbox, in_thread
from sandbox.settings import SandboxSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from embedded import Embedded

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).parent / "campaigner"
KEY = "sandbox-key"
LINK = "https://example.com/brand/film"
PATIENCE = 90.0
"""Seconds anything may take on a busy machine: a limit, never a measure."""

_one_at_a_time = threading.Lock()

CONFIGURATION = """\
accounts:
  main:
    url: {url}
    api_key: ${{PANEL_KEY:?set it to your panel key}}
    requests_per_minute: 6000
    poll_every: 1s
    allowed_targets: ["https://example.com/brand/*"]
"""
CAMPAIGN = """\
version: 1
name: {name}
account: main
timezone: Europe/Istanbul
targets: {{film: "https://example.com/brand/film"}}
limits: {{budget: 50.00 USD}}
orders:
{orders}
"""
QUICK = "  - {id: seed, service: 102, target: film, quantity: 500}"
"""Is delivered in a second."""
ENDLESS = "  - {id: stuck, service: 104, target: film, quantity: 100}"
"""Never starts; a cancel gives everything back."""


@dataclass(frozen=True)
class Ended:
    """A program that ended."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def json(self) -> Any:
        """What it printed, which must be JSON and nothing else."""
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        """What it printed, line by line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def failed_with(self, code: int, *words: str) -> Ended:
        """Hold that it ended with this code and these words on stderr, and without a traceback."""
        assert self.code == code, f"{self.code}\n{self.out}\n{self.err}"
        assert "Traceback" not in self.err
        for word in words:
            assert word in self.err, self.err
        return self


@dataclass
class Desk:
    """A folder with a configuration, and an environment: where somebody uses the command line."""

    folder: Path
    env: dict[str, str]
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(self, *arguments: str, **env: str | None) -> Ended:
        """Run a command to its end; variables given as None are unset."""
        began = time.monotonic()
        code, out, err = _forked(arguments, self.folder, self._environment(env))
        return Ended(code, out, err, time.monotonic() - began)

    def run_program(self, *arguments: str) -> Ended:
        """Run a command to its end as the installed program, from its first import on."""
        began = time.monotonic()
        done = subprocess.run(
            [PROGRAM, *arguments],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def ok(self, *arguments: str, **env: str | None) -> Ended:
        """Run a command that must succeed."""
        done = self.run(*arguments, **env)
        assert done.code == 0, f"{arguments}: {done.code}\n{done.out}\n{done.err}"
        return done

    def begin(self, *arguments: str, **env: str | None) -> Going:
        """Start a command that keeps running."""
        process = subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=self.folder,
            env=self._environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return Going(process)

    def _environment(self, changes: dict[str, str | None]) -> dict[str, str]:
        merged = {**self.env, **changes}
        return {name: value for name, value in merged.items() if value is not None}

    def write(self, orders: str = QUICK, name: str | None = None) -> str:
        """Write a campaign file of a name that only this test uses; give the name."""
        name = name or f"c-{uuid.uuid4().hex[:8]}"
        (self.folder / f"{name}.yaml").write_text(CAMPAIGN.format(name=name, orders=orders))
        return name

    def close(self) -> None:
        """End what still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None and not stream.closed:
                    stream.close()


class Going:
    """A running program, whose words are read as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.out: list[str] = []
        self.err: list[str] = []
        pairs = ((process.stdout, self.out), (process.stderr, self.err))
        self._readers = [threading.Thread(target=_drain, args=pair, daemon=True) for pair in pairs]
        for reader in self._readers:
            reader.start()

    def says(self, words: str) -> str:
        """Wait for words on stdout or stderr; give the line that has them."""
        return str(eventually(lambda: self._line_with(words), f"{words!r} in {self.out} {self.err}"))

    def _line_with(self, words: str) -> str:
        assert self.process.poll() is None or self._found(words), f"it ended: {self.out} {self.err}"
        return self._found(words)

    def _found(self, words: str) -> str:
        return next((line for line in [*self.out, *self.err] if words in line), "")

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send the signal and wait for the end; give the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end; give the exit code."""
        code = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(5)
        return code


def _drain(stream: Any, lines: list[str]) -> None:
    for line in stream:
        lines.append(line.rstrip("\n"))  # noqa: PERF401 - as they come


@cache
def _server() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.system.cli_server"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.kill)
    return process


def _forked(arguments: Sequence[str], folder: Path, env: dict[str, str]) -> tuple[int, str, str]:
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.TemporaryDirectory() as spoken:
        out, err = Path(spoken, "out"), Path(spoken, "err")
        asked = {"arguments": arguments, "folder": str(folder), "env": env, "out": str(out), "err": str(err)}
        with _one_at_a_time:
            server.stdin.write(json.dumps(asked) + "\n")
            server.stdin.flush()
            code = int(server.stdout.readline())
        return code, out.read_text(), err.read_text()


def eventually(check: Callable[[], Any], what: str = "it") -> Any:
    """Ask until the answer is true; give it."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := check()):
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.1)
    return answer


def new_desk(folder: Path, url: str, address: str | None) -> Desk:
    """Set up a desk: a folder, a panel, and a Temporal server unless it is to be found otherwise."""
    (folder / "campaigner.yaml").write_text(CONFIGURATION.format(url=url))
    kept = ("PATH", "HOME", "PYTHONPATH", "LANG", "TMPDIR")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    env |= {"PANEL_KEY": KEY, "CAMPAIGNER_USER": "ada", "PYTHONWARNINGS": "default"}
    if address is not None:
        env["TEMPORAL_ADDRESS"] = address
    return Desk(folder, env)


@contextmanager
def practice_panel(**settings: Any) -> Iterator[Sandbox]:
    """Serve a sandbox in a thread: fast, without limits, with the control endpoints."""
    chosen: dict[str, Any] = {"speed": 600.0, "control": True, "limits": Limits.off()} | settings
    with in_thread(SandboxSettings(**chosen)) as box:
        yield box


@pytest.fixture(scope="session")
def box() -> Iterator[Sandbox]:
    """One sandbox for all tests of the command line."""
    with practice_panel() as box:
        yield box


@pytest.fixture(scope="session")
def desk(desk_temporal: Embedded, box: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One desk with a worker for all tests of the command line."""
    desk = new_desk(tmp_path_factory.mktemp("desk"), box.url, desk_temporal.address)
    try:
        desk.begin("worker").says("worker is up")
        yield desk
    finally:
        desk.close()
