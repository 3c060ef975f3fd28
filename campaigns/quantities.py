"""The small value types of a campaign file: durations, money and percentages.

Each is written as a person writes it (``90m``, ``120.00 USD``, ``10%``), parsed strictly, and dumped back in the same
form, so that the JSON handed to Temporal has the YAML's own shape. Source of the forms: the project's file contract.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import GetPydanticSchema
from pydantic_core import PydanticCustomError, core_schema

from campaigns.wording import quoted

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([0-9]{1,6})([smhdw])")
_MONEY = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,8})?) ([A-Z]{3})")
_PERCENT = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,4})?)%")

MAX_DURATION = timedelta(days=1096)
"""Three years: 500 orders, each with the longest delay and drip after the other, still end before the year 9999."""

DURATION_PATTERN = r"^([0-9]{1,6}[smhdw])+$"
MONEY_PATTERN = r"^[0-9]{1,12}(\.[0-9]{1,8})? [A-Z]{3}$"
PERCENT_PATTERN = r"^[0-9]{1,4}(\.[0-9]{1,4})?%$"


def parse_duration(text: str) -> timedelta:
    """Read ``90s``, ``15m``, ``6h``, ``2d``, ``1w`` or a sum such as ``1h30m``.

    Raises:
        ValueError: the text is not a duration, or it is zero or longer than three years.

    """
    position, total = 0, 0
    while match := _DURATION.match(text, position):
        total += int(match[1]) * _UNITS[match[2]]
        position = match.end()
    if position == 0 or position != len(text) or total == 0:
        raise ValueError(f"{quoted(text)} is not a duration; write it as 90s, 15m, 6h, 2d or 1w")
    if total > MAX_DURATION.total_seconds():
        raise ValueError(f"{quoted(text)} is longer than {format_duration(MAX_DURATION)}")
    return timedelta(seconds=total)


def format_duration(value: timedelta) -> str:
    """Write a duration in the fewest units, ``1h30m`` for 5,400 seconds; ``0s`` for none."""
    left = int(value.total_seconds())
    parts = []
    for unit in ("w", "d", "h", "m", "s"):
        # A week is said only when it is a whole number of weeks: 8d reads better than 1w1d.
        if unit == "w" and left % _UNITS["w"]:
            continue
        count, left = divmod(left, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in a currency; the amount is never a float."""

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        """``120.00 USD``: the form of the file."""
        return f"{self.amount:f} {self.currency}"


def money_text(amount: Decimal) -> str:
    """Write an amount with at least two places and no needless zeros: ``0.90``, ``0.0054``."""
    text = f"{amount:f}"
    whole, _, places = text.partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


def parse_money(text: str) -> Money:
    """Read ``<amount> <currency>``, such as ``120.00 USD``.

    Raises:
        ValueError: the text is not money in that form.

    """
    match = _MONEY.fullmatch(text)
    if not match:
        raise ValueError(f"{quoted(text)} is not money; write an amount and a currency, such as 120.00 USD")
    return Money(Decimal(match[1]), match[2])


def parse_percent(text: str) -> Decimal:
    """Read ``10%`` as ``Decimal("10")`` (percent, not a fraction).

    Raises:
        ValueError: the text does not end in ``%`` or is not a number.

    """
    match = _PERCENT.fullmatch(text)
    if not match:
        raise ValueError(f"{quoted(text)} is not a percentage; write it as 10%")
    try:
        return Decimal(match[1])
    except InvalidOperation:  # pragma: no cover - the pattern leaves nothing else
        raise ValueError(f"{quoted(text)} is not a percentage; write it as 10%") from None


def written(parse: Any, kind: type, write: Any, pattern: str, example: str) -> Any:
    """Describe to pydantic a value that is written as text and held as ``kind``."""

    def validate(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        if not isinstance(value, str):
            raise PydanticCustomError("written_form", "{message}", {"message": f"write it as text, such as {example}"})
        try:
            return parse(value)
        except ValueError as error:
            raise PydanticCustomError("written_form", "{message}", {"message": str(error)}) from None

    def schema(_source: Any, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            validate,
            json_schema_input_schema=core_schema.str_schema(pattern=pattern),
            serialization=core_schema.plain_serializer_function_ser_schema(
                write, return_schema=core_schema.str_schema()
            ),
        )

    return GetPydanticSchema(schema)


Duration = Annotated[
    timedelta, written(parse_duration, timedelta, format_duration, DURATION_PATTERN, "90s, 15m, 6h, 2d or 1w")
]
Amount = Annotated[Money, written(parse_money, Money, str, MONEY_PATTERN, "120.00 USD")]
Percent = Annotated[Decimal, written(parse_percent, Decimal, lambda value: f"{value:f}%", PERCENT_PATTERN, "10%")]
