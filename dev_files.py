"""The folder ``.campaigner``: where ``campaigner dev`` keeps its server's store, and where others find the server.

Commands and workers of the folder connect by :func:`connect_here`: what was started on its own server must not be
started, and bought, once more on another one that happens to listen on the default port.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from temporalio.envconfig import ClientConfigProfile

from connection import TemporalError, connect, connect_embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from temporalio.client import Client

FOLDER = Path(".campaigner")
_LOCK_WITHIN = 0.5
"""Seconds to try for the lock: somebody who only looks holds it for a moment."""
_STOPPED = (
    "the `campaigner dev` of this folder does not run; start `campaigner dev` here, or set TEMPORAL_ADDRESS to the "
    "Temporal server that you mean"
)
_BETWEEN = "the `campaigner dev` of this folder is just starting or stopping; try again in a moment"


async def connect_here(metrics: str | None = None) -> Client:
    """Connect as the environment says; where it names no server, to the dev server of this folder, if it ever had one.

    Args:
        metrics: where to serve the SDK's metrics for Prometheus; nowhere when empty.

    Raises:
        TemporalError: nothing answers there, or this folder's dev server does not run and no other one is named.

    """
    files = DevFiles()
    if is_elsewhere():
        return await connect(metrics=metrics)
    if running := files.running():
        return await connect_embedded(running.address, metrics)
    if files.is_held():
        raise TemporalError(_BETWEEN)
    if files.database.exists():
        raise TemporalError(_STOPPED)
    return await connect(metrics=metrics)


def is_elsewhere() -> bool:
    """Tell whether the environment or a profile names a server; or cannot be read, which connecting then says."""
    try:
        return bool(ClientConfigProfile.load().address)
    except (ValueError, RuntimeError, OSError):
        return True


@dataclass(frozen=True, slots=True)
class DevServer:
    """A running dev server."""

    address: str
    ui: str
    pid: int


class DevFiles:
    """The files of one folder's dev server. Whoever holds the lock is the one that runs: no stale file can mislead."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.database = folder / "temporal.db"
        self.log = folder / "temporal.log"
        self._told = folder / "dev.json"
        self._lock = folder / "dev.lock"

    def running(self) -> DevServer | None:
        """Give the folder's dev server if it runs now."""
        if not self.is_held():
            return None
        try:
            told = json.loads(self._told.read_text())
            return DevServer(address=str(told["address"]), ui=str(told["ui"]), pid=int(told["pid"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def is_held(self) -> bool:
        """Tell whether the folder's dev server runs, or is on its way up or down."""
        try:
            with self._lock.open("rb") as lock:
                return not _take(lock.fileno(), fcntl.LOCK_SH)
        except OSError:
            return False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be this folder's dev server while the block lasts.

        Raises:
            TemporalError: another one is, or the folder cannot be written.

        """
        try:
            self._lock.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise TemporalError(f"the folder {self._lock.parent} cannot be written: {error.strerror}") from None
        try:
            deadline = time.monotonic() + _LOCK_WITHIN
            while not _take(lock, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise TemporalError(self._taken())
                time.sleep(0.05)
            try:
                yield
            finally:
                self._told.unlink(missing_ok=True)
        finally:
            os.close(lock)

    def tell(self, server: DevServer) -> None:
        """Say where the server is."""
        new = self._told.with_suffix(".new")
        new.write_text(json.dumps(asdict(server)))
        new.replace(self._told)

    def _taken(self) -> str:
        other = self.running()
        where = f" (process {other.pid}, {other.address}, Web UI {other.ui})" if other else ""
        return f"`campaigner dev` already runs in this folder{where}; use that one, or stop it first"


def _take(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
