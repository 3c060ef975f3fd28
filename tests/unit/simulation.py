"""Whole campaigns in virtual time: the engine against the model panel, and everything that goes wrong between them.

One seed draws it all: how each order fares, which answers are lost, how late and how wrong the news is, when a person
steps in, when the worker dies, when somebody resets the workflow. The same seed plays the same history.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from campaigns.engine import apply, begin, decide, finished, recover
from campaigns.messages import (
    Blocked,
    Cancel,
    CancelAnswered,
    CancelRequested,
    Expired,
    Follow,
    LinkBusy,
    News,
    NotTaken,
    OrderForm,
    Paused,
    Place,
    Placed,
    Reading,
    Refill,
    RefillAnswered,
    Rejected,
    Resolved,
    Resumed,
    Unanswered,
)
from campaigns.state import Run, RunState, State
from tests.unit.model_panel import DAY, HOUR, KEY_ROOT, MINUTE, START, TERMINAL, Ending, Faults, ModelPanel, Script

if TYPE_CHECKING:
    from collections.abc import Callable

    from campaigns.messages import Command, Event
    from campaigns.plan import Plan


class StuckError(AssertionError):
    """Nothing more would ever happen, and the campaign is not at its end."""


@dataclass(order=True)
class _Item:
    at: datetime
    turn: int
    what: Literal["request", "answer", "news", "watch", "person"] = field(compare=False)
    load: object = field(compare=False)
    epoch: int = field(compare=False)


class Simulation:
    """One history: the engine, the panel, the watch, the people, and everything that goes wrong between them."""

    def __init__(self, plan: Plan, seed: int, check: Callable[[Simulation], None] | None = None) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.check = check
        self.plan = plan
        self.now = START
        self.state = begin(plan, KEY_ROOT, START)
        self.panel = ModelPanel(
            self.rng, idempotent=plan.account.idempotent, remembers_refusals=self.rng.random() < 0.5
        )
        self._log: list[tuple[datetime, object]] = []
        self._happened = False
        self.flights: set[tuple[str, str]] = set()
        """What the current timeline will still be answered: (key, place or cancel or refill)."""
        self.sent: dict[str, datetime] = {}
        """When each request id was first handed out, in any timeline."""
        self.sent_before: set[str] = set()
        """The request ids handed out before the last reset."""
        self.answers: dict[str, Event] = {}
        """The definite answers that came back, in any timeline, by request id."""
        self.travelling: dict[str, int] = {}
        """Requests on their way to the panel, by key: a person waits for them before judging."""
        self.resolved: set[str] = set()
        """The runs that a person did not find at the panel."""
        self.resets = 0
        self.steps = 0
        self.keys: dict[str, str] = {}
        """Whose request id it is."""
        self.terms: dict[str, tuple[Decimal, int]] = {}
        """The rate and the units of each request id."""
        self._queue: list[_Item] = []
        self._turn = 0
        self._epoch = 0
        self._look_again: datetime | None = None
        self._snapshots: list[dict[str, object]] = []
        self._followed: dict[str, Reading | None] = {}
        self._watching = False
        self._pause = plan.account.poll_every
        """Between two reads; it grows while nothing changes, which keeps a history short."""
        self.faults_end = START + self.rng.choice([0.5, 1, 2]) * DAY
        self._draw()

    # How the history is drawn.

    def _draw(self) -> None:
        rng, panel = self.rng, self.panel
        level = rng.choice([0.0, 0.05, 0.15, 0.35])

        def maybe(most: float) -> float:
            return rng.choice([0.0, most * 0.3, most]) if level else 0.0

        panel.faults = Faults(
            lost_before=maybe(level),
            lost_after=maybe(level),
            not_taken=maybe(level),
            link_busy=maybe(level),
            rejected=maybe(1.0),
            news_lost=maybe(level),
            news_late=maybe(level),
            news_twice=maybe(level),
            news_wrong=maybe(level),
        )
        if level and rng.random() < 0.2:
            begins = START + rng.random() * DAY
            panel.faults.suspended = (begins, begins + rng.random() * 12 * HOUR)
        scripts: dict[str, Script] = {}

        def script_of(form: OrderForm) -> Script:
            # By run, not by request id: a new submission is the same order.
            return scripts.setdefault(self.keys[form.request_id], self._script())

        panel.scripts = script_of
        panel.rescued_at = self.faults_end
        if rng.random() < 0.4:
            panel.deposited = self.plan.cost * Decimal(rng.randrange(0, 90)) / 100
            for _ in range(rng.randrange(1, 4)):
                self._later(rng.random() * (self.faults_end - START), "person", "top up")
        if rng.random() < 0.15:
            panel.factor = Decimal("1.25")
        for _ in range(rng.choice([0, 0, 1, 2])):
            wait = rng.random() * 2 * DAY
            self._later(wait, "person", "pause")
            self._later(wait + rng.random() * 6 * HOUR, "person", "resume")
        if rng.random() < 0.25:
            self._later(rng.random() * 2 * DAY, "person", "cancel")
        self._resets_ahead = 0
        self._crashes = rng.random() < 0.2
        """Whether the worker dies now and then with a placement in its hands."""
        for what, chance in (("crash", 0.3), ("reset", 0.3)):
            while rng.random() < chance:
                self._resets_ahead += what == "reset"
                self._later(rng.random() * (self.faults_end - START), "person", what)
        self._later(self.faults_end - START, "person", "calm")

    def _script(self) -> Script:
        rng = self.rng
        endings: list[Ending] = [
            "completed", "completed", "completed", "partial", "never starts", "stalls", "failed", "refunded",
            "canceled", "rejected",
        ]  # fmt: skip
        return Script(
            ending=rng.choice(endings),
            starts=rng.random() * 2 * HOUR,
            lasts=MINUTE + rng.random() * 10 * HOUR,
            share=rng.random(),
            cancel=rng.choice(["obeyed", "obeyed", "refused", "ignored"]),
            refill=rng.choice(["accepted", "accepted", "never", "not_yet", "ignored"]),
            reports_charge=rng.random() < 0.8 or self.panel.factor != 1,
            unreadable=rng.choice([timedelta(0), 5 * MINUTE, 3 * HOUR]),
        )

    @property
    def log(self) -> list[str]:
        """What happened, a line each."""
        return [f"{moment:%d %H:%M:%S} {what!r}"[:400] for moment, what in self._log]

    # The driver.

    def run(self) -> Simulation:
        """Play until the campaign is finished; raise with the seed and the log's tail where it goes wrong."""
        try:
            self._decide()
            while not finished(self.state):
                self.step()
        except Exception as error:
            error.add_note("\n".join([*self.log[-60:], f"seed {self.seed}: replay with SEED={self.seed} pytest …"]))
            raise
        return self

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
        self._decide()

    def _decide(self) -> None:
        decision = decide(self.state, self.now)
        self._look_again = decision.look_again
        if decision.look_again is not None:
            assert decision.look_again > self.now, "what is due was left undone"
        for command in decision.commands:
            self._send(command)
        if self._resets_ahead and self.rng.random() < 0.03:
            self._snapshots.append(self.state.pack())
        if self.check is not None and self._happened:
            self._happened = False
            self.check(self)

    def _later(
        self, wait: timedelta, what: Literal["request", "answer", "news", "watch", "person"], load: object
    ) -> None:
        self._turn += 1
        heapq.heappush(self._queue, _Item(self.now + wait, self._turn, what, load, self._epoch))

    def _send(self, command: Command) -> None:
        self._note(command)
        wait = self.rng.random() * timedelta(seconds=5)
        match command:
            case Place():
                self.flights.add((command.key, "place"))
                self.keys[command.form.request_id] = command.key
                self.sent.setdefault(command.form.request_id, self.now)
                run = self.state.runs[command.key]
                self.terms[command.form.request_id] = (self.state.offer_of(run).rate, run.units)
                if self._crashes and self.now < self.faults_end and self.rng.random() < 0.2:
                    self._later(self.rng.random() * timedelta(seconds=15), "person", "crash")
                self.travelling[command.key] = self.travelling.get(command.key, 0) + 1
            case Cancel() | Refill():
                self.flights.update((key, command.kind) for key in command.orders)
            case Follow():
                if self.rng.random() < self.panel.faults.news_lost:
                    return
        self._later(wait, "request", command)

    def _happen(self, item: _Item) -> None:
        current = item.epoch == self._epoch
        match item.what, item.load:
            case "request", Place() as command:
                self._place(command, current=current)
            case "request", Cancel() | Refill() as command:
                self._ask(command, current=current)
            case "request", Follow() as command:
                self._followed |= dict.fromkeys(command.panel_orders)
                self._watch()
            case "watch", _:
                self._watching = False
                self._watch()
            case "answer" | "news", event if current:
                kind = "cancel" if isinstance(event, CancelAnswered) else "place"
                kind = "refill" if isinstance(event, RefillAnswered) else kind
                if isinstance(event, Placed | Rejected | Blocked | LinkBusy):
                    form = self.state.runs[event.key].form
                    assert form is not None
                    self.answers[form.request_id] = event
                if not isinstance(event, News):
                    self.flights.discard((event.key, kind))  # type: ignore[attr-defined]
                self._apply(event)  # type: ignore[arg-type]
            case "person", str() as wish:
                self._person(wish)

    def _place(self, command: Place, *, current: bool) -> None:
        self.travelling[command.key] -= 1
        rng, faults = self.rng, self.panel.faults
        answer: Event
        roll = rng.random()
        recalled = self._recall(command)
        if recalled is not None:
            answer = recalled
        elif not command.first and self.now > command.repeat_until:
            answer = Expired(key=command.key, words="too old to repeat")
        elif roll < faults.not_taken:
            again = self.now + rng.random() * HOUR if rng.random() < 0.5 else None
            answer = NotTaken(key=command.key, words="Rate limit exceeded", again_at=again)
        elif roll < faults.not_taken + faults.lost_before:
            answer = Unanswered(key=command.key, words="timeout")
        else:
            rate, units = self.terms[command.form.request_id]
            answer = self.panel.add(command.key, command.form, rate, units, self.now)
            if rng.random() < faults.lost_after:
                answer = Unanswered(key=command.key, words="connection reset")
        if current:
            self._later(rng.random() * timedelta(seconds=20), "answer", answer)

    def _recall(self, command: Place) -> Event | None:
        """Look up, after a reset, what the histories of the replaced runs say of a request id."""
        request_id = command.form.request_id
        if request_id not in self.sent_before:
            return None
        if request_id in self.answers:
            return self.answers[request_id]
        later = any(key == command.key and sent > self.sent[request_id] for sent, key in self._sendings())
        too_old = self.now - self.sent[request_id] > self.plan.account.retry_window
        if later or too_old or not self.plan.account.idempotent:
            return Expired(key=command.key, words="sent before the reset")
        return None

    def _sendings(self) -> list[tuple[datetime, str]]:
        return [(self.sent[request_id], self.keys[request_id]) for request_id in self.sent_before]

    def _ask(self, command: Cancel | Refill, *, current: bool) -> None:
        faults = self.panel.faults
        for key, panel_order in command.orders.items():
            lost = self.rng.random() < faults.lost_before
            answer: Event
            if isinstance(command, Cancel):
                unknown = CancelAnswered(key=key, answer="unanswered")
                answer = unknown if lost else self.panel.cancel(key, panel_order, self.now)
                answer = unknown if self.rng.random() < faults.lost_after else answer
            else:
                nothing = RefillAnswered(key=key, answer="unanswered")
                answer = nothing if lost else self.panel.refill(key, panel_order, self.now)
                answer = nothing if self.rng.random() < faults.lost_after else answer
            if current:
                self._later(self.rng.random() * timedelta(seconds=20), "answer", answer)

    def _watch(self) -> None:
        """Read what is followed; tell what changed since it was last told."""
        faults, rng = self.panel.faults, self.rng
        readings = []
        self._pause = min(self._pause * 2, 4 * HOUR)
        for panel_order, last in list(self._followed.items()):
            reading = self.panel.read(panel_order, self.now)
            if last is not None and reading.model_copy(update={"observed_at": last.observed_at}) == last:
                continue
            self._followed[panel_order] = reading
            self._pause = self.plan.account.poll_every
            if reading.status in TERMINAL:
                del self._followed[panel_order]
            if rng.random() >= faults.news_lost:
                readings.append(reading)
        if readings:
            rng.shuffle(readings)
            news = News(readings=readings)
            late = rng.random() * 6 * HOUR if rng.random() < faults.news_late else timedelta(seconds=1)
            self._later(late, "news", news)
            if rng.random() < faults.news_twice:
                self._later(rng.random() * 12 * HOUR, "news", news)
        if self._followed and not self._watching:
            self._watching = True
            self._later(self._pause, "watch", None)

    def _apply(self, event: Event) -> None:
        self._note(event)
        apply(self.state, event, self.now)

    def _person(self, wish: str) -> None:
        match wish:
            case "top up":
                self.panel.deposited += self.plan.cost * Decimal(self.rng.randrange(5, 60)) / 100
            case "pause":
                self._apply(Paused(by="a person"))
            case "resume":
                self._apply(Resumed(by="a person"))
            case "cancel":
                self._apply(CancelRequested(by="a person"))
            case "crash":
                self._recover(self.state.pack())
            case "reset":
                self._reset()
            case "calm":
                self.panel.faults = Faults()
                self.panel.deposited = Decimal(1_000_000)
                self._apply(Resumed(by="a person"))
                self._later(HOUR, "person", "look after")
            case "look after":
                self._look_after()

    def _look_after(self) -> None:
        """Do what only a person can: tell where the unknown orders are, and give up what no money is left for."""
        state = self.state
        for run in list(state.runs.values()):
            if run.state is RunState.UNKNOWN and not self.travelling.get(run.key):
                panel_order = self.truth(run)
                if panel_order is None:
                    self.resolved.add(run.key)
                self._apply(Resolved(key=run.key, panel_order=panel_order, by="a person"))
        if state.paused:
            self._apply(Resumed(by="a person"))
        if state.budget_queue and not state.open and not state.placing:
            self._apply(CancelRequested(by="a person", why="no budget"))
        self._later(6 * HOUR, "person", "look after")

    def truth(self, run: Run) -> str | None:
        """Give the panel order of a run as the panel's own books have it."""
        return next((order for sent, order in self.panel.taken if self.keys[sent] == run.key), None)

    def _reset(self) -> None:
        """Go back to an older state; the panel keeps what it has."""
        self._resets_ahead -= 1
        if self._snapshots:
            self.resets += 1
            self.sent_before = set(self.sent)
            self._recover(self.rng.choice(self._snapshots))

    def _recover(self, packed: dict[str, object]) -> None:
        self._note(f"--- recovered, resets: {self.resets}")
        self.state = State.unpack(packed)
        self._epoch += 1
        self.flights.clear()
        for item in list(self._queue):
            # People go on living; what was on its way to the panel arrives or not.
            if item.what in ("person", "watch"):
                item.epoch = self._epoch
            elif item.what == "request" and self.rng.random() < 0.5:
                self._queue.remove(item)
                if isinstance(item.load, Place):
                    self.travelling[item.load.key] -= 1
        heapq.heapify(self._queue)
        recover(self.state, self.now)

    def _note(self, what: object) -> None:
        self._happened = True
        self._log.append((self.now, what))


def simulate(plan: Plan, seed: int, check: Callable[[Simulation], None] | None = None) -> Simulation:
    """Play one history to its end, checking after every step."""
    return Simulation(plan, seed, check).run()
