"""The people around a campaign, and what they do to it: pause, cancel, wish, approve, halt, resolve, look after it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from campaigns import guards, steering
from campaigns.messages import (
    Approved,
    BudgetRaised,
    CancelRequested,
    OrderCancelRequested,
    Paused,
    Released,
    Rescheduled,
    Resolved,
    Resumed,
    RetryRequested,
    SkipRequested,
)
from campaigns.quantities import Money
from campaigns.state import SETTLED, UNPLACED, RunState
from tests.unit.model_panel import HOUR, Faults

if TYPE_CHECKING:
    from collections.abc import Iterable

    from campaigns.messages import Event
    from campaigns.state import Run
    from tests.unit.simulation import Simulation

WHO = "a person"
GIVES_UP_AFTER = 3
"""Times that a person says of an order that it is not at the panel."""


def act(sim: Simulation, what: str) -> None:
    """Let somebody do what was drawn, or let what was drawn happen to the panel or the account."""
    match what:
        case "pause":
            say(sim, Paused(by=WHO))
        case "resume":
            say(sim, Resumed(by=WHO))
        case "cancel":
            say(sim, CancelRequested(by=WHO))
        case "approve":
            say(sim, Approved(by=WHO))
        case "wish":
            say(sim, _any_wish(sim))
        case "interrupt":
            _interrupt(sim)
        case "resolve":
            _resolve(sim)
        case "look after":
            _look_after(sim)
        case "calm":
            _calm(sim)
        case _:
            _befall(sim, what)


def say(sim: Simulation, wish: Event) -> None:
    """Fold a wish, as the workflow does: one that cannot be carried out is refused and leaves no trace."""
    if isinstance(wish, steering.Wish) and steering.refusal(sim.state, wish) is not None:
        sim.tally["wishes refused"] += 1
        return
    sim.tally[f"wish: {wish.kind.replace('_', ' ')}"] += 1
    sim.wishes.append(wish)
    sim.fold(wish)


def _befall(sim: Simulation, what: str) -> None:
    rng, panel = sim.rng, sim.panel
    if sim.calm and what not in ("fall", "back", "release", "limit raised"):
        return
    sim.tally[what] += 1
    match what:
        case "top up":
            panel.deposited += sim.plan.cost * Decimal(rng.randrange(5, 60)) / 100
        case "rise":
            panel.risen[rng.choice(sim.services)] = Decimal(rng.choice(["1.05", "1.3", "3"]))
        case "fall":
            panel.risen.clear()
        case "gone":
            panel.gone.add(rng.choice(sim.services))
        case "back":
            panel.gone.clear()
        case "halt":
            sim.gate.halted = True
        case "day's limit":
            sim.gate.limit = sim.plan.cost * rng.randrange(0, 10) / 10
        case "release" | "limit raised":
            if what == "release":
                sim.gate.halted = False
            else:
                sim.gate.limit = None
            sim.fold(Released())
        case _:
            raise ValueError(what)


def _any_wish(sim: Simulation) -> Event:
    """Think of something to want: most often what can be had."""
    rng, state = sim.rng, sim.state
    order_id = rng.choice(state.plan.orders).id
    number = f"{order_id}/{rng.randrange(1, 7)}"

    def some(runs: Iterable[Run]) -> str:
        keys = [run.key for run in runs]
        return rng.choice(keys) if keys and rng.random() < 0.7 else rng.choice([order_id, number])

    runs = state.runs.values()
    match rng.randrange(5):
        case 0:
            return SkipRequested(target=some(run for run in runs if run.state in UNPLACED), by=WHO)
        case 1:
            return RetryRequested(key=some(run for run in runs if run.state in steering._RETRYABLE), by=WHO)
        case 2:
            live = (run for run in runs if run.state not in SETTLED or run.guard_until)
            return OrderCancelRequested(target=some(live), by=WHO)
        case 3:
            return Rescheduled(later=rng.random() * 5 * HOUR, order=rng.choice([None, order_id]), by=WHO)
        case _:
            return _raised(sim)


def _interrupt(sim: Simulation) -> None:
    """Want something of an order, or of all, just while one is on its way to the panel."""
    placing = [run for run in sim.state.runs.values() if run.state is RunState.PLACING]
    if not placing:
        return
    sim.tally["interrupted placements"] += 1
    run = sim.rng.choice(placing)
    match sim.rng.randrange(6):
        case 0:
            say(sim, Paused(by=WHO))
            sim.later(sim.rng.random() * HOUR, "person", "resume")
        case 1:
            say(sim, OrderCancelRequested(target=run.order, by=WHO))
        case 2:
            say(sim, CancelRequested(by=WHO))
        case _:
            say(sim, OrderCancelRequested(target=run.key, by=WHO))


def _raised(sim: Simulation) -> BudgetRaised:
    present = sim.state.budget.amount if sim.state.budget else Decimal(1)
    return BudgetRaised(budget=Money(present * 2, "USD"), by=WHO)


def _calm(sim: Simulation) -> None:
    """Let the faults end; prices may stay up, and what is gone may stay away."""
    sim.calm = True
    sim.panel.faults = Faults()
    sim.panel.deposited = Decimal(1_000_000)
    sim.gate.halted, sim.gate.limit = False, None
    if sim.rng.random() < 0.5:
        sim.panel.risen.clear()
        sim.panel.gone.clear()
    sim.fold(Released())
    sim.fold(Resumed(by=WHO))
    sim.later(HOUR, "person", "look after")


def _look_after(sim: Simulation) -> None:
    """Do what only a person can: settle, approve, raise, and give up what can never be placed."""
    state = sim.state
    _resolve(sim)
    if state.paused:
        say(sim, Resumed(by=WHO))
    if state.awaiting_approval or (state.dear_queue and guards.approvable(state)):
        say(sim, Approved(by=WHO))
    # What left the catalog and what costs more than a whole day's limit waits for nothing that will come.
    never = [key for key in state.dear_queue if state.offer_of(state.runs[key]).service not in state.rates]
    for key in [*never, *state.beyond_day]:
        say(sim, SkipRequested(target=key, by=WHO))
    if state.budget_queue and not state.open and not state.placing:
        _find_money(sim)
    sim.later(6 * HOUR, "person", "look after")


def _find_money(sim: Simulation) -> None:
    state = sim.state
    match sim.rng.randrange(3):
        case 0:
            say(sim, CancelRequested(by=WHO, why="no budget"))
        case 1:
            say(sim, _raised(sim))
        case _:
            say(sim, SkipRequested(target=state.budget_queue[0], by=WHO))


def _resolve(sim: Simulation) -> None:
    """Tell where the unknown orders are; whoever looks waits until nothing is on its way to the panel any more."""
    for run in list(sim.state.runs.values()):
        if run.state is RunState.UNKNOWN and not sim.travelling[run.key]:
            panel_order = sim.truth(run)
            if panel_order is None:
                if sim.resolved[run.key] >= GIVES_UP_AFTER:
                    # When the histories of the replaced runs are gone, what was due before counts as possibly sent
                    # under any id, also under the one that follows this word: it would be unknown for ever.
                    sim.tally["given up for good"] += 1
                    say(sim, OrderCancelRequested(target=run.key, by=WHO))
                sim.resolved[run.key] += 1
            say(sim, Resolved(key=run.key, panel_order=panel_order, by=WHO))
