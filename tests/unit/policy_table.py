"""A table for policies: limits on a plan, rates and balances in words, and an oracle of its own."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self, TypeVar

from campaigns import books, guards
from campaigns.definition import NoticeKind, Notify, OnShortfall
from campaigns.engine import decide
from campaigns.messages import BalanceRead, RatesRead, Status, Tell
from campaigns.plan import Offer, Plan, PlannedOrder
from campaigns.quantities import parse_money
from campaigns.state import UNPLACED, RunState
from tests.unit.model_panel import START
from tests.unit.plans import order, plan
from tests.unit.table import Table

if TYPE_CHECKING:
    from datetime import datetime

    from campaigns.messages import Event, Notice

AnyKind = TypeVar("AnyKind")
EVERYTHING = Notify(webhook="https://example.com/hook", on=list(NoticeKind))


def limited(of: Plan, **limits: Any) -> Plan:
    """Give the plan with limits as a file writes them: ``per_day="5.00 USD"``, ``rise="10"``, ``notify=…``."""
    money = {name: parse_money(limits.pop(name)) for name in ("per_day", "approval_over", "budget") if name in limits}
    rise = {"max_rate_increase": Decimal(limits.pop("rise"))} if "rise" in limits else {}
    return of.model_copy(update=money | rise | limits)


def offer(service: int, rate: str = "0.90", low: int = 10, high: int = 10_000, **more: bool) -> Offer:
    """Give a fallback."""
    return Offer(service=service, service_name="Other", rate=Decimal(rate), min=low, max=high, **more)


def reordering(*fallback: Offer, **fields: Any) -> PlannedOrder:
    """Give an order of 500 at 0.90 whose rest is bought again."""
    chosen: dict[str, Any] = {"on_shortfall": OnShortfall.REORDER, "fallback": list(fallback), "min": 10} | fields
    return order("views", **chosen)


class PolicyTable(Table):
    """One campaign in play. Whoever is held must have a date, or stand in a queue that somebody wakes."""

    def __init__(self, of: Plan, start: datetime = START, started_by: str = "") -> None:
        self.notices: list[Notice] = []
        """Everything told so far."""
        super().__init__(of, start)
        self.state.started_by = started_by

    def say(self, *events: Event) -> Self:
        """Fold events, then decide."""
        super().say(*events)
        return self

    def place(self, *keys: str) -> Self:
        """Let the panel take runs."""
        super().place(*keys)
        return self

    def wait(self, **duration: float) -> Self:
        """Move the clock."""
        super().wait(**duration)
        return self

    def read(self, key: str, status: str | Status = Status.IN_PROGRESS, **facts: Any) -> Self:
        """Bring a reading of a run's order."""
        super().read(key, status, **facts)
        return self

    def decide(self) -> None:
        """Let the engine decide, and check the promises of the policies."""
        decision = decide(self.state, self.now)
        self.commands, self.look_again = decision.commands, decision.look_again
        for command in self.said(Tell):
            self.notices += command.notices
        self._check()

    def said(self, kind: type[AnyKind]) -> list[AnyKind]:
        """Give the commands of a kind, any kind, since the last move."""
        return [command for command in self.commands if isinstance(command, kind)]

    def rates(self, **rates: str) -> Self:
        """Answer the rates that were asked: ``s101="0.99"``; what is not named is not in the catalog."""
        known = {int(name[1:]): Decimal(rate) for name, rate in rates.items()}
        asked = sorted({self.state.offer_of(self.state.runs[key]).service for key in self.state.rate_queue})
        self.say(RatesRead(asked=asked, rates={service: known[service] for service in asked if service in known}))
        return self

    def balance(self, amount: str | None) -> Self:
        """Answer the balance."""
        self.say(BalanceRead(balance=None if amount is None else Decimal(amount)))
        return self

    def decided(self) -> list[tuple[str, str, str]]:
        """Give what people decided: what, by whom, why."""
        return [(one.what, one.by, one.why) for one in self.state.decisions]

    def told(self) -> list[tuple[str, str]]:
        """Give what was told: kind and words without the campaign's name."""
        return [(notice.kind.value, notice.text.partition(": ")[2]) for notice in self.notices]

    def _check(self) -> None:
        state = self.state
        agenda = {(when, key) for when, _, key in state.agenda}
        keys = {key for _, key in agenda}
        queued = set().union(*books.queues(state))
        for run in state.runs.values():
            if run.state not in UNPLACED:
                assert run.key not in queued, f"{run.key} is {run.state} and stands in a queue"
                continue
            still = state.paused or state.awaiting_approval
            assert still or run.key in queued or (run.due, run.key) in agenda, f"{run.key} waits for nothing: {run.why}"
        assert not state.rate_queue or state.rates_asked, "nobody reads the rates that are waited for"
        reading = set(state.rate_queue)
        assert set(state.dear_queue) <= reading or guards.CHEAPER in keys or not state.dear_queue, "nobody looks again"
        assert state.day_spent >= 0
        counted = sum(
            (run.cost for run in state.runs.values() if run.counted_day and run.counted_day == state.day), Decimal(0)
        )
        if state.plan.per_day is not None:
            assert state.day_spent == counted <= state.plan.per_day.amount
        if state.budget is not None:
            assert state.spent + state.reserved <= state.budget.amount
        assert state.reserved == sum((run.reserved for run in state.runs.values()), Decimal(0))
        request_ids = [run.form.request_id for run in state.runs.values() if run.form is not None]
        assert len(request_ids) == len(set(request_ids))
        assert all(run.state is RunState.PLACING for run in state.runs.values() if run.form is not None)


__all__ = ["EVERYTHING", "PolicyTable", "limited", "offer", "order", "plan", "reordering"]
