"""What a seed draws: how each order fares, what the panel and the network do wrong, and when which misfortune comes."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from tests.unit.model_panel import DAY, HOUR, MINUTE, START, Ending, Faults, Script

if TYPE_CHECKING:
    from datetime import datetime

    from campaigns.messages import OrderForm
    from tests.unit.simulation import Simulation

_ENDINGS: list[Ending] = [
    "completed", "completed", "completed", "partial", "never starts", "stalls", "failed", "refunded",
    "canceled", "rejected",
]  # fmt: skip


def draw(sim: Simulation) -> None:
    """Draw a whole history: faults now, and what happens later as appointments."""
    rng, panel = sim.rng, sim.panel
    level = rng.choice([0.0, 0.05, 0.15, 0.35])
    panel.faults = _faults(sim, level)
    sim.tries = rng.choice([1, 1, 2, 5]) if sim.plan.account.idempotent else 1
    scripts: dict[str, Script] = {}

    def script_of(form: OrderForm) -> Script:
        # By run, not by request id: a new submission is the same order.
        return scripts.setdefault(sim.keys[form.request_id], _script(sim))

    panel.scripts = script_of
    panel.rescued_at = sim.faults_end
    if rng.random() < 0.4:
        panel.deposited = sim.plan.cost * Decimal(rng.randrange(0, 90)) / 100
        for _ in range(rng.randrange(1, 4)):
            sim.later(rng.random() * (sim.faults_end - START), "person", "top up")
    if rng.random() < 0.15:
        panel.factor = Decimal("1.25")
    sim.crashes = rng.random() < 0.2
    for what, chance in (("crash", 0.3), ("reset", 0.3)):
        while rng.random() < chance:
            sim.resets_ahead += what == "reset"
            sim.later(rng.random() * (sim.faults_end - START), "person", what)
    sim.later(sim.faults_end - START, "person", "calm")
    _draw_trouble(sim)
    _draw_wishes(sim)


def _faults(sim: Simulation, level: float) -> Faults:
    rng = sim.rng

    def maybe(most: float) -> float:
        return rng.choice([0.0, most * 0.3, most]) if level else 0.0

    faults = Faults(
        lost_before=maybe(level),
        lost_after=maybe(level),
        not_taken=maybe(level),
        link_busy=maybe(level),
        rejected=maybe(1.0),
        news_lost=maybe(level),
        news_late=maybe(level),
        news_twice=maybe(level),
        news_wrong=maybe(level),
        catalog_unread=maybe(level),
        no_word=maybe(level / 4),
        suspends=maybe(0.3),
    )
    if level and rng.random() < 0.2:
        faults.suspended = _period(sim, 12 * HOUR)
    while rng.random() < 0.3:
        faults.storms.append(_period(sim, 3 * HOUR))
    return faults


def _period(sim: Simulation, longest: timedelta) -> tuple[datetime, datetime]:
    # Most of a campaign is placed early.
    begins = START + sim.rng.random() ** 2 * DAY
    return begins, begins + sim.rng.random() * longest


def _draw_trouble(sim: Simulation) -> None:
    """Draw what changes at the panel and on the account, each with its end, if it has one."""
    rng = sim.rng
    for begins, ends, chance, longest in (
        ("rise", "fall", 0.3, 2 * DAY),
        ("gone", "back", 0.2, DAY),
        ("halt", "release", 0.2, 8 * HOUR),
        ("day's limit", "limit raised", 0.15, 2 * DAY),
    ):
        while rng.random() < chance:
            wait = rng.random() * (sim.faults_end - START)
            sim.later(wait, "person", begins)
            if rng.random() < 0.8:
                sim.later(wait + rng.random() * longest, "person", ends)


def _draw_wishes(sim: Simulation) -> None:
    rng = sim.rng
    for _ in range(rng.choice([0, 0, 1, 2])):
        wait = rng.random() * 2 * DAY
        sim.later(wait, "person", "pause")
        sim.later(wait + rng.random() * 6 * HOUR, "person", "resume")
    if rng.random() < 0.2:
        sim.later(rng.random() * 2 * DAY, "person", "cancel")
    for _ in range(rng.choice([0, 0, 1, 2, 5])):
        sim.later(rng.random() * 2 * DAY, "person", "wish")
    if rng.random() < 0.3:
        sim.later(rng.random() * 2 * DAY, "person", "resolve")
    sim.interruptions = rng.choice([0, 0, 0, 1, 3])
    if sim.plan.approval_over is not None or sim.plan.max_rate_increase is not None:
        for _ in range(rng.choice([0, 1, 3])):
            sim.later(rng.random() * DAY, "person", "approve")


def _script(sim: Simulation) -> Script:
    rng = sim.rng
    return Script(
        ending=rng.choice(_ENDINGS),
        starts=rng.random() * 2 * HOUR,
        lasts=MINUTE + rng.random() * 10 * HOUR,
        share=rng.random(),
        cancel=rng.choice(["obeyed", "obeyed", "refused", "ignored"]),
        refill=rng.choice(["accepted", "accepted", "never", "not_yet", "ignored"]),
        drops_after=rng.choice([None, None, rng.random() * 20 * HOUR]),
        dropped=rng.random(),
        reports_charge=rng.random() < 0.8 or sim.panel.factor != 1 or bool(sim.panel.risen),
        unreadable=rng.choice([timedelta(0), 5 * MINUTE, 3 * HOUR]),
    )
