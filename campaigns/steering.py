"""What people want of a running campaign, beyond pause and cancel: skip, retry, approve, raise, move, cancel one order.

Every wish is checked first (:func:`refusal`), so that a wrong one leaves no trace; and folded with who and why.
What a history has accepted is folded again whenever it is replayed: a rule that came later is asked of new wishes only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns import books, guards, shortfall, watching
from campaigns.calendar import open_at
from campaigns.messages import (
    Approved,
    BudgetRaised,
    OrderCancelRequested,
    Rescheduled,
    RetryRequested,
    SkipRequested,
)
from campaigns.quantities import Money, format_duration
from campaigns.state import SETTLED, UNPLACED, Run, RunState, State
from campaigns.wording import count

if TYPE_CHECKING:
    from datetime import datetime

    from campaigns.plan import PlannedOrder

Wish = Approved | BudgetRaised | OrderCancelRequested | Rescheduled | RetryRequested | SkipRequested
_NO_STARTER = (
    "this account wants a second person to approve, and nobody is on record as the first; cancel the campaign and "
    "start it again with `campaigner start FILE --again`, or with the memo started_by (docs/starting-from-code.md)"
)
_RETRYABLE = shortfall.REPLACEABLE | {RunState.SKIPPED}


def refusal(state: State, wish: Wish) -> str | None:
    """Say why a new wish is not accepted, naming the field; None when it is."""
    told = _hindrance(state, wish)
    if told is None and isinstance(wish, Approved) and _wants_a_second(state) and not _person(state.started_by):
        return _NO_STARTER
    return told


def _hindrance(state: State, wish: Wish) -> str | None:
    """Say why a wish cannot be carried out, also one that was accepted before; None when it can."""
    if state.canceling:
        return "the campaign is being canceled"
    match wish:
        case Approved():
            return _approval_refusal(state, wish)
        case BudgetRaised():
            return _budget_refusal(state, wish)
        case Rescheduled():
            return _move_refusal(state, wish)
        case RetryRequested():
            return _retry_refusal(state, wish)
        case OrderCancelRequested():
            return _unknown(state, wish.target) or _cancel_refusal(state, wish)
        case SkipRequested():
            return _unknown(state, wish.target) or _skip_refusal(state, wish)


def _unknown(state: State, target: str) -> str | None:
    order_id, _, number = target.partition("/")
    if order_id not in state.progress:
        known = ", ".join(list(state.progress)[:10])
        return f'order: there is no "{order_id}"; the campaign has {known}'
    if not number or target in state.runs:
        return None
    if number.isdecimal() and 1 <= int(number) <= state.order(order_id).runs:
        return None
    return f'order: there is no "{target}"; {order_id} has {count(state.order(order_id).runs, "run")}'


def _approval_refusal(state: State, wish: Approved) -> str | None:
    if not state.awaiting_approval:
        if not state.dear_queue:
            return "nothing waits for approval"
        no_rate = "what is held is not in the catalog now: there is no rate to approve"
        return None if guards.approvable(state) else no_rate
    if _wants_a_second(state):
        if not wish.by.strip():
            return "by: this account wants to know who approves; say your name there"
        if _person(wish.by) == _person(state.started_by):
            return f"by: {wish.by} started the campaign; this account wants a second person to approve"
    return None


def _wants_a_second(state: State) -> bool:
    """Tell whether what waits for approval is a planned cost, which the starter does not approve on this account."""
    return state.awaiting_approval and state.plan.account.second_person


def _person(name: str) -> str:
    """Give a name as it is compared: Ada and ada are one person."""
    return name.strip().casefold()


def _budget_refusal(state: State, wish: BudgetRaised) -> str | None:
    currency = state.plan.account.currency
    if state.budget is None:
        return "budget: this campaign has none to raise"
    if wish.budget.currency != currency:
        return f"budget: is in {wish.budget.currency}, the account is billed in {currency}"
    if wish.budget.amount < state.budget.amount:
        return f"budget: {wish.budget} is below the present {state.budget}"
    return None


def _move_refusal(state: State, wish: Rescheduled) -> str | None:
    if wish.order is not None and (fault := _unknown(state, wish.order)):
        return fault
    if any(_is_movable(state, order) for order in _orders(state, wish)):
        return None
    if wish.order is None:
        return "nothing is left to move"
    after = state.order(wish.order).after
    if after is not None and state.progress[wish.order].began is None:
        return f"order: {wish.order} has no date yet: it waits for {after.order}"
    return f"order: nothing of {wish.order} is left to move"


def _orders(state: State, wish: Rescheduled) -> list[PlannedOrder]:
    return state.plan.orders if wish.order is None else [state.order(wish.order)]


def _is_movable(state: State, order: PlannedOrder) -> bool:
    progress = state.progress[order.id]
    run = state.runs.get(progress.unplaced or "")
    return books.is_to_come(order, progress) or (run is not None and run.state in UNPLACED)


def _retry_refusal(state: State, wish: RetryRequested) -> str | None:
    run = state.runs.get(wish.key)
    if run is None:
        return _unknown(state, wish.key) or f"order: {wish.key} is still to come"
    if run.replaced_by is not None:
        return f"order: {wish.key} was reordered as {run.replaced_by}"
    if run.state not in _RETRYABLE:
        return f"order: {wish.key} is {run.state}; only what ended short can be retried"
    if run.refill_open or run.flight == "refill":
        return f"order: a refill of {wish.key} is under way; what it brings would be bought twice"
    rest, offer = run.units - run.delivered, state.offer_of(run)
    if rest < offer.min:
        return f"order: the {rest:,} left are below the minimum {offer.min:,} of service {offer.service}"
    if rest > offer.max:
        return f"order: the {rest:,} left are above the maximum {offer.max:,} of service {offer.service}"
    return None


def _skip_refusal(state: State, wish: SkipRequested) -> str | None:
    order, runs, number = _targets(state, wish.target)
    if any(run.state in UNPLACED for run in runs) or _is_to_come(state, order, number):
        return None
    if number and not runs:
        return f"order: {wish.target} is skipped already"
    now = f"{runs[-1].key} is {runs[-1].state.replace('_', ' ')}" if runs else "nothing of it is to come"
    return f"order: {now}; only what is not placed can be skipped"


def _cancel_refusal(state: State, wish: OrderCancelRequested) -> str | None:
    order, runs, number = _targets(state, wish.target)
    if any(run.state not in SETTLED or run.guard_until for run in runs) or _is_to_come(state, order, number):
        return None
    return f"order: {wish.target} has ended; there is nothing to cancel"


def _is_to_come(state: State, order: PlannedOrder, number: int) -> bool:
    """Tell whether a run (0: any run) of an order is not decided yet, and not skipped ahead."""
    progress = state.progress[order.id]
    if number == 0:
        return progress.next_run <= order.runs
    return number >= progress.next_run and number not in progress.skips


def carry_out(state: State, wish: Wish, now: datetime) -> None:
    """Fold a wish; one that no longer fits changes nothing."""
    if _hindrance(state, wish) is not None:
        return
    match wish:
        case Approved():
            _approve(state, wish, now)
        case BudgetRaised():
            what = f"budget from {state.budget} to {wish.budget}"
            if state.budget == wish.budget:
                return
            state.budget = wish.budget
            books.record(state, now, what, wish.by, wish.why)
            books.wake_budget(state, now)
        case Rescheduled():
            what = f"move {wish.order or 'everything'} later by {format_duration(wish.later)}"
            books.record(state, now, what, wish.by, wish.why)
            _reschedule(state, wish, now)
        case RetryRequested():
            books.record(state, now, f"retry {wish.key}", wish.by, wish.why)
            _retry(state, state.runs[wish.key], now)
        case SkipRequested():
            books.record(state, now, f"skip {wish.target}", wish.by, wish.why)
            _skip(state, wish, now, wish.why or f"skipped by {wish.by or 'a person'}")
        case OrderCancelRequested():
            books.record(state, now, f"cancel {wish.target}", wish.by, wish.why)
            _cancel(state, wish, now)


def _approve(state: State, wish: Approved, now: datetime) -> None:
    if state.awaiting_approval:
        state.awaiting_approval = False
        cost = Money(state.plan.cost, state.plan.account.currency)
        books.record(state, now, f"approve the planned cost of {cost}", wish.by, wish.why)
        books.go_on(state, now)
    elif accepted := guards.approve_rates(state, now):
        books.record(state, now, accepted, wish.by, wish.why)


def _retry(state: State, run: Run, now: datetime) -> None:
    order = state.order_of(run)
    if run.state is not RunState.SKIPPED or not state.retries_in_place:
        watching.end_guard(state, order, run, now, reorder=False)
        shortfall.replace(state, order, run, run.offer, now)
        return
    # Never placed, as far as is known: under its own id, which tells whether a run that a reset replaced bought it.
    books.uncount(state, run)
    run.state, run.why, run.settled_at, run.cancel_ordered = RunState.HELD, "retried", None, False
    books.look_at(state, run, now)


def _targets(state: State, target: str) -> tuple[PlannedOrder, list[Run], int]:
    """Give the order, the decided runs that are meant, with what replaces them, and the run's number (0: all)."""
    order_id, _, number = target.partition("/")
    order = state.order(order_id)
    if not number:
        return order, [run for run in state.runs.values() if run.order == order_id], 0
    runs: list[Run] = []
    run = state.runs.get(target)
    while run is not None:
        runs.append(run)
        run = state.runs.get(run.replaced_by or "")
    return order, runs, int(number.partition("+")[0])


def _skip(state: State, wish: SkipRequested | OrderCancelRequested, now: datetime, why: str) -> None:
    order, runs, number = _targets(state, wish.target)
    for run in runs:
        if run.state in UNPLACED:
            books.skip(state, order, run, now, why)
    progress = state.progress[order.id]
    if number == 0 and progress.next_run <= order.runs:
        books.skip_rest(state, order, now, why)
        books.leave_out_what_cannot_come(state, order, now)
    elif not runs and number not in progress.skips:
        progress.skips.append(number)


def _cancel(state: State, wish: OrderCancelRequested, now: datetime) -> None:
    order, runs, _ = _targets(state, wish.target)
    for run in runs:
        if run.state in UNPLACED:
            continue
        if run.state in SETTLED:
            run.cancel_ordered = run.cancel_ordered or run.guard_until is not None
            watching.end_guard(state, order, run, now)
            continue
        run.cancel_ordered = True
        if run.panel_order is not None and run.cancel == "":
            run.cancel, run.cancel_tries, run.cancel_at = "wanted", 0, None
            books.look_at(state, run, now)
    _skip(state, wish, now, wish.why or "canceled before it was placed")


def _reschedule(state: State, wish: Rescheduled, now: datetime) -> None:
    zone = state.plan.timezone
    for order in _orders(state, wish):
        progress = state.progress[order.id]
        if progress.next_slot is not None:
            progress.next_slot = open_at(max(progress.next_slot, now) + wish.later, order.window, zone)
            books.look_at_slot(state, progress, order)
        run = state.runs.get(progress.unplaced or "")
        if run is not None and run.state in UNPLACED:
            books.leave_queues(state, run)
            run.slot = open_at(max(run.slot, now) + wish.later, order.window, zone)
            run.state, run.why = RunState.PLANNED, "moved to later"
            books.look_at(state, run, run.slot)
