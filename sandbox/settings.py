"""What a sandbox can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from sandbox.clock import DAY
from sandbox.faults import Fault
from sandbox.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

DialectName = Literal["notpanel", "classic"]


@dataclass(frozen=True, kw_only=True)
class SandboxSettings:
    """A sandbox's settings; every default is the documented panel's.

    `idempotent`: whether `request_id` is honoured (None: yes in the notpanel dialect, no in the classic one).
    `key_memory`: seconds a request_id is remembered. It ages by the real clock and by jumps, not by `speed`.
    `balance_cache`: real seconds an answer of `balance` may be old; documented 30, 0 here so that practice is clear.
    `quiet_refills`: an order keeps its status word while it is refilled instead of showing in_progress again.
    `control`: whether `/control/…` is served. Never switch it on where strangers can reach the port.
    """

    api_keys: Collection[str] = frozenset({"sandbox-key"})
    opening_balance: Decimal | str = "1000.00"
    currency: str = "USD"
    speed: float = 1.0
    db: str = ":memory:"
    seed: int = 0
    dialect: DialectName = "notpanel"
    idempotent: bool | None = None
    remember_errors: bool = False
    key_memory: float = DAY
    limits: Limits = field(default_factory=Limits)
    faults: Sequence[str | Fault] = ()
    control: bool = False
    host: str = "127.0.0.1"
    port: int = 0
    allow_private_webhooks: bool = False
    balance_cache: float = 0.0
    low_balance: Decimal | str = "10.00"
    quiet_refills: bool = False

    def __post_init__(self) -> None:
        opening = Decimal(self.opening_balance)
        if not opening.is_finite() or opening < 0:
            raise ValueError("the opening balance must be zero or more")
        if self.dialect not in ("notpanel", "classic"):
            raise ValueError(f"unknown dialect {self.dialect!r}; notpanel or classic")
        if not 0 <= self.speed < float("inf"):
            raise ValueError("speed must be zero or a positive number")
        for fault in self.faults:
            Fault.read(fault)

    @property
    def honours_request_ids(self) -> bool:
        """Whether the same request_id means the same order."""
        return self.dialect == "notpanel" if self.idempotent is None else self.idempotent
