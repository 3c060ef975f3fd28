"""The part of the engine that looks after placed orders: news, ends, cancel and refill policies.

A cancel request is not a cancellation, and silence is not a stall: an order is only asked back on a reading that is
newer than the deadline it missed. A settled order moves again only through a refill.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from campaigns import books, shortfall
from campaigns.definition import When
from campaigns.messages import CancelAnswered, Reading, RefillAnswered, Status
from campaigns.state import SETTLED, Run, RunState, State

if TYPE_CHECKING:
    from campaigns.plan import PlannedOrder

SILENT_ROUNDS = 10
"""Rounds without a word of an order before the watch is asked again."""
LONGEST_SILENCE = timedelta(hours=1)
READ_AFTER_WRITE = timedelta(minutes=10)
"""Right after placing, a panel may not know its own order yet ("Incorrect order ID"); measured on v2 panels."""
LOST_AFTER = timedelta(hours=1)
REFILL_WATCH = timedelta(hours=6)
"""The watch goes on reading an order whose refill is awaited; asked this often, it does so even after it was lost."""
FROM_THE_FUTURE = timedelta(days=1)
"""A reading dated so far ahead is nonsense: no clock is that wrong, and nothing after it would be believed."""
CANCEL_TRIES = 3
CANCEL_AGAIN = timedelta(hours=1)
UNANSWERED_AGAIN = timedelta(minutes=1)
REFILL_NOT_YET = timedelta(hours=24)
"""Panels refuse a second refill within 24 hours (v2 convention)."""

_ENDS = {
    Status.COMPLETED: RunState.COMPLETED,
    Status.PARTIAL: RunState.PARTIAL,
    Status.CANCELED: RunState.CANCELED,
    Status.REFUNDED: RunState.REFUNDED,
    Status.FAILED: RunState.FAILED,
}
_OPEN = (RunState.PENDING, RunState.IN_PROGRESS)


def on_reading(state: State, reading: Reading, now: datetime) -> Run | None:
    """Fold one status into its run; give the run if it came to an end by it."""
    key = state.by_panel_order.get(reading.panel_order)
    if key is None:
        return None
    run = state.runs[key]
    if reading.observed_at - now > FROM_THE_FUTURE:
        return None
    if run.heard_at is not None and reading.observed_at < run.heard_at:
        return None
    if run.state in SETTLED and not _reopens(run, reading):
        return None
    order = state.order_of(run)
    if reading.error is not None:
        # No status: it is not a word of the order, so nothing is judged by it.
        _on_unreadable(state, run, reading, now)
        return None
    run.heard_at = reading.observed_at
    if run.state is RunState.UNKNOWN:
        # The panel knows the order again.
        state.unknown -= 1
        run.state = RunState.PENDING
    run.raw = reading.raw
    _fold_figures(state, run, reading)
    end = _ENDS.get(reading.status)
    if end is not None:
        _settle(state, order, run, end, now)
        return run
    _fold_open(state, order, run, reading, now)
    return None


def _reopens(run: Run, reading: Reading) -> bool:
    """Tell whether a reading of a settled order shows the outcome of its refill, or that one is under way.

    The old end, shown again, is not yet the refill's outcome.
    """
    if not run.refill_open or run.refilled_at is None or reading.observed_at < run.refilled_at or reading.error:
        return False
    return reading.status is not Status.UNKNOWN and _ENDS.get(reading.status) is not run.state


def _on_unreadable(state: State, run: Run, reading: Reading, now: datetime) -> None:
    if run.placed_at is None or now - run.placed_at < READ_AFTER_WRITE:
        return
    run.why = f"the panel answers: {reading.error}"
    if now - (run.heard_at or run.placed_at) >= LOST_AFTER and run.state in _OPEN:
        run.state = RunState.UNKNOWN
        state.unknown += 1
    books.look_sooner(state, run, now)


def _fold_figures(state: State, run: Run, reading: Reading) -> None:
    if reading.start_count is not None:
        run.start_count = reading.start_count
    if reading.remains is not None:
        run.remains = min(max(reading.remains, 0), run.units)
        books.deliver(state, run, max(run.units - run.remains, 0))
    elif reading.status is Status.COMPLETED:
        books.deliver(state, run, run.units)
    if reading.charge is not None and reading.charge >= 0:
        books.charge(state, run, reading.charge)
        if run.settled_at is None:
            books.reserve(state, run, max(run.cost - reading.charge, Decimal(0)))


def _fold_open(state: State, order: PlannedOrder, run: Run, reading: Reading, now: datetime) -> None:
    if reading.status is Status.UNKNOWN:
        run.why = f'the panel says "{reading.raw}", which no documentation explains; still asking'
    elif run.why.startswith('the panel says "'):
        run.why = ""
    if run.state in SETTLED:
        run.state, run.why, run.refill_open = RunState.IN_PROGRESS, "refilling", False
        state.open += 1
        books.hold_lock(state, order, run)
        books.look_at(state, run, _next_look(state, order, run, now))
        return
    if reading.status is Status.IN_PROGRESS and run.state is not RunState.IN_PROGRESS:
        run.state = RunState.IN_PROGRESS
        run.progress_at = reading.observed_at
        _started(state, order, now)
    _note_progress(state, run, reading)
    books.look_at(state, run, _next_look(state, order, run, now))


def _note_progress(state: State, run: Run, reading: Reading) -> None:
    delivered = run.delivered
    if delivered > run.seen:
        run.seen = delivered
        run.progress_at = reading.observed_at
        run.silence = 0
        if run.cancel == "wanted" and not state.canceling and not run.cancel_ordered:
            # It moves again: the policy that wanted it back has no case.
            run.cancel, run.cancel_at, run.cancel_tries = "", None, 0


def _started(state: State, order: PlannedOrder, now: datetime) -> None:
    progress = state.progress[order.id]
    if progress.started_at is None:
        progress.started_at = now
        books.reach(state, order.id, When.STARTED, now)


def _settle(state: State, order: PlannedOrder, run: Run, end: RunState, now: datetime) -> None:
    if run.state in (*_OPEN, RunState.UNKNOWN):
        state.open -= 1
    run.state, run.due, run.flight = end, None, ""
    if end in (RunState.COMPLETED, RunState.PARTIAL) or run.delivered:
        _started(state, order, now)
    run.why = _why(run, end)
    if run.charge is None:
        # The panel gave no figure: count what was delivered, at the planned rate; all of it when it says completed.
        books.charge(state, run, order.offer(run.offer).cost_of(run.delivered))
    books.reserve(state, run, Decimal(0))
    books.release_lock(state, order, run, now)
    first = run.settled_at is None
    run.settled_at = now
    _guard_after_end(state, order, run, now, first=first)
    books.placed_or_over(state, order, run)
    if not shortfall.reorder(state, order, run, now):
        books.count_settled(state, order, run, now)
    books.wake_budget(state, now)


def _why(run: Run, end: RunState) -> str:
    if end is RunState.PARTIAL:
        return f"{run.delivered:,} of {run.units:,} delivered"
    if end is RunState.CANCELED:
        asked = "canceled on our request" if run.cancel == "asked" else "canceled by the panel"
        return f"{asked}, {run.delivered:,} of {run.units:,} delivered"
    if end is RunState.FAILED:
        return f'the panel says "{run.raw}"'
    return ""


def _guard_after_end(state: State, order: PlannedOrder, run: Run, now: datetime, *, first: bool) -> None:
    refillable = run.state in (RunState.COMPLETED, RunState.PARTIAL)
    if order.refill is None or not order.offer(run.offer).can_refill or not refillable or state.canceling:
        end_guard(state, order, run, now)
        return
    if first:
        run.guard_until = now + order.refill.within
        run.refill_at = now if run.state is RunState.PARTIAL else now + order.refill.every
        state.guards += 1
        state.progress[order.id].guards += 1
    run.refill_open = False
    if run.guard_until is not None and run.refill_at is not None:
        _plan_guard(state, run, run.refill_at)


def _plan_guard(state: State, run: Run, when: datetime) -> None:
    run.refill_at = when
    assert run.guard_until is not None  # noqa: S101 - only guarded runs are planned
    if run.refill_open:
        # The last refill may be delivered after the guarantee; until it is asked again, the watch is kept on it.
        books.look_at(state, run, min(when, (run.followed_at or when) + REFILL_WATCH))
    else:
        books.look_at(state, run, min(when, run.guard_until))


def end_guard(state: State, order: PlannedOrder, run: Run, now: datetime, *, reorder: bool = True) -> None:
    """Stop using a run's refill guarantee; what it did not give is bought again, if the file says so."""
    if run.guard_until is None:
        return
    run.guard_until, run.refill_at, run.refill_open, run.due, run.flight = None, None, False, None, ""
    state.guards -= 1
    state.progress[order.id].guards -= 1
    if run.state is RunState.PARTIAL and reorder:
        # The guarantee gave what it would.
        shortfall.reorder(state, order, run, now)
    books.leave_out_what_cannot_come(state, order, now)


def look_at_guard(state: State, order: PlannedOrder, run: Run, now: datetime) -> None:
    """Ask for the refill that is due, or end the guarantee."""
    policy = order.refill
    if run.guard_until is None or run.refill_at is None or policy is None or run.flight:
        return
    if now < run.refill_at and (run.refill_open or now < run.guard_until):
        if run.refill_open:
            _follow(state, run, now)
        _plan_guard(state, run, run.refill_at)
        return
    run.refill_open = False
    if now >= run.guard_until or run.refills >= policy.max:
        end_guard(state, order, run, now)
        return
    run.flight = "refill"
    state.to_refill.append(run.key)


def on_refill_answered(state: State, order: PlannedOrder, run: Run, event: RefillAnswered, now: datetime) -> None:
    """Take the panel's answer to a refill request; a refusal never fails a campaign."""
    if run.flight != "refill" or run.guard_until is None or order.refill is None:
        return
    run.flight = ""
    match event.answer:
        case "accepted":
            _on_refill_accepted(state, order, run, f"refill {run.refills + 1} accepted", now)
        case "not_yet" if run.refill_doubt:
            # What is pending is most likely the very refill whose answer was lost.
            _on_refill_accepted(state, order, run, f"refill {run.refills + 1} under way: {event.words}", now)
        case "not_yet":
            run.why = f"refill refused for now: {event.words}"
            _plan_guard(state, run, now + min(REFILL_NOT_YET, order.refill.every))
        case "never":
            run.why = f"refill refused: {event.words}"
            end_guard(state, order, run, now)
        case "unanswered":
            run.refill_doubt = True
            _plan_guard(state, run, now + UNANSWERED_AGAIN)


def watch(state: State, order: PlannedOrder, run: Run, now: datetime) -> None:
    """Look at an order at the panel: a policy may want it back, or the account's watch may have gone silent."""
    if run.cancel == "" and (state.canceling or run.cancel_ordered or _is_overdue(order, run, now)):
        run.cancel = "wanted"
    may_ask = run.flight == "" and run.cancel_tries < CANCEL_TRIES and (run.cancel_at is None or now >= run.cancel_at)
    if run.cancel == "wanted" and may_ask:
        run.flight = "cancel"
        state.to_cancel.append(run.key)
    deadline = _deadline(order, run)
    stale = deadline is not None and now >= deadline and run.cancel == ""
    if (stale and not _asked_since(run, deadline)) or now >= _silent_at(state, run):
        run.silence += 1
        _follow(state, run, now)
    books.look_at(state, run, _next_look(state, order, run, now))


def _follow(state: State, run: Run, now: datetime) -> None:
    if run.panel_order is not None:
        state.to_follow.append(run.panel_order)
        run.followed_at = now


def _asked_since(run: Run, moment: datetime | None) -> bool:
    return moment is not None and run.followed_at is not None and run.followed_at >= moment


def _deadline(order: PlannedOrder, run: Run) -> datetime | None:
    policy = order.cancel
    if policy is None or run.placed_at is None:
        return None
    if run.progress_at is None and run.state is RunState.PENDING:
        return run.placed_at + policy.not_started_in if policy.not_started_in else None
    if run.state is RunState.IN_PROGRESS and not run.refills and policy.stalled_for:
        return (run.progress_at or run.placed_at) + policy.stalled_for
    return None


def _is_overdue(order: PlannedOrder, run: Run, now: datetime) -> bool:
    deadline = _deadline(order, run)
    return deadline is not None and now >= deadline and run.heard_at is not None and run.heard_at >= deadline


def _silent_at(state: State, run: Run) -> datetime:
    patience = state.plan.account.poll_every * SILENT_ROUNDS
    longest = max(LONGEST_SILENCE, patience)
    last = max(moment for moment in (run.heard_at, run.followed_at, run.placed_at, state.started_at) if moment)
    return last + min(patience * (1 << min(run.silence, 10)), longest)


def _next_look(state: State, order: PlannedOrder, run: Run, now: datetime) -> datetime:
    if state.canceling and run.cancel == "":
        # It was to be asked back at once; a reading that comes first must not put that off.
        return now
    moments = [_silent_at(state, run)]
    deadline = _deadline(order, run)
    if deadline is not None and run.cancel == "":
        heard = run.heard_at is not None and run.heard_at >= deadline
        if now < deadline:
            # Even when a worker's fast clock has read it "later" already.
            moments.append(deadline)
        elif heard or not _asked_since(run, deadline):
            moments.append(now)
    if run.cancel == "wanted" and run.flight == "" and run.cancel_tries < CANCEL_TRIES:
        moments.append(run.cancel_at or now)
    return max(min(moments), now)


def _on_refill_accepted(state: State, order: PlannedOrder, run: Run, why: str, now: datetime) -> None:
    assert order.refill is not None  # noqa: S101 - it was asked for under this policy
    run.refills += 1
    run.refill_open, run.refill_doubt, run.refilled_at, run.why = True, False, now, why
    _follow(state, run, now)
    _plan_guard(state, run, now + order.refill.every)


def on_cancel_answered(state: State, run: Run, event: CancelAnswered, now: datetime) -> None:
    """Take the panel's answer to a cancel request; only a later status cancels an order."""
    if run.flight != "cancel":
        return
    run.flight = ""
    match event.answer:
        case "asked":
            run.cancel, run.why = "asked", "cancel asked, waiting for the outcome"
        case "refused":
            run.cancel_tries += 1
            run.cancel_at = now + CANCEL_AGAIN
            run.why = f"cancel refused: {event.words}"
        case "unanswered":
            run.cancel_at = now + UNANSWERED_AGAIN
    if run.state in SETTLED:
        return
    _follow(state, run, now)
    books.look_sooner(state, run, run.cancel_at if run.cancel == "wanted" and run.cancel_at else now)
