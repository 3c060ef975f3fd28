"""What a rehearsal gives: the timeline, the spending, and how every order run ends. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from campaigns.quantities import format_duration
from campaigns.quantities import money_text as money
from campaigns.state import CampaignState, RunState

if TYPE_CHECKING:
    from campaigns.outlook import Outlook
    from campaigns.plan import Plan
    from campaigns.recurrence import Slot


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Happening(_Frozen):
    """One line of the timeline."""

    at: datetime
    """UTC."""
    local: str
    """The same on the campaign's clock."""
    what: str
    """placed, started, completed, partial, canceled, failed, refilling, refilled, skipped, held, asked to cancel,
    cancel refused; pause and cancel for the whole campaign."""
    order: str = ""
    """The order of the file; empty for what concerns the whole campaign."""
    run: int = 0
    name: str = ""
    """``views 3/10``, ``views 3/10 (reorder 1)``."""
    units: int = 0
    """Units placed, or delivered by then."""
    amount: Decimal | None = None
    """What it costs when placed, what it was charged when it ended."""
    why: str = ""


class Spend(_Frozen):
    """A point of the curve: from this moment on, this much is spent and set aside."""

    at: datetime
    spent: Decimal
    reserved: Decimal


class Ending(_Frozen):
    """How one order run ends."""

    key: str
    """``views/3``, or ``views/3+1`` for what bought its rest."""
    order: str
    run: int
    name: str
    state: RunState
    slot: datetime | None
    """When it came up; by the calendar, when it never did."""
    placed_at: datetime | None = None
    settled_at: datetime | None = None
    units: int
    delivered: int = 0
    cost: Decimal
    charge: Decimal | None = None
    refills: int = 0
    service: int
    replaces: str = ""
    """The name of the run whose rest it buys."""
    replaced: bool = False
    """Another run bought its rest, and is counted instead of it."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would happen."""

    plan: Plan
    outlook: Outlook
    seed: int
    start: datetime
    state: CampaignState
    """The campaign's state when nothing more happens."""
    finished: bool
    """False when it would wait for a person, or for an order that never ends."""
    ends_at: datetime
    """The last moment at which anything happens."""
    happenings: list[Happening]
    spending: list[Spend]
    """In order of time; the first point is the start, with nothing."""
    endings: list[Ending]
    """Every order run, in the file's order."""
    warnings: list[str]
    steps: int
    """How often the engine was asked: a few times an order run."""
    slot: Slot | None = None
    """The slot of the campaign's schedule whose run this is."""

    @property
    def spent(self) -> Decimal:
        """What it all costs in the end, less refunds."""
        return self.spending[-1].spent

    @property
    def peak(self) -> Decimal:
        """The most that is spent and set aside at any moment: what the balance must be able to bear."""
        return max(point.spent + point.reserved for point in self.spending)

    @property
    def units(self) -> int:
        """Units planned."""
        return sum(ending.units for ending in self.endings if not ending.replaces)

    @property
    def delivered(self) -> int:
        """Units delivered."""
        return sum(ending.delivered for ending in self.endings)

    @property
    def counts(self) -> dict[str, int]:
        """How many order runs end in which state; one whose rest was bought again is counted as its replacement."""
        found: dict[str, int] = {}
        for ending in self.endings:
            if ending.replaced:
                continue
            found[ending.state.value] = found.get(ending.state.value, 0) + 1
        return {state.value: found[state.value] for state in RunState if state.value in found}

    def document(self) -> dict[str, Any]:
        """Give it as JSON: totals, warnings, the timeline, the spending and every end state; money as text."""
        outlook = self.outlook
        return {
            "name": self.plan.name,
            "account": self.plan.account.name,
            "currency": self.plan.account.currency,
            "timezone": self.plan.timezone or "UTC",
            "outlook": {
                "mood": outlook.mood.value,
                "share": f"{outlook.share:f}%",
                "takes": format_duration(outlook.takes),
                "takes_of": {order: format_duration(takes) for order, takes in outlook.takes_of.items()},
                "delivered": f"{outlook.delivered:f}%",
                "seed": self.seed,
            },
            "start": self.start.isoformat(),
            "slot": None if self.slot is None else self.slot.document(self.plan.timezone or "UTC"),
            "end": self.ends_at.isoformat(),
            "state": self.state.value,
            "finished": self.finished,
            "runs": self.plan.runs,
            "counts": self.counts,
            "planned_cost": money(self.plan.cost),
            "budget": None if self.plan.budget is None else str(self.plan.budget),
            "spent": money(self.spent),
            "peak": money(self.peak),
            "units": self.units,
            "delivered": self.delivered,
            "warnings": self.warnings,
            "timeline": [_plain(happening) for happening in self.happenings],
            "spending": [_plain(point) for point in self.spending],
            "orders": [_plain(ending) for ending in self.endings],
        }


def _plain(part: BaseModel) -> dict[str, Any]:
    amounts = {name: money(value) for name, value in part if isinstance(value, Decimal)}
    return part.model_dump(mode="json") | amounts
