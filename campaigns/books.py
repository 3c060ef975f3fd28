"""The engine's bookkeeping: agenda, money, locks and the counts of an order, each O(log n) or better."""

from __future__ import annotations

import heapq
from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING

from campaigns.calendar import open_at
from campaigns.definition import OnFailure, When
from campaigns.messages import CancelRequested, Paused
from campaigns.state import UNPLACED, WITHOUT_DELIVERY, Decision, OrderProgress, Run, RunState, State
from campaigns.targets import normalise

if TYPE_CHECKING:
    from datetime import datetime

    from campaigns.plan import PlannedOrder

Queue = deque[str]
PROBE = "*probe"
"""The agenda's key for the probe of a blocked account; no run or order can be named so."""


def put_on_agenda(state: State, when: datetime, key: str) -> None:
    """Ask for a look at ``key``; of two at the same moment, the one asked for first comes first."""
    state.turn += 1
    heapq.heappush(state.agenda, (when, state.turn, key))


def look_at(state: State, run: Run, when: datetime) -> None:
    """Put the next look at a run on the agenda; an earlier appointment of it lapses."""
    if run.due != when:
        run.due = when
        put_on_agenda(state, when, run.key)


def look_sooner(state: State, run: Run, when: datetime) -> None:
    """Move the next look at a run forward, never back."""
    if run.due is None or when < run.due:
        look_at(state, run, when)


def look_at_slot(state: State, progress: OrderProgress, order: PlannedOrder) -> None:
    """Put an order's next slot on the agenda, unless its last run is still to be placed."""
    if progress.unplaced is None and progress.next_run <= order.runs and progress.next_slot is not None:
        put_on_agenda(state, progress.next_slot, order.id)


def is_to_come(order: PlannedOrder, progress: OrderProgress) -> bool:
    """Tell whether a run of an order has a slot ahead."""
    return progress.next_slot is not None and progress.next_run <= order.runs


def reserve(state: State, run: Run, amount: Decimal) -> None:
    """Set aside ``amount`` for a run, instead of what was set aside before."""
    state.reserved += amount - run.reserved
    run.reserved = amount


def charge(state: State, run: Run, amount: Decimal) -> None:
    """Record what the panel has charged for a run in all, instead of what was recorded before."""
    state.spent += amount - (run.charge or 0)
    run.charge = amount


def deliver(state: State, run: Run, units: int) -> None:
    """Record how many units of a run were delivered in all."""
    state.delivered += units - run.delivered
    run.delivered = units


def lock_key(order: PlannedOrder, run: Run) -> str:
    """Name what two orders must not share: the service and the link (the account is the campaign's)."""
    return f"{order.offer(run.offer).service} {normalise(order.link)}"


def hold_lock(state: State, order: PlannedOrder, run: Run) -> None:
    """Say that a run is live on its link."""
    state.locks.setdefault(lock_key(order, run), {})[run.key] = None


def release_lock(state: State, order: PlannedOrder, run: Run, now: datetime) -> None:
    """Let go of a run's link; everybody who waits for it looks again, in the order they came."""
    key = lock_key(order, run)
    holders = state.locks.get(key)
    if holders is None or run.key not in holders:
        return
    del holders[run.key]
    if holders:
        return
    del state.locks[key]
    for waiting in state.lock_queues.pop(key, ()):
        waiter = state.runs[waiting]
        if waiter.state is RunState.HELD:
            look_at(state, waiter, now)


def wake_budget(state: State, now: datetime) -> None:
    """Look again at the runs the budget held: money may have come back."""
    while state.budget_queue:
        waiter = state.runs[state.budget_queue.popleft()]
        if waiter.state is RunState.HELD:
            look_at(state, waiter, now)


def placed_or_over(state: State, order: PlannedOrder, run: Run) -> None:
    """Say that a run is no longer waiting to be placed, so that the order's next slot may come."""
    progress = state.progress[run.order]
    if progress.unplaced == run.key:
        progress.unplaced = None
        look_at_slot(state, progress, order)


def uncount(state: State, run: Run) -> None:
    """Take a run's end back: another one will be counted in its place."""
    if run.counted:
        run.counted = False
        state.progress[run.order].settled -= 1
        state.unsettled += 1


def go_on(state: State, now: datetime) -> None:
    """Take up again what a pause or a missing approval held: the slots to come, and the runs already decided."""
    for order in state.plan.orders:
        look_at_slot(state, state.progress[order.id], order)
    queued: set[str] = set().union(*queues(state))
    for run in state.runs.values():
        if run.state in UNPLACED and run.due is None and run.key not in queued:
            look_at(state, run, now)


def queues(state: State) -> list[Queue]:
    """Give every queue in which a run waits for somebody to wake it."""
    return [
        state.block_queue,
        state.budget_queue,
        state.beyond_day,
        state.rate_queue,
        state.dear_queue,
        *state.lock_queues.values(),
    ]


def leave_queues(state: State, run: Run) -> None:
    """Let a run wait nowhere any more, so that nobody is told that it does."""
    for queue in (*queues(state), state.day_queue):
        while run.key in queue:
            queue.remove(run.key)


def record(state: State, now: datetime, what: str, by: str = "", why: str = "") -> None:
    """Keep who decided what and why (the last 200)."""
    state.decisions.append(Decision(at=now, what=what, by=by, why=why))
    del state.decisions[:-200]


def record_reason(state: State, event: Paused, now: datetime) -> None:
    """Keep why somebody wants a campaign paused that is paused already: another reason to take away before it resumes.

    Nothing new is kept of a pause without a reason, and of one that was said before: asking twice is asking once.
    """
    if not state.paused or not event.why:
        return
    said = set()
    for decision in reversed(state.decisions):
        if decision.what == "resume":
            break
        if decision.what == "pause":
            said.add((decision.by, decision.why))
    if (event.by, event.why) not in said:
        record(state, now, "pause", event.by, event.why)


def count_settled(state: State, order: PlannedOrder, run: Run, now: datetime) -> None:
    """Count a run's first end, and its first completion, and tell whoever waits for the order."""
    _count(state, order, run, now)
    leave_out_what_cannot_come(state, order, now)


def _count(state: State, order: PlannedOrder, run: Run, now: datetime) -> None:
    progress = state.progress[run.order]
    if run.replaced_by is not None:
        return  # a reset brought it back beside what replaced it, which is counted
    if not run.counted:
        run.counted = True
        progress.settled += 1
        state.unsettled -= 1
    if run.state is RunState.COMPLETED and not run.fulfilled:
        run.fulfilled = True
        progress.completed += 1
    if progress.completed == order.runs and progress.completed_at is None:
        progress.completed_at = now
        reach(state, order.id, When.COMPLETED, now)
    if progress.settled == order.runs and progress.settled_at is None:
        progress.settled_at = now
        if not progress.left_out:
            reach(state, order.id, When.SETTLED, now)


def reach(state: State, order_id: str, moment: When, now: datetime) -> None:
    """Begin the orders that waited for this moment of an order."""
    for dependent in state.plan.orders:
        after = dependent.after
        if after is not None and after.order == order_id and after.when is moment:
            begin_order(state, dependent, now + after.delay if after.delay else now)


def begin_order(state: State, order: PlannedOrder, start: datetime) -> None:
    """Give an order its first slot, at or after ``start``; once."""
    progress = state.progress[order.id]
    if progress.began is not None or progress.left_out or state.canceling:
        return
    progress.began = start
    progress.next_slot = open_at(start, order.window, state.plan.timezone)
    look_at_slot(state, progress, order)


def leave_out_what_cannot_come(state: State, order: PlannedOrder, now: datetime) -> None:
    """Skip the orders that wait for a moment of this order which can no longer happen, and those that wait for them."""
    ended = [order]
    # A chain may be as long as the file, longer than Python's stack.
    while ended and not state.canceling:
        cause = ended.pop()
        if state.progress[cause.id].settled < cause.runs:
            continue
        for dependent in state.plan.orders:
            if dependent.after is not None and dependent.after.order == cause.id and _cannot_begin(state, dependent):
                state.progress[dependent.id].left_out = True
                skip_rest(state, dependent, now, f"{cause.id} was never {dependent.after.when}")
                ended.append(dependent)


def _cannot_begin(state: State, dependent: PlannedOrder) -> bool:
    after, own = dependent.after, state.progress[dependent.id]
    if after is None or own.began is not None or own.left_out:
        return False
    progress = state.progress[after.order]
    reached = {
        When.PLACED: progress.placed_at,
        When.STARTED: progress.started_at,
        When.COMPLETED: progress.completed_at,
        When.SETTLED: None if progress.left_out else progress.settled_at,
    }[after.when]
    return reached is None and (after.when is not When.COMPLETED or progress.guards == 0)


def skip_rest(state: State, order: PlannedOrder, now: datetime, why: str) -> None:
    """Skip every run of an order that is not decided yet, one line each."""
    progress = state.progress[order.id]
    first, progress.next_run, progress.next_slot = progress.next_run, order.runs + 1, None
    for number in range(first, order.runs + 1):
        run = Run(order=order.id, run=number, slot=now, units=order.units_of(number), cost=order.cost_of(number))
        state.runs[run.key] = run
        _skip(state, order, run, now, why)


def skip(state: State, order: PlannedOrder, run: Run, now: datetime, why: str) -> None:
    """End a run that was never placed."""
    leave_queues(state, run)
    _skip(state, order, run, now, why)
    leave_out_what_cannot_come(state, order, now)


def _skip(state: State, order: PlannedOrder, run: Run, now: datetime, why: str) -> None:
    run.state, run.why, run.settled_at, run.due = RunState.SKIPPED, why, now, None
    run.form, run.flight = None, ""
    reserve(state, run, Decimal(0))
    release_lock(state, order, run, now)
    placed_or_over(state, order, run)
    _count(state, order, run, now)


def failure_policy(state: State, order: PlannedOrder, run: Run) -> Paused | CancelRequested | None:
    """Say what ``on_failure`` wants done about a run that ended without delivery."""
    if run.state not in WITHOUT_DELIVERY or state.canceling:
        return None
    why = f"{run.key} {run.state}: {run.why}" if run.why else f"{run.key} {run.state}"
    if order.on_failure is OnFailure.PAUSE:
        return Paused(by="on_failure", why=why)
    if order.on_failure is OnFailure.ABORT:
        return CancelRequested(by="on_failure", why=why)
    return None
