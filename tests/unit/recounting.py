"""An oracle: every total and every promise of a state, counted again from its runs alone."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from campaigns.books import PROBE, lock_key
from campaigns.calendar import open_at
from campaigns.guards import CHEAPER, RATES_FRESH, local_day
from campaigns.state import LIVE, SETTLED, UNPLACED, Run, RunState, State

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from campaigns.messages import Place

LIVE_AT_PANEL = (RunState.PENDING, RunState.IN_PROGRESS)


def recount(state: State, recalled: Collection[str] = ()) -> None:
    """Check the running totals, the locks, and that nobody waits for something that will never come.

    What a reset run is told at its end was bought by others (``recalled``): it may pass a limit and share a link.
    """
    spent = reserved = Decimal(0)
    delivered = at_panel = placing = unknown = counted = guards = 0
    tallies = {order.id: [0, 0, 0, 0] for order in state.plan.orders}
    at_panel_as: dict[str, str] = {}
    holders: dict[str, set[str]] = {}
    for run in state.runs.values():
        spent += run.charge or 0
        reserved += run.reserved
        delivered += run.delivered
        at_panel += run.panel_order is not None and run.state not in SETTLED
        placing += run.state is RunState.PLACING
        unknown += run.state is RunState.UNKNOWN
        counted += run.counted
        guards += run.guard_until is not None
        if run.panel_order is not None:
            at_panel_as[run.panel_order] = run.key
        if run.state in LIVE:
            holders.setdefault(lock_key(state.order_of(run), run), set()).add(run.key)
        tally = tallies[run.order]
        for place, fact in enumerate((not run.replacement, run.counted, run.fulfilled, run.guard_until is not None)):
            tally[place] += fact
    assert (state.spent, state.reserved, state.delivered) == (spent, reserved, delivered), "the totals are wrong"
    assert (state.open, state.placing, state.unknown) == (at_panel, placing, unknown)
    assert (state.unsettled, state.guards) == (state.plan.runs - counted, guards)
    assert state.by_panel_order == at_panel_as
    assert {key: set(held) for key, held in state.locks.items()} == holders
    for order_id, progress in state.progress.items():
        had = [progress.next_run - 1, progress.settled, progress.completed, progress.guards]
        assert had == tallies[order_id], order_id
    _money_and_links(state, recalled)
    _promises(state)


def check_limits(state: State, recalled: Collection[str] = ()) -> None:
    """Check what must hold after every step: the budget in force, and the limit of the day at hand."""
    if state.budget is not None and state.spent + state.reserved > state.budget.amount:
        # Only what the panel charged beyond the price that was known may pass it.
        beyond = sum((max((run.charge or 0) - run.cost, Decimal(0)) for run in state.runs.values()), Decimal(0))
        beyond += sum((run.cost for run in state.runs.values() if run.key in recalled), Decimal(0))
        assert state.spent + state.reserved - beyond <= state.budget.amount, "passes the budget"
    if state.plan.per_day is not None:
        of_others = [run.cost for run in state.runs.values() if run.key in recalled and run.counted_day == state.day]
        assert state.day_spent - sum(of_others) <= state.plan.per_day.amount, "passes the limit of the day"


def check_placing(state: State, command: Place, now: datetime) -> None:
    """Check that nothing stood against an ``add`` that was just handed out for the first time."""
    run = state.runs[command.key]
    if not command.first or run.form is not command.form:
        return  # a repeat must go out whatever the day
    order, offer = state.order_of(run), state.offer_of(run)
    still = state.paused or state.canceling or state.awaiting_approval
    assert not still, f"{run.key} placed while nothing may be"
    assert not run.cancel_ordered, f"{run.key} placed although a person canceled it"
    assert open_at(max(now, run.slot), order.window, state.plan.timezone) == now, f"{run.key} placed before its time"
    assert state.block is None or state.block.probe == run.key, f"{run.key} placed on a blocked account"
    if state.plan.max_rate_increase is not None:
        assert now - state.rates_read[offer.service] <= RATES_FRESH, f"{run.key} placed by an old rate"
        rate = state.rates[offer.service]
        planned = state.plan.reviewed.get(offer.service, offer.rate)
        as_planned = rate <= planned * (1 + state.plan.max_rate_increase / 100)
        assert as_planned or rate <= state.approved_rates[offer.service], f"{run.key} placed at {rate}"
        assert run.cost == rate * run.units / 1000
    if state.plan.per_day is not None:
        assert run.counted_day == state.day == local_day(now, state.plan.timezone or "UTC")[0]


def _money_and_links(state: State, recalled: Collection[str]) -> None:
    check_limits(state, recalled)
    if state.plan.per_day is not None:
        of_day = [run.cost for run in state.runs.values() if run.counted_day and run.counted_day == state.day]
        assert state.day_spent == sum(of_day, Decimal(0)), "the day is counted wrong"
    for run in state.runs.values():
        assert (run.reserved == 0) or run.state in LIVE, f"{run.key} reserves money for nothing"
        assert (run.form is not None) == (run.state is RunState.PLACING), run.key
        assert run.state not in SETTLED or run.counted or run.replaced_by, run.key
        assert 0 <= run.delivered <= run.units
    for held in state.locks.values():
        sole = [key for key in held if not state.order(key.split("/")[0]).concurrent]
        # Only what another order's lock could not foresee may be live beside it: a refill, or an order of its own mind.
        late = [key for key in sole if state.runs[key].refills == 0 and next(iter(held)) != key and key not in recalled]
        assert not late, f"{late} live beside {list(held)}"


def _promises(state: State) -> None:
    """Each run and each order that is not at its end has an appointment, or waits in a queue that somebody wakes."""
    agenda = {(when, key) for when, _, key in state.agenda}
    entries = {key for _, key in agenda}
    for run in state.runs.values():
        if run.due is not None:
            assert (run.due, run.key) in agenda, f"{run.key} is due and on no agenda"
        else:
            assert _is_waited_for(state, run), f"{run.key} {run.state} waits for nothing: {run.why}"
    if state.block is not None and state.block_queue and state.block.probe is None:
        assert PROBE in entries, "nobody probes the blocked account"
    if state.block is not None and state.block.probe is not None:
        assert state.runs[state.block.probe].state is RunState.PLACING, "the probe is not on its way"
    for order in state.plan.orders:
        progress = state.progress[order.id]
        if progress.began is not None and progress.next_run <= order.runs:
            waits = progress.unplaced is not None and state.runs[progress.unplaced].state in (
                *UNPLACED,
                RunState.PLACING,
            )
            still = state.paused or state.awaiting_approval
            assert waits or still or (progress.next_slot, order.id) in agenda, f"{order.id} has no next slot"
        if progress.began is None and not progress.left_out and not state.canceling:
            assert order.after is not None, order.id
            cause = state.progress[order.after.order]
            over = cause.settled == state.order(order.after.order).runs
            assert not over or cause.guards, f"{order.id} waits for {order.after.order}, which is over"


def _is_waited_for(state: State, run: Run) -> bool:
    if run.state in UNPLACED:
        lock = lock_key(state.order_of(run), run)
        asks = run.key in state.rate_queue and state.rates_asked
        return (
            state.paused
            or state.awaiting_approval
            or asks
            or (run.key in state.dear_queue and any(key == CHEAPER for _, _, key in state.agenda))
            or (run.key in state.beyond_day and _is_beyond_any_day(state, run))
            or (run.key in state.block_queue and state.block is not None)
            or (run.key in state.lock_queues.get(lock, ()) and bool(state.locks.get(lock)))
            or (run.key in state.budget_queue and _is_too_dear(state, run))
        )
    if run.state is RunState.PLACING:
        return run.flight == "place"
    if run.state is RunState.UNKNOWN and run.panel_order is None:
        return True
    return run.state in SETTLED and (run.guard_until is None or run.flight == "refill")


def _is_too_dear(state: State, run: Run) -> bool:
    budget = state.budget
    return budget is not None and state.spent + state.reserved + run.cost > budget.amount


def _is_beyond_any_day(state: State, run: Run) -> bool:
    return state.plan.per_day is not None and run.cost > state.plan.per_day.amount
