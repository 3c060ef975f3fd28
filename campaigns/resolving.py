"""The part of the engine that hears of orders from others than the panel: people resolve, histories recall."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from campaigns import books, guards
from campaigns.placing import request_id, take_in
from campaigns.state import Run, RunState, State

if TYPE_CHECKING:
    from datetime import datetime

    from campaigns.messages import Recalled, Resolved
    from campaigns.plan import PlannedOrder

_MOST_SUBMISSIONS = 10_000
"""Of one run: an account without funds is probed every few minutes."""


def on_resolved(state: State, order: PlannedOrder, run: Run, event: Resolved, now: datetime) -> None:
    """Settle an unknown run by a person's word: taken in under its panel order id, or free to be placed anew."""
    if run.state is not RunState.UNKNOWN or not _resolvable(state, run, event):
        return
    state.unknown -= 1
    if run.panel_order is not None:
        # The panel gave an id and then knew nothing of it: what it said is void.
        del state.by_panel_order[run.panel_order]
        state.open -= 1
        _forget_order(state, run)
    if event.panel_order is not None:
        if run.left_over and state.keeps_what_is_found:
            run.cancel_ordered = state.canceling
        take_in(state, order, run, event.panel_order, now)
        return
    guards.uncount_day(state, run, now)
    # A new id: the old one may be one the panel has forgotten, and whoever looks after resets would refuse it for ever.
    run.submission += 1
    run.cleared_at = now
    run.first_sent, run.doubt, run.state = None, False, RunState.HELD
    books.reserve(state, run, Decimal(0))
    books.release_lock(state, order, run, now)
    books.wake_budget(state, now)
    if state.canceling:
        books.skip(state, order, run, now, event.why or "resolved as not placed")
        return
    run.why = event.why or "resolved as not placed"
    books.look_at(state, run, now)


def on_recalled(state: State, event: Recalled, now: datetime) -> None:
    """Take in what a replaced run bought and this one never came to again; what is in doubt waits for a person."""
    if event.panel_order in state.by_panel_order:
        return  # a person said so, perhaps of another run: nothing is to change for it
    run = state.runs.get(event.key) or _run_recalled(state, event, now)
    if run is None or run.panel_order is not None or run.state in (RunState.PLACING, RunState.UNKNOWN):
        return
    order = state.order_of(run)
    books.leave_queues(state, run)
    books.uncount(state, run)
    _expect(state, run, event)
    books.reserve(state, run, run.cost)
    books.hold_lock(state, order, run)
    run.settled_at, run.due, run.cancel_ordered = None, None, run.cancel_ordered or state.canceling
    run.submission = _submission_of(state, event) or run.submission
    if event.panel_order is not None:
        take_in(state, order, run, event.panel_order, now)
        run.placed_at = event.at
        return
    run.state, run.why = RunState.UNKNOWN, "it may have been sent before the campaign was reset; resolve it by hand"
    # What is not at the panel after all was not wanted any more when the campaign came to its end.
    run.left_over = not run.cancel_ordered
    run.cancel_ordered = True
    state.unknown += 1


def _expect(state: State, run: Run, event: Recalled) -> None:
    """Expect of a run what was sent of it: a replacement may have been for other units before the reset."""
    units = event.form.quantity * (event.form.runs or 1)
    if units != run.units and event.form.service == state.offer_of(run).service:
        guards.change_cost(state, run, state.offer_of(run).cost_of(units))
        run.units = units


def _run_recalled(state: State, event: Recalled, now: datetime) -> Run | None:
    """Make the run anew that replaced another one; None for what is not of this campaign's plan."""
    name, _, replacement = event.key.partition("+")
    order_id, _, number = name.partition("/")
    # Not every number before it must be there: one that the panel refused is not recalled.
    numbers = range(int(replacement or 0) - 1, -1, -1)
    replaced = next((state.runs[key] for n in numbers if (key := f"{name}+{n}" if n else name) in state.runs), None)
    if order_id not in state.progress or not replacement or replaced is None or replaced.replaced_by is not None:
        return None
    order = state.order(order_id)
    offers = [order.offer(position).service for position in range(len(order.fallback) + 1)]
    if event.form.service not in offers:
        return None
    offer = offers.index(event.form.service)
    run = Run(
        order=order_id,
        run=int(number),
        replacement=int(replacement),
        offer=offer,
        slot=now,
        units=event.form.quantity,
        cost=order.offer(offer).cost_of(event.form.quantity),
    )
    books.uncount(state, replaced)
    replaced.replaced_by = run.key
    state.runs[run.key] = run
    return run


def _submission_of(state: State, event: Recalled) -> int | None:
    """Tell which submission a request id was of."""
    numbers = range(1, _MOST_SUBMISSIONS)
    return next((n for n in numbers if request_id(state.key_root, event.key, n) == event.form.request_id), None)


def _resolvable(state: State, run: Run, event: Resolved) -> bool:
    """Tell whether a person's word can be taken: the panel order must not be another run's."""
    return event.panel_order is None or state.by_panel_order.get(event.panel_order, run.key) == run.key


def _forget_order(state: State, run: Run) -> None:
    books.deliver(state, run, 0)
    if run.charge is not None:
        books.charge(state, run, Decimal(0))
    books.reserve(state, run, run.cost)
    run.panel_order, run.placed_at, run.charge, run.remains, run.start_count = None, None, None, None, None
    run.seen, run.raw, run.progress_at, run.heard_at, run.silence = 0, "", None, None, 0
    run.cancel, run.cancel_tries, run.cancel_at, run.flight, run.due = "", 0, None, "", None
