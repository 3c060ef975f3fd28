"""What is asked of the panel beside placements: cancels, refills, rates, the balance, and the account's watch."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from campaigns.messages import (
    BalanceRead,
    Cancel,
    CancelAnswered,
    News,
    RatesRead,
    RatesUnread,
    ReadBalance,
    RefillAnswered,
)
from tests.unit.model_panel import HOUR, TERMINAL
from tests.unit.placement import Answer

if TYPE_CHECKING:
    from campaigns.messages import Event, Reading, ReadRates, Refill
    from tests.unit.simulation import Simulation

RATES, BALANCE = ("", "rates"), ("", "balance")


def ask(sim: Simulation, command: Cancel | Refill, *, current: bool) -> None:
    """Ask the panel to cancel or to refill, as its activity does; storms and lost answers included."""
    faults = sim.panel.faults
    storm = faults.storm_until(sim.now) is not None
    for key, panel_order in command.orders.items():
        lost = storm or sim.rng.random() < faults.lost_before
        answer: Event
        if isinstance(command, Cancel):
            unknown = CancelAnswered(key=key, answer="unanswered")
            answer = unknown if lost else sim.panel.cancel(key, panel_order, sim.now)
            answer = unknown if sim.rng.random() < faults.lost_after else answer
        else:
            nothing = RefillAnswered(key=key, answer="unanswered")
            answer = nothing if lost else sim.panel.refill(key, panel_order, sim.now)
            answer = nothing if sim.rng.random() < faults.lost_after else answer
            if answer.answer == "accepted" and sim.panel.orders[panel_order].has_dropped(sim.now):
                sim.tally["refills of drops"] += 1
        if current:
            sim.later(sim.soon(20), "answer", Answer(answer, (key, command.kind)))


def read(sim: Simulation, command: ReadRates | ReadBalance) -> None:
    """Read the catalog or the balance, as far as they can be read now."""
    faults = sim.panel.faults
    unread = faults.storm_until(sim.now) is not None or sim.rng.random() < faults.catalog_unread
    if isinstance(command, ReadBalance):
        balance = None if unread else sim.panel.deposited - sim.panel.spent(sim.now)
        sim.later(sim.soon(5), "answer", Answer(BalanceRead(balance=balance), BALANCE))
        return
    rates = {
        order.offer(position).service: sim.panel.rate_of(order.offer(position).service, order.offer(position).rate)
        for order in sim.plan.orders
        for position in range(len(order.fallback) + 1)
    }
    shown = {service: rate for service, rate in rates.items() if service not in sim.panel.gone}
    asked = {service: shown[service] for service in command.services if service in shown}
    event = RatesUnread(words="timeout") if unread else RatesRead(asked=command.services, rates=asked)
    sim.tally["catalog unread" if unread else "catalog read"] += 1
    sim.later(sim.soon(5), "answer", Answer(event, RATES))


class Watch:
    """The account's workflow: it follows orders for the campaign, also across resets and crashes of that one."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self.followed: dict[str, Reading | None] = {}
        self._watching = False
        self._pause = sim.plan.account.poll_every
        """Between two reads; it grows while nothing changes, which keeps a history short."""

    def follow(self, panel_orders: list[str]) -> None:
        """Take orders in."""
        self.followed |= dict.fromkeys(panel_orders)
        self.look()

    def go_round(self) -> None:
        """Look when it is time to."""
        self._watching = False
        self.look()

    def look(self) -> None:
        """Read what is followed; tell what changed since it was last told."""
        sim = self._sim
        faults, rng = sim.panel.faults, sim.rng
        readings = []
        self._pause = min(self._pause * 2, 4 * HOUR)
        if faults.storm_until(sim.now) is None:
            for panel_order, last in list(self.followed.items()):
                reading = sim.panel.read(panel_order, sim.now)
                if last is not None and reading.model_copy(update={"observed_at": last.observed_at}) == last:
                    continue
                self.followed[panel_order] = reading
                self._pause = sim.plan.account.poll_every
                if reading.status in TERMINAL:
                    del self.followed[panel_order]
                if rng.random() >= faults.news_lost:
                    readings.append(reading)
        if readings:
            rng.shuffle(readings)
            news = News(readings=readings)
            late = rng.random() * 6 * HOUR if rng.random() < faults.news_late else timedelta(seconds=1)
            sim.later(late, "news", news)
            if rng.random() < faults.news_twice:
                sim.later(rng.random() * 12 * HOUR, "news", news)
        if self.followed and not self._watching:
            self._watching = True
            sim.later(self._pause, "watch", None)
