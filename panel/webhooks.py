"""Webhook deliveries: is it really the panel's, and which order is it about.

NotPanel documents an HMAC-SHA256 over the raw body with a timestamp and a replay window, but neither header names nor
encoding, so all of that is a SignatureScheme. A believed delivery is only a hint to read the order's status now.

    >>> from datetime import UTC, datetime
    >>> from panel import SignatureScheme, sign, verify
    >>> body = b'{"event": "order.completed", "order": "ord_1"}'
    >>> header = sign("whsec", 1_800_000_000, body)
    >>> header[:16]
    't=1800000000,v1='
    >>> verify({"x-notpanel-signature": header}, body, "whsec", datetime.fromtimestamp(1_800_000_060, UTC))
    datetime.datetime(2027, 1, 15, 8, 0, tzinfo=datetime.timezone.utc)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, SecretStr

from panel import reading
from panel.errors import BadSignature, UnreadableDelivery
from panel.models import StatusWord, status_word

if TYPE_CHECKING:
    from collections.abc import Mapping

Secret = SecretStr | str | bytes
_UNIX = re.compile(r"[0-9]{1,11}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureScheme:
    """How deliveries are signed.

    By default one header `t=<unix>,v1=<hex>` over `<t>.<raw body>`. With `timestamp_header` the time travels in a
    header of its own and `header` holds the signature alone, after `prefix` (such as `sha256=`) if there is one.
    """

    header: str = "X-NotPanel-Signature"
    timestamp_header: str | None = None
    timestamp_field: str = "t"
    signature_field: str = "v1"
    prefix: str = ""
    encoding: Literal["hex", "base64"] = "hex"
    separator: str = "."
    tolerance: timedelta = timedelta(seconds=300)


DEFAULT_SCHEME = SignatureScheme()


class Delivery(BaseModel):
    """What a delivery says: its event, the order it is about, and the panel's status for it, as far as it tells."""

    model_config = ConfigDict(frozen=True)

    event: str
    order: str | None = None
    status: StatusWord | None = None
    id: str | None = None


def _mac(secret: Secret, timestamp: str, body: bytes, scheme: SignatureScheme) -> bytes:
    key = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    key = key.encode() if isinstance(key, str) else key
    if not key:
        raise ValueError("the webhook's secret is empty")
    return hmac.digest(key, f"{timestamp}{scheme.separator}".encode() + body, hashlib.sha256)


def sign(secret: Secret, timestamp: int, body: bytes, scheme: SignatureScheme = DEFAULT_SCHEME) -> str:
    """Return the signature header's value for a body sent at `timestamp` (unix seconds)."""
    mac = _mac(secret, str(timestamp), body, scheme)
    signature = mac.hex() if scheme.encoding == "hex" else base64.b64encode(mac).decode("ascii")
    if scheme.timestamp_header is not None:
        return f"{scheme.prefix}{signature}"
    return f"{scheme.timestamp_field}={timestamp},{scheme.signature_field}={scheme.prefix}{signature}"


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secret: Secret,
    now: datetime,
    scheme: SignatureScheme = DEFAULT_SCHEME,
) -> datetime:
    """Return when the panel signed this delivery (aware UTC); raise BadSignature if it did not, or not just now.

    Several signatures in one header, as while a secret is exchanged, need one that fits.
    """
    folded = {name.lower(): value for name, value in headers.items()}
    value = folded.get(scheme.header.lower(), "")
    if scheme.timestamp_header is not None:
        timestamp, offered = folded.get(scheme.timestamp_header.lower(), "").strip(), [value.strip()]
    else:
        fields = [part.strip().partition("=")[::2] for part in value.split(",")]
        timestamp = next((text for name, text in fields if name == scheme.timestamp_field), "")
        offered = [text for name, text in fields if name == scheme.signature_field]
    if not _UNIX.fullmatch(timestamp) or not any(offered):
        raise BadSignature(f"the header {scheme.header} is missing or names no time and signature")
    expected = _mac(secret, timestamp, body, scheme)
    matches = [hmac.compare_digest(expected, _decoded(text, scheme)) for text in offered]
    if not any(matches):
        raise BadSignature("the signature does not fit the body; check the webhook's secret")
    signed = datetime.fromtimestamp(int(timestamp), UTC)
    if abs(now - signed) > scheme.tolerance:
        seconds = scheme.tolerance.total_seconds()
        raise BadSignature(f"signed at {signed:%Y-%m-%dT%H:%M:%SZ}, more than {seconds:g} s from now")
    return signed


def _decoded(text: str, scheme: SignatureScheme) -> bytes:
    text = text.removeprefix(scheme.prefix)
    try:
        return bytes.fromhex(text) if scheme.encoding == "hex" else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""


def parse_delivery(body: bytes) -> Delivery:
    """Read a delivery; raise UnreadableDelivery if it names no event.

    Field names are undocumented, so several are understood.
    """
    try:
        document = reading.loads(body)
    except reading.NotJSON:
        document = None
    event = _first(document, ("event", "type", "event_type"), reading.text)
    if event is None:
        raise UnreadableDelivery("the body is not a JSON object that names an event")
    nested = [value for name in ("data", "order", "object") if isinstance(value := document.get(name), dict)]
    nested += [value for part in nested for name in ("order", "object") if isinstance(value := part.get(name), dict)]
    names = ("order", "order_id")
    candidates = [_first(document, names, reading.identifier)]
    candidates += [_first(part, (*names, "id"), reading.identifier) for part in nested]
    states = [_first(part, ("status",), reading.text) for part in (document, *nested)]
    status = next((state for state in states if state), None)
    return Delivery(
        event=event,
        order=next((order for order in candidates if order), None),
        status=status_word(status) if status else None,
        id=_first(document, ("id", "event_id", "delivery_id"), reading.identifier),
    )


def _first(document: Any, names: tuple[str, ...], read: Any) -> str | None:
    if not isinstance(document, dict):
        return None
    return next((found for name in names if (found := read(document.get(name)))), None)
