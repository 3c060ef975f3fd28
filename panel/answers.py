"""From an HTTP answer to a typed result or a typed error, without I/O.

`judge` decides whether the answer is the API's at all and whether it is an error; the other functions read what is
left, one for each action. Nothing here raises anything but a PanelError.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError

from panel import reading
from panel.errors import (
    DEFAULT_WAIT,
    Ambiguous,
    Missing,
    PanelError,
    Refused,
    Throttled,
    kind_of,
)
from panel.models import Balance, Catalog, OrderStatus, Service, Unreadable, Webhook

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from panel.redaction import Redactor

LONGEST_WAIT = timedelta(hours=1)  # a reset further away is not believed; one request an hour may ask again
_MILLISECONDS = 10**11  # no unix time in seconds is that large before the year 5138
_TITLE = re.compile(r"<title[^>]*>(.{1,400}?)</title", re.IGNORECASE | re.DOTALL)
_THROTTLE_TEXT = re.compile(r"(rate limit exceeded|too many requests)\W*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP; header names in lower case."""

    action: str
    http_status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is JSON, not an error, and without the key."""

    action: str
    http_status: int
    data: Any

    def unexpected(self, wanted: str) -> Ambiguous:
        """Return the error for JSON without what was asked for; it names fields only, values may be secret."""
        got = type(self.data).__name__
        if isinstance(self.data, dict):
            got = "the fields " + (", ".join(sorted(self.data)[:20]) or "(none)")
        words = reading.text(f"the answer has no readable {wanted}, but {got}")
        return Ambiguous(words, action=self.action, http_status=self.http_status)

    def record(self, *wanted: str) -> dict[str, Any]:
        """Return the one object of the answer, also when the panel put it into a list or into `data`."""
        data = self.data
        for _ in range(2):
            if isinstance(data, list) and len(data) == 1:
                data = data[0]
            if isinstance(data, dict) and isinstance(data.get("data"), dict | list) and not data.keys() & set(wanted):
                data = data["data"]
        return data if isinstance(data, dict) else {}


def judge(answer: Answer, redactor: Redactor, now: datetime) -> Reply:
    """Return the JSON of a successful answer; raise the PanelError it is otherwise."""
    action, status = answer.action, answer.http_status
    if 300 <= status < 400:  # noqa: PLR2004 -- redirections
        where = _host(redactor.text(answer.headers.get("location", "")))
        words = f"the panel redirects to {where}; redirects are not followed because the key is in the body"
        raise Ambiguous(words, action=action, http_status=status)
    try:
        data = redactor.document(reading.loads(answer.content))
    except (reading.NotJSON, RecursionError):
        data = None
        words = redactor.text(_gist(answer.content))
    else:
        words = reading.error_words(data, action=action, http_status=status) or ""
        if words:
            kind = kind_of(words, action=action, http_status=status)
            if kind is Throttled:
                raise _throttled(answer, words, redactor, now)
            if status != HTTPStatus.TOO_MANY_REQUESTS:
                raise _contradiction(kind, data)(words, action=action, http_status=status)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise _throttled(answer, words, redactor, now)
    if data is None:
        if status < HTTPStatus.INTERNAL_SERVER_ERROR and _THROTTLE_TEXT.fullmatch(words):
            raise _throttled(answer, words, redactor, now)
        raise Ambiguous(f"the answer is not JSON but {words or 'empty'}", action=action, http_status=status)
    if not 200 <= status < 300:  # noqa: PLR2004 -- success
        raise Ambiguous("neither a success nor an error that says why", action=action, http_status=status)
    return Reply(action, status, data)


def _contradiction(kind: type[PanelError], data: Any) -> type[PanelError]:
    """An `error` beside an order id says both; it must not count as a no."""
    both = isinstance(data, dict) and issubclass(kind, Refused) and reading.identifier(data.get("order")) is not None
    return Ambiguous if both and not isinstance(data.get("order"), dict) else kind


def _host(location: str) -> str:
    """Return the host of a redirect's target; the rest of it may repeat the request."""
    try:
        return reading.text(urlsplit(location).hostname or "", 100) or "elsewhere"
    except ValueError:
        return "elsewhere"


def _gist(content: bytes) -> str:
    """Return the title of a page, or how the text begins."""
    begin = content[:20_000].decode("utf-8", "replace").lstrip("\ufeff")
    title = _TITLE.search(begin)
    return reading.text(title[1] if title else begin)


def _throttled(answer: Answer, words: str, redactor: Redactor, now: datetime) -> Throttled:
    denied_by = reading.text(redactor.text(answer.headers.get("x-ratelimit-deniedby", "")), 20)
    return Throttled(
        words,
        action=answer.action,
        http_status=answer.http_status,
        until=_until(answer.headers, now),
        denied_by=denied_by or None,
        limit=reading.count(answer.headers.get("x-ratelimit-limit")),
        remaining=reading.count(answer.headers.get("x-ratelimit-remaining")),
    )


def _until(headers: Mapping[str, str], now: datetime) -> datetime:
    """Return when to ask again: X-RateLimit-Reset, else Retry-After, else in a minute; never in the past."""
    reset = reading.decimal(headers.get("x-ratelimit-reset"))
    after = headers.get("retry-after", "")
    seconds = reading.decimal(after)
    until = now + DEFAULT_WAIT
    try:
        if reset is not None and reset > 0:
            until = datetime.fromtimestamp(float(reset / 1000 if reset >= _MILLISECONDS else reset), UTC)
        elif seconds is not None:
            until = now + timedelta(seconds=float(seconds))
        elif after:
            until = parsedate_to_datetime(after)
            until = until.replace(tzinfo=UTC) if until.tzinfo is None else until.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return min(max(until, now + timedelta(seconds=1)), now + LONGEST_WAIT)


def order_id(reply: Reply) -> str:
    """Read the answer to `add`."""
    order = reading.identifier(reply.record("order").get("order"))
    if order is None:
        raise reply.unexpected("order id")
    return order


def balance(reply: Reply) -> Balance:
    """Read the answer to `balance`."""
    record = reply.record("balance")
    amount = reading.decimal(record.get("balance"))
    if amount is None:
        raise reply.unexpected("balance")
    return Balance(balance=amount, currency=reading.text(record.get("currency"), 16).upper())


def catalog(reply: Reply) -> Catalog:
    """Read the answer to `services`; a row that cannot be read is reported, not fatal, unless none can."""
    rows = reply.data
    if isinstance(rows, dict):
        rows = next((rows[name] for name in ("services", "data", "result") if isinstance(rows.get(name), list)), rows)
    if isinstance(rows, dict) and rows and all(isinstance(row, dict) for row in rows.values()):
        rows = list(rows.values())
    if not isinstance(rows, list):
        raise reply.unexpected("list of services")
    services: dict[int, Service] = {}
    unreadable = []
    for place, row in enumerate(rows):
        try:
            service = Service.model_validate(row)
        except ValidationError as error:
            known = reading.identifier(row.get("service")) if isinstance(row, dict) else None
            unreadable.append(Unreadable(row=place, service=known, why=_why(error)))
            continue
        if service.service in services:
            why = "listed twice; the first row counts"
            unreadable.append(Unreadable(row=place, service=str(service.service), why=why))
            continue
        services[service.service] = service
    if rows and not services:
        raise reply.unexpected(f"service among {len(rows)} rows")
    return Catalog(services=tuple(services.values()), unreadable=tuple(unreadable))


def _why(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return reading.text(
        "; ".join(f"{'.'.join(map(str, detail['loc'])) or 'row'}: {detail['msg']}" for detail in details)
    )


def status(reply: Reply, order: str) -> OrderStatus:
    """Read the answer to `status` for one order, flat as documented or keyed by the id."""
    row = reply.record("status", order)
    if not isinstance(row.get("status"), str):
        row = _rows(reply.data, [order], by_place=False).get(order, row)
    found = _status(reply, order, row)
    if isinstance(found, PanelError):
        raise found
    return found


def statuses(reply: Reply, orders: Sequence[str]) -> dict[str, OrderStatus | Refused | Missing]:
    """Read the answer to `status` for many orders; a row the answer lacks is Missing."""
    rows = _rows(reply.data, orders, by_place=False)  # a status on the wrong order would be money on the wrong order
    return {order: _status(reply, order, rows.get(order)) for order in orders}


def _status(reply: Reply, order: str, row: Any) -> OrderStatus | Refused | Missing:
    return _row_error(reply, row) or OrderStatus.from_row(order, row) or _missing(reply, "no readable status")


def refill(reply: Reply, order: str) -> str:
    """Read the answer to `refill` for one order."""
    found = refills(reply, [order], lone=True)[order]
    if isinstance(found, PanelError):
        raise found
    return found


def refills(reply: Reply, orders: Sequence[str], *, lone: bool = False) -> dict[str, str | Refused | Missing]:
    """Read the answer to `refill` for many orders: a refill id or an error for each."""

    def read(row: Any) -> str | Refused | Missing:
        found = row.get("refill") if isinstance(row, dict) else row
        return _row_error(reply, row, "refill") or reading.identifier(found) or _missing(reply, "no readable refill id")

    rows = _rows(reply.data, orders, by_place=True, lone=lone and "refill")
    return {order: read(rows.get(order)) for order in orders}


def cancel(reply: Reply, order: str) -> None:
    """Read the answer to `cancel` for one order."""
    found = cancels(reply, [order], lone=True)[order]
    if found is not None:
        raise found


def cancels(reply: Reply, orders: Sequence[str], *, lone: bool = False) -> dict[str, Refused | Missing | None]:
    """Read the answer to `cancel` for many orders: None where the panel took the request, or the error."""

    def read(row: Any) -> Refused | Missing | None:
        if error := _row_error(reply, row, "cancel"):
            return error
        found = row.get("cancel") if isinstance(row, dict) else row
        taken = found is True or reading.identifier(found) is not None
        return None if taken else _missing(reply, "no readable confirmation")

    rows = _rows(reply.data, orders, by_place=True, lone=lone and "cancel")
    return {order: read(rows.get(order)) for order in orders}


def _rows(data: Any, orders: Sequence[str], *, by_place: bool, lone: str | bool = False) -> dict[str, Any]:
    """Return each order's row, from an object keyed by id, a list with ids, or a list in the order asked.

    Ids are compared as text. `lone` names the field of a flat answer to a question about one order.
    """
    wanted = set(orders)
    if isinstance(data, dict):
        if isinstance(lone, str) and lone in data:
            return {orders[0]: data}
        if rows := {order: data[order] for order in orders if order in data}:
            return rows
        data = next(
            (data[name] for name in ("orders", "data", "result") if isinstance(data.get(name), dict | list)), {}
        )
        if isinstance(data, dict):
            return {order: data[order] for order in orders if order in data}
    if not isinstance(data, list):
        return {}
    named: dict[str, Any] = {}
    anonymous = True
    for row in data:
        name = _name_of(row)
        anonymous = anonymous and name is None
        if name in wanted and name not in named:
            named[str(name)] = row
    if anonymous and by_place and len(data) == len(orders):
        return dict(zip(orders, data, strict=True))
    return named


def _name_of(row: Any) -> str | None:
    if not isinstance(row, dict):
        return None
    return next((name for field in ("order", "order_id", "id") if (name := reading.identifier(row.get(field)))), None)


def _row_error(reply: Reply, row: Any, field: str = "") -> Refused | Missing | None:
    """Return the error of a row, `{"error": …}` or nested as `{"cancel": {"error": …}}`."""
    nested = row.get(field) if field and isinstance(row, dict) else None
    words = reading.error_words(_bare(row), action=reply.action) or reading.error_words(nested, action=reply.action)
    if not words:
        return None
    kind = kind_of(words, action=reply.action, http_status=reply.http_status)
    if issubclass(kind, Refused):
        return kind(words, action=reply.action, http_status=reply.http_status)
    return _missing(reply, words)


def _bare(row: Any) -> Any:
    return {name: value for name, value in row.items() if name != "order"} if isinstance(row, dict) else row


def _missing(reply: Reply, words: str) -> Missing:
    return Missing(words, action=reply.action, http_status=reply.http_status)


_IDS = ("id", "webhook_id", "webhook", "endpoint_id", "endpoint")
_SECRETS = ("secret", "signing_secret", "webhook_secret", "signing_key")


def webhook(reply: Reply, url: str) -> Webhook:
    """Read the answer to `webhook.add`; its field names are not documented, so several are understood."""
    record = reply.record(*_IDS)
    nested: Any = next((record[name] for name in ("webhook", "endpoint") if isinstance(record.get(name), dict)), {})
    found = _webhook({**record, **nested}, url)
    if found is None:
        raise reply.unexpected("webhook id")
    return found


def webhooks(reply: Reply) -> list[Webhook]:
    """Read the answer to `webhook.list`."""
    rows = reply.data
    if isinstance(rows, dict):
        rows = next(
            (rows[name] for name in ("webhooks", "endpoints", "data") if isinstance(rows.get(name), list)), None
        )
    if not isinstance(rows, list):
        raise reply.unexpected("list of webhooks")
    return [found for row in rows if isinstance(row, dict) and (found := _webhook(row, ""))]


def _webhook(row: Mapping[str, Any], url: str) -> Webhook | None:
    name = next((found for field in _IDS if (found := reading.identifier(row.get(field)))), None)
    secret = next((row[field] for field in _SECRETS if isinstance(row.get(field), str) and row[field]), None)
    events = row.get("events")
    events = events.split(",") if isinstance(events, str) else events if isinstance(events, list) else []
    if name is None:
        return None
    return Webhook(
        id=name,
        url=reading.text(row.get("url"), 1000) or url,
        events=tuple(filter(None, (reading.text(event, 100) for event in events[:100]))),
        secret=SecretStr(secret) if secret else None,
    )
