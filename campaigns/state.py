"""The state of a running campaign: one serialisable model, carried through continue-as-new."""

from __future__ import annotations

import json
from collections import deque
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, Field

from campaigns.messages import BlockCause, Notice, OrderForm
from campaigns.packing import pack, unpack
from campaigns.plan import Offer, Plan, PlannedOrder
from campaigns.quantities import Amount


class RunState(StrEnum):
    """Where an order run stands."""

    PLANNED = "planned"
    HELD = "held"
    PLACING = "placing"
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    PARTIAL = "partial"
    CANCELED = "canceled"
    REFUNDED = "refunded"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class CampaignState(StrEnum):
    """Where a campaign stands."""

    PLANNING = "planning"
    AWAITING_APPROVAL = "awaiting_approval"
    RUNNING = "running"
    PAUSED = "paused"
    NEEDS_ATTENTION = "needs_attention"
    COMPLETED = "completed"
    CANCELED = "canceled"
    FAILED = "failed"


SETTLED = frozenset(
    {
        RunState.COMPLETED,
        RunState.PARTIAL,
        RunState.CANCELED,
        RunState.REFUNDED,
        RunState.FAILED,
        RunState.SKIPPED,
    }
)
LIVE = frozenset({RunState.PLACING, RunState.PENDING, RunState.IN_PROGRESS, RunState.UNKNOWN})
UNPLACED = frozenset({RunState.PLANNED, RunState.HELD})
WITHOUT_DELIVERY = frozenset({RunState.CANCELED, RunState.REFUNDED, RunState.FAILED})


class Run(BaseModel):
    """One order run: one order at the panel, or what became of the wish for it."""

    order: str
    run: int
    replacement: int = 0
    """0 for the run itself; n for the n-th order that buys what the ones before it did not deliver."""
    offer: int = 0
    """Which service it buys: the order's own (0), or a fallback (from 1)."""
    replaced_by: str | None = None
    """The key of the run that buys the rest: that one is counted instead of this one."""
    state: RunState = RunState.PLANNED
    why: str = ""
    """In words, for people: why it is held, what the panel said."""
    slot: datetime
    """When the calendar had it."""
    due: datetime | None = None
    """When the engine looks at it next."""
    units: int
    cost: Decimal
    """Expected, at the planned rate."""
    submission: int = 1
    """Grows only after a definite refusal; part of the request id."""
    form: OrderForm | None = None
    """The frozen body of the submission in flight."""
    first_sent: datetime | None = None
    """When this submission was first handed out to be sent."""
    cleared_at: datetime | None = None
    """When a person said that nothing of it was at the panel."""
    doubt: bool = False
    """True once a try of this submission went unanswered: only its own request id may follow."""
    lost_at: datetime | None = None
    """When the last answer to it was given up."""
    tries: int = 0
    flight: Literal["", "place", "cancel", "refill"] = ""
    """What is on its way for this run."""
    panel_order: str | None = None
    placed_at: datetime | None = None
    settled_at: datetime | None = None
    charge: Decimal | None = None
    """What the panel charged so far, less refunds, once it said so."""
    reserved: Decimal = Decimal(0)
    remains: int | None = None
    start_count: int | None = None
    delivered: int = 0
    seen: int = 0
    """The most units seen delivered: what counts as progress."""
    raw: str = ""
    progress_at: datetime | None = None
    heard_at: datetime | None = None
    followed_at: datetime | None = None
    silence: int = 0
    """How many times in a row the watch was asked again without an answer that moved anything."""
    cancel: Literal["", "wanted", "asked"] = ""
    """``asked`` is the panel's word that it will try, never the cancellation itself."""
    cancel_tries: int = 0
    cancel_at: datetime | None = None
    cancel_ordered: bool = False
    """A person wants it back: progress does not change that."""
    left_over: bool = False
    """What a run that a reset replaced may have bought of it is in doubt: nothing more of it is wanted than that."""
    fulfilled: bool = False
    """Counted as completed once, whatever comes later."""
    counted_day: str = ""
    """The local date whose limit it was counted against."""
    counted: bool = False
    """Counted as settled once, whatever reopens it."""
    refills: int = 0
    refill_open: bool = False
    refill_at: datetime | None = None
    refill_doubt: bool = False
    """True once a refill request went unanswered: the panel may have accepted it."""
    refilled_at: datetime | None = None
    """When the panel last accepted a refill: what was read before says nothing about it."""
    guard_until: datetime | None = None
    """End of the refill guarantee while it is still used."""

    @property
    def key(self) -> str:
        """``"<order>/<run>"``, and ``"+<n>"`` for its n-th replacement."""
        return f"{self.order}/{self.run}+{self.replacement}" if self.replacement else f"{self.order}/{self.run}"


class OrderProgress(BaseModel):
    """How far one order of the file has come."""

    began: datetime | None = None
    """When what it waits for had happened; None while it waits."""
    next_run: int = 1
    next_slot: datetime | None = None
    unplaced: str | None = None
    """The key of its run that is decided but not yet placed: the next one waits for it."""
    settled: int = 0
    completed: int = 0
    guards: int = 0
    placed_at: datetime | None = None
    started_at: datetime | None = None
    settled_at: datetime | None = None
    completed_at: datetime | None = None
    skips: list[int] = Field(default_factory=list)
    """Runs to come that a person skipped."""
    left_out: bool = False
    """Skipped as a whole, because what it waits for can no longer happen."""


class Block(BaseModel):
    """The account cannot order: everything holds, one run at a time probes."""

    cause: BlockCause
    words: str
    since: datetime
    next_probe: datetime
    probe: str | None = None


class Decision(BaseModel):
    """Something a person or a policy decided, for the record."""

    at: datetime
    what: str
    by: str = ""
    why: str = ""


class State(BaseModel):
    """Everything the engine knows of one campaign run."""

    key_root: str
    """The first execution run id of the workflow chain: the root of every request id."""
    plan: Plan
    started_at: datetime
    resets: list[str] = Field(default_factory=list)
    """The workflow runs before this one that a reset made: what they replaced may have sent more than is known here."""
    runs: dict[str, Run] = Field(default_factory=dict)
    progress: dict[str, OrderProgress] = Field(default_factory=dict)
    agenda: list[tuple[datetime, int, str]] = Field(default_factory=list)
    """A heap of (moment, turn, key): when to look at what; an entry whose moment no longer holds is passed over."""
    turn: int = 0
    """Grows with every entry of the agenda, so that equal moments keep the order in which they were asked for."""
    by_panel_order: dict[str, str] = Field(default_factory=dict)
    locks: dict[str, dict[str, None]] = Field(default_factory=dict)
    """(service, link) -> the runs that are live on it, oldest first."""
    lock_queues: dict[str, deque[str]] = Field(default_factory=dict)
    block: Block | None = None
    released_at: datetime | None = None
    """When the account's operator last let orders go on: a word of its halt that comes right after it is older."""
    block_told: str = ""
    """The words of the block that was told last, until an order went on after it."""
    tells_block_once: bool = True
    """False for a history from before ``block_told``: every block is told, also one that a release did not end."""
    block_queue: deque[str] = Field(default_factory=deque)
    budget_queue: deque[str] = Field(default_factory=deque)
    to_follow: list[str] = Field(default_factory=list)
    to_cancel: list[str] = Field(default_factory=list)
    to_refill: list[str] = Field(default_factory=list)
    placing: int = 0
    """Runs handed out to be placed and not yet definitely answered."""
    open: int = 0
    """Orders at the panel that are not at their end."""
    unknown: int = 0
    unsettled: int = 0
    """Order runs of the plan that have not come to any end."""
    guards: int = 0
    """Settled orders whose refill guarantee is still used."""
    spent: Decimal = Decimal(0)
    reserved: Decimal = Decimal(0)
    delivered: int = 0
    budget: Amount | None = None
    """The budget in force: the plan's, or what a person raised it to."""
    day: str = ""
    """The local date that ``day_spent`` counts."""
    day_spent: Decimal = Decimal(0)
    """What was handed out on that day at expected cost, less what was refused."""
    beyond_day: deque[str] = Field(default_factory=deque)
    """Runs that cost more than a whole day's limit: only a person can let go of them."""
    day_told: str = ""
    """The local date of which it was told that its limit is used up."""
    day_queue: deque[str] = Field(default_factory=deque)
    """Runs that wait for the next day; a refusal before that makes room for them."""
    rates: dict[int, Decimal] = Field(default_factory=dict)
    """The rates read last, when the plan limits their increase; a service that the catalog did not list has none."""
    rates_read: dict[int, datetime] = Field(default_factory=dict)
    """When each service's rate was read last."""
    rates_asked: bool = False
    rate_queue: deque[str] = Field(default_factory=deque)
    dear_queue: deque[str] = Field(default_factory=deque)
    """Runs held because their service became too dear, or left the catalog."""
    cheaper_at: datetime | None = None
    """When the rates of what is held as too dear are read next; None when that is not arranged."""
    looks_once: bool = True
    """False for a history from before ``cheaper_at``: a look that another one came before is taken all the same."""
    dear_told: dict[int, Decimal | None] = Field(default_factory=dict)
    """The rate at which each service was told to be too dear (None: it had left the catalog)."""
    approved_rates: dict[int, Decimal] = Field(default_factory=dict)
    balance: Decimal | None = None
    balance_due: datetime | None = None
    """When the balance is read next; None: at the first occasion."""
    balance_asked: bool = False
    low_balance: bool = False
    awaiting_approval: bool = False
    started_by: str = ""
    applied: list[str] = Field(default_factory=list)
    """Ids of the updates that were carried out (the last 500): Temporal forgets them when a run continues as new."""
    notices: list[Notice] = Field(default_factory=list)
    """To be told."""
    noticed: int = 0
    told: str = ""
    """The campaign's state that was told last."""
    told_causes: dict[str, int] = Field(default_factory=dict)
    """Why it needs attention, as told last: each cause, and how many orders of it."""
    paused: bool = False
    canceling: bool = False
    aborted: str = ""
    """Why the campaign ended itself, when an order's ``on_failure`` said so."""
    decisions: list[Decision] = Field(default_factory=list)
    keeps_what_is_found: bool = True
    """False for a history in which what a person found at the panel, of what a reset had left in doubt, is canceled."""
    retries_in_place: bool = True
    """False for a history in which a skipped run that is retried is replaced by another one."""

    def order(self, order_id: str) -> PlannedOrder:
        """Give an order of the plan by its id."""
        return self._orders[order_id]

    @cached_property
    def _orders(self) -> dict[str, PlannedOrder]:
        return {order.id: order for order in self.plan.orders}

    def offer_of(self, run: Run) -> Offer:
        """Give the service a run buys."""
        return self.order(run.order).offer(run.offer)

    def order_of(self, run: Run) -> PlannedOrder:
        """Give the planned order a run belongs to."""
        return self.order(run.order)

    def pack(self) -> dict[str, Any]:
        """Give the state as small JSON for continue-as-new (about a tenth of its plain size)."""
        text = json.dumps(self.model_dump(mode="json", by_alias=True, exclude_defaults=True), separators=(",", ":"))
        return {
            "continued": {"name": self.plan.name, "runs": len(self.runs), "spent": str(self.spent)},
            "state": pack(text),
        }

    @classmethod
    def unpack(cls, packed: dict[str, Any]) -> State:
        """Read what :meth:`pack` wrote.

        Raises:
            ValueError: it did not write this.

        """
        return cls.model_validate_json(unpack(packed["state"]))


def is_packed(document: Any) -> bool:
    """Tell a continued campaign's argument from a definition."""
    return isinstance(document, dict) and set(document) == {"continued", "state"}
