"""The sandbox's services: each misbehaves, or behaves, in one instructive way.

Durations are sandbox time; with `--speed 3600` an hour passes in a second.

| id | name | rate | min-max | what it does |
| --- | --- | --- | --- | --- |
| 101 | Views, steady | 0.90 | 100-100000 | pending 1 min, delivers evenly, completes after 1 h |
| 102 | Views, fast | 1.20 | 10-1000000 | completes after 1 min |
| 103 | Likes, partial | 2.40 | 10-50000 | 60 % in 30 min, then Partial, the rest credited; a refill delivers it free |
| 104 | Followers, never starts | 3.50 | 10-10000 | stays Pending for ever; a cancel refunds at once |
| 105 | Followers, stalls | 3.10 | 10-10000 | half way after 30 min, then nothing; a cancel is honoured 15 min later |
| 106 | Comments, fails | 8.00 | 5-1000 | Fail after 10 min with nothing delivered; refunded |
| 107 | Followers, drops | 2.75 | 50-20000 | completes after 30 min, loses 25 % a day later; a refill restores them |
| 108 | Likes, refill refused | 1.10 | 10-50000 | like 107, but refuses the refill it advertises |
| 109 | Likes, cancel refused | 1.15 | 10-50000 | completes after 6 h; says cancel yes, refuses |
| 110 | Views, busy link | 0.75 | 100-100000 | completes after 1 h; one live order per link |
| 111 | Starter package | 4.00 | 1000 | type Package: bills and delivers `min`, whatever the quantity; 30 min |
| 112 | Views, drip-feed | 0.95 | 10-100000 | `runs`/`interval` accepted; each run takes 10 min |
| 113 | Custom comments | 12.00 | 1-500 | type Custom Comments: wants `comments`, one a line; 30 min |
| 114 | Views, withdrawn | 0.50 | 100-100000 | inactive: not listed, `Service not found` |
| 115 | Saves, refunded | 1.80 | 10-10000 | delivers 30 %, is refunded in full after 30 min |
| 116 | Views, rate rises | 1.00 | 100-100000 | rate 1.50 from 6 h after the sandbox opened; otherwise like 101 |
| 117 | Shares, odd status | 1.40 | 10-10000 | `Awaiting review` for 20 min, then completes at 1 h |
| 118 | Subscriptions | 5.00 | 100 | type Subscriptions: a username will do; bills `min`; 1 h |
| 205 | Followers, alternate | 3.90 | 10-20000 | completes after 1 h |
| 309 | Followers, second alternate | 4.60 | 10-20000 | completes after 2 h |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from math import inf
from typing import Literal

from sandbox.clock import DAY, HOUR, MINUTE

Outcome = Literal["completed", "partial", "fail", "refunded"]


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How the orders of a service go; durations in sandbox seconds."""

    starts_after: float = MINUTE
    duration: float = HOUR  # from the start to the last unit of a run
    stops_at: int = 100  # percent delivered when the delivery ends
    outcome: Outcome | None = "completed"  # None: the order never ends by itself
    drops: int = 0  # percent lost again after completion
    drops_after: float = DAY
    odd_word: str | None = None  # a status word nobody documented
    odd_until: float = 0.0
    refuses_refill: bool = False
    refuses_cancel: bool = False
    cancel_takes: float = 15 * MINUTE  # from the request to the Canceled of an order in flight
    refill_takes: float = 2 * HOUR
    refill_days: int = 30
    one_per_link: bool = False
    rises_to: Decimal | None = None
    rises_after: float = 6 * HOUR


@dataclass(frozen=True, kw_only=True)
class Service:
    """One line of the catalog; `rate` is the price of 1000 units."""

    id: int
    name: str
    rate: Decimal
    min: int
    max: int
    category: str
    type: str = "Default"
    dripfeed: bool = False
    refill: bool = False
    cancel: bool = True
    active: bool = True
    behaviour: Behaviour = field(default_factory=Behaviour)

    @property
    def bills_min(self) -> bool:
        """Whether `quantity` is ignored and `min` is billed."""
        return self.type in {"Package", "Subscriptions"}


@dataclass(frozen=True)
class Coupon:
    """A discount in percent; `uses` of it in all, without end when None."""

    code: str
    percent: int
    uses: int | None = None


def _service(id_: int, name: str, rate: str, bounds: tuple[int, int], category: str, **more: object) -> Service:
    low, high = bounds
    return Service(id=id_, name=name, rate=Decimal(rate), min=low, max=high, category=category, **more)  # type: ignore[arg-type]


_SERVICES = (
    _service(101, "Views, steady", "0.90", (100, 100_000), "Views", refill=True, dripfeed=True),
    _service(102, "Views, fast", "1.20", (10, 1_000_000), "Views", behaviour=Behaviour(starts_after=10, duration=50)),
    _service(
        103,
        "Likes, partial",
        "2.40",
        (10, 50_000),
        "Likes",
        refill=True,
        behaviour=Behaviour(duration=29 * MINUTE, stops_at=60, outcome="partial"),
    ),
    _service(
        104,
        "Followers, never starts",
        "3.50",
        (10, 10_000),
        "Followers",
        behaviour=Behaviour(starts_after=inf, outcome=None),
    ),
    _service(
        105,
        "Followers, stalls",
        "3.10",
        (10, 10_000),
        "Followers",
        refill=True,
        behaviour=Behaviour(duration=29 * MINUTE, stops_at=50, outcome=None),
    ),
    _service(
        106,
        "Comments, fails",
        "8.00",
        (5, 1_000),
        "Comments",
        behaviour=Behaviour(duration=9 * MINUTE, stops_at=0, outcome="fail"),
    ),
    _service(
        107,
        "Followers, drops",
        "2.75",
        (50, 20_000),
        "Followers",
        refill=True,
        behaviour=Behaviour(duration=29 * MINUTE, drops=25),
    ),
    _service(
        108,
        "Likes, refill refused",
        "1.10",
        (10, 50_000),
        "Likes",
        refill=True,
        behaviour=Behaviour(duration=29 * MINUTE, drops=25, refuses_refill=True),
    ),
    _service(
        109,
        "Likes, cancel refused",
        "1.15",
        (10, 50_000),
        "Likes",
        behaviour=Behaviour(duration=6 * HOUR - MINUTE, refuses_cancel=True),
    ),
    _service(110, "Views, busy link", "0.75", (100, 100_000), "Views", behaviour=Behaviour(one_per_link=True)),
    _service(
        111,
        "Starter package",
        "4.00",
        (1_000, 1_000),
        "Packages",
        type="Package",
        behaviour=Behaviour(duration=29 * MINUTE),
    ),
    _service(
        112, "Views, drip-feed", "0.95", (10, 100_000), "Views", dripfeed=True, behaviour=Behaviour(duration=9 * MINUTE)
    ),
    _service(
        113,
        "Custom comments",
        "12.00",
        (1, 500),
        "Comments",
        type="Custom Comments",
        behaviour=Behaviour(duration=29 * MINUTE),
    ),
    _service(114, "Views, withdrawn", "0.50", (100, 100_000), "Views", active=False),
    _service(
        115,
        "Saves, refunded",
        "1.80",
        (10, 10_000),
        "Saves",
        behaviour=Behaviour(duration=29 * MINUTE, stops_at=30, outcome="refunded"),
    ),
    _service(116, "Views, rate rises", "1.00", (100, 100_000), "Views", behaviour=Behaviour(rises_to=Decimal("1.50"))),
    _service(
        117,
        "Shares, odd status",
        "1.40",
        (10, 10_000),
        "Shares",
        behaviour=Behaviour(odd_word="Awaiting review", odd_until=20 * MINUTE),
    ),
    _service(118, "Subscriptions", "5.00", (100, 100), "Subscriptions", type="Subscriptions"),
    _service(205, "Followers, alternate", "3.90", (10, 20_000), "Followers", refill=True),
    _service(
        309,
        "Followers, second alternate",
        "4.60",
        (10, 20_000),
        "Followers",
        refill=True,
        behaviour=Behaviour(duration=2 * HOUR),
    ),
)

CATALOG: dict[int, Service] = {service.id: service for service in _SERVICES}
COUPONS: dict[str, Coupon] = {"SPRING": Coupon("SPRING", 10), "ONCE": Coupon("ONCE", 20, uses=1)}
