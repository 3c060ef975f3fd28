"""The activity ``place_order`` in virtual time: the same questions in the same order, the same pure functions.

What ``activities/orders.py`` asks of Temporal's histories, of the account's workflow and of the panel is asked here of
models of them; what the answers mean is decided by the very code of :mod:`campaigns.remembering`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from campaigns.guards import local_day
from campaigns.messages import Blocked, Expired, LinkBusy, NotTaken, Placed, Unanswered
from campaigns.remembering import Sendings, answered, body_of

if TYPE_CHECKING:
    from campaigns.messages import Event, Place, PlaceEvent
    from tests.unit.simulation import Simulation

FORGOTTEN_AFTER = timedelta(days=3)
"""How long a namespace keeps the histories of closed runs, where that matters."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """A run that a reset replaced: what it sent, and when its history is gone."""

    sendings: Sendings
    gone_at: datetime | None

    def is_gone(self, now: datetime) -> bool:
        """Tell whether its history can be read no more."""
        return self.gone_at is not None and now >= self.gone_at


@dataclass(slots=True)
class WorkflowRun:
    """One run of the chain: the runs that resets replaced before it, and what it sends itself."""

    before: tuple[Replaced, ...] = ()
    own: Sendings = field(default_factory=Sendings)
    asked: bool = False
    """Whether the campaign came to its end here, and asked the histories."""
    recalled: set[str] = field(default_factory=set)
    """The order runs that it took in from them."""

    def replaced(self, gone_at: datetime | None) -> WorkflowRun:
        """Give the run that a reset of this one makes."""
        return WorkflowRun((*self.before, Replaced(self.own, gone_at)))

    def recall(self, now: datetime) -> Sendings | None:
        """Read the histories of the runs that were replaced; None where no reset came before."""
        if not self.before:
            return None
        chain = Sendings()
        for run in self.before:
            if run.is_gone(now):
                chain.complete = False
            else:
                chain.merge(run.sendings)
        return chain

    def is_forgotten(self, request_id: str, now: datetime) -> bool:
        """Tell whether only runs whose histories are gone have sent an id."""
        sent = [run for run in self.before if request_id in run.sendings.sent]
        return bool(sent) and all(run.is_gone(now) for run in sent)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a placement, by a worker, for a run of the workflow."""

    command: Place
    number: int
    run: WorkflowRun


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back for a command: ``of`` names which (key, kind), ``sent`` its request id."""

    event: Event
    of: tuple[str, str]
    sent: str = ""


@dataclass(slots=True)
class Gate:
    """The account's own word: whether it is halted, and what is left of its limit of the day."""

    halted: bool = False
    limit: Decimal | None = None
    day: str = ""
    taken: dict[str, Decimal] = field(default_factory=dict)

    def ask(self, command: Place, cost: Decimal, now: datetime) -> Blocked | None:
        """Give what stands against a placement; with a limit, its cost is set aside by that."""
        if self.halted:
            return Blocked(key=command.key, cause="halt", words="account main was halted")
        if self.limit is None:
            return None
        today, midnight = local_day(now, "Europe/Berlin")
        if today != self.day:
            self.day, self.taken = today, {}
        others = sum((each for sent, each in self.taken.items() if sent != command.form.request_id), Decimal(0))
        if others + cost > self.limit:
            return Blocked(key=command.key, cause="daily_limit", words="the day's limit is used up", again_at=midnight)
        self.taken[command.form.request_id] = cost
        return None


def attempt(sim: Simulation, tried: Attempt) -> PlaceEvent | None:
    """Carry out one attempt; None where the activity raises, so that Temporal sends the very same again."""
    command, account, now = tried.command, sim.plan.account, sim.now
    key, request_id = command.key, command.form.request_id
    last = command.repeat_until if tried.number > 1 or not command.first else None
    chain = tried.run.recall(now)
    if chain is not None:
        sent = chain.find(request_id, key)
        settled = answered(key, sent, now, complete=chain.complete, idempotent=account.idempotent)
        if settled is not None:
            sim.tally["recalled answers"] += 1
            return settled
        earliest = sent.at if sent is not None else None if chain.complete else command.due
        if earliest is not None:
            last = min(last or command.repeat_until, earliest + account.retry_window)
        command = command.model_copy(update={"form": body_of(command.form, sent)})
    unheard_of = tried.number > 1 or (command.first and last is not None)
    if last is not None and now > last:
        return Expired(key=key, words="it may have been sent too long ago")
    if sim.rng.random() < sim.panel.faults.no_word:
        return None if unheard_of else NotTaken(key=key, words="the account does not say whether it is halted")
    blocked = sim.gate.ask(command, sim.terms[request_id].cost, now)
    if blocked is not None:
        sim.tally[f"held by {blocked.cause.replace('_', ' ')}"] += 1
        return None if unheard_of else blocked
    event = _add(sim, command, may_be_there=last is not None, unheard_of=unheard_of)
    if event is not None and not isinstance(event, Placed | Unanswered):
        sim.gate.taken.pop(request_id, None)
    if isinstance(event, Placed):
        return event.model_copy(update={"units": command.form.quantity * (command.form.runs or 1)})
    return event


def _add(sim: Simulation, command: Place, *, may_be_there: bool, unheard_of: bool) -> PlaceEvent | None:
    rng, faults, now, key = sim.rng, sim.panel.faults, sim.now, command.key
    idempotent = sim.plan.account.idempotent
    storm = faults.storm_until(now)
    if storm is not None or rng.random() < faults.not_taken:
        sim.tally["429 in a storm" if storm else "not taken"] += 1
        if unheard_of and idempotent:
            return None
        again = storm or (now + rng.random() * timedelta(hours=1) if rng.random() < 0.5 else None)
        return NotTaken(key=key, words="Rate limit exceeded", again_at=again)
    event: PlaceEvent | None = None
    if rng.random() >= faults.lost_before and not sim.panel.conflicts(command.form):
        terms = sim.terms[command.form.request_id]
        event = sim.panel.add(key, command.form, terms.rate, terms.units, now)
        if command.form.service in sim.panel.gone and not isinstance(event, Placed):
            sim.tally["deactivated at add"] += 1
        if rng.random() < faults.lost_after:
            if isinstance(event, Placed) and rng.random() < faults.suspends:
                faults.suspended = (now, now + rng.random() * timedelta(hours=2))
            event = None
    if event is None:
        sim.tally["lost answers"] += 1
        return None if idempotent else Unanswered(key=key, words="the answer was lost")
    if isinstance(event, LinkBusy) and unheard_of:
        return None
    if isinstance(event, Blocked) and event.cause == "account" and may_be_there:
        sim.tally["refused at the door, in doubt"] += 1
        return None
    return event
