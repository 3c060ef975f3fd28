"""Whatever a panel answers, a call gives a typed result or a PanelError, quickly and of bounded size."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from panel import PanelError, UnreadableDelivery, answers, parse_delivery, reading
from panel.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2027, 1, 1, tzinfo=UTC)
# The time an example takes depends on who else uses the machine; what is slow by nature shows in the whole.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
KEY = "0123456789abcdef"
IDS = ["1", "2", "ord_3"]

READERS: dict[str, Callable[[answers.Reply], object]] = {
    "services": answers.catalog,
    "add": answers.order_id,
    "status": lambda reply: answers.status(reply, "1"),
    "statuses": lambda reply: answers.statuses(reply, IDS),
    "refill": lambda reply: answers.refill(reply, "1"),
    "refills": lambda reply: answers.refills(reply, IDS),
    "cancel": lambda reply: answers.cancel(reply, "1"),
    "cancels": lambda reply: answers.cancels(reply, IDS),
    "balance": answers.balance,
    "webhook.add": lambda reply: answers.webhook(reply, "https://a.example"),
    "webhook.list": answers.webhooks,
}

# Names and words that mean something, so that the fuzzing reaches beyond the first check.
NAMES = st.sampled_from(
    [
        *IDS,
        *("order", "orders", "error", "errors", "message", "status", "charge", "start_count", "remains", "currency"),
        *("refill", "cancel", "balance", "service", "services", "rate", "min", "max", "name", "data", "id", "webhook"),
        *("webhooks", "secret", "events", "url", "event", "type", "object", "success", KEY),
    ]
)
WORDS = st.sampled_from(
    ["Completed", "error", "N/A", "1e999999999", "-0", "0x1", " 5 ", "٣", "\ud800", "\x00", KEY, "1" * 400]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | WORDS | st.sampled_from(IDS)
NUMBERS = st.sampled_from(
    ["1e999999999", "-1E-999999999", "9" * 5000, "1e400", "NaN", "-Infinity", "1e-400", "0e99", "1E+14"]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=6),
    max_leaves=20,
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """JSON of any shape, with numbers no Python would write, or no JSON at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=50))
    text = json.dumps(draw(VALUES), ensure_ascii=draw(st.booleans()))
    for _ in range(draw(st.integers(0, 2))):
        text = text.replace("null", draw(NUMBERS), 1)
    return text.encode("utf-8", "surrogatepass")


def size(value: Any) -> int:
    return len(repr(value)) + len(f"{value:f}" if isinstance(value, Decimal) else str(value))


@pytest.mark.parametrize("action", list(READERS))
@UNHURRIED
@given(
    body=bodies(),
    status=st.sampled_from([200, 200, 200, 400, 401, 403, 404, 409, 429, 500, 503, 302, 204, 600]),
    headers=st.dictionaries(
        st.sampled_from(["x-ratelimit-reset", "retry-after", "location", "x-ratelimit-limit", "x-ratelimit-deniedby"]),
        st.text(max_size=30) | st.sampled_from(["1e99", "-1", "99999999999999999", "http://[", "Mon, 99 Foo", KEY]),
    ),
)
@example(body=b'{"order": 1e999999999, "balance": 1e999999999}', status=200, headers={})
@example(body=b"", status=302, headers={"location": "https://["})
@example(body=b"[" * 50_000, status=200, headers={})
@example(body=b'{"a":' * 900 + b"1" + b"}" * 900, status=200, headers={})
def test_any_answer_gives_a_typed_result_or_a_panel_error(
    action: str, body: bytes, status: int, headers: dict[str, str]
) -> None:
    answer = answers.Answer(action.removesuffix("es") if action == "statuses" else action, status, headers, body)
    result: object
    try:
        result = READERS[action](answers.judge(answer, Redactor(KEY), NOW))
    except PanelError as error:
        result = error
    if isinstance(result, PanelError):
        assert result.words.isprintable()
        assert len(str(result)) < 700
    assert KEY not in repr(result) + str(result)
    assert size(result) < 30_000


@given(st.text() | st.integers() | st.floats() | st.decimals() | WORDS | NUMBERS)
def test_a_number_is_finite_and_prints_in_a_line_or_is_none(value: Any) -> None:
    number = reading.decimal(value)
    if number is not None:
        assert number.is_finite()
        assert len(f"{number:f}") < 60
        assert len(json.dumps(str(number + number))) < 60


@given(st.integers(-(10**14), 10**14), st.integers(0, 6))
def test_money_as_text_keeps_every_digit(units: int, places: int) -> None:
    text = f"{Decimal(units).scaleb(-places):f}"
    assert reading.decimal(text) == Decimal(text)
    assert str(reading.decimal(text)).removeprefix("-") == text.removeprefix("-")


@UNHURRIED
@given(bodies())
def test_any_delivery_is_read_or_refused(body: bytes) -> None:
    try:
        delivery = parse_delivery(body)
    except UnreadableDelivery:
        return
    assert delivery.event
    assert size(delivery) < 5000


def test_a_body_of_10_mib_of_digits_is_no_number() -> None:
    assert reading.loads(b'{"order": ' + b"9" * (10 << 20) + b"}") == {"order": None}
    assert sys.get_int_max_str_digits() > 0
