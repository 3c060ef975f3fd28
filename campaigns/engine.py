"""The decider: the whole behaviour of a campaign as one pure state machine.

    begin(plan, key_root, now) -> state
    decide(state, now)         -> commands to carry out, and when to look again
    apply(state, event, now)   folds an outcome, a piece of news or a person's wish back

Both change ``state`` in place and are deterministic: the same calls in the same order give the same state and the same
commands, whatever the machine, the process or the day. No I/O, no clock, no randomness. The work of a call is
O(log n) in the campaign's runs for everything that happened, and nothing is scanned.

>>> from datetime import UTC, datetime
>>> from campaigns.plan import Plan, PlannedOrder
>>> from campaigns.accounts import AccountFacts
>>> from campaigns.messages import Placed
>>> now = datetime(2026, 12, 4, 15, 0, tzinfo=UTC)
>>> plan = Plan(name="demo", account=AccountFacts(name="main"), planned_at=now, orders=[PlannedOrder(
...     id="seed", service=101, service_name="Views", rate="0.90", link="https://example.com/a", quantity=500)])
>>> state = begin(plan, "5a1e1e35-5f8a-4f0e-9d7c-2b1c2c1f6f10", now)
>>> [command.kind for command in decide(state, now).commands]
['place']
>>> apply(state, Placed(key="seed/1", panel_order="ord_1"), now)
>>> state.runs["seed/1"].state.value, finished(state)
('pending', False)
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaigns import books, guards, notices, placing, resolving, steering, watching
from campaigns.messages import (
    Approved,
    BalanceRead,
    Blocked,
    BudgetRaised,
    Cancel,
    CancelAnswered,
    CancelRequested,
    Command,
    Event,
    Expired,
    Follow,
    LinkBusy,
    News,
    NotTaken,
    OrderCancelRequested,
    Paused,
    Placed,
    RatesRead,
    RatesUnread,
    ReadBalance,
    ReadRates,
    Recalled,
    Refill,
    RefillAnswered,
    Rejected,
    Released,
    Rescheduled,
    Resolved,
    Resumed,
    RetryRequested,
    SkipRequested,
    Tell,
    Unanswered,
)
from campaigns.state import SETTLED, UNPLACED, CampaignState, OrderProgress, Run, RunState, State

if TYPE_CHECKING:
    from datetime import datetime

    from campaigns.plan import Plan

NOTICES = 50
"""Notices carried by one command."""
PAGE = 100
"""Orders in one cancel or refill request (panel documentation)."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now, and when to look again if nothing else happens first (None: only an event can change things)."""

    commands: list[Command]
    look_again: datetime | None


def begin(plan: Plan, key_root: str, now: datetime, started_by: str = "") -> State:
    """Start a campaign: orders that wait for nothing get their first slot.

    Args:
        plan: the plan, priced and checked; never recomputed.
        key_root: the workflow chain's first execution run id, a UUID: the root of every request id.
        now: the campaign's anchor, aware.
        started_by: who started it, as far as that is known.

    """
    state = State(
        key_root=key_root,
        plan=plan,
        started_at=now,
        started_by=started_by,
        unsettled=plan.runs,
        budget=plan.budget,
        awaiting_approval=plan.approval_over is not None and plan.cost > plan.approval_over.amount,
    )
    for order in plan.orders:
        state.progress[order.id] = OrderProgress()
    for order in plan.orders:
        if order.after is None:
            books.begin_order(state, order, now)
    return state


def recover(state: State, now: datetime) -> None:
    """Take up a state whose commands were lost on the way (an older snapshot, a hand-over in full flight).

    Everything on its way counts as unanswered: an ``add`` is repeated with its own id, the others are asked again.
    """
    state.rates_asked = state.balance_asked = False
    for run in list(state.runs.values()):
        if run.flight == "place":
            lost = Unanswered(key=run.key, words="the answer was lost with the worker")
            placing.on_unanswered(state, state.order_of(run), run, lost, now)
        elif run.flight:
            run.flight = ""
            books.look_at(state, run, now)
        if run.panel_order is not None and (run.state not in SETTLED or run.refill_open):
            state.to_follow.append(run.panel_order)
            run.followed_at = now


def decide(state: State, now: datetime) -> Decision:
    """Give every command that is due, marked as on its way, and the next moment to look."""
    commands: list[Command] = []
    while state.agenda and state.agenda[0][0] <= now:
        when, _, key = heapq.heappop(state.agenda)
        command = _look(state, key, when, now)
        if command is not None:
            commands.append(command)
    commands.extend(_batches(state, now))
    while state.agenda and _lapsed(state, state.agenda[0][0], state.agenda[0][2]):
        heapq.heappop(state.agenda)
    return Decision(commands, state.agenda[0][0] if state.agenda else None)


def _look(state: State, key: str, when: datetime, now: datetime) -> Command | None:
    if key == books.PROBE:
        return placing.probe(state, now)
    if key == guards.CHEAPER:
        guards.look_for_cheaper(state)
        return None
    if key == guards.BALANCE:
        return None  # looked at whenever anything is
    run = state.runs.get(key)
    if run is None:
        if key not in state.progress:
            return None
        return placing.come_to_slot(state, state.order(key), when, now)
    if run.due != when:
        return None
    run.due = None
    order = state.order_of(run)
    if run.state in UNPLACED:
        return placing.try_to_place(state, order, run, now)
    if run.state is RunState.PLACING:
        return placing.send_again(state, order, run, now) if run.flight == "" else None
    if run.state in SETTLED:
        watching.look_at_guard(state, order, run, now)
    elif run.panel_order is not None:
        watching.watch(state, order, run, now)
    return None


def _lapsed(state: State, when: datetime, key: str) -> bool:
    if key == books.PROBE:
        return state.block is None
    if key == guards.CHEAPER:
        return not state.dear_queue or (state.looks_once and state.cheaper_at not in (None, when))
    if key == guards.BALANCE:
        return state.balance_due != when or state.canceling
    run = state.runs.get(key)
    if run is not None:
        return run.due != when
    progress = state.progress.get(key)
    return progress is None or progress.next_slot != when or progress.unplaced is not None or _is_still(state)


def _is_still(state: State) -> bool:
    return state.paused or state.awaiting_approval


def _batches(state: State, now: datetime) -> list[Command]:
    commands: list[Command] = []
    if services := guards.wants_rates(state):
        commands.append(ReadRates(services=services))
    if guards.wants_balance(state, now):
        commands.append(ReadBalance())
    notices.of_state(state, status_of(state), now)
    if state.notices:
        commands.append(Tell(notices=state.notices[:NOTICES]))
        del state.notices[:NOTICES]
    for queue, make in ((state.to_cancel, Cancel), (state.to_refill, Refill)):
        keys = list(dict.fromkeys(queue))
        queue.clear()
        for start in range(0, len(keys), PAGE):
            page = keys[start : start + PAGE]
            commands.append(make(orders={key: state.runs[key].panel_order or "" for key in page}))
    if state.to_follow:
        commands.extend(_follows(state))
        state.to_follow.clear()
    return commands


def _follows(state: State) -> list[Command]:
    plain: list[str] = []
    refilled: list[str] = []
    until = state.started_at
    for panel_order in dict.fromkeys(state.to_follow):
        key = state.by_panel_order.get(panel_order)
        if key is None:
            continue  # resolved to another order since
        run = state.runs[key]
        if run.refill_open and run.refill_at is not None:
            refilled.append(panel_order)
            until = max(until, run.refill_at)
        else:
            plain.append(panel_order)
    commands: list[Command] = []
    if plain:
        commands.append(Follow(panel_orders=plain))
    if refilled:
        commands.append(Follow(panel_orders=refilled, until=until))
    return commands


def apply(state: State, event: Event, now: datetime) -> None:
    """Fold one event into the state; an event that no longer fits (late, repeated, unknown) changes nothing."""
    match event:
        case News():
            for reading in event.readings:
                ended = watching.on_reading(state, reading, now)
                if ended is not None:
                    _after_end(state, ended, now)
        case Paused():
            _pause(state, event, now)
            books.record_reason(state, event, now)
        case Resumed():
            _resume(state, event, now)
        case RatesRead():
            guards.on_rates(state, event, now)
        case RatesUnread():
            guards.on_no_rates(state, now)
        case BalanceRead():
            guards.on_balance(state, event, now)
        case Released():
            placing.on_released(state, now)
        case Approved() | BudgetRaised() | OrderCancelRequested() | Rescheduled() | RetryRequested() | SkipRequested():
            steering.carry_out(state, event, now)
        case CancelRequested():
            _cancel(state, event, now)
        case Recalled():
            resolving.on_recalled(state, event, now)
        case _:
            run = state.runs.get(event.key)
            if run is not None:
                _apply_to_run(state, run, event, now)


_RunEvent = (
    Placed
    | Rejected
    | Blocked
    | LinkBusy
    | NotTaken
    | Unanswered
    | Expired
    | CancelAnswered
    | RefillAnswered
    | Resolved
)


def _apply_to_run(state: State, run: Run, event: _RunEvent, now: datetime) -> None:
    order = state.order_of(run)
    match event:
        case Placed():
            placing.on_placed(state, order, run, event, now)
        case Rejected():
            if placing.on_rejected(state, order, run, event, now):
                _after_end(state, run, now)
        case Blocked():
            placing.on_blocked(state, order, run, event, now)
        case LinkBusy():
            placing.on_link_busy(state, order, run, event, now)
        case NotTaken():
            placing.on_not_taken(state, order, run, event, now)
        case Unanswered():
            placing.on_unanswered(state, order, run, event, now)
        case Expired():
            placing.on_expired(state, order, run, event, now)
        case CancelAnswered():
            watching.on_cancel_answered(state, run, event, now)
        case RefillAnswered():
            watching.on_refill_answered(state, order, run, event, now)
        case Resolved():
            if run.state is RunState.UNKNOWN:
                what = f"resolve {run.key}: " + (
                    f"placed as {event.panel_order}" if event.panel_order else "not placed"
                )
                books.record(state, now, what, event.by, event.why)
            resolving.on_resolved(state, order, run, event, now)


def _after_end(state: State, run: Run, now: datetime) -> None:
    notices.settled(state, run, now)
    if run.replaced_by is not None or run.cancel_ordered:
        return
    wish = books.failure_policy(state, state.order_of(run), run)
    if isinstance(wish, CancelRequested):
        state.aborted = state.aborted or wish.why
        _cancel(state, wish, now)
    elif wish is not None:
        _pause(state, wish, now)


def _pause(state: State, event: Paused, now: datetime) -> None:
    if not state.paused and not state.canceling:
        state.paused = True
        books.record(state, now, "pause", event.by, event.why)


def _resume(state: State, event: Resumed, now: datetime) -> None:
    if not state.paused:
        return
    state.paused = False
    books.record(state, now, "resume", event.by, event.why)
    books.go_on(state, now)


def _cancel(state: State, event: CancelRequested, now: datetime) -> None:
    if state.canceling:
        return
    state.canceling, state.paused, state.awaiting_approval = True, False, False
    books.record(state, now, "cancel", event.by, event.why)
    state.block = None
    state.block_queue.clear()
    state.budget_queue.clear()
    state.beyond_day.clear()
    state.rate_queue.clear()
    state.dear_queue.clear()
    state.day_queue.clear()
    state.lock_queues.clear()
    why = f"the campaign was {'aborted' if state.aborted else 'canceled'} before it was placed"
    for run in list(state.runs.values()):
        order = state.order_of(run)
        if run.state in UNPLACED:
            books.skip(state, order, run, now, why)
        elif run.guard_until is not None:
            watching.end_guard(state, order, run, now)
        if run.state not in SETTLED and run.panel_order is not None:
            books.look_at(state, run, now)
    for order in state.plan.orders:
        books.skip_rest(state, order, now, why)


def finished(state: State) -> bool:
    """Tell whether nothing is left to do: every run at its end, no guarantee in use, nothing open or unknown."""
    return not (state.unsettled or state.open or state.guards or state.unknown or state.placing)


def status_of(state: State) -> CampaignState:
    """Give the campaign's state in one word."""
    if finished(state):
        if state.aborted:
            return CampaignState.FAILED
        return CampaignState.CANCELED if state.canceling else CampaignState.COMPLETED
    if state.awaiting_approval:
        return CampaignState.AWAITING_APPROVAL
    if state.unknown or state.budget_queue or state.beyond_day or state.dear_queue:
        return CampaignState.NEEDS_ATTENTION
    if state.block is not None and state.block.cause == "account":
        return CampaignState.NEEDS_ATTENTION
    return CampaignState.PAUSED if state.paused else CampaignState.RUNNING
