"""What workflows and activities say to each other: names, inputs and results. Data only; no client, no HTTP."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from campaigns.accounts import AccountFacts
from campaigns.definition import NoticeFormat
from campaigns.messages import CancelAnswered, Notice, OrderForm, PlaceEvent, Reading, Recalled, RefillAnswered
from campaigns.plan import ServiceFacts

CAMPAIGNS_QUEUE = "campaigns"
"""Workflows, and the activities that do not touch a panel."""

DESCRIBE_ACCOUNT = "describe_account"
FOLLOW_ORDERS = "follow_orders"
RECALL_ORDERS = "recall_orders"
READ_CATALOG = "read_catalog"
PLACE_ORDER = "place_order"
CANCEL_ORDERS = "cancel_orders"
REFILL_ORDERS = "refill_orders"
READ_STATUSES = "read_statuses"
READ_BALANCE = "read_balance"
TELL = "tell"

STARTED_BY, REVIEWED = "started_by", "reviewed"
"""The memo that says who started a campaign, where the starter told."""


def panel_queue(account: str) -> str:
    """Name the task queue of an account's panel: one activity there is one HTTP request."""
    return f"panel-{account}"


def campaign_id(name: str) -> str:
    """Name a campaign's workflow."""
    return f"campaign/{name}"


_SLOT = re.compile(r"-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
"""What a schedule adds to a workflow's id (measured)."""


def is_run_of(name: str, workflow_id: str) -> bool:
    """Tell whether a workflow may be a run of a campaign: under its own id, or that and a schedule's slot."""
    rest = workflow_id.removeprefix(campaign_id(name))
    return rest != workflow_id and (not rest or _SLOT.fullmatch(rest) is not None)


def account_id(account: str) -> str:
    """Name an account's workflow."""
    return f"account/{account}"


class DescribeAccount(BaseModel):
    """Ask for what the worker's configuration says of an account."""

    account: str


class ReadCatalog(BaseModel):
    """Ask for these services of the panel's catalog."""

    account: str
    services: list[int]


class CatalogRead(BaseModel):
    """The asked services that the panel lists now; one that is missing is not active."""

    services: list[ServiceFacts]


class PlaceOrder(BaseModel):
    """Send one ``add``, its body frozen."""

    account: str
    key: str
    form: OrderForm
    first: bool
    """True when this request id was never handed out before."""
    due: datetime
    repeat_until: datetime
    lost_at: datetime | None = None
    """When the campaign gave up the last answer to this request id."""
    resets: list[str] = Field(default_factory=list)
    """The workflow runs of this chain that a reset made: the id may have been sent long ago, by a run before them."""
    idempotent: bool = True
    run_id: str = ""
    """The workflow run that handed it out: a reset hands out again, under a new run, what was on its way."""
    cost: Decimal = Decimal(0)
    """Expected, for the account's limit of the day."""


class PlaceOutcome(BaseModel):
    """What became of one ``add``."""

    event: Annotated[PlaceEvent, Field(discriminator="kind")]


class RecallOrders(BaseModel):
    """Ask what the runs that resets replaced have bought."""

    resets: list[str]
    offset: int = 0


class OrdersRecalled(BaseModel):
    """A page of it, the oldest first."""

    orders: list[Recalled]
    more: bool


class ReadBalance(BaseModel):
    """Ask for what is left on an account."""

    account: str


class BalanceRead(BaseModel):
    """What is left, in the account's currency."""

    balance: Decimal


class TellNotices(BaseModel):
    """Send notices to a campaign's webhook, one request each."""

    campaign: str
    account: str
    webhook: str
    """An address, or the ``${VARIABLE}`` that holds it in the worker's environment."""
    format: NoticeFormat
    notices: list[Notice]


class Reserve(BaseModel):
    """Ask the account to set aside the cost of a placement, against its limit of the day."""

    request_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    amount: Decimal = Field(ge=0)
    limit: Decimal = Field(ge=0)
    timezone: str


class Reservation(BaseModel):
    """The account's answer; ``again_at`` is its next midnight."""

    granted: bool
    reserved: Decimal
    again_at: datetime


class AskOrders(BaseModel):
    """Ask for the cancellation or the refill of up to 100 orders: key of the run -> panel order id."""

    account: str
    orders: dict[str, str]


class CancelOutcome(BaseModel):
    """The panel's answer for every asked order."""

    answers: list[CancelAnswered]


class RefillOutcome(BaseModel):
    """The panel's answer for every asked order."""

    answers: list[RefillAnswered]


class ReadStatuses(BaseModel):
    """Read up to 100 statuses in one request."""

    account: str
    panel_orders: list[str]


class StatusesRead(BaseModel):
    """The readings, one for every asked order; none when the panel asked for patience until ``again_at``."""

    readings: list[Reading]
    again_at: datetime | None = None


class FollowOrders(BaseModel):
    """Tell the account's workflow which orders a campaign wants to hear of."""

    account: str
    request: FollowRequest


class FollowRequest(BaseModel):
    """One campaign's wish for news; what is asked again is reported again, changed or not."""

    campaign: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    """The campaign's workflow id."""
    panel_orders: list[Annotated[str, StringConstraints(min_length=1, max_length=128)]]
    every: float = Field(ge=0.05, le=7 * 86_400, allow_inf_nan=False)
    """Seconds between two readings."""
    until: AwareDatetime | None = None
    """Go on reading until then although an order shows an end (a refill is awaited)."""


class HintRequest(BaseModel):
    """Orders that the panel, by a webhook, says something happened to."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    panel_orders: list[Annotated[str, StringConstraints(min_length=1, max_length=128)]]


class AccountDescribed(BaseModel):
    """What the worker's configuration says of an account."""

    facts: AccountFacts


FollowOrders.model_rebuild()
