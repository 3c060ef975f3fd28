"""What an order did not deliver, bought again: only the rest, only after the original has come to its end.

A replacement is a run of its own (``views/3+1``), linked to the one it replaces and counted instead of it. Its request
ids are derived from its own key: those of the run it replaces may have gone further before a reset, and the panel
would take a replacement under one of them for a repeat of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns import books
from campaigns.definition import OnShortfall
from campaigns.state import SETTLED, Run, RunState, State

if TYPE_CHECKING:
    from datetime import datetime

    from campaigns.plan import PlannedOrder

SAME_SERVICE_TRIES = 3
"""Replacements by the same service, when no fallback is named."""
REPLACEABLE = frozenset({RunState.CANCELED, RunState.PARTIAL, RunState.FAILED, RunState.REFUNDED})


def reorder(state: State, order: PlannedOrder, run: Run, now: datetime) -> bool:
    """Buy again what a settled run did not deliver, as the file says; tell whether anything will be."""
    if order.on_shortfall is not OnShortfall.REORDER or run.state not in REPLACEABLE or state.canceling:
        return False
    if run.replaced_by is not None or run.guard_until is not None or run.cancel_ordered:
        return False
    rest = run.units - run.delivered
    if rest <= 0:
        return False
    position = _next_offer(order, run, rest)
    if position is None:
        run.why = f"{run.why}; {_why_not(order, run, rest)}".removeprefix("; ")
        return False
    replace(state, order, run, position, now)
    return True


def _next_offer(order: PlannedOrder, run: Run, rest: int) -> int | None:
    if order.fallback:
        for position in range(run.offer + 1, len(order.fallback) + 1):
            offer = order.offer(position)
            if offer.min <= rest <= offer.max:
                return position
        return None
    never_taken = run.panel_order is None
    if never_taken or run.replacement >= SAME_SERVICE_TRIES or order.package:
        return None
    return 0 if order.min <= rest <= order.max else None


def _why_not(order: PlannedOrder, run: Run, rest: int) -> str:
    coming = [order.offer(position) for position in range(run.offer + 1, len(order.fallback) + 1)]
    if not order.fallback and order.min <= rest <= order.max:
        return f"the {rest:,} left are not reordered from the same service"
    if not order.fallback:
        coming = [order.offer(0)]
    if coming and all(rest < offer.min for offer in coming):
        return f"the {rest:,} left are accepted: below the minimum of every service to reorder from"
    return f"the {rest:,} left fit no service to reorder from" if coming else f"no fallback is left for the {rest:,}"


def replace(state: State, order: PlannedOrder, run: Run, position: int, now: datetime) -> Run:
    """Put a new run in the place of a settled one, for the units that are left.

    Raises:
        ValueError: the run is not at its end, or was replaced before.

    """
    if run.state not in SETTLED or run.replaced_by is not None:
        raise ValueError(f"{run.key} cannot be replaced")
    rest = run.units - run.delivered
    replacement = Run(
        order=run.order,
        run=run.run,
        replacement=run.replacement + 1,
        offer=position,
        slot=now,
        units=rest,
        cost=order.offer(position).cost_of(rest),
        why=f"replaces {run.key}",
    )
    run.replaced_by = replacement.key
    # What was completed once is not counted twice.
    replacement.fulfilled, run.fulfilled = run.fulfilled, False
    run.why = f"{run.why}; {rest:,} reordered as {replacement.key}".removeprefix("; ")
    state.runs[replacement.key] = replacement
    books.uncount(state, run)
    books.look_at(state, replacement, now)
    return replacement
