"""A table to play the engine on by hand: one campaign, a clock that only a test moves, and short words for events."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from campaigns.engine import apply, begin, decide, recover
from campaigns.messages import Cancel, Follow, News, Place, Placed, Reading, Refill, Status
from campaigns.state import Run, State
from tests.unit.model_panel import KEY_ROOT, START
from tests.unit.recounting import recount

if TYPE_CHECKING:
    from campaigns.messages import Command, Event
    from campaigns.plan import Plan

Kind = TypeVar("Kind", Place, Cancel, Refill, Follow)


class Table:
    """One campaign in play; every move is recounted."""

    def __init__(self, plan: Plan, start: datetime = START) -> None:
        self.now = start
        self.state: State = begin(plan, KEY_ROOT, start)
        self.commands: list[Command] = []
        self.look_again: datetime | None = None
        self.decide()

    def decide(self) -> None:
        """Let the engine decide; the commands of this moment are kept until the clock or an event moves."""
        decision = decide(self.state, self.now)
        self.commands, self.look_again = decision.commands, decision.look_again
        recount(self.state)

    def wait(self, **duration: float) -> Table:
        """Move the clock, stopping wherever the engine wants to look again; keep the commands of the whole way."""
        end = self.now + timedelta(**duration)
        on_the_way: list[Command] = []
        while self.look_again is not None and self.look_again <= end:
            self.now = max(self.now, self.look_again)
            self.decide()
            on_the_way += self.commands
        self.now = end
        self.decide()
        self.commands = on_the_way + self.commands
        return self

    def say(self, *events: Event) -> Table:
        """Fold events, then decide."""
        for event in events:
            apply(self.state, event, self.now)
        self.decide()
        return self

    def place(self, *keys: str) -> Table:
        """Let the panel take runs, each as ``ord_<key>``."""
        return self.say(*(Placed(key=key, panel_order=f"ord_{key}") for key in keys))

    def read(self, key: str, status: str | Status = Status.IN_PROGRESS, **facts: Any) -> Table:
        """Bring a reading of a run's order, as of now unless ``ago`` says otherwise."""
        observed_at = self.now - facts.pop("ago", timedelta(0))
        panel_order = self.run(key).panel_order or f"ord_{key}"
        reading = Reading(
            panel_order=panel_order, status=Status(status), raw=str(status), observed_at=observed_at, **facts
        )
        return self.say(News(readings=[reading]))

    def carry(self) -> Table:
        """Lose whatever is in flight: carry the state over and recover."""
        self.state = State.unpack(self.state.pack())
        recover(self.state, self.now)
        self.decide()
        return self

    def run(self, key: str) -> Run:
        """Give a run."""
        return self.state.runs[key]

    def states(self) -> dict[str, str]:
        """Give the state of every run that is decided."""
        return {key: run.state.value for key, run in self.state.runs.items()}

    def asked(self, kind: type[Kind]) -> list[Kind]:
        """Give the commands of one kind that were handed out since the last move."""
        return [command for command in self.commands if isinstance(command, kind)]

    def placing(self) -> list[str]:
        """Give the keys that were handed out to be placed since the last move."""
        return [command.key for command in self.asked(Place)]
