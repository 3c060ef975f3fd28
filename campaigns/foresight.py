"""What an operator should know before starting, read off the end of a rehearsal: what waits, starves or never ends."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from campaigns.calendar import local, slots
from campaigns.definition import CancelPolicy
from campaigns.outlook import Fate
from campaigns.quantities import format_duration
from campaigns.quantities import money_text as money
from campaigns.report import name_of
from campaigns.state import RunState, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from decimal import Decimal

    from campaigns.outlook import ImaginedOrder
    from campaigns.plan import Plan, PlannedOrder
    from campaigns.state import Run

_BY_ITSELF = {Fate.COMPLETES: "completed {}", Fate.PARTIAL: "ended {} partial", Fate.FAILS: "failed {}"}
_OPEN = (RunState.PENDING, RunState.IN_PROGRESS)
_NAMED = 3
"""Order runs that a warning names; the others are counted."""
_MUCH = 2
"""A drip that takes this many times as long as written is worth a word."""
_LATE = 1.1
"""And so is one that takes so much longer because its runs wait for one another."""


def warnings_of(
    state: State, plan: Plan, committed: Iterable[tuple[datetime, Decimal]], balance: Decimal | None
) -> Iterator[str]:
    """Give every warning, the gravest first.

    Args:
        state: the engine's, when nothing more happens.
        plan: the plan as it was rehearsed.
        committed: when how much money was spent and set aside.
        balance: what the account holds, if known.

    """
    yield from _ended_itself(state, plan)
    yield from _over_budget(state)
    yield from _never_ends(state, plan)
    yield from _held_for_good(state)
    yield from _left_out(state)
    yield from _beyond_balance(plan, committed, balance)
    yield from _drips(state, plan)


def asked_back_early(state: State, back: Iterable[tuple[Run, ImaginedOrder, bool]]) -> Iterator[str]:
    """Say which orders a cancel policy took from a panel that would have ended them by itself, and why.

    Args:
        state: the engine's, when nothing more happens.
        back: every order run that a policy asked back, its order at the panel, and whether it had started by then.

    """
    early: defaultdict[tuple[str, Fate, bool], list[tuple[Run, ImaginedOrder]]] = defaultdict(list)
    for run, taken, started in back:
        if run.state is RunState.CANCELED and taken.fate in _BY_ITSELF:
            early[run.order, taken.fate, started].append((run, taken))
    for (order_id, fate, started), found in early.items():
        policy = state.order(order_id).cancel or CancelPolicy()
        them = "it" if len(found) == 1 else "them"
        word, key, limit = (
            ("stalled", "stalled_for", policy.stalled_for)
            if started
            else ("not started", "not_started_in", policy.not_started_in)
        )
        slowness = _slowness(found[0][1], limit, started=started)
        advice = ". Allow more, or say with --takes how long an order takes" if fate is Fate.COMPLETES else ""
        yield (
            f"{_names(state, [run for run, _ in found])}: asked back as {word}, though the panel would have "
            f"{_BY_ITSELF[fate].format(them)}: {slowness}, as rehearsed, and {key} is "
            f"{format_duration(limit or timedelta(0))}{advice}"
        )


def _slowness(taken: ImaginedOrder, limit: timedelta | None, *, started: bool) -> str:
    """Say what a policy took for more than slowness."""
    if not started:
        return f"an order starts after {_fine(taken.starts_at - taken.placed_at)}"
    if taken.fate is Fate.FAILS:
        return f"nothing is delivered in {_fine(taken.ends_at - taken.starts_at)}"
    if taken.fate is Fate.COMPLETES or (limit is not None and taken.pace > limit):
        return f"a unit comes every {_fine(taken.pace)}"
    return f"nothing is delivered in the last {_fine(taken.ends_at - taken.stops_at)}"


def _fine(span: timedelta) -> str:
    """Give a short span to the second, a long one to the minute."""
    unit = timedelta(seconds=1) if span < timedelta(minutes=10) else timedelta(minutes=1)
    return format_duration(max(round(span / unit), 1) * unit)


def _ended_itself(state: State, plan: Plan) -> Iterator[str]:
    unplaced = _unplaced(state)
    if state.aborted:
        yield f"the campaign aborts: {state.aborted}; {_runs(unplaced)} not placed"
    elif state.paused:
        pause = next(decision for decision in reversed(state.decisions) if decision.what == "pause")
        yield (
            f"the campaign pauses itself on {local(pause.at, plan.timezone)}: {pause.why}; until somebody resumes it, "
            f"{_runs(unplaced)} not placed"
        )


def _over_budget(state: State) -> Iterator[str]:
    held = [state.runs[key] for key in state.budget_queue]
    if held:
        yield (
            f"the budget of {state.budget} holds {_names(state, held)} back: {money(state.spent + state.reserved)} are "
            f"spent or set aside by then, and {_runs(_unplaced(state))} not placed"
        )


def _never_ends(state: State, plan: Plan) -> Iterator[str]:
    stuck = [run for run in state.runs.values() if run.state in _OPEN]
    for order_id, runs in groupby(stuck, key=lambda run: run.order):
        order, found = state.order(order_id), list(runs)
        word = "never ends" if len(found) == 1 else "never end"
        yield f"{_names(state, found)} {word}: {_why_not_canceled(state, order, found[0])}"
    queued: defaultdict[str, list[Run]] = defaultdict(list)
    for key, waiting in state.lock_queues.items():
        holder = next(iter(state.locks.get(key, ())), None)
        if holder is not None:
            queued[holder].extend(state.runs[waiter] for waiter in waiting)
    for holder, runs_waiting in queued.items():
        behind = sum(1 if run.replacement else state.order_of(run).runs - run.run + 1 for run in runs_waiting)
        name = name_of(state, state.runs[holder])
        yield f"{_runs(behind)} never placed, because {name} stays open: one live order per link and service"
    waits = [order for order in plan.orders if order.after and state.progress[order.id].began is None]
    for order in waits:
        if order.after is not None and not state.progress[order.id].left_out and not state.canceling:
            yield f"{order.id} waits for {order.after.order} to be {order.after.when}, which does not come"


def _held_for_good(state: State) -> Iterator[str]:
    """Say what is looked at again and again, and never placed."""
    for run in state.runs.values():
        if run.state is RunState.HELD and (run.due is not None or run.key in state.beyond_day):
            yield f"{name_of(state, run)} is never placed: {run.why}"


def _why_not_canceled(state: State, order: PlannedOrder, run: Run) -> str:
    policy = order.cancel
    offer = state.offer_of(run)
    if not offer.can_cancel:
        return f"service {offer.service} has no cancel, so only the panel's support can end such an order"
    started = run.progress_at is not None or run.state is RunState.IN_PROGRESS
    if run.cancel_tries:
        return "the panel refuses to cancel"
    wanted = "stalled_for" if started else "not_started_in"
    if policy is None or getattr(policy, wanted) is None:
        return f"cancel: {{{wanted}: 24h}} would ask it back"
    return "the panel does not answer the cancel"


def _left_out(state: State) -> Iterator[str]:
    skipped: defaultdict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in state.runs.values():
        if run.state is RunState.SKIPPED and not state.canceling:
            skipped[run.order, run.why].append(run)
    for (order_id, why), runs in skipped.items():
        count = f"{len(runs):,} of {state.order(order_id).runs:,} runs" if len(runs) > 1 else "one run"
        yield f"{order_id}: {count} left out ({why})"


def _beyond_balance(
    plan: Plan, committed: Iterable[tuple[datetime, Decimal]], balance: Decimal | None
) -> Iterator[str]:
    if balance is None:
        return
    for when, amount in committed:
        if amount > balance:
            yield (
                f"the balance of {money(balance)} {plan.account.currency} lasts until "
                f"{local(when, plan.timezone)}; from then on orders wait for a top-up"
            )
            return


def _drips(state: State, plan: Plan) -> Iterator[str]:
    """Say which drips do not keep their rhythm: starved by their window, or by the run before."""
    for order in plan.orders:
        runs = list(_of(state, order))
        if order.every is None or not runs:
            continue
        written = order.every * (order.runs - 1)
        *_, last = slots(runs[0].slot, order.runs, order.every, order.window, plan.timezone)
        in_window = last - runs[0].slot
        if order.window is not None and in_window >= _MUCH * written and in_window - written > timedelta(days=1):
            yield (
                f"{order.id}: {order.runs:,} runs every {format_duration(order.every)} are {format_duration(written)}, "
                f"but inside its window they take {_roughly(in_window)}"
            )
        placed = [run.placed_at for run in runs if run.placed_at is not None]
        if len(placed) != order.runs or order.concurrent:
            continue
        really = placed[-1] - placed[0]
        if really > max(in_window + order.every, in_window * _LATE):
            yield (
                f"{order.id}: one run waits for the one before it, so the {order.runs:,} runs take "
                f"{_roughly(really)} instead of {_roughly(in_window)}, to {local(placed[-1], plan.timezone)}; "
                "concurrent: true keeps the rhythm, if the panel allows it"
            )


def _of(state: State, order: PlannedOrder) -> Iterator[Run]:
    for number in range(1, order.runs + 1):
        run = state.runs.get(f"{order.id}/{number}")
        if run is not None:
            yield run


def _unplaced(state: State) -> int:
    return state.plan.runs - sum(1 for run in state.runs.values() if run.placed_at is not None and not run.replacement)


def _names(state: State, runs: list[Run]) -> str:
    names = [name_of(state, run) for run in runs[:_NAMED]]
    more = len(runs) - len(names)
    if more:
        return f"{', '.join(names)} and {more:,} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _runs(count: int) -> str:
    return "one order run is" if count == 1 else f"{count:,} order runs are"


def _roughly(span: timedelta) -> str:
    """Give a span in its two largest units: 5d14h."""
    minutes = round(span / timedelta(minutes=1))
    if minutes >= 2 * 24 * 60:
        return format_duration(timedelta(hours=round(span / timedelta(hours=1))))
    return format_duration(timedelta(minutes=minutes))
