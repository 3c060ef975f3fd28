"""The plan: what a campaign will order, priced against the catalog seen once, and never recomputed.

Data only; :mod:`campaigns.planning` makes plans and :mod:`campaigns.engine` carries them out.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Context, Decimal
from functools import reduce

from pydantic import BaseModel, ConfigDict, Field

from campaigns.accounts import AccountFacts
from campaigns.definition import After, CancelPolicy, Late, Notify, OnFailure, OnShortfall, RefillPolicy, Window
from campaigns.quantities import Amount, Percent

PER = Decimal(1000)
"""Rates are per 1,000 units (panel documentation, "List services")."""
_EXACT = Context(prec=60)
"""Twice the digits of the widest plan that planning lets through, so that no price is ever rounded."""


def price(rate: Decimal, units: int) -> Decimal:
    """Give what ``units`` cost at ``rate`` per 1,000, exactly."""
    return _EXACT.divide(_EXACT.multiply(rate, units), PER)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class ServiceFacts(_Frozen):
    """One service of the catalog, as the rules see it. ``rate`` is per 1,000 units in the account's currency."""

    service: int
    name: str
    type: str
    category: str = ""
    rate: Decimal
    min: int
    max: int
    dripfeed: bool = False
    refill: bool = False
    cancel: bool = False


class Offer(_Frozen):
    """A service as an order may buy it: the order's own, or one of its fallbacks."""

    service: int
    service_name: str
    rate: Decimal
    """Per 1,000 units, as seen at planning."""
    min: int
    max: int
    can_cancel: bool = False
    can_refill: bool = False

    def cost_of(self, units: int) -> Decimal:
        """What so many units should cost at the planned rate, in the account's currency."""
        return price(self.rate, units)


class PlannedOrder(_Frozen):
    """One order of the file, complete: what each of its runs sends, costs and obeys."""

    id: str
    service: int
    service_name: str
    rate: Decimal
    """Per 1,000 units, as seen at planning."""
    link: str
    quantity: int
    """Units in total, over all runs (for a Package service: the service's minimum, per run)."""
    runs: int = 1
    """Order runs, that is calls of ``add``: 1 for a drip kept by the panel."""
    every: timedelta | None = None
    """Time between two runs of a drip kept by the campaign."""
    panel_runs: int | None = None
    """``runs`` of a drip kept by the panel."""
    panel_interval: int | None = None
    """``interval`` of a drip kept by the panel, in minutes."""
    min: int = 1
    max: int = 1_000_000_000
    """The service's bounds for one order's quantity."""
    package: bool = False
    """The panel ignores the quantity and bills the service's minimum."""
    can_cancel: bool = False
    can_refill: bool = False
    after: After | None = None
    window: Window | None = None
    late: Late = Late.CATCH_UP
    concurrent: bool = False
    coupon: str | None = None
    cancel: CancelPolicy | None = None
    refill: RefillPolicy | None = None
    on_shortfall: OnShortfall = OnShortfall.ACCEPT
    fallback: list[Offer] = Field(default_factory=list)
    """Services for what was not delivered, in turn; the same service when empty."""
    on_failure: OnFailure = OnFailure.CONTINUE

    def offer(self, position: int) -> Offer:
        """Give the order's own service (0) or one of its fallbacks (from 1)."""
        if position:
            return self.fallback[position - 1]
        return Offer(
            service=self.service,
            service_name=self.service_name,
            rate=self.rate,
            min=self.min,
            max=self.max,
            can_cancel=self.can_cancel,
            can_refill=self.can_refill,
        )

    def units_of(self, run: int) -> int:
        """Units that run ``run`` (from 1) delivers in all; the first runs take the remainder, one unit each."""
        if self.package:
            return self.quantity
        share, rest = divmod(self.quantity, self.runs)
        return share + (1 if run <= rest else 0)

    def quantity_of(self, run: int) -> int:
        """The ``quantity`` parameter of run ``run``: per repetition when the panel keeps the drip (v2 convention)."""
        return self.units_of(run) // (self.panel_runs or 1)

    def cost_of(self, run: int) -> Decimal:
        """What run ``run`` should cost at the planned rate, in the account's currency, coupons not counted."""
        return price(self.rate, self.units_of(run))

    @property
    def cost(self) -> Decimal:
        """What all runs should cost at the planned rate."""
        return price(self.rate, self.quantity * self.runs if self.package else self.quantity)


class Plan(_Frozen):
    """A whole campaign, ready to run. Serialisable; carried in the workflow's state."""

    name: str
    account: AccountFacts
    timezone: str | None = None
    budget: Amount | None = None
    per_day: Amount | None = None
    max_rate_increase: Percent | None = None
    approval_over: Amount | None = None
    notify: Notify | None = None
    orders: list[PlannedOrder]
    planned_at: datetime
    reviewed: dict[int, Decimal] = Field(default_factory=dict)
    """The rates that were seen before the start, by service: what ``max_rate_increase`` counts from, where known."""

    def planned_rate(self, offer: Offer) -> Decimal:
        """Give the rate per 1,000 that an increase is measured against."""
        return self.reviewed.get(offer.service, offer.rate)

    @property
    def cost(self) -> Decimal:
        """What everything should cost at the planned rates, in the account's currency."""
        return reduce(_EXACT.add, (order.cost for order in self.orders), Decimal(0))

    @property
    def runs(self) -> int:
        """How many order runs there are in all."""
        return sum(order.runs for order in self.orders)


class PlannedRun(_Frozen):
    """One line of the calendar."""

    order: str
    run: int
    runs: int
    at: datetime
    """The earliest moment it can be placed, UTC."""
    exact: bool
    """False when it waits for another order, or for the run before it, whose end only the panel decides: ``at`` is
    then a lower bound."""
    quantity: int
    """Of one request; a drip by the panel repeats it."""
    units: int
    """In all."""
    rate: Decimal
    cost: Decimal
    waits_for: str = Field(default="", description="In words: 'seed settled + 2h'.")
