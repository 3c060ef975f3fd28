"""How an audit asks a panel: at what pace, how often again after a failure, how long it waits in all. Pure.

The worker's own requests count against the same limit of the account, so an audit leaves room for them, and waits
where the panel says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

AT_MOST = timedelta(minutes=5)
"""How long an audit waits for one throttled account, all its waits together."""
RETRIES = (timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=4))
"""The pauses before a request is sent again whose failure may pass: no connection, no answer, a 5xx."""
_SHARE = 2
"""An audit uses one in so many of the account's requests; the rest is the worker's."""
_SHORTEST = timedelta(seconds=1)
"""A panel that throttles until now, again and again, is not asked without a pause, and not for ever."""


@dataclass
class Patience:
    """What an audit has left for one account."""

    requests_per_minute: int
    waited: timedelta = timedelta(0)
    """For throttling, so far."""
    failures: int = 0
    """In a row."""

    @property
    def pace(self) -> timedelta:
        """The least time between the beginnings of two requests."""
        return timedelta(minutes=1) * _SHARE / self.requests_per_minute

    def answered(self) -> None:
        """Take in an answer: what failed before is over."""
        self.failures = 0

    def after_failure(self) -> timedelta | None:
        """Give the pause before the same request is sent again; None when it was sent often enough."""
        self.failures += 1
        return RETRIES[self.failures - 1] if self.failures <= len(RETRIES) else None

    def when_throttled(self, pause: timedelta) -> timedelta | None:
        """Give how long to wait for a panel that asks for ``pause``; None when that would be too long in all."""
        wait = max(pause, _SHORTEST)
        if self.waited + wait > AT_MOST:
            return None
        self.waited += wait
        return wait
