"""The part of the engine that places: what must be true before an ``add`` is sent, and what its outcome means.

The request id of an order run is ``uuid5(key_root, "<order>/<run>/<submission>")``. The submission grows only after a
definite refusal; after an answer that was lost, the same id and the same body are sent again, until ``retry_window``
has passed; then the run is ``unknown`` and waits for a person.
"""

from __future__ import annotations

import uuid
from collections import deque
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from campaigns import books, guards, notices, shortfall
from campaigns.calendar import next_slot, open_at
from campaigns.definition import Late, NoticeKind, When
from campaigns.messages import (
    Blocked,
    Expired,
    LinkBusy,
    NotTaken,
    OrderForm,
    Place,
    Placed,
    Rejected,
    Unanswered,
)
from campaigns.state import UNPLACED, Block, Run, RunState, State

if TYPE_CHECKING:
    from campaigns.plan import PlannedOrder

FIRST_BACKOFF = timedelta(seconds=15)
LONGEST_BACKOFF = timedelta(minutes=5)
"""Between two repeats of an unanswered request, beyond the activity's own quick ones."""
JUST_RELEASED, RELEASED_AGAIN = timedelta(minutes=1), timedelta(seconds=5)
"""A halt heard right after the account's release was said before it: it is looked at again at once."""
_OWN_WORD = ("halt", "daily_limit")
"""Causes of a block that are our own, said before anything was sent."""


def request_id(key_root: str, key: str, submission: int) -> str:
    """Derive the idempotency key of one submission from the workflow chain's root."""
    return str(uuid.uuid5(uuid.UUID(key_root), f"{key}/{submission}"))


def backoff(tries: int) -> timedelta:
    """Give the wait after the ``tries``-th unanswered hand-out: doubling, capped."""
    doublings = min(max(tries - 1, 0), 10)
    return min(FIRST_BACKOFF * (1 << doublings), LONGEST_BACKOFF)


def come_to_slot(state: State, order: PlannedOrder, slot: datetime, now: datetime) -> Place | None:
    """Take up the run whose slot has come."""
    progress = state.progress[order.id]
    if progress.next_slot != slot or progress.unplaced is not None or state.canceling or state.paused:
        return None
    if state.awaiting_approval:
        return None
    number = progress.next_run
    run = Run(order=order.id, run=number, slot=slot, units=order.units_of(number), cost=order.cost_of(number))
    state.runs[run.key] = run
    progress.next_run += 1
    progress.next_slot = None
    if order.every is not None:
        progress.next_slot = next_slot(slot, order.every, order.window, state.plan.timezone)
        if order.late is Late.SKIP and progress.next_slot <= now:
            books.skip(state, order, run, now, "missed: a whole interval late")
            books.look_at_slot(state, progress, order)
            return None
    if number in progress.skips:
        books.skip(state, order, run, now, "skipped")
        books.look_at_slot(state, progress, order)
        return None
    progress.unplaced = run.key
    return try_to_place(state, order, run, now)


def try_to_place(state: State, order: PlannedOrder, run: Run, now: datetime) -> Place | None:
    """Place a run if nothing stands against it; otherwise say what does and arrange for the next look."""
    if state.canceling:
        books.skip(state, order, run, now, "the campaign was canceled before it was placed")
        return None
    if run.cancel_ordered:
        books.skip(state, order, run, now, "canceled before it was placed")
        _give_up_probe(state, run, now)
        return None
    if state.paused:
        _hold(state, run, now, "the campaign is paused")
        return None
    if state.awaiting_approval:
        _hold(state, run, now, "the campaign waits for approval")
        return None
    opening = open_at(max(now, run.slot), order.window, state.plan.timezone)
    if opening > now:
        _hold(state, run, now, "waits for its window" if run.slot <= now else "moved to later")
        run.state = RunState.PLANNED
        books.look_at(state, run, opening)
        return None
    lock = books.lock_key(order, run)
    if not order.concurrent and (holders := state.locks.get(lock)):
        state.lock_queues.setdefault(lock, deque()).append(run.key)
        _hold(state, run, now, f"waits for {next(iter(holders))}: one live order per link and service")
        return None
    if state.block is not None and state.block.probe != run.key:
        state.block_queue.append(run.key)
        _arrange_probe(state, now)
        _hold(state, run, now, state.block.words)
        return None
    against = guards.what_stands_against(state, run, now)
    if against is not None:
        due = run.due
        _hold(state, run, now, against)
        run.due = due
        return None
    return _hand_out(state, order, run, now)


def _hold(state: State, run: Run, now: datetime, why: str) -> None:
    run.state, run.why, run.due = RunState.HELD, why, None
    if state.block is not None and state.block.probe == run.key:
        state.block.probe = None
        _arrange_probe(state, now)


def _hand_out(state: State, order: PlannedOrder, run: Run, now: datetime) -> Place:
    first = run.form is None
    if run.form is None:
        run.form = OrderForm(
            service=order.offer(run.offer).service,
            request_id=request_id(state.key_root, run.key, run.submission),
            link=order.link,
            quantity=run.units if run.replacement else order.quantity_of(run.run),
            runs=None if run.replacement else order.panel_runs,
            interval=None if run.replacement else order.panel_interval,
            coupon=order.coupon,
        )
        run.first_sent = now
        state.placing += 1
        books.hold_lock(state, order, run)
        books.reserve(state, run, run.cost)
        guards.count_day(state, run)
    assert run.first_sent is not None  # noqa: S101 - set with the form, always
    run.state, run.flight, run.due, run.why = RunState.PLACING, "place", None, ""
    run.tries += 1
    return Place(
        key=run.key,
        form=run.form,
        first=first,
        due=_earliest(state, order, run, run.first_sent),
        repeat_until=run.first_sent + state.plan.account.retry_window,
        lost_at=run.lost_at if run.doubt else None,
    )


def _earliest(state: State, order: PlannedOrder, run: Run, first_sent: datetime) -> datetime:
    """Give the earliest moment at which a run that a reset replaced may have sent this submission."""
    if run.cleared_at is None:
        # What waits for another order, or replaces one, gets its moment anew after a reset.
        moves = order.after is not None or run.replacement
        return min(state.started_at if moves else run.slot, first_sent)
    # A person said that nothing of it was at the panel then.
    return min(open_at(max(run.slot, run.cleared_at), order.window, state.plan.timezone), first_sent)


def send_again(state: State, order: PlannedOrder, run: Run, now: datetime) -> Place | None:
    """Repeat a request that was not answered, with its own id and body, while the panel can be trusted to know it."""
    assert run.first_sent is not None  # noqa: S101 - a run in placing has a form and its moment
    if now > run.first_sent + state.plan.account.retry_window:
        become_unknown(state, order, run, now, "no answer within the retry window; resolve it by hand")
        return None
    return _hand_out(state, order, run, now)


def become_unknown(state: State, order: PlannedOrder, run: Run, now: datetime, why: str) -> None:
    """Give up asking: the panel may hold the order, and only a person can tell. Link and money stay reserved."""
    run.state, run.why, run.flight, run.due, run.form = RunState.UNKNOWN, why, "", None, None
    state.placing -= 1
    state.unknown += 1
    _give_up_probe(state, run, now)
    books.placed_or_over(state, order, run)


def _end_submission(state: State, order: PlannedOrder, run: Run, now: datetime) -> None:
    """Forget a submission that was definitely refused; the next one gets its own id."""
    run.form, run.first_sent, run.flight, run.doubt = None, None, "", False
    state.placing -= 1
    books.reserve(state, run, Decimal(0))
    guards.uncount_day(state, run, now)
    books.release_lock(state, order, run, now)


def on_placed(state: State, order: PlannedOrder, run: Run, event: Placed, now: datetime) -> None:
    """Record the panel's order id, follow it, and let the rest go on."""
    if run.state is not RunState.PLACING:
        return
    if event.panel_order in state.by_panel_order:
        other = state.by_panel_order[event.panel_order]
        become_unknown(state, order, run, now, f"the panel gave it the id of {other}, {event.panel_order}")
        return
    state.placing -= 1
    # Only a probe that was certainly new proves that the account can order: the answer to a repeat, or to what was
    # sent before the account was blocked, may be older than the block.
    proof = state.block is not None and state.block.probe == run.key and not run.doubt
    _give_up_probe(state, run, now)
    if event.units is not None and event.units != run.units:
        # It was sent before a reset, for what was left then: that is what the panel holds.
        cost = state.offer_of(run).cost_of(event.units)
        guards.change_cost(state, run, cost)
        run.units = event.units
        books.reserve(state, run, cost)
    _went_on(state, run, proof=proof)
    take_in(state, order, run, event.panel_order, now)
    if proof:
        _unblock(state, now)


def take_in(state: State, order: PlannedOrder, run: Run, panel_order: str, now: datetime) -> None:
    """Follow a run under the panel's order id from now on."""
    run.state, run.why, run.flight, run.form, run.doubt = RunState.PENDING, "", "", None, False
    run.panel_order, run.placed_at, run.followed_at = panel_order, now, now
    state.open += 1
    state.by_panel_order[panel_order] = run.key
    state.to_follow.append(panel_order)
    books.look_at(state, run, now)
    progress = state.progress[order.id]
    if progress.placed_at is None:
        progress.placed_at = now
        books.reach(state, order.id, When.PLACED, now)
    books.placed_or_over(state, order, run)


def on_rejected(state: State, order: PlannedOrder, run: Run, event: Rejected, now: datetime) -> bool:
    """End the run with the panel's words; tell whether it did."""
    if run.state is not RunState.PLACING:
        return False
    _went_on(state, run)
    _end_submission(state, order, run, now)
    run.state, run.why, run.settled_at, run.due = RunState.FAILED, event.words, now, None
    _give_up_probe(state, run, now)
    books.placed_or_over(state, order, run)
    if not shortfall.reorder(state, order, run, now):
        books.count_settled(state, order, run, now)
    books.wake_budget(state, now)
    return True


def on_blocked(state: State, order: PlannedOrder, run: Run, event: Blocked, now: datetime) -> None:
    """Hold every run; one at a time probes until the account can order again."""
    if run.state is not RunState.PLACING:
        return
    next_probe = event.again_at or now + state.plan.account.probe_every
    if event.cause in _OWN_WORD:
        if state.released_at is not None and now - state.released_at < JUST_RELEASED:
            next_probe = min(next_probe, now + RELEASED_AGAIN)
        # Our own word, before anything was sent: still the same submission, and what is in doubt stays so.
        if run.doubt:
            run.flight, run.why = "", event.words
            # It may be at the panel already: it is asked for again before the panel forgets it, whatever the day.
            books.look_at(state, run, min(next_probe, now + state.plan.account.probe_every))
            return
        _end_submission(state, order, run, now)
    else:
        _end_submission(state, order, run, now)
        run.submission += 1
    if state.canceling or run.cancel_ordered:
        _give_up_probe(state, run, max(next_probe, now))
        books.skip(state, order, run, now, "canceled before it was placed")
        books.wake_budget(state, now)
        return
    if state.block is None:
        state.block = Block(cause=event.cause, words=event.words, since=now, next_probe=next_probe)
        _tell_block(state, event.words, now)
    elif state.block.probe in (None, run.key):
        state.block.cause, state.block.words, state.block.probe = event.cause, event.words, None
        state.block.next_probe = next_probe
    run.state, run.why, run.due = RunState.HELD, event.words, None
    state.block_queue.append(run.key)
    _arrange_probe(state, now)
    books.wake_budget(state, now)


def _tell_block(state: State, words: str, now: datetime) -> None:
    """Tell of a block once: a release that did not end it, or an answer that was older, is no news."""
    if state.block_told != words or not state.tells_block_once:
        state.block_told = words
        notices.notice(state, NoticeKind.HELD, f"orders are held: {words}", now)


def _went_on(state: State, run: Run, *, proof: bool = False) -> None:
    """The panel answered to a new order while nothing blocked it: what blocks the account next is news again."""
    if proof or (state.block is None and not run.doubt):
        state.block_told = ""


def on_link_busy(state: State, order: PlannedOrder, run: Run, event: LinkBusy, now: datetime) -> None:
    """Try the link again later, under a new submission; a busy link is not a failure."""
    if run.state is not RunState.PLACING:
        return
    again = now if event.superseded else now + state.plan.account.probe_every * min(run.tries, 6)
    if run.doubt and not event.superseded:
        # The live order on the link may be the very one whose answer was lost: only its own id can tell.
        run.flight, run.why = "", event.words
        books.look_at(state, run, again)
        return
    _went_on(state, run)
    _end_submission(state, order, run, now)
    run.submission += 1
    _give_up_probe(state, run, now)
    run.state, run.why = RunState.HELD, event.words
    books.look_at(state, run, again)
    books.wake_budget(state, now)


def on_not_taken(state: State, order: PlannedOrder, run: Run, event: NotTaken, now: datetime) -> None:
    """Send later what certainly did not arrive: still the same submission, so still the same id."""
    if run.state is not RunState.PLACING:
        return
    run.flight, run.why = "", event.words
    again = event.again_at or now + backoff(run.tries)
    if not run.doubt:
        # Nothing of it can be at the panel: it may wait for its window, a pause or a cancellation like any other.
        _end_submission(state, order, run, now)
        run.state = RunState.HELD
        _give_up_probe(state, run, again)
        books.wake_budget(state, now)
    books.look_at(state, run, max(again, now))


def on_unanswered(state: State, order: PlannedOrder, run: Run, event: Unanswered, now: datetime) -> None:
    """Repeat the same request after a while; on a panel without keys, leave it to a person."""
    if run.state is not RunState.PLACING:
        return
    run.flight, run.why, run.doubt, run.lost_at = "", event.words, True, now
    if not state.plan.account.idempotent:
        become_unknown(state, order, run, now, f"{event.words}; this panel has no request ids, so it is not repeated")
        return
    books.look_at(state, run, now + backoff(run.tries))


def on_expired(state: State, order: PlannedOrder, run: Run, event: Expired, now: datetime) -> None:
    """Leave to a person what was too old to repeat."""
    if run.state is RunState.PLACING:
        become_unknown(state, order, run, now, event.words)


def _arrange_probe(state: State, now: datetime) -> None:
    if state.block is not None and state.block.probe is None and state.block_queue:
        books.put_on_agenda(state, max(state.block.next_probe, now), books.PROBE)


def _give_up_probe(state: State, run: Run, now: datetime) -> None:
    if state.block is not None and state.block.probe == run.key:
        state.block.probe = None
        state.block.next_probe = now
        _arrange_probe(state, now)


def probe(state: State, now: datetime) -> Place | None:
    """Let one held run find out whether the account can order again."""
    block = state.block
    if block is None or block.probe is not None or now < block.next_probe:
        return None
    while state.block_queue:
        run = state.runs[state.block_queue.popleft()]
        if run.state in UNPLACED:
            block.probe = run.key
            return try_to_place(state, state.order_of(run), run, now)
    return None


def on_released(state: State, now: datetime) -> None:
    """The account's operator lets orders go on; an answer that is on its way may still be of before."""
    state.released_at = now
    for run in state.runs.values():
        if run.state is RunState.PLACING and run.doubt and run.flight == "":
            books.look_sooner(state, run, now)
    if state.block is not None and state.block.cause in _OWN_WORD and state.block.probe is None:
        _unblock(state, now)


def _unblock(state: State, now: datetime) -> None:
    """The account orders again: everybody who was held looks anew."""
    if state.block is None:
        return
    state.block = None
    while state.block_queue:
        run = state.runs[state.block_queue.popleft()]
        if run.state in UNPLACED:
            books.look_at(state, run, now)
