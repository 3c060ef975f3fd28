"""A rehearsal: the real engine, run against an imagined panel in virtual time.

:func:`rehearse` calls :func:`~campaigns.engine.begin`, :func:`~campaigns.engine.decide` and
:func:`~campaigns.engine.apply` as the workflow does, and answers every command at once. The same plan, start, outlook
and seed give the same rehearsal. Time is passed over where nothing happens, so a month takes a moment.

What it assumes: the panel answers at once and takes every order; an order is delivered evenly, in ``outlook.takes``,
and where a cancel policy has less patience than that, it is told; a completed order loses nothing later, so a refill is
only asked with success where something was never delivered; what is reordered completes; rates stay; whoever must
approve does so at once, and nobody else steps in. Statuses are read in rounds of ``poll_every``, as the account's
workflow reads them.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from campaigns.calendar import local
from campaigns.engine import apply, begin, decide, finished, status_of
from campaigns.forecast import calendar_of
from campaigns.foresight import asked_back_early, warnings_of
from campaigns.messages import (
    Approved,
    BalanceRead,
    Cancel,
    Command,
    Follow,
    News,
    Place,
    RatesRead,
    ReadBalance,
    ReadRates,
    Refill,
    Tell,
)
from campaigns.outlook import ImaginedPanel, Outlook
from campaigns.quantities import MAX_DURATION
from campaigns.quantities import money_text as money
from campaigns.rehearsed import Ending, Happening, Rehearsal, Spend
from campaigns.report import name_of, title
from campaigns.state import SETTLED, Run, RunState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaigns.outlook import ImaginedOrder
    from campaigns.plan import Plan
    from campaigns.recurrence import Slot
    from campaigns.state import State

__all__ = ["Ending", "Happening", "Rehearsal", "Spend", "rehearse"]

_NEVER = 2 * MAX_DURATION
"""Longer than any wait a file can ask for. Only the engine's safety net against a watch gone silent waits as long, and
the imagined watch never goes silent."""


def rehearse(
    plan: Plan,
    start: datetime,
    outlook: Outlook | None = None,
    *,
    seed: int = 0,
    balance: Decimal | None = None,
    slot: Slot | None = None,
) -> Rehearsal:
    """Play a campaign to the point after which nothing more happens.

    Args:
        plan: as :func:`campaigns.planning.make_plan` gives it.
        start: when the campaign starts, aware.
        outlook: how the panel behaves; all goes well when absent.
        seed: chooses which order runs go wrong.
        balance: what the account holds; a warning says when the spending would pass it.
        slot: the slot of its schedule that starts it, to be named in what is told.

    Raises:
        ValueError: ``start`` has no time zone.

    """
    if start.tzinfo is None:
        raise ValueError(f"{start.isoformat()} has no time zone")
    rehearsal = _Stage(plan, start.astimezone(UTC), outlook or Outlook(), seed, balance).play()
    return rehearsal if slot is None else replace(rehearsal, slot=slot)


_CLOSED = timedelta(days=62)
"""Longer than any window stays closed."""


class _Stage:
    """The shell of a rehearsal: what the workflow, the worker and the panel are in earnest."""

    def __init__(self, plan: Plan, start: datetime, outlook: Outlook, seed: int, balance: Decimal | None) -> None:
        watched = plan.account.model_copy(update={"poll_every": _NEVER})
        self.plan, self.outlook, self.seed, self.start, self.now = plan, outlook, seed, start, start
        root = uuid.uuid5(uuid.NAMESPACE_OID, f"rehearsal {start.isoformat()} {seed}")
        self.state = begin(plan.model_copy(update={"account": watched}), str(root), start)
        self.panel = ImaginedPanel(plan, outlook, seed)
        offers = [order.offer(position) for order in plan.orders for position in range(len(order.fallback) + 1)]
        self._rates = {offer.service: offer.rate for offer in offers}
        self.happenings: list[Happening] = []
        self.spending = [Spend(at=start, spent=Decimal(0), reserved=Decimal(0))]
        self.steps = 0
        self._moved_at = start
        self._patience = _longest_wait(plan)
        self.balance = balance
        self._held: set[str] = set()
        self._put_off: set[str] = set()
        self._look_again: datetime | None = None
        self._asked_back: list[tuple[Run, ImaginedOrder, bool]] = []

    def play(self) -> Rehearsal:
        """Play to the end and say what happened."""
        approved = self.state.awaiting_approval
        if approved:
            apply(self.state, Approved(by="the rehearsal"), self.now)
        self._decide()
        while not finished(self.state) and (moment := self._next()) is not None:
            self.now = moment
            if self.panel.next_round() == moment:
                self._news()
                self._moved_at = moment
            elif moment - self._moved_at > self._patience:
                break
            self._decide()
        self._say_what_nobody_sent()
        endings = list(self._endings())
        ends_at = max([self.start, *(happening.at for happening in self.happenings)])
        return Rehearsal(
            plan=self.plan,
            outlook=self.outlook,
            seed=self.seed,
            start=self.start,
            state=status_of(self.state),
            finished=finished(self.state),
            ends_at=ends_at,
            happenings=self.happenings,
            spending=self.spending,
            endings=endings,
            warnings=self._warnings(approved=approved),
            steps=self.steps,
        )

    def _warnings(self, *, approved: bool) -> list[str]:
        committed = [(point.at, point.spent + point.reserved) for point in self.spending]
        found = [
            *asked_back_early(self.state, self._asked_back),
            *warnings_of(self.state, self.plan, committed, self.balance),
        ]
        if approved:
            limit, cost = self.plan.approval_over, money(self.plan.cost)
            found.insert(
                0, f"the planned {cost} is above {limit}: it all waits for `approve`, which is assumed here at once"
            )
        if self._put_off:
            what = "one order run" if len(self._put_off) == 1 else f"{len(self._put_off):,} order runs"
            found.append(f"the day's limit of {self.plan.per_day} puts {what} off to a later day")
        return found

    def _next(self) -> datetime | None:
        """Give the next moment at which anything happens; None when nothing ever will."""
        news, look = self.panel.next_round(), self._look_again
        if look is not None and look - self.now > _NEVER:
            look = None
        return min((moment for moment in (news, look) if moment is not None), default=None)

    def _decide(self) -> None:
        while True:
            self.steps += 1
            decided = len(self.state.runs)
            decision = decide(self.state, self.now)
            for command in decision.commands:
                self._carry_out(command)
                if isinstance(command, Place | Cancel | Refill):
                    self._moved_at = self.now
            if len(self.state.runs) > decided:
                self._moved_at = self.now
            self._note_held()
            self._note_money()
            if not decision.commands:
                self._look_again = decision.look_again
                return

    def _carry_out(self, command: Command) -> None:
        state, now = self.state, self.now
        match command:
            case Place():
                run = state.runs[command.key]
                order = state.order_of(run)
                apply(state, self.panel.add(run.key, command.form, order, state.offer_of(run), now), now)
                self._note(run, "placed", run.units, run.cost)
            case Cancel():
                for key, panel_order in command.orders.items():
                    run, taken = state.runs[key], self.panel.orders[panel_order]
                    if not state.canceling:
                        self._asked_back.append((run, taken, now >= taken.starts_at))
                    answer = self.panel.cancel(state.offer_of(run), key, panel_order, now)
                    apply(state, answer, now)
                    what = "asked to cancel" if answer.answer == "asked" else "cancel refused"
                    self._note(run, what, run.delivered, why=answer.words)
            case Refill():
                for key, panel_order in command.orders.items():
                    run = state.runs[key]
                    refilled = self.panel.refill(key, panel_order, now)
                    apply(state, refilled, now)
                    if refilled.answer == "accepted":
                        self._note(run, "refilling", run.delivered)
            case Follow():
                self.panel.follow(command, now)
            case ReadRates():
                rates = {service: self._rates[service] for service in command.services}
                apply(state, RatesRead(asked=command.services, rates=rates), now)
            case ReadBalance():
                held = self.plan.cost if self.balance is None else self.balance
                apply(state, BalanceRead(balance=held - state.spent - state.reserved), now)
            case Tell():
                pass

    def _news(self) -> None:
        readings = self.panel.read(self.now)
        runs = [self.state.runs[self.state.by_panel_order[reading.panel_order]] for reading in readings]
        before, decided = [run.state for run in runs], len(self.state.decisions)
        apply(self.state, News(readings=readings), self.now)
        for run, old in zip(runs, before, strict=True):
            if run.state is not old:
                self._note_change(run, old)
        for decision in self.state.decisions[decided:]:
            self._add(Happening(at=self.now, local="", what=decision.what, why=decision.why))

    def _note_change(self, run: Run, before: RunState) -> None:
        if run.state in SETTLED:
            what = "refilled" if run.refills and run.state is RunState.COMPLETED else run.state.value
            self._note(run, what, run.delivered, run.charge, why=run.why)
        elif before is RunState.PENDING:
            self._note(run, "started", run.delivered)

    def _note_held(self) -> None:
        state = self.state
        held = [*state.budget_queue, *state.beyond_day]
        if self.plan.per_day is not None:
            # Held for the day: it has an appointment, unlike one that waits for a link.
            waiting = (state.runs[key] for progress in state.progress.values() if (key := progress.unplaced))
            put_off = [run.key for run in waiting if run.state is RunState.HELD and run.due is not None]
            self._put_off.update(put_off)
            held += put_off
        for key in held:
            if key not in self._held:
                self._held.add(key)
                run = state.runs[key]
                self._note(run, "held", run.units, run.cost, why=run.why)

    def _note_money(self) -> None:
        last, state = self.spending[-1], self.state
        if (last.spent, last.reserved) == (state.spent, state.reserved):
            return
        if last.at == self.now:
            self.spending.pop()
        self.spending.append(Spend(at=self.now, spent=state.spent, reserved=state.reserved))

    def _say_what_nobody_sent(self) -> None:
        """Add the runs that were skipped, and put everything in order of time."""
        for run in self.state.runs.values():
            if run.state is RunState.SKIPPED and run.settled_at is not None:
                skipped = self._happening(run, "skipped", run.units, None, run.why)
                self._add(skipped.model_copy(update={"at": run.settled_at}))
        self.happenings.sort(key=lambda happening: happening.at)

    def _note(self, run: Run, what: str, units: int, amount: Decimal | None = None, *, why: str = "") -> None:
        self._add(self._happening(run, what, units, amount, why))

    def _happening(self, run: Run, what: str, units: int, amount: Decimal | None, why: str) -> Happening:
        return Happening(
            at=self.now,
            local="",
            what=what,
            order=run.order,
            run=run.run,
            name=name_of(self.state, run),
            units=units,
            amount=amount,
            why=why,
        )

    def _add(self, happening: Happening) -> None:
        shown = local(happening.at, self.plan.timezone)
        self.happenings.append(happening.model_copy(update={"local": shown}))

    def _endings(self) -> Iterator[Ending]:
        state, never = self.state, any(self.state.progress[o.id].next_run <= o.runs for o in self.plan.orders)
        slots = _slots(self.plan, self.start) if never else {}
        for order in self.plan.orders:
            for number in range(1, order.runs + 1):
                key, replaces = f"{order.id}/{number}", ""
                run = state.runs.get(key)
                if run is None:
                    yield Ending(
                        key=key,
                        order=order.id,
                        run=number,
                        name=title(order, number),
                        state=RunState.PLANNED,
                        slot=slots.get(key),
                        units=order.units_of(number),
                        cost=order.cost_of(number),
                        service=order.service,
                        why="never came up",
                    )
                while run is not None:
                    ending = _ending_of(state, run, replaces)
                    yield ending
                    replaces, run = ending.name, state.runs.get(run.replaced_by or "")


def _longest_wait(plan: Plan) -> timedelta:
    """Give a time after which nothing more comes of a campaign in which nothing moved."""
    waits = [timedelta(0)]
    for order in plan.orders:
        after, cancel, refill = order.after, order.cancel, order.refill
        own = [order.every, after and after.delay, refill and refill.every, refill and refill.within]
        own += [cancel.not_started_in, cancel.stalled_for] if cancel else []
        waits += [wait for wait in own if wait]
    return max(waits) + _CLOSED


def _slots(plan: Plan, start: datetime) -> dict[str, datetime]:
    return {f"{run.order}/{run.run}": run.at for run in calendar_of(plan, start)}


def _ending_of(state: State, run: Run, replaces: str) -> Ending:
    return Ending(
        key=run.key,
        order=run.order,
        run=run.run,
        name=name_of(state, run),
        state=run.state,
        slot=run.slot,
        placed_at=run.placed_at,
        settled_at=run.settled_at,
        units=run.units,
        delivered=run.delivered,
        cost=run.cost,
        charge=run.charge,
        refills=run.refills,
        service=state.offer_of(run).service,
        replaces=replaces,
        replaced=run.replaced_by is not None,
        # What an imagined panel says to a needless refill is no news.
        why="" if run.state is RunState.COMPLETED else run.why,
    )
