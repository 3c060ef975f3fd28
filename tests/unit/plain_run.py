"""A campaign run the plain way: the engine against the model panel, every poll made, nothing passed over.

What a rehearsal must foresee. The watch is the account workflow's: a first round two seconds after the first wish,
then one every ``poll_every`` while anything is followed, telling only what changed or was asked for again.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

from campaigns.engine import apply, begin, decide, finished
from campaigns.messages import Cancel, Follow, News, Place, Reading, Refill, Status
from campaigns.outlook import CANCEL_TAKES, GATHER, Fate, Outlook
from tests.unit.model_panel import HOUR, KEY_ROOT, TERMINAL, ModelPanel, Script

if TYPE_CHECKING:
    from datetime import datetime

    from campaigns.messages import Command, OrderForm
    from campaigns.plan import Plan

_ENDINGS = {
    Fate.COMPLETES: "completed",
    Fate.PARTIAL: "partial",
    Fate.STALLS: "stalls",
    Fate.NEVER_STARTS: "never starts",
    Fate.FAILS: "failed",
}


class _Steady(random.Random):
    """Every delay the model panel draws is the rehearsal's: a cancel takes effect after a quarter of an hour."""

    def random(self) -> float:
        return CANCEL_TAKES / HOUR


class PlainRun:
    """One run, with the fates of a rehearsal's outlook."""

    def __init__(self, plan: Plan, start: datetime, outlook: Outlook, seed: int) -> None:
        self.plan, self.now, self.outlook = plan, start, outlook
        self.state = begin(plan, KEY_ROOT, start)
        self.fates = outlook.fates(plan, seed)
        self.panel = ModelPanel(_Steady(), idempotent=True, remembers_refusals=True)
        self.panel.deposited = plan.cost * 10 + 1
        self.panel.scripts = self.script
        self.keys: dict[str, str] = {}
        self.watched: dict[str, Reading | None] = {}
        self.until: dict[str, datetime | None] = {}
        self.round: datetime | None = None
        self.look: datetime | None = None

    def script(self, form: OrderForm) -> Script:
        key = self.keys[form.request_id]
        fate = self.fates.get(key, Fate.COMPLETES)
        takes = self.outlook.takes_of.get(key.split("/")[0], self.outlook.takes)
        starts = min(timedelta(minutes=10), takes / 10)
        return Script(
            ending=_ENDINGS[fate],  # type: ignore[arg-type]
            starts=starts,
            lasts=takes - starts,
            share=0.0 if fate is Fate.FAILS else float(self.outlook.delivered / 100),
            refill="accepted" if fate is Fate.PARTIAL else "never",
        )

    def play(self, until: datetime) -> PlainRun:
        """Run until it is finished, or until a moment after which nothing is expected."""
        self._decide()
        while not finished(self.state) and self.now < until:
            moments = [moment for moment in (self.round, self.look) if moment is not None]
            if not moments:
                break
            self.now = min(moments)
            if self.round == self.now:
                self._read()
            self._decide()
        return self

    def _decide(self) -> None:
        while True:
            decision = decide(self.state, self.now)
            for command in decision.commands:
                self._carry_out(command)
            if not decision.commands:
                self.look = decision.look_again
                return

    def _carry_out(self, command: Command) -> None:
        state, now = self.state, self.now
        match command:
            case Place():
                self.keys[command.form.request_id] = command.key
                run = state.runs[command.key]
                rate = state.offer_of(run).rate
                apply(state, self.panel.add(run.key, command.form, rate, run.units, now), now)
            case Cancel():
                for key, panel_order in command.orders.items():
                    if not state.offer_of(state.runs[key]).can_cancel:
                        self.panel.orders[panel_order].script.cancel = "refused"
                    apply(state, self.panel.cancel(key, panel_order, now), now)
            case Refill():
                for key, panel_order in command.orders.items():
                    self._refill(key, panel_order)
            case Follow():
                for panel_order in command.panel_orders:
                    self.watched[panel_order] = None
                    self.until[panel_order] = command.until
                self.round = self.round or now + min(GATHER, self.plan.account.poll_every)

    def _refill(self, key: str, panel_order: str) -> None:
        """Deliver what is missing at the order's own pace, as a rehearsal assumes."""
        order = self.panel.orders[panel_order]
        _, delivered, _ = order.at(self.now)
        if delivered == order.units:
            order.script.refill = "never"
        answer = self.panel.refill(key, panel_order, self.now)
        if answer.answer == "accepted":
            takes = order.script.starts + order.script.lasts
            lasts = max(takes * ((order.units - delivered) / order.units), timedelta(minutes=1))
            order.refills[-1] = (self.now, self.now + lasts)
        apply(self.state, answer, self.now)

    def _read(self) -> None:
        readings = []
        for panel_order, told in list(self.watched.items()):
            reading = self.panel.read(panel_order, self.now)
            self.watched[panel_order] = reading
            if told is None or reading.model_copy(update={"observed_at": told.observed_at}) != told:
                readings.append(reading)
            ended = reading.status in TERMINAL
            until = self.until[panel_order]
            whole = reading.status is Status.COMPLETED and reading.remains == 0
            if ended and (until is None or self.now >= until or whole):
                del self.watched[panel_order]
        if readings:
            apply(self.state, News(readings=readings), self.now)
        self.round = self.now + self.plan.account.poll_every if self.watched else None
