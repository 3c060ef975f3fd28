"""Faults that can be armed per action, with a probability and a seed that replays them."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal[
    "drop_before",  # the connection is reset before anything is done
    "drop_after",  # … after the books were written: the order exists, its id is lost
    "error_before",  # a 500 with JSON; nothing was done
    "error_after",  # a 500 with JSON, although it was done
    "html_502",  # a proxy's page instead of an answer; nothing was done
    "html_200",  # a challenge page with 200; nothing was done
    "throttle",  # a 429 whose reset is `seconds` away (1 by default)
    "slow",  # waits `seconds` (1 by default), then does it
    "slow_after",  # does it, then waits `seconds` before answering
]
ACTIONS = (
    "services",
    "add",
    "status",
    "refill",
    "cancel",
    "balance",
    "webhook.add",
    "webhook.list",
    "webhook.remove",
)
KINDS: tuple[str, ...] = get_args(Kind)
_SPEC = re.compile(
    r"(?P<action>[a-z_.]+|\*):(?P<kind>[a-z_0-9]+?)(:(?P<seconds>\d+(\.\d+)?))?(=(?P<probability>\d*\.?\d+))?(x(?P<times>\d+))?"
)


class BadFaultError(ValueError):
    """A fault nobody can arm; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way to go wrong: what happens to `action` (`*`: any), how often, and at most how many times."""

    action: str
    kind: Kind
    probability: float = 1.0
    seconds: float = 1.0
    times: int | None = None

    def __post_init__(self) -> None:
        if self.action not in ("*", *ACTIONS):
            raise BadFaultError(f"unknown action {self.action!r}; one of {', '.join(ACTIONS)}, or * for any")
        if self.kind not in KINDS:
            raise BadFaultError(f"unknown fault {self.kind!r}; one of {', '.join(KINDS)}")
        if not 0 <= self.probability <= 1:
            raise BadFaultError(f"probability {self.probability} is not between 0 and 1")

    @classmethod
    def parse(cls, spec: str) -> Fault:
        """Read `action:kind[:seconds][=probability][xtimes]`: `add:drop_after=0.1`, `*:slow:2`, `add:throttle=1x3`."""
        found = _SPEC.fullmatch(spec.strip())
        if not found:
            raise BadFaultError(f"cannot read fault {spec!r}; write action:kind[:seconds][=probability][xtimes]")
        return cls(
            action=found["action"],
            kind=found["kind"],  # type: ignore[arg-type]  # checked by __post_init__
            probability=float(found["probability"] or 1),
            seconds=float(found["seconds"] or 1),
            times=int(found["times"]) if found["times"] else None,
        )

    @classmethod
    def read(cls, value: Any) -> Fault:
        """Read a spec string, or a mapping with the fields' names."""
        if isinstance(value, Fault):
            return value
        if isinstance(value, str):
            return cls.parse(value)
        try:
            return cls(**value)
        except TypeError as error:
            raise BadFaultError(f"cannot read fault {value!r}") from error


@dataclass(slots=True)
class Faults:
    """The armed faults. Each action draws from a stream of its own: more status reads change nothing for `add`."""

    seed: int = 0
    armed: list[Fault] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    _left: dict[int, int] = field(default_factory=dict)
    _streams: dict[str, random.Random] = field(default_factory=dict)

    def arm(self, faults: Iterable[Any]) -> None:
        """Replace what is armed; an empty list disarms."""
        self.armed = [Fault.read(fault) for fault in faults]
        self._left = {place: fault.times for place, fault in enumerate(self.armed) if fault.times is not None}

    def draw(self, action: str) -> Fault | None:
        """The fault this request meets, if any; the first armed one that strikes."""
        for place, fault in enumerate(self.armed):
            if fault.action not in ("*", action) or self._left.get(place) == 0:
                continue
            if self._stream(action).random() < fault.probability:
                if place in self._left:
                    self._left[place] -= 1
                self.fired[f"{action}:{fault.kind}"] += 1
                return fault
        return None

    def _stream(self, action: str) -> random.Random:
        if action not in self._streams:
            self._streams[action] = random.Random(f"{self.seed}/{action}")  # noqa: S311  # chance, not secrecy
        return self._streams[action]
