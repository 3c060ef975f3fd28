"""Words for error messages: values quoted safely and shortly, and the nearest known word."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHOWN = 48
"""Characters of a value that a message shows."""
_COMPARED = 64
"""Characters of a word that are compared with the known ones: difflib's time is quadratic."""
_HINT = re.compile(r"`campaigner (approve|raise-budget|resolve|skip)`")
_ARGUMENTS = {"raise-budget": ' "AMOUNT CURRENCY"', "resolve": " ORDER/RUN", "skip": " ORDER/RUN"}
_BITS = 128
"""A longer integer is not written out; past 4,300 digits Python itself refuses to."""


def escaped(text: str) -> str:
    r"""Make control, bidirectional, invisible and surrogate characters visible as ``\u202e``; the rest stays."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def addressed(text: str, name: str) -> str:
    """Complete a campaign's own words for one who reads them in a shell: hints that name it.

    The words themselves stay as they are: they stand in histories and in notices.
    """
    return _HINT.sub(lambda hint: f"`campaigner {hint[1]} {name}{_ARGUMENTS.get(hint[1], '')}`", text)


def count(number: int, what: str) -> str:
    """Write ``1 order`` or ``12 orders``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def quoted(value: Any) -> str:
    """Show a value of JSON: text in quotes, cut and escaped; a list or a mapping only by its kind."""
    if isinstance(value, str):
        return f'"{escaped(value[:_SHOWN])}{"…" if len(value) > _SHOWN else ""}"'
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    if isinstance(value, int):
        return str(value) if value.bit_length() <= _BITS else "a number of very many digits"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return "a list"
    return "a mapping" if isinstance(value, dict) else "something else"


def nearest(word: Any, known: Iterable[str]) -> str | None:
    """Give the known word that ``word`` most likely stands for, if any."""
    if not isinstance(word, str):
        return None
    plain = {known_word.lower().replace("-", "_"): known_word for known_word in known}
    found = difflib.get_close_matches(word[:_COMPARED].lower().replace("-", "_"), plain, n=1)
    return plain[found[0]] if found and plain[found[0]] != word else None


def did_you_mean(word: Any, known: Iterable[str]) -> str:
    """Give ``did you mean "views"?``, or nothing when no known word is near."""
    found = nearest(word, known)
    return f'did you mean "{escaped(found)}"?' if found else ""
