"""Problems of a document, in the words of its fields: what pydantic found, told without pydantic's terms."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from campaigns.definition import (
    ID_PATTERN,
    NAME_PATTERN,
    Day,
    DripBy,
    Late,
    NoticeFormat,
    NoticeKind,
    OnFailure,
    OnShortfall,
    Overlap,
    When,
)
from campaigns.wording import did_you_mean, escaped, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from enum import StrEnum

    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

Loc = tuple[str | int, ...]
"""The way to a place in a document: ``("orders", 1, "quantity")``."""

_PATTERNS = {
    NAME_PATTERN: "may hold only small letters, digits and hyphens, 1 to 64 of them",
    ID_PATTERN: "may hold only letters, digits, - and _, 1 to 64 of them, beginning with a letter or digit",
    "^[A-Z]{3}$": "is not a currency; write three capital letters, such as USD",
}
_WORDS: Mapping[str, type[StrEnum]] = {
    "days": Day, "when": When, "by": DripBy, "late": Late, "on_failure": OnFailure,
    "on_shortfall": OnShortfall, "format": NoticeFormat, "on": NoticeKind, "on_overlap": Overlap,
}  # fmt: skip
_DIGITS = re.compile(r"[0-9][0-9_, .]*")
_STEPS = 20
"""Steps of a path that are written out."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a document."""

    loc: Loc
    """Where: the field, or what lacks it."""
    message: str
    """What, in words that follow the field's name."""
    hint: str = ""
    """A way out, such as ``did you mean "views"?``."""

    def __str__(self) -> str:
        """``orders[1].quantity: 50 is below the minimum 100``."""
        return f"{describe(self.loc)}: {self.message}" if self.loc else self.message


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields known at each place of a document, for "did you mean"."""

    models: Mapping[str, type[BaseModel]]
    """Models by the name of the field that holds them; ``""`` is the document itself."""

    def fields(self, holder: str) -> list[str]:
        """Give the names a mapping may use, as they are written."""
        model = self.models.get(holder)
        return [] if model is None else [info.alias or name for name, info in model.model_fields.items()]

    def holder(self, loc: Loc) -> str:
        """Give the key in ``models`` for the mapping at ``loc``: ``drip`` for ``orders[1].drip``."""
        return next((step for step in reversed(loc) if isinstance(step, str) and step in self.models), "")

    def home(self, field: str) -> str | None:
        """Give the place a field belongs to when it belongs to one only."""
        homes = [holder for holder in self.models if field in self.fields(holder)]
        return homes[0] if len(homes) == 1 else None


def describe(loc: Loc) -> str:
    """Write a place as a person would: ``orders[1].quantity``; nothing for the document itself."""
    text = ""
    for step in loc[:_STEPS]:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + escaped(step[:64])
    return text


def explain(error: ValidationError, document: Any, shape: Shape, most: int | None = None) -> list[Problem]:
    """Tell what pydantic found in the field's own words, every location one that exists in the document.

    Of very many findings ``most`` are told.
    """
    details = error.errors(include_url=False, include_input=False)
    return [_problem(detail, document, shape) for detail in details[:most]]


def _problem(detail: ErrorDetails, document: Any, shape: Shape) -> Problem:
    kind, full = detail["type"], detail["loc"]
    loc, value = _existing(full, document)
    if kind == "missing":
        return Problem(loc, f"{escaped(str(full[-1]))} is missing")
    if kind == "extra_forbidden":
        return _unknown(loc, document, shape)
    if full[-1:] == ("[key]",):
        full, value = full[:-1], full[-2]
    elif len(loc) < len(full) and isinstance(value, (dict, list)):
        return Problem(loc, "holds a name that is not valid text")
    field = next((step for step in reversed(full) if isinstance(step, str)), "")
    if kind in ("enum", "literal_error") and field in _WORDS:
        words = [word.value for word in _WORDS[field]]
        hint = did_you_mean(value, words)
        return Problem(loc, f"{quoted(value)} is not one of {', '.join(words)}", hint)
    message = _say(kind, detail, value, field)
    return Problem(loc, message if loc else f"the document {message}")


def _existing(loc: Loc, document: Any) -> tuple[Loc, Any]:
    """Follow ``loc`` as far as the document goes; give how far that is, and the value there."""
    value = document
    for depth, step in enumerate(loc):
        in_mapping = isinstance(value, dict) and step in value
        in_list = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if not (in_mapping or in_list):
            return loc[:depth], value
        value = value[step]
    return loc, value


def _unknown(loc: Loc, document: Any, shape: Shape) -> Problem:
    name = str(loc[-1]) if loc else ""
    holder = shape.holder(loc[:-1])
    siblings = value_at(loc[:-1], document)
    unused = [field for field in shape.fields(holder) if field not in siblings]
    home = shape.home(name)
    hint = did_you_mean(name, unused)
    if home is not None:
        hint = f"it belongs in {home}" if home else "it belongs at the top of the file"
    return Problem(loc, "is not a known field", hint)


def _say(kind: str, detail: ErrorDetails, value: Any, field: str) -> str:
    context = detail.get("ctx", {})
    if kind.startswith(("int_", "finite_")):
        return _whole(value)
    if value is None and kind.endswith("_type"):
        return "is empty; give it a value or remove it"
    match kind:
        case "written_form" | "clock" | "timezone" | "value":
            return detail["msg"]
        case "string_type":
            return f"must be text, not {quoted(value)}" + (
                "" if isinstance(value, (list, dict)) else "; put it in quotes"
            )
        case "bool_type" | "bool_parsing":
            return f"must be true or false, not {quoted(value)}"
        case "list_type":
            return f"must be a list, not {_kind(value)}"
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"must be {'an order id or ' if field == 'after' else ''}a mapping (name: value), not {_kind(value)}"
        case "literal_error":
            return f"{quoted(value)} is not known; write {field}: {context.get('expected', '')}"
        case "string_pattern_mismatch":
            return f"{quoted(value)} {_PATTERNS.get(str(context.get('pattern')), 'is not written in the right form')}"
        case "string_too_long":
            return f"is longer than {context.get('max_length')} characters"
        case "string_too_short":
            return "is empty"
        case "too_short":
            return f"needs at least {context.get('min_length')} entry"
        case "too_long":
            return f"has more than {context.get('max_length'):,} entries"
        case "greater_than_equal":
            return f"{quoted(value)} is below the minimum {context.get('ge')}"
        case "less_than_equal":
            return f"{quoted(value)} is above the maximum {context.get('le')}"
        case "string_unicode":
            return "holds characters that are not valid text"
    return "is not valid"


def _whole(value: Any) -> str:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        if value.isdigit() and not value.startswith("0"):
            return f"{quoted(value)} is text; write the number without quotes"
        return f"{quoted(value)} is not a whole number; write it as 500 or 10_000"
    if value is None:
        return "is empty; a whole number is needed"
    return f"{quoted(value)} is not a whole number"


def _kind(value: Any) -> str:
    return "text" if isinstance(value, str) else quoted(value)


def value_at(loc: Loc, document: Any) -> Any:
    """Give what stands at ``loc``, or the nearest thing around it."""
    return _existing(loc, document)[1]


def unique(problems: Iterable[Problem]) -> list[Problem]:
    """Leave out what is said twice, keeping the order."""
    return list(dict.fromkeys(problems))
