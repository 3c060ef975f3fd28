"""What a workflow does with arguments nobody can read: it gets to see them, instead of failing its task for ever.

The SDK decodes a start's arguments before the workflow's code runs, and takes any error there for a passing trouble of
the worker: the task is tried again, for ever (measured). The same goes for a signal with too few or too many arguments.
So the methods that strangers can call take ``*given``, arguments of any number and kind, and read them by themselves;
for such methods the SDK gives this converter no types.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.contrib.pydantic import PydanticPayloadConverter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails
    from temporalio.api.common.v1 import Payload
    from temporalio.converter import DataConverter

Kind = TypeVar("Kind", bound=BaseModel)
MAX_TOLD = 5
"""Wrong fields that are told one by one."""


class BadArgument(Exception):  # noqa: N818 - it is the caller's, and never leaves the workflow by this name
    """An argument of a start, a signal, an update or a query is wrong; the message names the field."""


class TolerantConverter(PydanticPayloadConverter):
    """Decodes as pydantic's converter does; what it cannot read without knowing a type stays a ``RawValue``."""

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """Decode; an error only where a type was asked for, such as an activity's result."""
        if type_hints is not None:
            return super().from_payloads(payloads, type_hints)
        return [self._read(payload) for payload in payloads]

    def _read(self, payload: Payload) -> Any:
        try:
            return super().from_payloads([payload])[0]
        except Exception:  # noqa: BLE001 - whatever a stranger sent
            return RawValue(payload)


def tolerant_converter(converter: DataConverter) -> DataConverter:
    """Give the same data converter, decoding as workflows need it."""
    return dataclasses.replace(converter, payload_converter_class=TolerantConverter)


def tolerant(client: Client) -> Client:
    """Give the same connection with this converter, for a worker."""
    return Client(**(client.config() | {"data_converter": tolerant_converter(client.data_converter)}))


def only(given: Sequence[Any], what: str) -> Any:
    """Give the one argument of a call; None when there is none.

    Raises:
        BadArgument: there are several, or it is not readable.

    """
    if len(given) > 1:
        raise BadArgument(f"one argument is needed, {what}; {len(given)} were given")
    argument = given[0] if given else None
    if isinstance(argument, RawValue):
        raise BadArgument(f"the argument is not JSON; needed is {what}")
    return argument


def read(kind: type[Kind], argument: Any) -> Kind:
    """Read an argument as a model.

    Raises:
        BadArgument: names the fields; never repeats a value.

    """
    try:
        return kind.model_validate(argument)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        told = [f"{_where(fault['loc'])}: {_words(kind, fault)}" for fault in faults[:MAX_TOLD]]
        if len(faults) > MAX_TOLD:
            told.append(f"and {len(faults) - MAX_TOLD} more")
        raise BadArgument("; ".join(told)[:2000]) from None


def _words(kind: type[BaseModel], fault: ErrorDetails) -> str:
    """Say what is wrong with a field in words that need no knowledge of the library."""
    if fault["type"] == "extra_forbidden":
        return f"is not a known field; known are {', '.join(kind.model_fields)}"
    field = kind.model_fields.get(str(fault["loc"][0])) if fault["loc"] else None
    if fault["type"] == "string_pattern_mismatch" and field is not None and field.examples:
        return f"must be written like {' or '.join(map(str, field.examples))}"
    return str(fault["msg"])


def _where(loc: tuple[int | str, ...]) -> str:
    return ".".join(map(str, loc))[:100] or "argument"
