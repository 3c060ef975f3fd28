"""What a panel sells, takes and tells.

The models read rows as panels write them (`Service.model_validate(row)`): numbers as text or null, title case, extra
fields. Money is an exact Decimal in the panel's currency, rates are for 1000 units.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from panel import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LINK_LIMIT = 1000
REQUEST_ID_LIMIT = 128
NO_MAXIMUM = 10**12  # stands for a `max` the panel left out: the panel itself will check


class StatusWord(StrEnum):
    """An order's status, whatever the panel's spelling; `unknown` is a word of no known meaning and never an end."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    PARTIAL = "partial"
    CANCELED = "canceled"
    REFUNDED = "refunded"
    FAILED = "failed"
    UNKNOWN = "unknown"


# Only "in_progress" is printed in NotPanel's documentation; the others are what panels of the family write.
_SPELLINGS = {
    StatusWord.PENDING: ("pending", "awaiting", "queued", "new", "creating"),
    StatusWord.IN_PROGRESS: ("in progress", "inprogress", "processing", "active", "running"),
    StatusWord.COMPLETED: ("completed", "complete", "success", "done"),
    StatusWord.PARTIAL: ("partial",),
    StatusWord.CANCELED: ("canceled", "cancelled"),
    StatusWord.REFUNDED: ("refunded",),
    StatusWord.FAILED: ("fail", "failed", "error", "rejected"),
}
_BY_SPELLING = {spelling: word for word, spellings in _SPELLINGS.items() for spelling in spellings}


def status_word(raw: str) -> StatusWord:
    """Return the meaning of a panel's status, case, `_` and `-` aside."""
    spelling = " ".join(raw.lower().replace("_", " ").replace("-", " ").split())
    return _BY_SPELLING.get(spelling, StatusWord.UNKNOWN)


def _count_or(default: int) -> BeforeValidator:
    return BeforeValidator(lambda value: default if value is None or value == "" else reading.integer(value))


def _currency(value: Any) -> str | None:
    return reading.text(value, 16).upper() or None


Line = Annotated[str, BeforeValidator(reading.text)]
Flag = Annotated[bool, BeforeValidator(reading.flag)]
Charge = Annotated[Decimal | None, BeforeValidator(reading.amount)]
Count = Annotated[int | None, BeforeValidator(reading.count)]
Currency = Annotated[str | None, BeforeValidator(_currency)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class Service(_Model):
    """A row of the catalog. `rate` is the price of 1000 units; `min` and `max` bound one order's quantity."""

    service: Annotated[int, BeforeValidator(reading.integer), Field(ge=1)]
    name: Line = ""
    type: Line = "Default"
    category: Line = ""
    rate: Annotated[Decimal, BeforeValidator(reading.decimal), Field(ge=0)]
    min: Annotated[int, _count_or(1), Field(ge=0)] = 1
    max: Annotated[int, _count_or(NO_MAXIMUM), Field(ge=0)] = NO_MAXIMUM
    dripfeed: Flag = False
    refill: Flag = False
    cancel: Flag = False

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min > self.max:
            msg = f"min {self.min} is above max {self.max}"
            raise ValueError(msg)
        return self


class Unreadable(_Model):
    """A row of the catalog that could not be read: its place in the answer, its service if known, and why."""

    row: int
    service: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """The services of a panel, in its order; rows it garbled are listed in `unreadable` instead."""

    services: tuple[Service, ...]
    unreadable: tuple[Unreadable, ...] = ()
    _by_id: Mapping[int, Service] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {service.service: service for service in self.services})

    def __iter__(self) -> Iterator[Service]:
        return iter(self.services)

    def __len__(self) -> int:
        return len(self.services)

    def __contains__(self, service: object) -> bool:
        return service in self._by_id

    def __getitem__(self, service: int) -> Service:
        """Return the service with this id; raise KeyError if the panel does not sell it."""
        return self._by_id[service]

    def get(self, service: int) -> Service | None:
        """Return the service with this id, None if the panel does not sell it."""
        return self._by_id.get(service)


def _http_url(link: str, limit: int = LINK_LIMIT) -> str:
    if len(link) > limit:
        msg = f"is {len(link)} characters long; a panel takes at most {limit}"
        raise ValueError(msg)
    if not link.isprintable() or " " in link:
        raise ValueError("has a space or a control character in it")
    try:
        parts = urlsplit(link)
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        fine = False
    if not fine:
        raise ValueError("must be an http:// or https:// URL")
    return link


def _token(value: str) -> str:
    if not value.isprintable() or not value.strip():
        raise ValueError("must be printable and not blank")
    return value


Link = Annotated[str, AfterValidator(_http_url)]
Token = Annotated[str, Field(min_length=1, max_length=REQUEST_ID_LIMIT), AfterValidator(_token)]


class OrderRequest(_Model):
    """One `add` call, frozen. The same request gives the same fields in the same order, so the same bytes.

    `request_id` is None only for stock v2 panels, which know no such field and must never be asked twice. `interval`
    is in minutes and goes with `runs` above 1. `quantity` is left out for services that ignore it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    service: Annotated[int, Field(ge=1)]
    request_id: Token | None
    link: Link
    quantity: Annotated[int, Field(ge=1)] | None = None
    runs: Annotated[int, Field(ge=1)] | None = None
    interval: Annotated[int, Field(ge=1)] | None = None
    coupon: Token | None = None

    @model_validator(mode="after")
    def _drip_feed(self) -> Self:
        if self.interval is not None and (self.runs is None or self.runs < 2):  # noqa: PLR2004 -- "only when runs > 1"
            raise ValueError("interval means nothing without runs above 1")
        return self

    def form(self) -> list[tuple[str, str]]:
        """Return the form fields in their fixed order, without `key` and `action`."""
        names = ("service", "request_id", "link", "quantity", "runs", "interval", "coupon")
        return [(name, str(value)) for name in names if (value := getattr(self, name)) is not None]


class OrderStatus(_Model):
    """What the panel says of an order now; None where it does not say.

    `raw` is the panel's own status word. `charge` is what the order costs, never negative; `start_count` is the
    target's counter when delivery began; `remains` is what is still to be delivered and may exceed the quantity.
    """

    order: str
    status: StatusWord
    raw: str
    charge: Charge = None
    start_count: Count = None
    remains: Count = None
    currency: Currency = None

    @classmethod
    def from_row(cls, order: str, row: Any) -> OrderStatus | None:
        """Return the status a row tells, None if it tells none."""
        raw = reading.text(row.get("status"), 100) if isinstance(row, dict) else ""
        if not raw:
            return None
        return cls(
            order=order,
            status=status_word(raw),
            raw=raw,
            charge=row.get("charge"),
            start_count=row.get("start_count"),
            remains=row.get("remains"),
            currency=row.get("currency"),
        )


class Balance(_Model):
    """What is left on the account. Panels cache it (NotPanel: 30 s); `currency` is "" where they do not say."""

    balance: Decimal
    currency: str


class Webhook(_Model):
    """An endpoint the panel reports to. `secret` signs its deliveries and is shown once, when it is added."""

    id: str
    url: str = ""
    events: tuple[str, ...] = ()
    secret: SecretStr | None = None


http_url = partial(_http_url, limit=LINK_LIMIT)
