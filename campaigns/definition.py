"""The model of a campaign file (version 1): what an operator may write, field by field.

The same model reads YAML (through :mod:`campaigns.loading`, which adds file, line and column to every error) and the
JSON of a programmatic start. ``definition.document()`` gives the file's own shape back.

Source of every rule: the project's file contract, and the panel's documentation where it names a limit.
"""

from __future__ import annotations

import re
from datetime import time, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from campaigns.cron import WrittenCron
from campaigns.moments import WrittenMoment
from campaigns.quantities import Amount, Duration, Percent
from campaigns.wording import quoted

MAX_ORDERS = 500
"""Orders in one file; more belongs in several campaigns."""
MAX_TARGETS = 1000
"""Named links in one file."""
MAX_RUNS = 10_000
"""Order runs of one campaign, all drips together: what one workflow's state carries well below Temporal's 2 MiB."""
MAX_FALLBACK = 10
"""Services tried in turn for what an order did not deliver."""
MAX_SLOTS = 1000
"""Moments that ``at`` may list."""
MAX_LINK = 1000
"""Characters of a link (panel documentation, "Place order")."""

NAME_PATTERN = r"^[a-z0-9-]{1,64}$"
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
OrderId = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Whole = Annotated[int, Field(strict=True)]
"""A whole number and nothing else: neither ``"500"`` nor ``500.0`` nor ``true``."""
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00)")


class Day(StrEnum):
    """A day of the week, as written in a window."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class When(StrEnum):
    """The moment of another order that an order waits for.

    ``placed`` and ``started`` are reached with its first run, ``completed`` and ``settled`` with its last one.
    ``settled`` is any end, good or bad; ``completed`` is delivery in full.
    """

    PLACED = "placed"
    STARTED = "started"
    COMPLETED = "completed"
    SETTLED = "settled"


class DripBy(StrEnum):
    """Who keeps the rhythm of a drip: the campaign (one order a run) or the panel (one order with runs/interval)."""

    CAMPAIGN = "campaign"
    PANEL = "panel"


class Late(StrEnum):
    """What happens to runs missed while nothing ran: placed one after another, or left out."""

    CATCH_UP = "catch_up"
    SKIP = "skip"


class OnShortfall(StrEnum):
    """What happens to units an order did not deliver: left, or bought again as a new order."""

    ACCEPT = "accept"
    REORDER = "reorder"


class OnFailure(StrEnum):
    """What a campaign does when an order ends without delivery (failed, refunded or canceled)."""

    CONTINUE = "continue"
    PAUSE = "pause"
    ABORT = "abort"


class Overlap(StrEnum):
    """What happens at a slot while an earlier run still goes on: left out, run after it, or run beside it."""

    SKIP = "skip"
    QUEUE = "queue"
    PARALLEL = "parallel"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)


def _clock(value: Any) -> Any:
    if isinstance(value, str) and (match := _CLOCK.fullmatch(value)):
        # 24:00 closes a window at midnight; datetime.time has no such value, so it is kept as the day's last instant.
        return time.max if match[3] else time(int(match[1]), int(match[2]))
    if isinstance(value, time):
        return value
    raise PydanticCustomError("clock", '{value} is not a time of day; write it as "09:00"', {"value": quoted(value)})


ClockTime = Annotated[
    time,
    BeforeValidator(_clock, json_schema_input_type=Annotated[str, StringConstraints(pattern=f"^({_CLOCK.pattern})$")]),
    PlainSerializer(lambda value: "24:00" if value == time.max else f"{value:%H:%M}", return_type=str),
]


class Window(_Part):
    """When an order may be placed, on the clock of the campaign's ``timezone``.

    A window whose ``to`` is earlier than its ``from`` runs past midnight and belongs to the day it opens on.
    """

    days: list[Day] = Field(
        default=list(Day), min_length=1, description="Days on which the window opens; every day when absent."
    )
    opens: ClockTime = Field(default=time(0), alias="from", description='Local time it opens, such as "09:00".')
    closes: ClockTime = Field(default=time.max, alias="to", description='Local time it closes, such as "22:00".')


class Drip(_Part):
    """A quantity spread over several runs."""

    runs: Whole = Field(ge=2, le=MAX_RUNS, description="How many runs the quantity is spread over.")
    every: Duration = Field(description="Time between two runs, such as 90m.")
    by: DripBy = Field(
        default=DripBy.CAMPAIGN,
        description="campaign: one order a run, each with its own key. panel: one order with runs and interval.",
    )


class After(_Part):
    """What an order waits for."""

    order: OrderId = Field(description="The id of the other order.")
    when: When = Field(default=When.SETTLED, description="The moment of the other order.")
    delay: Duration | None = Field(default=None, description="Time to let pass after that moment.")


class CancelPolicy(_Part):
    """When an order that does not move is asked back from the panel."""

    not_started_in: Duration | None = Field(default=None, description="Cancel when still pending after this time.")
    stalled_for: Duration | None = Field(
        default=None, description="Cancel when nothing was delivered for this time after it started."
    )


class RefillPolicy(_Part):
    """How a guarantee is used: ask at once after a partial delivery, then every so often, until it ends."""

    within: Duration = Field(description="The guarantee, from settlement, such as 30d.")
    every: Duration = Field(default=timedelta(days=7), description="Time between two refill requests, such as 7d.")
    max: Whole = Field(default=3, ge=1, le=10, description="Refills accepted by the panel per order; panels allow 3.")


class OrderFields(_Part):
    """The fields of an order that ``defaults`` may give too."""

    service: Whole | None = Field(default=None, ge=1, description="The panel's service id.")
    target: str | None = Field(default=None, description="A name from `targets`.")
    link: str | None = Field(default=None, max_length=MAX_LINK, description="The link itself; or use `target`.")
    quantity: Whole | None = Field(
        default=None, ge=1, le=1_000_000_000, description="The total, over all runs; not needed for Package services."
    )
    after: After | None = Field(default=None, description="The order this one waits for: an id, or order/when/delay.")
    drip: Drip | None = Field(default=None, description="Spread the quantity over several runs.")
    window: Window | None = Field(default=None, description="When this order may be placed, in the file's timezone.")
    late: Late = Field(default=Late.CATCH_UP, description="What happens to runs missed while nothing ran.")
    concurrent: bool = Field(
        default=False,
        strict=True,
        description="Allow another live order on the same link and service at the same time.",
    )
    coupon: str | None = Field(default=None, min_length=1, max_length=64, description="A coupon code for the panel.")
    cancel: CancelPolicy | None = Field(default=None, description="When to ask for the order back.")
    refill: RefillPolicy | None = Field(default=None, description="How to use the refill guarantee.")
    on_shortfall: OnShortfall = Field(
        default=OnShortfall.ACCEPT,
        description="reorder: buy what was not delivered again, when the order ends canceled, partial or failed.",
    )
    fallback: list[Annotated[Whole, Field(ge=1)]] = Field(
        default_factory=list,
        max_length=MAX_FALLBACK,
        description="Services for the reorder, in turn; the same service when absent.",
    )
    on_failure: OnFailure = Field(default=OnFailure.CONTINUE, description="What the campaign does when this fails.")

    @field_validator("after", mode="before", json_schema_input_type=OrderId | After | None)
    @classmethod
    def _short_after(cls, value: Any) -> Any:
        return {"order": value} if isinstance(value, str) else value


class Defaults(OrderFields):
    """Fields every order has unless it says otherwise."""


class Order(OrderFields):
    """One order of the campaign: placed once, or once per run of its drip."""

    id: OrderId = Field(description="A name for this order, unique in the file.")


class Limits(_Part):
    """What the campaign may cost."""

    budget: Amount | None = Field(default=None, description="Refused to start above it, such as 120.00 USD.")
    per_day: Amount | None = Field(
        default=None, description="What may be ordered on one day of the file's timezone (UTC without one)."
    )
    max_rate_increase: Percent | None = Field(
        default=None, description="Hold an order whose service became dearer by more than this since planning."
    )
    approval_over: Amount | None = Field(
        default=None, description="A planned cost above it waits for `campaigner approve`."
    )


class NoticeKind(StrEnum):
    """What a campaign can tell the outside."""

    SETTLED = "settled"
    FAILED = "failed"
    NEEDS_ATTENTION = "needs_attention"
    AWAITING_APPROVAL = "awaiting_approval"
    HELD = "held"
    LOW_BALANCE = "low_balance"
    COMPLETED = "completed"


class NoticeFormat(StrEnum):
    """How a notice is written: our JSON, or the text that chat webhooks take."""

    JSON = "json"
    TEXT = "text"


class Notify(_Part):
    """Where a campaign tells what happens to it."""

    webhook: Annotated[str, StringConstraints(max_length=MAX_LINK)] = Field(
        description="An http(s) address. ${VAR} is filled in by the worker, from its environment, when it sends."
    )
    format: NoticeFormat = Field(default=NoticeFormat.JSON, description="json, or text for chat webhooks.")
    on: list[NoticeKind] = Field(
        default=[kind for kind in NoticeKind if kind is not NoticeKind.SETTLED],
        min_length=1,
        description="What is told; everything but every single settled order when absent.",
    )


class Schedule(_Part):
    """When the campaign runs again and again: one of ``at``, ``every`` and ``cron``. Each slot is a run of its own."""

    at: list[WrittenMoment] | None = Field(
        default=None, min_length=1, max_length=MAX_SLOTS, description="One date and time, or a list of them."
    )
    every: Duration | None = Field(
        default=None, description="Time between two slots, counted from `start`; without it from a Monday's midnight."
    )
    cron: WrittenCron | None = Field(
        default=None, description="Minute, hour, day of the month, month, day of the week; on the file's timezone."
    )
    start: WrittenMoment | None = Field(default=None, description="The first moment at which a slot counts.")
    end: WrittenMoment | None = Field(default=None, description="The last one; a date alone is the whole day.")
    on_overlap: Overlap = Field(
        default=Overlap.SKIP, description="A slot while an earlier run goes on: skip it, queue it, or run in parallel."
    )
    catchup: Duration = Field(
        default=timedelta(hours=1), description="How late a slot may still run when Temporal was down at its time."
    )

    @field_validator("at", mode="before", json_schema_input_type=WrittenMoment | list[WrittenMoment] | None)
    @classmethod
    def _single_at(cls, value: Any) -> Any:
        return [value] if isinstance(value, (str, int)) else value


class Definition(_Part):
    """A campaign file, version 1."""

    version: Literal[1] = Field(description="The version of this format.")
    name: Name = Field(description="The campaign's name; its workflow id is campaign/<name>.")
    description: str = Field(default="", max_length=1000, description="For people.")
    account: Name = Field(description="The panel account, from the configuration.")
    timezone: str | None = Field(
        default=None, description="An IANA time zone; required as soon as a wall-clock time appears."
    )
    targets: dict[OrderId, Annotated[str, StringConstraints(max_length=MAX_LINK)]] = Field(
        default_factory=dict, max_length=MAX_TARGETS, description="Names for links, so that a link stands once."
    )
    limits: Limits = Field(default_factory=Limits, description="What the campaign may cost.")
    notify: Notify | None = Field(default=None, description="Where the campaign tells what happens to it.")
    schedule: Schedule | None = Field(
        default=None, description="When it runs again and again; without it, it runs once, when it is started."
    )
    defaults: Defaults = Field(default_factory=Defaults, description="Fields every order has unless it says otherwise.")
    orders: list[Order] = Field(min_length=1, max_length=MAX_ORDERS, description="The orders, each with an id.")

    @field_validator("version", mode="before")
    @classmethod
    def _whole_version(cls, value: Any) -> Any:
        # Python holds True and 1.0 to be equal to 1.
        return value if type(value) is int else None

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value)
            except (ValueError, OSError, KeyError):
                raise PydanticCustomError(
                    "timezone", "{zone} is not a known IANA time zone, such as Europe/Istanbul", {"zone": quoted(value)}
                ) from None
        return value

    def document(self) -> dict[str, Any]:
        """Give the definition as JSON in the file's own shape: only what was written."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def complete_orders(self) -> list[Order]:
        """Give the orders with ``defaults`` filled in and every ``target`` turned into its link.

        A field an order writes wins over the default as a whole; ``link`` and ``target`` override each other.
        """
        common = {name: getattr(self.defaults, name) for name in self.defaults.model_fields_set}
        complete = []
        for order in self.orders:
            own = {name: getattr(order, name) for name in order.model_fields_set}
            inherited = {
                k: v for k, v in common.items() if not (k in ("link", "target") and {"link", "target"} & own.keys())
            }
            merged = inherited | own
            if merged.get("target") is not None:
                merged["link"] = self.targets.get(merged.pop("target"))
            complete.append(Order.model_construct(**merged))
        return complete
