"""How commands speak: JSON and results on stdout, everything else on stderr, and one sentence when they fail."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.text import Text

from campaigns.wording import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable

DONE, FAILED, INVALID, INTERRUPTED = 0, 1, 2, 130
"""Exit codes; the last is the shell's own for Ctrl-C."""
PIPED_WIDTH = 160
"""Columns of a table that goes into a file or a pipe, where nothing should be cut."""
_NO_END = 1_000


class Kind(StrEnum):
    """What went wrong, in a word for programs: a contract, told in docs/commands.md."""

    USAGE = "usage"
    INVALID_FILE = "invalid_file"
    CONFIGURATION = "configuration"
    TEMPORAL = "temporal"
    NO_WORKER = "no_worker"
    PANEL = "panel"
    NOT_FOUND = "not_found"
    ALREADY_STARTED = "already_started"
    REFUSED = "refused"
    FAILED = "failed"
    UNEXPECTED = "unexpected"


class CommandError(Exception):
    """A command ends here. The message is a sentence that says what to do."""

    def __init__(self, message: str, code: int = FAILED, kind: Kind | None = None, **facts: Any) -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind or (Kind.USAGE if code == INVALID else Kind.FAILED)
        self.facts = facts
        """What ``--json`` tells beside the error."""


@dataclass
class _Speech:
    """How this process speaks."""

    machine: bool = False
    told: bool = False
    """A whole result stands on stdout; nothing may follow it."""


_speech = _Speech()


def speak_json(*, wanted: bool) -> None:
    """Say whether ``--json`` was given, so that a failure too is told on stdout."""
    _speech.machine = wanted


def fail(message: str, code: int, kind: Kind, **facts: Any) -> int:
    """Tell a failure: a sentence on stderr, with ``--json`` also a line of JSON on stdout; gives the exit code.

    The one place where failures are told. What already printed its result, which says what is wrong, adds nothing.
    """
    if message:
        say(message, "red")
    tell_failure(message, kind, **facts)
    return code


def tell_failure(message: str, kind: Kind, **facts: Any) -> None:
    """Tell programs of a failure that people are told of already."""
    if _speech.machine and not _speech.told:
        _speech.told = True
        emit_line({**facts, "error": {"kind": kind.value, "message": message}})


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


def width_of(thing: RenderableType) -> int:
    """Give how many columns a result takes when nothing of it is folded."""
    return Measurement.get(out(), out().options.update(max_width=_NO_END), thing).maximum


def say(text: str, style: str = "") -> None:
    """Tell the person something, on stderr; in a file or a pipe a sentence stays one line."""
    err().print(Text(text, style=style), soft_wrap=not err().is_terminal)


def emit(document: Any) -> None:
    """Print a result as JSON."""
    _speech.told = True
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
