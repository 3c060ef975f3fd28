"""Campaigns played by script, in virtual time: what the engine commanded, one line a command.

The panel of the script is simple and its moods depend on the order's key and the number of the play alone, so that a
trace changes only when the engine decides otherwise.
"""

from __future__ import annotations

import heapq
import random
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

from campaigns.accounts import AccountFacts
from campaigns.definition import After, CancelPolicy, Day, Late, OnFailure, OnShortfall, RefillPolicy, When, Window
from campaigns.engine import apply, begin, decide, finished
from campaigns.messages import (
    BalanceRead,
    Blocked,
    Cancel,
    CancelAnswered,
    Follow,
    LinkBusy,
    News,
    Paused,
    Place,
    Placed,
    RatesRead,
    ReadBalance,
    Reading,
    ReadRates,
    Refill,
    RefillAnswered,
    Rejected,
    Resumed,
    Status,
    Tell,
    Unanswered,
)
from campaigns.plan import Offer, Plan, PlannedOrder
from campaigns.quantities import Money

if TYPE_CHECKING:
    from campaigns.messages import Command, Event

START = datetime(2026, 12, 4, 15, 0, tzinfo=UTC)
KEY_ROOT = "5a1e1e35-5f8a-4f0e-9d7c-2b1c2c1f6f10"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PLAYS = 4
"""Of each campaign, each with a panel of another mood."""
LINES = 60
"""Of a trace: later commands repeat the earlier ones' rules."""


def _order(name: str, **fields: Any) -> PlannedOrder:
    wanted: dict[str, Any] = {
        "id": name,
        "service": 101,
        "service_name": "Views",
        "rate": Decimal("0.90"),
        "link": f"https://example.com/{name}",
        "quantity": 600,
        "can_cancel": True,
        "can_refill": True,
    }
    return PlannedOrder(**wanted | fields)


OTHER = Offer(service=205, service_name="Other views", rate=Decimal("1.10"), min=10, max=10_000)
CAMPAIGNS: dict[str, list[PlannedOrder]] = {
    "sequence": [
        _order("a"),
        _order("b", after=After(order="a", when=When.COMPLETED, delay=2 * HOUR)),
        _order("c", after=After(order="a", when=When.STARTED), link="https://example.com/b"),
        _order("d", after=After(order="b", when=When.SETTLED), on_failure=OnFailure.PAUSE),
    ],
    "drip": [
        _order("a", runs=5, every=90 * MINUTE, window=Window(**{"from": time(9), "to": time(22)})),  # type: ignore[arg-type]
        _order("b", runs=3, every=10 * MINUTE, concurrent=True, late=Late.SKIP),
        _order("c", runs=2, every=24 * HOUR, window=Window(days=[Day.MON, Day.SAT])),
    ],
    "care": [
        _order("a", cancel=CancelPolicy(not_started_in=HOUR, stalled_for=2 * HOUR)),
        _order("b", refill=RefillPolicy(within=30 * HOUR, every=6 * HOUR, max=2)),
        _order("c", on_failure=OnFailure.ABORT, after=After(order="b", when=When.PLACED)),
    ],
    "shortfall": [
        _order("a", on_shortfall=OnShortfall.REORDER),
        _order("b", on_shortfall=OnShortfall.REORDER, fallback=[OTHER], runs=2, every=HOUR),
    ],
}


@cache
def traces() -> dict[str, list[str]]:
    """Play every campaign; give each play's commands by its name."""
    return {f"{name} {play}": _play(name, play) for name in CAMPAIGNS for play in range(1, PLAYS + 1)}


def _play(name: str, play: int) -> list[str]:
    plan = Plan(
        name=name,
        account=AccountFacts(name="main", poll_every=10 * MINUTE, idempotent=play != PLAYS),
        timezone="Europe/Istanbul",
        budget=Money(Decimal(2), "USD") if play == PLAYS else None,
        max_rate_increase=Decimal(10) if play == PLAYS - 1 else None,
        orders=CAMPAIGNS[name],
        planned_at=START,
    )
    state, now, told, panel = begin(plan, KEY_ROOT, START), START, list[str](), _Panel(play)
    panel.coming(START + 3 * HOUR, Paused(why="a look"))
    panel.coming(START + 4 * HOUR, Resumed())
    while len(told) < LINES and not finished(state):
        decision = decide(state, now)
        for command in decision.commands:
            told.append(f"{now - START} {_words(command)}")
            panel.take(command, now)
        moments = [moment for moment in (decision.look_again, panel.next) if moment is not None]
        if not moments:
            break
        now = max(now, min(moments))
        for event in panel.due(now):
            apply(state, event, now)
    return told[:LINES]


def _words(command: Command) -> str:
    match command:
        case Place():
            sent = f"{command.form.quantity} of {command.form.service} as {command.form.request_id[:8]}"
            return f"place {command.key} {sent}"
        case Cancel() | Refill():
            return f"{command.kind} {' '.join(command.orders)}"
        case Follow():
            return f"follow {' '.join(command.panel_orders)}"
        case Tell():
            return f"tell {' '.join(notice.kind for notice in command.notices)}"
        case _:
            return command.kind


class _Panel:
    """Answers commands after a while, in a mood."""

    def __init__(self, play: int) -> None:
        self._play, self._number, self._ids = play, count(), count(1)
        self._coming: list[tuple[datetime, int, Event]] = []
        self._refused: set[str] = set()

    @property
    def next(self) -> datetime | None:
        return self._coming[0][0] if self._coming else None

    def coming(self, at: datetime, event: Event) -> None:
        heapq.heappush(self._coming, (at, next(self._number), event))

    def due(self, now: datetime) -> list[Event]:
        found: list[Event] = []
        while self._coming and self._coming[0][0] <= now:
            found.append(heapq.heappop(self._coming)[2])
        return found

    def take(self, command: Command, now: datetime) -> None:
        soon = now + timedelta(seconds=2)
        match command:
            case Place(key=key):
                self.coming(soon, self._placed(command, soon))
            case Cancel():
                for key, order in command.orders.items():
                    asked = self._mood(key).random() < 0.7
                    self.coming(soon, CancelAnswered(key=key, answer="asked" if asked else "refused"))
                    self._news(order, soon + HOUR, Status.CANCELED if asked else Status.COMPLETED, 300 if asked else 0)
            case Refill():
                for key, order in command.orders.items():
                    self.coming(soon, RefillAnswered(key=key, answer="accepted", refill=f"r-{key}"))
                    self._news(order, soon + HOUR, Status.COMPLETED, 0)
            case ReadRates():
                dear = Decimal("1.20") if self._mood(str(now)).random() < 0.5 else Decimal("0.90")
                self.coming(soon, RatesRead(asked=command.services, rates=dict.fromkeys(command.services, dear)))
            case ReadBalance():
                self.coming(soon, BalanceRead(balance=Decimal(1)))
            case _:
                pass

    def _placed(self, command: Place, now: datetime) -> Event:
        key, mood = command.key, self._mood(f"{command.key} {command.form.request_id}")
        drawn = mood.random()
        if drawn < 0.4 and command.form.request_id not in self._refused:
            self._refused.add(command.form.request_id)
            refusals: list[Event] = [
                Unanswered(key=key, words="timeout"),
                LinkBusy(key=key, words="busy"),
                Blocked(key=key, cause="funds", words="no funds"),
                Blocked(key=key, cause="account", words="blocked"),
                Rejected(key=key, words="no"),
            ]
            return mood.choice(refusals)
        order = f"p{next(self._ids)}"
        end = mood.choice([Status.COMPLETED, Status.COMPLETED, Status.PARTIAL, Status.CANCELED, Status.FAILED, None])
        started = now + mood.randrange(5, 90) * MINUTE
        self._news(order, started, Status.IN_PROGRESS, 500)
        if end is not None:
            remains = {Status.COMPLETED: mood.choice([0, 50]), Status.FAILED: 600}.get(end, 200)
            self._news(order, started + mood.randrange(1, 10) * HOUR, end, remains)
        return Placed(key=key, panel_order=order)

    def _news(self, order: str, at: datetime, status: Status, remains: int) -> None:
        charge = Decimal("0.54") * (600 - remains) / 600
        reading = Reading(panel_order=order, status=status, charge=charge, remains=remains, observed_at=at)
        self.coming(at, News(readings=[reading]))

    def _mood(self, key: str) -> random.Random:
        return random.Random(f"{self._play} {key}")
