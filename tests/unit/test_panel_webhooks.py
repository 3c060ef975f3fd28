from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from panel import BadSignature, Delivery, SignatureScheme, StatusWord, UnreadableDelivery, parse_delivery, sign, verify

BODY = b'{"event":"order.completed","order":"ord_1"}'
SECRET = SecretStr("whsec_1")
SIGNED = 1_800_000_000
NOW = datetime.fromtimestamp(SIGNED, UTC)
HEADER = "X-NotPanel-Signature"


def test_the_default_signature_is_hmac_sha256_over_time_dot_body() -> None:
    expected = hmac.new(b"whsec_1", b"1800000000." + BODY, hashlib.sha256).hexdigest()
    assert sign(SECRET, SIGNED, BODY) == f"t=1800000000,v1={expected}"


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_signed_delivery_is_believed_within_the_window(seconds: int) -> None:
    assert verify({HEADER.lower(): sign(SECRET, SIGNED, BODY)}, BODY, SECRET, NOW + timedelta(seconds=seconds)) == NOW


@pytest.mark.parametrize("seconds", [-301, 301, 10**9])
def test_a_replay_outside_the_window_is_not_believed(seconds: int) -> None:
    with pytest.raises(BadSignature, match="300 s"):
        verify({HEADER: sign(SECRET, SIGNED, BODY)}, BODY, SECRET, NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "t=1800000000",
        "v1=00",
        "t=1800000000,v1=",
        "t=1800000000,v1=zz",
        "t=1800000000,v1=é",
        "t=-1,v1=00",
        "t=\u0661,v1=00",
        f"t={'9' * 400},v1=00",
        sign("another", SIGNED, BODY),
        sign(SECRET, SIGNED, BODY + b" "),
        sign(SECRET, SIGNED, BODY).replace("t=1800000000", "t=1800000001"),
        sign(SECRET, SIGNED, BODY)[:-2],
    ],
)
def test_a_signature_that_does_not_fit_is_not_believed(value: str) -> None:
    with pytest.raises(BadSignature):
        verify({HEADER: value}, BODY, SECRET, NOW)


def test_one_fitting_signature_of_several_is_enough_while_a_secret_is_exchanged() -> None:
    value = f"{sign('old', SIGNED, BODY)},{sign(SECRET, SIGNED, BODY).partition(',')[2]}"
    assert verify({HEADER: value}, BODY, SECRET, NOW) == NOW


def test_a_scheme_can_put_the_time_into_its_own_header_and_the_signature_into_base64() -> None:
    scheme = SignatureScheme(
        header="X-Signature", timestamp_header="X-Timestamp", prefix="sha256=", encoding="base64", separator=":"
    )
    value = sign(SECRET, SIGNED, BODY, scheme)
    assert value.startswith("sha256=")
    assert verify({"x-signature": value, "x-timestamp": str(SIGNED)}, BODY, SECRET, NOW, scheme) == NOW
    with pytest.raises(BadSignature):
        verify({"x-signature": value, "x-timestamp": str(SIGNED + 1)}, BODY, SECRET, NOW, scheme)
    with pytest.raises(BadSignature):
        verify({"x-signature": value}, BODY, SECRET, NOW, scheme)


def test_an_empty_secret_verifies_nothing() -> None:
    with pytest.raises(ValueError, match="empty"):
        verify({HEADER: "t=1800000000,v1=00"}, BODY, "", NOW)


@pytest.mark.parametrize(
    ("body", "delivery"),
    [
        (BODY, Delivery(event="order.completed", order="ord_1")),
        (b'{"event":"balance.low","balance":"1.00","id":"evt_1"}', Delivery(event="balance.low", id="evt_1")),
        (
            b'{"type":"order.failed","id":"evt_1","data":{"id":7,"status":"Fail"}}',
            Delivery(event="order.failed", order="7", id="evt_1", status=StatusWord.FAILED),
        ),
        (
            b'{"event":"order.refunded","data":{"order":{"id":"ord_2"}}}',
            Delivery(event="order.refunded", order="ord_2"),
        ),
        (
            b'{"event":"order.refunded","order_id":7,"status":5}',
            Delivery(event="order.refunded", order="7", status=StatusWord.UNKNOWN),
        ),
    ],
)
def test_a_delivery_names_its_order_in_every_likely_shape(body: bytes, delivery: Delivery) -> None:
    assert parse_delivery(body) == delivery


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"order": "ord_1"}', b'{"event": null}', b"event=order"])
def test_a_delivery_without_an_event_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableDelivery):
        parse_delivery(body)
