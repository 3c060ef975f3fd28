"""How commands speak: JSON and results on stdout, everything else on stderr, and one sentence when they fail."""

from __future__ import annotations

import json
import os
import sys
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.text import Text

from campaigns.wording import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable

DONE, FAILED, INVALID, INTERRUPTED = 0, 1, 2, 130
"""Exit codes; the last is the shell's own for Ctrl-C."""
PIPED_WIDTH = 160
"""Columns of a table that goes into a file or a pipe, where nothing should be cut."""


class CommandError(Exception):
    """A command ends here. The message is a sentence that says what to do."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


@cache
def out() -> Console:
    """Give the console of results."""
    return _console(stderr=False)


@cache
def err() -> Console:
    """Give the console of everything that is not a result."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, emoji=False, markup=False)


def show(*things: RenderableType) -> None:
    """Print results."""
    for thing in things:
        out().print(thing)


def say(text: str, style: str = "") -> None:
    """Tell the person something, on stderr; in a file or a pipe a sentence stays one line."""
    err().print(Text(text, style=style), soft_wrap=not err().is_terminal)


def emit(document: Any) -> None:
    """Print a result as JSON."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def emit_line(document: Any) -> None:
    """Print one of several results as a line of JSON."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def plain(text: object) -> str:
    """Make foreign words (a panel's, a file's) harmless to a terminal."""
    return escaped(str(text))


def money(amount: Decimal | str | float | None) -> str:
    """Write an amount with thousands separators, every digit that counts, and at least two decimals."""
    if amount is None:
        return ""
    exact = Decimal(str(amount))
    whole, _, decimals = f"{exact:,f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def column(amounts: Iterable[Decimal | str | float | None]) -> list[str]:
    """Write amounts so that their decimal points stand below one another."""
    written = [money(amount) for amount in amounts]
    longest = max((len(text.partition(".")[2]) for text in written), default=0)
    return [text + " " * (longest - len(text.partition(".")[2])) if text else "" for text in written]


def count(number: int, what: str) -> str:
    """Write ``1 order`` or ``12 orders``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
