from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from panel import OrderRequest, OrderStatus, Service, StatusWord, answers
from panel.models import status_word
from panel.redaction import Redactor

LINK = "https://example.com/"


def request(**fields: Any) -> OrderRequest:
    return OrderRequest.model_validate({"service": 1, "request_id": "r", "link": LINK, "quantity": 10} | fields)


def test_a_form_holds_the_given_fields_in_the_documented_order() -> None:
    order = request(coupon="SPRING", interval=90, runs=10)
    assert order.form() == [
        ("service", "1"),
        ("request_id", "r"),
        ("link", LINK),
        ("quantity", "10"),
        ("runs", "10"),
        ("interval", "90"),
        ("coupon", "SPRING"),
    ]


def test_a_form_leaves_out_what_is_not_given() -> None:
    assert request(request_id=None, quantity=None).form() == [("service", "1"), ("link", LINK)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"service": 0},
        {"request_id": ""},
        {"request_id": "r" * 129},
        {"request_id": "a\nb"},
        {"link": "https://example.com/" + "a" * 981},
        {"link": "example.com"},
        {"link": "ftp://example.com"},
        {"link": "https://"},
        {"link": "https://exa mple.com"},
        {"link": "https://example.com/\n"},
        {"link": "https://[::1"},
        {"link": "javascript:alert(1)"},
        {"quantity": 0},
        {"runs": 0},
        {"interval": 5},
        {"interval": 5, "runs": 1},
        {"coupon": " "},
        {"quantities": 5},
    ],
)
def test_an_order_no_panel_would_take_cannot_be_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match=next(iter(wrong)) if len(wrong) == 1 and "interval" not in wrong else "interval"
    ):
        request(**wrong)


def test_the_longest_link_and_request_id_are_fine() -> None:
    request(link="https://example.com/" + "a" * 980, request_id="r" * 128)


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        ("in_progress", StatusWord.IN_PROGRESS),
        ("In progress", StatusWord.IN_PROGRESS),
        (" IN-PROGRESS ", StatusWord.IN_PROGRESS),
        ("Inprogress", StatusWord.IN_PROGRESS),
        ("Processing", StatusWord.IN_PROGRESS),
        ("Awaiting", StatusWord.PENDING),
        ("Complete", StatusWord.COMPLETED),
        ("Partial", StatusWord.PARTIAL),
        ("Cancelled", StatusWord.CANCELED),
        ("Canceled", StatusWord.CANCELED),
        ("Refunded", StatusWord.REFUNDED),
        ("Fail", StatusWord.FAILED),
        ("Completed?", StatusWord.UNKNOWN),
        ("not completed", StatusWord.UNKNOWN),
        ("", StatusWord.UNKNOWN),
    ],
)
def test_a_status_means_the_same_in_every_spelling_and_a_new_word_is_unknown(raw: str, word: StatusWord) -> None:
    assert status_word(raw) is word


@pytest.mark.parametrize("nothing", [None, "", "N/A", "Unknown", "nan", "Infinity", "1e400", [], {}, True, "1,5", "٣"])
def test_a_number_that_is_none_reads_as_not_said(nothing: Any) -> None:
    row = {"status": "Pending", "charge": nothing, "start_count": nothing, "remains": nothing}
    status = OrderStatus.from_row("1", row)
    assert status is not None
    assert (status.charge, status.start_count, status.remains) == (None, None, None)


def test_a_negative_remainder_is_zero_and_a_negative_charge_is_not_believed() -> None:
    status = OrderStatus.from_row("1", {"status": "Completed", "charge": "-0.5", "remains": "-12"})
    assert status is not None
    assert (status.charge, status.remains) == (None, 0)


def test_a_status_is_the_same_after_a_trip_through_json() -> None:
    status = OrderStatus.from_row("1", {"status": "Odd", "charge": "0.10", "remains": 5, "currency": "usd"})
    assert status is not None
    assert OrderStatus.model_validate_json(status.model_dump_json()) == status
    assert str(status.charge) == "0.10"


@pytest.mark.parametrize(
    "wrong",
    [{"service": None}, {"service": "x"}, {"rate": None}, {"rate": "-1"}, {"min": "few"}, {"min": 5, "max": 2}],
)
def test_a_service_without_an_id_a_price_or_sane_bounds_cannot_be_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Service.model_validate({"service": 1, "rate": "1"} | wrong)


def test_a_service_row_may_leave_out_or_null_everything_but_id_and_rate() -> None:
    row = dict.fromkeys(Service.model_fields) | {"service": "7", "rate": 0.9, "cancel": "1", "refill": 1, "extra": []}
    service = Service.model_validate(row)
    assert (service.service, service.rate, service.min) == (7, Decimal("0.9"), 1)
    assert (service.cancel, service.refill, service.dripfeed) == (True, True, False)


def test_a_catalog_of_20_000_rows_is_read_in_seconds_not_minutes() -> None:
    row = {"name": "Views", "type": "Default", "category": "YT", "rate": "0.9", "min": "50", "max": "10000"}
    body = json.dumps([{"service": str(number), **row} for number in range(1, 20_001)]).encode()
    begun = time.perf_counter()
    reply = answers.judge(answers.Answer("services", 200, {}, body), Redactor("0123456789"), datetime.now(UTC))
    assert len(answers.catalog(reply)) == 20_000
    assert time.perf_counter() - begun < 5  # 0.5 s alone; the rest is room for a busy machine
