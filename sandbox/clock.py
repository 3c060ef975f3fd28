"""The sandbox's time: the real clock made faster, and pushed forward by hand."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class SandboxClock:
    """Seconds since 1970, as the sandbox sees them.

    `now` runs `speed` times as fast as the real clock (0 stands still). `wall` never runs faster than the real clock,
    because a client's retries do not either; a jump moves both.
    """

    def __init__(
        self,
        speed: float = 1.0,
        *,
        start: float | None = None,
        jumped: float = 0.0,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._elapsed = elapsed
        self._epoch = time.time() - elapsed()
        self._speed = speed
        self._mark = elapsed()
        self._at_mark = time.time() if start is None else start
        self.jumped = jumped

    @property
    def speed(self) -> float:
        """Sandbox seconds per real second."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        if not 0 <= speed < float("inf"):
            raise ValueError("speed must be zero or a positive number")
        self._at_mark, self._mark, self._speed = self.now(), self._elapsed(), speed

    def now(self) -> float:
        """Sandbox time."""
        return self._at_mark + (self._elapsed() - self._mark) * self._speed

    def wall(self) -> float:
        """Real time plus every jump: what idempotency keys age by."""
        return self._epoch + self._elapsed() + self.jumped

    def advance(self, seconds: float) -> None:
        """Jump ahead; time never goes back."""
        if not 0 <= seconds < float("inf"):
            raise ValueError("the clock only goes forward")
        self._at_mark += seconds
        self.jumped += seconds


def iso(at: float | None) -> str | None:
    """A sandbox time as ISO 8601 in UTC."""
    return (
        None
        if at is None
        else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
