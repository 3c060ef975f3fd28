"""The documented rate limits: per address, per key and per deposit tier, each over a fixed minute of the real clock."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Bound = Literal["ip", "key", "tier"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Requests per `window` real seconds; None means no limit. 300 and 100 are documented, the tier's is a guess."""

    per_ip: int | None = 300
    per_key: int | None = 100
    per_tier: int | None = 600
    window: float = 60.0

    @classmethod
    def off(cls) -> Limits:
        """No limits at all."""
        return cls(per_ip=None, per_key=None, per_tier=None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may pass, and the headers its answer carries."""

    denied_by: Bound | None
    headers: dict[str, str]


@dataclass(slots=True)
class _Window:
    ends: float
    used: int = 0


@dataclass(slots=True)
class Limiter:
    """Counts requests. A denied request uses nothing up."""

    limits: Limits
    clock: Callable[[], float] = time.time
    _windows: dict[tuple[str, str], _Window] = field(default_factory=dict)

    def admit_address(self, address: str) -> Verdict:
        """The limit that comes before the key is looked at."""
        return self._admit({"ip": (address, self.limits.per_ip)})

    def admit_key(self, key: str) -> Verdict:
        """The key's own limit, then the aggregate of the account's tier."""
        return self._admit({"key": (key, self.limits.per_key), "tier": ("account", self.limits.per_tier)})

    def _admit(self, bounds: dict[Bound, tuple[str, int | None]]) -> Verdict:
        now = self.clock()
        held = [
            (bound, limit, self._window(bound, name, now))
            for bound, (name, limit) in bounds.items()
            if limit is not None
        ]
        denied = next(((bound, limit, window) for bound, limit, window in held if window.used >= limit), None)
        if denied is None:
            for _, _, window in held:
                window.used += 1
        headers: dict[str, str] = {}
        for bound, limit, window in held:
            left = str(max(0, limit - window.used))
            if bound == "tier":
                headers["X-RateLimit-Tier-Remaining"] = left
            if bound != "tier" or (denied and denied[0] == "tier"):
                headers["X-RateLimit-Limit"] = str(limit)
                headers["X-RateLimit-Remaining"] = left
                headers["X-RateLimit-Reset"] = str(ceil(window.ends))
        if denied:
            headers["X-RateLimit-DeniedBy"] = denied[0]
        return Verdict(denied[0] if denied else None, headers)

    def _window(self, bound: str, name: str, now: float) -> _Window:
        window = self._windows.get((bound, name))
        if window is None or now >= window.ends:
            window = self._windows[bound, name] = _Window(now + self.limits.window)
        return window
