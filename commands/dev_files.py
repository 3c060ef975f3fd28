"""The folder ``.campaigner``: where ``campaigner dev`` keeps its server's store, and where others find the server."""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from commands.console import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(".campaigner")
_LOCK_WITHIN = 0.5
"""Seconds to try for the lock: somebody who only looks holds it for a moment."""


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
        try:
            with self._lock.open("rb") as lock:
                if _take(lock.fileno(), fcntl.LOCK_SH):
                    return None  # nobody holds it
            told = json.loads(self._told.read_text())
            return DevServer(address=str(told["address"]), ui=str(told["ui"]), pid=int(told["pid"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be this folder's dev server while the block lasts.

        Raises:
            CommandError: another one is, or the folder cannot be written.

        """
        try:
            self._lock.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise CommandError(f"the folder {self._lock.parent} cannot be written: {error.strerror}") from None
        try:
            deadline = time.monotonic() + _LOCK_WITHIN
            while not _take(lock, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise CommandError(self._taken())
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
