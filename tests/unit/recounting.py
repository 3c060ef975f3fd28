"""An oracle: every total and every promise of a state, counted again from its runs alone."""

from __future__ import annotations

from decimal import Decimal

from campaigns.books import PROBE, lock_key
from campaigns.state import LIVE, SETTLED, UNPLACED, Run, RunState, State

LIVE_AT_PANEL = (RunState.PENDING, RunState.IN_PROGRESS)


def recount(state: State) -> None:
    """Check the running totals, the locks, and that nobody waits for something that will never come."""
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
    assert (state.spent, state.reserved, state.delivered) == (spent, reserved, delivered)
    assert (state.open, state.placing, state.unknown) == (at_panel, placing, unknown)
    assert (state.unsettled, state.guards) == (state.plan.runs - counted, guards)
    assert state.by_panel_order == at_panel_as
    assert {key: set(held) for key, held in state.locks.items()} == holders
    for order_id, progress in state.progress.items():
        had = [progress.next_run - 1, progress.settled, progress.completed, progress.guards]
        assert had == tallies[order_id], order_id
    _money_and_links(state)
    _promises(state)


def _money_and_links(state: State) -> None:
    budget = state.plan.budget
    as_planned = all((run.charge or 0) <= run.cost for run in state.runs.values())
    if budget is not None and as_planned:
        assert state.reserved + state.spent <= budget.amount
    for run in state.runs.values():
        assert (run.reserved == 0) or run.state in LIVE, f"{run.key} reserves money for nothing"
        assert (run.form is not None) == (run.state is RunState.PLACING), run.key
        assert run.state not in SETTLED or run.counted or run.replaced_by, run.key
        assert 0 <= run.delivered <= run.units
    for held in state.locks.values():
        sole = [key for key in held if not state.order(key.split("/")[0]).concurrent]
        # Only what another order's lock could not foresee may be live beside it: a refill, or an order of its own mind.
        late = [key for key in sole if state.runs[key].refills == 0 and next(iter(held)) != key]
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
            assert waits or state.paused or (progress.next_slot, order.id) in agenda, f"{order.id} has no next slot"
        if progress.began is None and not progress.left_out and not state.canceling:
            assert order.after is not None, order.id
            cause = state.progress[order.after.order]
            over = cause.settled == state.order(order.after.order).runs
            assert not over or cause.guards, f"{order.id} waits for {order.after.order}, which is over"


def _is_waited_for(state: State, run: Run) -> bool:
    if run.state in UNPLACED:
        lock = lock_key(state.order_of(run), run)
        return (
            state.paused
            or (run.key in state.block_queue and state.block is not None)
            or (run.key in state.lock_queues.get(lock, ()) and bool(state.locks.get(lock)))
            or (run.key in state.budget_queue and (_is_too_dear(state, run) or state.open + state.placing > 0))
        )
    if run.state is RunState.PLACING:
        return run.flight == "place"
    if run.state is RunState.UNKNOWN and run.panel_order is None:
        return True
    return run.state in SETTLED and (run.guard_until is None or run.flight == "refill")


def _is_too_dear(state: State, run: Run) -> bool:
    budget = state.plan.budget
    return budget is not None and state.spent + state.reserved + run.cost > budget.amount
