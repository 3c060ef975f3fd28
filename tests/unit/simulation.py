"""Whole campaigns in virtual time: the engine against the model panel, and everything that goes wrong between them.

One seed draws it all: how each order fares, which answers are lost, how late and how wrong the news is, when a person
steps in, when the worker dies, when somebody resets the workflow. The same seed plays the same history.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from campaigns.engine import apply, begin, decide, finished, recover
from campaigns.messages import (
    Cancel,
    Follow,
    News,
    Place,
    Placed,
    ReadBalance,
    ReadRates,
    Recalled,
    Refill,
    RetryRequested,
    Tell,
    Unanswered,
)
from campaigns.state import LIVE, SETTLED, Run, State
from tests.unit import asking, people, weather
from tests.unit.asking import BALANCE, RATES
from tests.unit.model_panel import DAY, KEY_ROOT, START, ModelPanel
from tests.unit.placement import FORGOTTEN_AFTER, Answer, Attempt, Gate, WorkflowRun, attempt

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from campaigns.messages import Command, Event
    from campaigns.plan import Plan

What = Literal["request", "answer", "news", "watch", "person"]


class StuckError(AssertionError):
    """Nothing more would ever happen, and the campaign is not at its end."""


@dataclass(order=True, slots=True)
class _Item:
    at: datetime
    turn: int
    what: What = field(compare=False)
    load: object = field(compare=False)
    epoch: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a request id was handed out for: at the planned rate, so many units, at the expected cost."""

    rate: Decimal
    units: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """A point of the history that a reset may go back to."""

    packed: dict[str, object]
    flights: dict[tuple[str, str], Command]
    wishes: tuple[Event, ...]
    """What people had said until then."""
    asked: bool
    recalled: frozenset[str]
    """Whether the campaign had asked the histories by then, and what it had taken in from them."""


class Simulation:
    """One history: the engine, the panel, the watch, the people, and everything that goes wrong between them."""

    def __init__(self, plan: Plan, seed: int, check: Callable[[Simulation], None] | None = None) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.check = check
        self.plan = plan
        self.now = START
        self.state = begin(plan, KEY_ROOT, START)
        self.services = sorted({o.offer(i).service for o in plan.orders for i in range(len(o.fallback) + 1)})
        self.panel = ModelPanel(
            self.rng, idempotent=plan.account.idempotent, remembers_refusals=self.rng.random() < 0.5
        )
        self.gate = Gate()
        self._log: list[tuple[datetime, object]] = []
        self._happened = False
        self.tally: Counter[str] = Counter()
        """What was drawn and came to pass, for the reader."""
        self.flights: dict[tuple[str, str], Command] = {}
        """What the current timeline will still be answered: (key, place or cancel or refill), and the command."""
        self.run_of_workflow = WorkflowRun()
        self.refused: set[str] = set()
        """The request ids that were definitely refused, in any timeline."""
        self.travelling: Counter[str] = Counter()
        """Requests on their way to the panel, by key: a person waits for them before judging."""
        self.resolved: Counter[str] = Counter()
        """How often a person did not find a run at the panel."""
        self.handed_out: list[Place] = []
        """Placements handed out since the last check."""
        self.reopened: set[str] = set()
        """Runs that were at their end, and that a person or the histories opened again, since the last check."""
        self.resets = 0
        self.resets_ahead = 0
        self.crashes = False
        """Whether the worker dies now and then with a placement in its hands."""
        self.interruptions = 0
        """How often a person still wants something of an order just while it is on its way."""
        self.tries = 1
        """How often the activity is tried before the engine hears that there was no answer."""
        self.calm = False
        self.steps = 0
        self.keys: dict[str, str] = {}
        """Whose request id it is."""
        self.terms: dict[str, Terms] = {}
        self.wishes: list[Event] = []
        """What people said, in the current timeline."""
        self._queue: list[_Item] = []
        self._turn = 0
        self._epoch = 0
        self._look_again: datetime | None = None
        self._snapshots: list[_Snapshot] = []
        self._watch = asking.Watch(self)
        self.faults_end = START + self.rng.choice([0.5, 1, 2]) * DAY
        weather.draw(self)

    @property
    def log(self) -> list[str]:
        """What happened, a line each."""
        return [f"{moment:%d %H:%M:%S} {what!r}"[:400] for moment, what in self._log]

    # The driver.

    def run(self) -> Simulation:
        """Play until the campaign is finished; raise with the seed and the log's tail where it goes wrong."""
        try:
            self._decide()
            while not finished(self.state) or self._goes_on():
                self.step()
        except Exception as error:
            error.add_note("\n".join([*self.log[-60:], f"seed {self.seed} fails; replay it with: {replay(self.seed)}"]))
            raise
        return self

    def _goes_on(self) -> bool:
        """At the end, take in what replaced runs have bought; or be reset once more."""
        present = self.run_of_workflow
        if not present.asked:
            present.asked = True
            chain = present.recall(self.now)
            for event in chain.at_the_panel() if chain else ():
                known = {key for key, run in self.state.runs.items() if run.panel_order or run.state in LIVE}
                self.fold(event)
                if event.key in self.state.runs and event.key not in known:
                    present.recalled.add(event.key)
            if not finished(self.state):
                self.tally["recalled at the end"] += 1
                self._decide()
                return True
        if self.resets_ahead and self._snapshots and self.rng.random() < 0.5:
            self.tally["reset after the end"] += 1
            self._reset()
            self._decide()
            return True
        return False

    def step(self) -> None:
        """Go to the next moment at which anything happens."""
        self.steps += 1
        if self.steps > 10_000:
            raise StuckError("still not at its end after 10,000 steps")
        due = self._look_again
        if due is None and not self._queue:
            raise StuckError("nothing more would ever happen")
        if due is not None and (not self._queue or due <= self._queue[0].at):
            self.now = max(self.now, due)
        else:
            item = heapq.heappop(self._queue)
            self.now = item.at
            self._happen(item)
        if self.rng.random() < 0.004:
            before = self.state
            self.state = State.unpack(before.pack())
            assert self.state.model_dump() == before.model_dump(), "carrying the state over changed it"
            self.tally["continued as new"] += 1
        self._decide()

    def _decide(self) -> None:
        decision = decide(self.state, self.now)
        self._look_again = decision.look_again
        if decision.look_again is not None:
            assert decision.look_again > self.now, "what is due was left undone"
        for command in decision.commands:
            self._send(command)
        if self.resets_ahead and self.rng.random() < (0.1 if self.flights else 0.02):
            run = self.run_of_workflow
            point = _Snapshot(
                self.state.pack(), dict(self.flights), tuple(self.wishes), run.asked, frozenset(run.recalled)
            )
            self._snapshots.append(point)
        if self.check is not None and self._happened:
            self._happened = False
            self.check(self)
            self.handed_out.clear()

    def later(self, wait: timedelta, what: What, load: object) -> None:
        """Make an appointment."""
        self._turn += 1
        heapq.heappush(self._queue, _Item(self.now + wait, self._turn, what, load, self._epoch))

    def soon(self, seconds: float) -> timedelta:
        """Draw a short wait."""
        return timedelta(seconds=self.rng.random() * seconds)

    def _send(self, command: Command) -> None:
        self._note(command)
        match command:
            case Place():
                run = self.state.runs[command.key]
                self.keys[command.form.request_id] = command.key
                self.terms[command.form.request_id] = Terms(self.state.offer_of(run).rate, run.units, run.cost)
                self.handed_out.append(command)
                if self.crashes and self.now < self.faults_end and self.rng.random() < 0.2:
                    self.later(self.soon(15), "person", "crash")
                if self.interruptions and self.rng.random() < 0.15:
                    self.interruptions -= 1
                    self.later(self.soon(15), "person", "interrupt")
                self._hand_out(command)
                return
            case Tell():
                self.tally["notices"] += len(command.notices)
                return
            case Cancel() | Refill():
                for key, panel_order in command.orders.items():
                    self.flights[key, command.kind] = command.model_copy(update={"orders": {key: panel_order}})
            case ReadRates():
                self.flights[RATES] = command
            case ReadBalance():
                self.flights[BALANCE] = command
            case Follow():
                if self.rng.random() < self.panel.faults.news_lost:
                    return
        self.later(self.soon(5), "request", command)

    def _hand_out(self, command: Place) -> None:
        """Schedule the activity, in the workflow run of now."""
        self.flights[command.key, "place"] = command
        self.run_of_workflow.own.send(command.form.request_id, command.key, self.now, command.form)
        self.travelling[command.key] += 1
        self.later(self.soon(5), "request", Attempt(command, 1, self.run_of_workflow))

    def _happen(self, item: _Item) -> None:
        current = item.epoch == self._epoch
        match item.what, item.load:
            case "request", Attempt() as tried:
                self._place(tried, current=current)
            case "request", Cancel() | Refill() as command:
                asking.ask(self, command, current=current)
            case "request", ReadRates() | ReadBalance() as command:
                if current:
                    asking.read(self, command)
            case "request", Follow() as command:
                self._watch.follow(command.panel_orders)
            case "watch", _:
                self._watch.go_round()
            case "answer", Answer() as answer if current:
                self._hear(answer)
            case "news", News() as news if current:
                self.fold(news)
            case "person", "crash":
                self.tally["crashes"] += 1
                self._recover(self.state.pack())
            case "person", "reset":
                self._reset()
            case "person", str() as what:
                people.act(self, what)

    def _hear(self, answer: Answer) -> None:
        event = answer.event
        self.flights.pop(answer.of, None)
        if isinstance(event, Placed) and event.units != self.state.runs[event.key].units:
            self.run_of_workflow.recalled.add(event.key)
        if answer.sent:
            if event.kind in ("rejected", "link_busy") or (event.kind == "blocked" and event.cause in _PANELS_WORD):
                self.refused.add(answer.sent)
            if not isinstance(event, Unanswered):
                self.run_of_workflow.own.answer(answer.sent, event)  # type: ignore[arg-type]
        self.fold(event)

    def _place(self, tried: Attempt, *, current: bool) -> None:
        event = attempt(self, tried)
        if event is None and current and tried.number < self.tries:
            self.tally["repeated attempts"] += 1
            again = replace(tried, number=tried.number + 1)
            self.later(timedelta(seconds=min(2 ** (tried.number - 1), 20)), "request", again)
            return
        self.travelling[tried.command.key] -= 1
        if current:
            key = tried.command.key
            lost = event or Unanswered(key=key, words="no answer came")
            self.later(self.soon(20), "answer", Answer(lost, (key, "place"), tried.command.form.request_id))

    def fold(self, event: Event) -> None:
        """Let the engine take an event in."""
        self._note(event)
        run = self.state.runs.get(event.key) if isinstance(event, Recalled | RetryRequested) else None
        was_settled = run is not None and run.state in SETTLED
        apply(self.state, event, self.now)
        if run is not None and was_settled and run.state not in SETTLED:
            self.reopened.add(run.key)

    def truth(self, run: Run) -> str | None:
        """Give the panel order of a run as the panel's own books have it."""
        return next((order for sent, order in self.panel.taken if self.keys[sent] == run.key), None)

    def _reset(self) -> None:
        """Go back to an older state; the panel keeps what it has."""
        self.resets_ahead -= 1
        if not self._snapshots:
            return
        self.resets += 1
        self.tally["resets"] += 1
        at = self.rng.randrange(len(self._snapshots))
        snapshot = self._snapshots[at]
        present = tuple(self.wishes[: len(snapshot.wishes)]) == snapshot.wishes
        if self.rng.random() < 0.5:
            # What comes after the point is no longer part of the history that the next reset may go back to.
            del self._snapshots[at + 1 :]
        else:
            # But a person may also reset a run that was replaced already.
            self.tally["points of replaced runs kept"] += 1
        gone_at = self.now + FORGOTTEN_AFTER if self.rng.random() < 0.1 else None
        self.run_of_workflow = self.run_of_workflow.replaced(gone_at)
        self.run_of_workflow.asked, self.run_of_workflow.recalled = snapshot.asked, set(snapshot.recalled)
        said = self.wishes[len(snapshot.wishes) :] if present else []
        self.wishes = list(snapshot.wishes)
        if self.rng.random() < 0.3:
            self._recover(snapshot.packed)
        else:
            self._take_up(snapshot)
        if said and self.rng.random() < 0.5:
            # Temporal applies the updates of after the point again.
            for wish in said:
                self.tally["wishes applied again"] += 1
                people.say(self, wish)

    def _take_up(self, snapshot: _Snapshot) -> None:
        """Start the run that a reset makes: what was on its way at that point is handed out again, as it was."""
        self._leave("reset")
        self.state = State.unpack(snapshot.packed)
        for of, command in snapshot.flights.items():
            self._note(("handed out again", command))
            if isinstance(command, Place):
                self.tally["placements handed out again"] += 1
                self._hand_out(command)
            else:
                self.flights[of] = command
                self.later(self.soon(5), "request", command)

    def _recover(self, packed: dict[str, object]) -> None:
        self._leave("recovered")
        self.state = State.unpack(packed)
        recover(self.state, self.now)

    def _leave(self, how: str) -> None:
        """End the present run: people go on living; what was on its way to the panel arrives or not."""
        self._note(f"--- {how}, resets: {self.resets}")
        self._epoch += 1
        self.flights.clear()
        left = []
        for item in self._queue:
            if item.what in ("person", "watch"):
                item.epoch = self._epoch
            elif item.what == "request" and self.rng.random() < 0.5:
                if isinstance(item.load, Attempt):
                    self.travelling[item.load.command.key] -= 1
                continue
            left.append(item)
        self._queue = left
        heapq.heapify(self._queue)

    def _note(self, what: object) -> None:
        self._happened = True
        self._log.append((self.now, what))


_PANELS_WORD = ("funds", "account")


def replay(seed: int) -> str:
    """Give the one command that replays a seed."""
    return f"SEED={seed} .venv/bin/pytest -s tests/unit/test_engine_invariants.py -k one_seed"


def simulate(plan: Plan, seed: int, check: Callable[[Simulation], None] | None = None) -> Simulation:
    """Play one history to its end, checking after every step."""
    return Simulation(plan, seed, check).run()
