"""What passes between the engine and the world: commands out, events in. Data only, all serialisable.

An order run is named by its key, ``"<order>/<run>"``, such as ``"views/3"``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from campaigns.definition import NoticeKind
from campaigns.quantities import Amount

_MUCH = 10**30
"""More of anything than there is; the client reads no longer numbers."""


class Status(StrEnum):
    """A panel's status word, normalised. ``unknown`` is any other word: never terminal."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    PARTIAL = "partial"
    CANCELED = "canceled"
    REFUNDED = "refunded"
    FAILED = "failed"
    UNKNOWN = "unknown"


BlockCause = Literal["funds", "account", "halt", "daily_limit"]
"""Why an account cannot order: the panel says no (funds, account), or its operator does (halt, daily_limit)."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


class OrderForm(_Message):
    """The body of one ``add``, frozen before it is first sent, without the key."""

    service: int
    request_id: str
    link: str
    quantity: int
    runs: int | None = None
    interval: int | None = None
    coupon: str | None = None


# Commands: what the engine asks of the shell.


class Place(_Message):
    """Send one ``add``."""

    kind: Literal["place"] = "place"
    key: str
    form: OrderForm
    first: bool
    """True when nothing of this request id can be at the panel as far as the state knows: it was never handed out, or
    certainly not taken. Only then is a first attempt certainly new."""
    due: datetime
    """When the run became due: nobody can have sent it earlier, not even before a reset."""
    repeat_until: datetime
    """After this moment the panel is not trusted to remember the request id."""
    lost_at: datetime | None = None
    """When the last answer was given up, as far as the state knows: it may still be going on at the panel."""


class Cancel(_Message):
    """Ask the panel to cancel these orders (at most 100): key of the run -> panel order id."""

    kind: Literal["cancel"] = "cancel"
    orders: dict[str, str]


class Refill(_Message):
    """Ask the panel to refill these orders (at most 100): key of the run -> panel order id."""

    kind: Literal["refill"] = "refill"
    orders: dict[str, str]


class Follow(_Message):
    """Ask the account's watch for news of these panel orders."""

    kind: Literal["follow"] = "follow"
    panel_orders: list[str]
    until: datetime | None = None
    """For orders whose refill is awaited: how long to go on reading although they show an end."""


class ReadRates(_Message):
    """Read the current rates of these services."""

    kind: Literal["read_rates"] = "read_rates"
    services: list[int]


class ReadBalance(_Message):
    """Read the account's balance."""

    kind: Literal["read_balance"] = "read_balance"


class Notice(_Message):
    """One thing told to the outside; the same id is the same notice, however often it arrives."""

    id: str
    kind: NoticeKind
    at: datetime
    text: str
    order: str | None = None
    """The key of the run it is about."""
    data: dict[str, str] = Field(default_factory=dict)


class Tell(_Message):
    """Send these notices."""

    kind: Literal["tell"] = "tell"
    notices: list[Notice]


Command = Place | Cancel | Refill | Follow | ReadRates | ReadBalance | Tell


# Events: what the shell folds back.


class Placed(_Message):
    """The panel took the order."""

    kind: Literal["placed"] = "placed"
    key: str
    panel_order: str
    units: int | None = None
    """What was bought in all, where it was sent before a reset: the campaign may have come to another figure since."""


class Rejected(_Message):
    """The panel refused the order for good, in its own words."""

    kind: Literal["rejected"] = "rejected"
    key: str
    words: str


class Blocked(_Message):
    """The account cannot order now: no funds, or the account or its key is refused."""

    kind: Literal["blocked"] = "blocked"
    key: str
    cause: BlockCause
    words: str
    again_at: datetime | None = None
    """When the cause is known to be over; otherwise one order probes every few minutes."""


class LinkBusy(_Message):
    """Another order on the same link is still live at the panel."""

    kind: Literal["link_busy"] = "link_busy"
    key: str
    words: str
    superseded: bool = False
    """It was refused before a reset, and another id followed it: that one is asked for at once."""


class NotTaken(_Message):
    """The request certainly did not reach the books (rate limit, connection refused): the same id again, later."""

    kind: Literal["not_taken"] = "not_taken"
    key: str
    words: str
    again_at: datetime | None = None


class Unanswered(_Message):
    """Nobody knows whether the panel took the order: only the same request id may follow."""

    kind: Literal["unanswered"] = "unanswered"
    key: str
    words: str


class Expired(_Message):
    """The request was not repeated, because the panel may have forgotten its id."""

    kind: Literal["expired"] = "expired"
    key: str
    words: str


PlaceEvent = Placed | Rejected | Blocked | LinkBusy | NotTaken | Unanswered | Expired


class Reading(_Message):
    """One order's status as read at ``observed_at``; money in the account's currency."""

    panel_order: str
    status: Status
    raw: str = ""
    charge: Decimal | None = Field(default=None, max_digits=60, decimal_places=30)
    remains: int | None = Field(default=None, ge=-_MUCH, le=_MUCH)
    start_count: int | None = Field(default=None, ge=-_MUCH, le=_MUCH)
    observed_at: AwareDatetime
    error: str | None = None
    """The panel's words when it gave no status for this order (such as ``Incorrect order ID``)."""


class News(_Message):
    """What a round of status reads brought for this campaign."""

    kind: Literal["news"] = "news"
    readings: list[Reading]


class CancelAnswered(_Message):
    """The panel's answer to a cancel request; never the cancellation itself."""

    kind: Literal["cancel_answered"] = "cancel_answered"
    key: str
    answer: Literal["asked", "refused", "unanswered"]
    words: str = ""


class RefillAnswered(_Message):
    """The panel's answer to a refill request."""

    kind: Literal["refill_answered"] = "refill_answered"
    key: str
    answer: Literal["accepted", "not_yet", "never", "unanswered"]
    refill: str = ""
    words: str = ""


class RatesRead(_Message):
    """The rates of services now, per 1,000; a service that is missing is not in the catalog."""

    kind: Literal["rates_read"] = "rates_read"
    asked: list[int]
    rates: dict[int, Decimal]


class RatesUnread(_Message):
    """The catalog could not be read."""

    kind: Literal["rates_unread"] = "rates_unread"
    words: str = ""


class BalanceRead(_Message):
    """What is left on the account; None when it could not be read."""

    kind: Literal["balance_read"] = "balance_read"
    balance: Decimal | None


class Released(_Message):
    """The account's halt is over, or its daily limit was raised: try again now."""

    kind: Literal["released"] = "released"


class Approved(_Message):
    """A person approved: the campaign's cost, or what became dearer."""

    kind: Literal["approved"] = "approved"
    by: str = ""
    why: str = ""


class OrderCancelRequested(_Message):
    """A person wants one order (``views``) or one run of it (``views/3``) to end."""

    kind: Literal["order_cancel_requested"] = "order_cancel_requested"
    target: str
    by: str = ""
    why: str = ""


class SkipRequested(_Message):
    """A person wants an order, or one run of it, not to be placed."""

    kind: Literal["skip_requested"] = "skip_requested"
    target: str
    by: str = ""
    why: str = ""


class RetryRequested(_Message):
    """A person wants what a run did not deliver to be bought again."""

    kind: Literal["retry_requested"] = "retry_requested"
    key: str
    by: str = ""
    why: str = ""


class BudgetRaised(_Message):
    """A person set a higher budget."""

    kind: Literal["budget_raised"] = "budget_raised"
    budget: Amount
    by: str = ""
    why: str = ""


class Rescheduled(_Message):
    """A person moved what is not yet placed to later: all of it, or one order."""

    kind: Literal["rescheduled"] = "rescheduled"
    later: timedelta
    order: str | None = None
    by: str = ""
    why: str = ""


class Paused(_Message):
    """A person (or a policy) paused the campaign."""

    kind: Literal["paused"] = "paused"
    by: str = ""
    why: str = ""


class Resumed(_Message):
    """A person resumed the campaign."""

    kind: Literal["resumed"] = "resumed"
    by: str = ""
    why: str = ""


class CancelRequested(_Message):
    """The campaign is to end: place nothing more, ask for what is open, wait for the outcomes."""

    kind: Literal["cancel_requested"] = "cancel_requested"
    by: str = ""
    why: str = ""


class Resolved(_Message):
    """A person settled an unknown order: it is at the panel under this id, or it certainly is not."""

    kind: Literal["resolved"] = "resolved"
    key: str
    panel_order: str | None
    by: str = ""
    why: str = ""


class Recalled(_Message):
    """What a run that a reset replaced has sent, and this one never came to again."""

    kind: Literal["recalled"] = "recalled"
    key: str
    form: OrderForm
    panel_order: str | None
    """None when the answer was lost: the panel may hold it or not."""
    at: AwareDatetime


Event = Annotated[
    Placed
    | Recalled
    | Rejected
    | Blocked
    | LinkBusy
    | NotTaken
    | Unanswered
    | Expired
    | News
    | CancelAnswered
    | RefillAnswered
    | Paused
    | Resumed
    | CancelRequested
    | Resolved
    | RatesRead
    | RatesUnread
    | BalanceRead
    | Released
    | Approved
    | OrderCancelRequested
    | SkipRequested
    | RetryRequested
    | BudgetRaised
    | Rescheduled,
    Field(discriminator="kind"),
]
