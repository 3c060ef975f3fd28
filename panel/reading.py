"""Reading what panels write: numbers as text, "N/A" for nothing, ids as integers, HTML for JSON.

Every function here is total: it takes any JSON value and gives a bounded one, or None for "does not say".
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from panel.errors import WORDS_LIMIT

# Fifteen digits before the point and thirty after are more than any panel's money or counter needs, and few enough
# that no sum, format or JSON of them can grow out of hand ("1e999999999" would take a gigabyte to print).
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,2})?")
_LARGEST = Decimal(10) ** 15
_FINEST = -30
_LONGEST_NUMBER = 80

# Opaque, but it has to survive a comma-separated list, a log line and a search attribute. The redactor's mask is none.
_IDENTIFIER = re.compile(r"""[!-~]{1,128}""")
_NOT_IN_IDENTIFIER = frozenset(",<>\"'")
_NO_ERROR = frozenset({"0", "false", "null", "none"})
_TRUE = frozenset({"1", "true", "yes", "on"})


def decimal(value: Any) -> Decimal | None:
    """Return an exact, finite, bounded number; None for anything else ("", "N/A", NaN, true, 1e400)."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    if isinstance(value, int):
        return Decimal(value) if abs(value) < _LARGEST else None
    text = str(value).strip() if not isinstance(value, str) else value[: _LONGEST_NUMBER + 1].strip()
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < _FINEST or number.copy_abs() >= _LARGEST:
        return None
    return number.copy_abs() if number.is_zero() else number


def amount(value: Any) -> Decimal | None:
    """Return money that was charged: a number that is not negative."""
    number = decimal(value)
    return number if number is not None and number >= 0 else None


def integer(value: Any) -> int | None:
    """Return a whole number; a fraction is cut off."""
    number = decimal(value)
    return None if number is None else int(number)


def count(value: Any) -> int | None:
    """Return a counter; panels that over-deliver write a negative one, which is nothing left."""
    number = integer(value)
    return None if number is None else max(number, 0)


def flag(value: Any) -> bool:
    """Return a yes only where the panel says so: true, 1, "1", "true", "yes", "on"."""
    return value is True or (isinstance(value, str | int) and str(value).strip().lower() in _TRUE)


def text(value: Any, limit: int = WORDS_LIMIT) -> str:
    """Return one printable line of at most `limit` characters; "" where there is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return ""
    line = str(value) if not isinstance(value, str) else value[: 4 * limit]
    if not line.isprintable():  # control characters, line breaks, bidi overrides, lone surrogates
        line = "".join(char if char.isprintable() else " " for char in line)
    line = " ".join(line.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def identifier(value: Any) -> str | None:
    """Return an id as text; integers are ids too, nothing, zero and booleans are not."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        number = integer(value)
        return str(number) if number is not None and number == value and number > 0 else None
    if not isinstance(value, str):
        return None
    name = value.strip()
    if name == "0" or not _IDENTIFIER.fullmatch(name) or _NOT_IN_IDENTIFIER & set(name):
        return None
    return name


class NotJSON(ValueError):  # noqa: N818 -- never leaves the package
    """The body is not JSON."""


def loads(content: bytes) -> Any:
    """Return the JSON value of a body: numbers with a point are Decimal, absurd ones and NaN are None.

    Raise NotJSON for anything else, however deep or long.
    """
    try:
        return json.loads(
            content.decode("utf-8-sig", "replace"),
            parse_float=decimal,
            parse_int=lambda digits: int(digits) if len(digits) <= _LONGEST_NUMBER else None,
            parse_constant=lambda _: None,
        )
    except (ValueError, RecursionError):
        pass
    raise NotJSON


def error_words(value: Any, *, action: str, http_status: int = 200) -> str | None:
    """Return the words of a JSON error, None where the value is not one.

    Documented is `{"error": "<text>"}`; seen elsewhere are nested objects, lists, `errors`, and `message` beside
    `"error": true`, a 4xx or, where it cannot be an order's own status, `"status": "error"`.
    """
    if not isinstance(value, dict):
        return None
    for name in ("error", "errors"):
        error = value.get(name)
        if error is True or error == 1:
            return text(value.get("message")) or "error"
        if error and (words := _words(error)) and words.lower() not in _NO_ERROR:
            return words
    status = text(value.get("status")) if action != "status" else ""
    said_no = value.get("success") is False or status.lower() in {"error", "fail", "failed"}
    if "order" not in value and (said_no or 400 <= http_status < 500):  # noqa: PLR2004 -- client errors
        return text(value.get("message")) or None
    return None


def _words(error: Any, depth: int = 3) -> str:
    if not depth:
        return ""
    if isinstance(error, dict):
        named = [error[name] for name in ("message", "text", "error", "code") if error.get(name)]
        return _words(named[0] if named else list(error.values()), depth - 1)
    if isinstance(error, list):
        return text("; ".join(filter(None, (_words(item, depth - 1) for item in error[:10]))))
    return text(error)
