"""From a campaign file and a catalog to a plan: every order complete, allowed, within its service's limits, and priced.

All problems are found at once. Each carries its place in the file (``loc``), so that :mod:`campaigns.loading` can show
the line; a value that comes from ``defaults`` or ``targets`` is shown where it stands. Warnings name what will happen
otherwise than the file may lead one to think, and stop nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from campaigns.checking import Problem, check
from campaigns.costing import Findings, check_money
from campaigns.definition import DripBy, OnShortfall
from campaigns.forecast import calendar_of, unsaid_waits
from campaigns.owning import not_allowed
from campaigns.plan import Offer, Plan, PlannedOrder, ServiceFacts
from campaigns.targets import is_allowed
from campaigns.wording import escaped, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from campaigns.accounts import AccountFacts
    from campaigns.definition import Definition, Order

__all__ = ["Planned", "calendar_of", "link_problems", "make_plan"]

_MAX_RATE = Decimal(10) ** 9
_MIN_EXPONENT = -18
_MAX_NEAR = 3
_MAX_ID = 10**12


@dataclass(frozen=True, slots=True)
class Planned:
    """The outcome of planning: a plan when there are no problems, and warnings either way."""

    plan: Plan | None
    problems: list[Problem]
    warnings: list[Problem]


def make_plan(
    definition: Definition,
    account: AccountFacts,
    catalog: Mapping[int, ServiceFacts],
    now: datetime,
    *,
    balance: Decimal | None = None,
    billed_currency: str | None = None,
) -> Planned:
    """Price a campaign against the catalog, and say everything that stands against it.

    ``balance`` and ``billed_currency`` are what the panel's ``balance`` call answered, when it was asked.
    """
    found = Findings(problems=check(definition.document()).problems)
    planned = [
        _Review(definition, index, order, account, catalog, found).plan()
        for index, order in enumerate(definition.complete_orders())
    ]
    plan = Plan(
        name=definition.name,
        account=account,
        timezone=definition.timezone,
        budget=definition.limits.budget,
        per_day=definition.limits.per_day,
        max_rate_increase=definition.limits.max_rate_increase,
        approval_over=definition.limits.approval_over,
        notify=definition.notify,
        orders=[order for order in planned if order is not None],
        planned_at=now,
    )
    check_money(plan, balance, billed_currency, found, whole=None not in planned)
    _warn_of_waiting(plan, definition, found)
    problems = list(dict.fromkeys(found.problems))
    return Planned(None if problems else plan, problems, list(dict.fromkeys(found.warnings)))


def link_problems(plan: Plan) -> list[Problem]:
    """Check every link of a plan against the account's ``allowed_targets`` once more."""
    return [
        Problem(("orders", index, "link"), not_allowed(order.link, plan.account))
        for index, order in enumerate(plan.orders)
        if not is_allowed(order.link, plan.account.allowed_targets)
    ]


@dataclass(slots=True)
class _Review:
    """One order under review."""

    definition: Definition
    index: int
    order: Order
    account: AccountFacts
    catalog: Mapping[int, ServiceFacts]
    found: Findings

    def plan(self) -> PlannedOrder | None:
        """Plan the order, or record what stands against it and give None."""
        before = len(self.found.problems)
        order = self.order
        self.check_link()
        service = self._service()
        if service is None:
            return None
        package = service.type.strip().lower() == "package"
        quantity = self._package_quantity(service) if package else self._default_quantity(service)
        fallback = self._fallback()
        self._warn(service)
        if quantity is None or len(self.found.problems) > before or order.link is None:
            return None
        drip = order.drip
        by_panel = drip is not None and drip.by is DripBy.PANEL
        return PlannedOrder(
            id=order.id,
            service=service.service,
            service_name=service.name,
            rate=service.rate,
            link=order.link,
            quantity=quantity,
            runs=1 if drip is None or by_panel else drip.runs,
            every=None if drip is None or by_panel else drip.every,
            panel_runs=drip.runs if drip is not None and by_panel else None,
            panel_interval=drip.every // timedelta(minutes=1) if drip is not None and by_panel else None,
            min=max(service.min, 1),
            max=service.max,
            package=package,
            can_cancel=service.cancel,
            can_refill=service.refill,
            after=order.after,
            window=order.window,
            late=order.late,
            concurrent=order.concurrent,
            coupon=order.coupon,
            cancel=order.cancel,
            refill=order.refill,
            on_shortfall=order.on_shortfall,
            fallback=fallback,
            on_failure=order.on_failure,
        )

    def loc(self, name: str, *inner: str) -> tuple[str | int, ...]:
        """Give the place where a field of this order stands in the file."""
        own, common = self.definition.orders[self.index], self.definition.defaults
        if name == "link" and (writer := own if {"link", "target"} & own.model_fields_set else common).target:
            return ("targets", writer.target)
        if name in own.model_fields_set:
            return ("orders", self.index, name, *inner)
        if name in common.model_fields_set:
            return ("defaults", name, *inner)
        return ("orders", self.index)

    def _problem(self, loc: tuple[str | int, ...], message: str, hint: str = "") -> None:
        self.found.problems.append(Problem(loc, message, hint))

    def check_link(self) -> None:
        """Record a link that is not the operator's."""
        link = self.order.link
        if link is not None and not is_allowed(link, self.account.allowed_targets):
            self._problem(self.loc("link"), not_allowed(link, self.account))

    def _service(self) -> ServiceFacts | None:
        """Find the order's service and refuse the kinds that cannot be ordered; None when there is a problem."""
        number = self.order.service
        if number is None:
            return None  # the file's own check says so
        service = self.catalog.get(number)
        message, hint = "", ""
        if service is None:
            message = f"service {quoted(number)} is not in the catalog of account {self.account.name}"
            hint = _near(number, self.catalog)
        elif (kind := service.type.strip().lower()) == "subscriptions":
            message = (
                f"service {number} is of type {escaped(service.type)}: "
                "it takes a username instead of a link, and campaigns order for links only"
            )
        elif kind not in ("default", "package"):
            message = (
                f"service {number} is of type {escaped(service.type)}: its parameters are not documented by the panel"
            )
            hint = "use a service of type Default or Package"
        elif not _is_price(service.rate):
            message = f"service {number} has the rate {service.rate}, which is not a price"
        elif service.min > service.max or service.max < 1:
            message = f"service {number} has the limits {service.min:,} to {service.max:,}, which allow no quantity"
        elif kind == "package" and service.min < 1:
            message = f"service {number} is a Package with the minimum {service.min:,}, which leaves its price open"
        if message:
            self._problem(self.loc("service"), message, hint)
            return None
        return service

    def _fallback(self) -> list[Offer]:
        """Find the services that may deliver what this order does not; each problem names its place in the list."""
        order, offers = self.order, []
        if order.fallback and order.on_shortfall is not OnShortfall.REORDER:
            hint = "write on_shortfall: reorder"
            self.found.warnings.append(
                Problem(self.loc("fallback"), "has no effect while shortfalls are accepted", hint)
            )
        for position, number in enumerate(order.fallback):
            service = self.catalog.get(number)
            place = (*self.loc("fallback"), position)
            if service is None:
                message = f"service {quoted(number)} is not in the catalog of account {self.account.name}"
                self._problem(place, message, _near(number, self.catalog))
            elif service.type.strip().lower() != "default":
                self._problem(place, f"service {number} is of type {escaped(service.type)}: it cannot be a fallback")
            elif not _is_price(service.rate):
                self._problem(place, f"service {number} has the rate {service.rate}, which is not a price")
            elif service.min > service.max or service.max < 1:
                message = f"service {number} has the limits {service.min:,} to {service.max:,}, which allow no quantity"
                self._problem(place, message)
            else:
                offers.append(
                    Offer(
                        service=service.service,
                        service_name=service.name,
                        rate=service.rate,
                        min=max(service.min, 1),
                        max=service.max,
                        can_cancel=service.cancel,
                        can_refill=service.refill,
                    )
                )
        return offers

    def _package_quantity(self, service: ServiceFacts) -> int | None:
        drip, written, billed = self.order.drip, self.order.quantity, service.min
        if drip is not None and drip.by is DripBy.PANEL:
            self._problem(
                self.loc("drip", "by"),
                f"service {service.service} is a Package, which the panel cannot drip-feed",
                "write by: campaign",
            )
            return None
        if written is not None and written != billed * (drip.runs if drip else 1):
            each = " for each run" if drip else ""
            self.found.warnings.append(
                Problem(
                    self.loc("quantity"),
                    f"{written:,} is ignored: service {service.service} is a Package, billed at {billed:,}{each}",
                )
            )
        return billed

    def _default_quantity(self, service: ServiceFacts) -> int | None:
        drip, quantity = self.order.drip, self.order.quantity
        if drip is not None and drip.by is DripBy.PANEL and not service.dripfeed:
            self._problem(self.loc("drip", "by"), f"service {service.service} has no drip-feed", "write by: campaign")
        if quantity is None:
            self._problem(("orders", self.index), f"quantity is missing; service {service.service} needs one")
            return None
        runs = drip.runs if drip is not None else 1
        if quantity < runs:
            return quantity  # the file's own check says so
        least, most, minimum = quantity // runs, -(-quantity // runs), max(service.min, 1)
        if least < minimum:
            fitting = quantity // minimum
            self._problem(
                self.loc("quantity"),
                f"{_a_run(quantity, runs, least)} below the minimum {minimum:,} of service {service.service}",
                f"at most {fitting:,} runs would do" if runs > 1 and fitting > 1 else "",
            )
        elif most > service.max:
            fitting = -(-quantity // service.max)
            self._problem(
                self.loc("quantity"),
                f"{_a_run(quantity, runs, most)} above the maximum {service.max:,} of service {service.service}",
                f"a drip of at least {fitting:,} runs would do",
            )
        return quantity

    def _warn(self, service: ServiceFacts) -> None:
        order, warnings = self.order, self.found.warnings
        if order.refill is not None and not service.refill:
            warnings.append(Problem(self.loc("refill"), f"service {service.service} has no refill: this has no effect"))
        if order.cancel is not None and not service.cancel:
            warnings.append(Problem(self.loc("cancel"), f"service {service.service} has no cancel: this has no effect"))
        if order.coupon is not None:
            warnings.append(Problem(self.loc("coupon"), f"coupon {order.coupon} is not counted in the cost"))
        if order.drip is None or order.drip.by is not DripBy.PANEL or not service.dripfeed:
            return
        warnings.append(
            Problem(
                self.loc("drip", "by"),
                "the panel does not document what its drip-feed costs; the plan counts every run in full",
            )
        )
        if order.window is not None:
            warnings.append(
                Problem(
                    self.loc("window"),
                    "holds only for placing the order: the panel keeps the rhythm of its own drip-feed",
                    "by: campaign keeps every run inside the window",
                )
            )


def _a_run(quantity: int, runs: int, share: int) -> str:
    return f"{quantity:,} is" if runs == 1 else f"{quantity:,} over {runs:,} runs is {share:,} a run,"


def _is_price(rate: Decimal) -> bool:
    if not rate.is_finite() or not 0 <= rate < _MAX_RATE:
        return False
    exponent = rate.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= _MIN_EXPONENT


def _near(number: int, catalog: Mapping[int, ServiceFacts]) -> str:
    """Suggest the services whose ids are one slip of the finger away."""
    if number > _MAX_ID:
        return ""
    text, digits = str(number), "0123456789"
    splits = [(text[:at], text[at:]) for at in range(len(text) + 1)]
    slips = (
        [a + b[1:] for a, b in splits if b]
        + [a + b[1] + b[0] + b[2:] for a, b in splits if len(b) > 1]
        + [a + c + b[1:] for a, b in splits if b for c in digits]
        + [a + c + b for a, b in splits for c in digits]
    )
    ids = {int(slip) for slip in slips if slip}
    near = sorted(ids & catalog.keys(), key=lambda id_: (abs(id_ - number), id_))[:_MAX_NEAR]
    return "did you mean " + " or ".join(f"{id_} ({escaped(catalog[id_].name)})" for id_ in near) + "?" if near else ""


def _warn_of_waiting(plan: Plan, definition: Definition, found: Findings) -> None:
    places = {order.id: index for index, order in enumerate(definition.orders)}
    for order, other in unsaid_waits(plan.orders):
        found.warnings.append(
            Problem(
                ("orders", places[order.id]),
                f"{order.id} waits while {other.id} is live, because the panel takes one live order per link and "
                "service",
                "set concurrent: true if the panel allows more, or say with after which comes first",
            )
        )
