"""What can be told of a plan before it runs: when its runs come, and which orders will wait for one another."""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from campaigns.calendar import open_at, slots
from campaigns.definition import When
from campaigns.plan import Plan, PlannedOrder, PlannedRun
from campaigns.quantities import format_duration
from campaigns.targets import BadLink, normalise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ENDS = frozenset({When.COMPLETED, When.SETTLED})
_THE_ONE_BEFORE = "the run before it"
"""One live order per link and service: a run waits until the one before it has ended."""


def calendar_of(plan: Plan, start: datetime) -> Iterator[PlannedRun]:
    """Give every order run of a campaign that starts at ``start``, by time and then in the file's order; lazily.

    An order that waits for another is dated as if the panel delivered at once: a lower bound, marked not ``exact``.
    """
    bounds = _bounds(plan, start)
    return heapq.merge(*(_runs(plan, order, bounds[order.id]) for order in plan.orders), key=lambda run: run.at)


class _Bound(NamedTuple):
    first: datetime
    exact: bool
    waits_for: str


def _bounds(plan: Plan, start: datetime) -> dict[str, _Bound]:
    """Date the first run of each order, those it waits for first."""
    by_id = {order.id: order for order in plan.orders}
    shares_link_with = {order.id: other.id for order, other in unsaid_waits(plan.orders)}
    bounds: dict[str, _Bound] = {}
    for order in plan.orders:
        chain = [order]
        while (after := chain[-1].after) is not None and after.order not in bounds:
            if len(chain) == len(by_id):
                raise ValueError(f"order {order.id} waits for itself")
            chain.append(by_id[after.order])
        for link in reversed(chain):
            moment, exact, waits_for = start, True, []
            if link.after is not None:
                reached, delay = bounds[link.after.order], link.after.delay or timedelta(0)
                exact = reached.exact and link.after.when is When.PLACED
                ends = link.after.when in _ENDS
                moment = _last_slot(plan, by_id[link.after.order], reached.first) if ends else reached.first
                moment += delay
                waits_for = [f"{link.after.order} {link.after.when}{f' + {format_duration(delay)}' if delay else ''}"]
            if link.id in shares_link_with:
                exact = False
                waits_for.append(f"{shares_link_with[link.id]} on the same link")
            first = open_at(moment, link.window, plan.timezone)
            bounds[link.id] = _Bound(first, exact, ", ".join(waits_for))
    return bounds


def _last_slot(plan: Plan, order: PlannedOrder, first: datetime) -> datetime:
    if order.panel_runs is not None and order.panel_interval is not None:
        return first + (order.panel_runs - 1) * timedelta(minutes=order.panel_interval)
    return deque(_slots(plan, order, first), maxlen=1)[0]


def _slots(plan: Plan, order: PlannedOrder, first: datetime) -> Iterator[datetime]:
    return slots(first, order.runs, order.every or timedelta(0), order.window, plan.timezone)


def _runs(plan: Plan, order: PlannedOrder, bound: _Bound) -> Iterator[PlannedRun]:
    for run, slot in enumerate(_slots(plan, order, bound.first), start=1):
        waits = run > 1 and not order.concurrent
        yield PlannedRun(
            order=order.id,
            run=run,
            runs=order.runs,
            at=slot,
            exact=bound.exact and not waits,
            quantity=order.quantity_of(run),
            units=order.units_of(run),
            rate=order.rate,
            cost=order.cost_of(run),
            waits_for=", ".join(filter(None, [bound.waits_for, _THE_ONE_BEFORE if waits else ""])),
        )


def unsaid_waits(orders: Iterable[PlannedOrder]) -> Iterator[tuple[PlannedOrder, PlannedOrder]]:
    """Give each order that will wait for another on the same link and service, though no ``after`` says so.

    Of those before it in the file, the first is given.
    """
    orders = list(orders)
    ended = _ended_before(orders)
    groups: defaultdict[tuple[int, str], list[PlannedOrder]] = defaultdict(list)
    for order in orders:
        groups[order.service, _same(order.link)].append(order)
    for group in groups.values():
        for position, order in enumerate(group):
            if order.concurrent:
                continue
            for other in group[:position]:
                if other.id not in ended[order.id] and order.id not in ended[other.id]:
                    yield order, other
                    break


def _same(link: str) -> str:
    try:
        return normalise(link)
    except BadLink:
        return link


def _ended_before(orders: list[PlannedOrder]) -> dict[str, frozenset[str]]:
    """Tell for each order which others have ended by the time it starts, because of ``after``."""
    by_id = {order.id: order for order in orders}
    ended: dict[str, frozenset[str]] = {}
    for order in orders:
        chain = [order]
        while (after := chain[-1].after) is not None and after.order in by_id and after.order not in ended:
            if len(chain) == len(by_id):
                break  # a circle, which the file's own check reports
            chain.append(by_id[after.order])
        for link in reversed(chain):
            before: set[str] | frozenset[str] = frozenset()
            if link.after is not None:
                before = ended.get(link.after.order, frozenset())
                before |= {link.after.order} if link.after.when in _ENDS else set()
            ended[link.id] = frozenset(before)
    return ended
