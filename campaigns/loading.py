"""Campaign files: YAML text to a checked definition, every error with file, line and column.

Pure: the text and the environment come as arguments. :func:`load` never raises on any text.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from campaigns.checking import check
from campaigns.documents import Document, Fault, read_document
from campaigns.explaining import Problem, describe
from campaigns.wording import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from campaigns.definition import Definition

FILLED_BY_THE_WORKER = frozenset({("notify", "webhook")})
"""Values whose ``${VAR}`` stays: an address with a secret in it must not stand in a workflow's history."""
_GUTTER = 5
_WIDTH = 100
"""Columns of a source line that are shown; of a longer one the part around the caret."""
_BEFORE = 40


@dataclass(frozen=True, slots=True)
class Located:
    """A problem with its place in a file. ``str()`` is the one-line form ``file:line:column: field: message``."""

    path: str
    line: int
    """From 1."""
    column: int
    """In characters, from 1."""
    problem: Problem
    source: str | None
    """The line itself, or None when it is not to be shown."""
    length: int = 1
    """Characters the caret stands under."""

    def __str__(self) -> str:
        """``campaigns/launch.yaml:14:7: orders[1].quantity: 50 is below the minimum 100 of service 101``."""
        return f"{escaped(self.path)}:{self.line}:{self.column}: {self.problem}"

    @property
    def field(self) -> str:
        """The field's path, ``orders[1].quantity``; empty for the file as a whole."""
        return describe(self.problem.loc)

    def render(self) -> str:
        """Give the one-line form, the source line with a caret, and the hint."""
        hint = self.problem.hint
        if self.source is None or not self.source.strip():
            return f"{self}\n{'':>{_GUTTER}} = {hint}" if hint else str(self)
        shown, before, under = _excerpt(self.source, self.column - 1, self.length)
        caret = f"{'':>{_GUTTER}} | {' ' * before}{'^' * under}"
        return f"{self}\n{self.line:>{_GUTTER}} | {shown}\n{caret}{' ' + hint if hint else ''}"


@dataclass(frozen=True, repr=False)
class Loaded:
    """A campaign file that was read."""

    definition: Definition | None
    """None when there is an error."""
    document: Any
    """The file as plain JSON data, variables filled in; None when the text could not be read."""
    errors: list[Located]
    source: Document

    def locate(self, problems: Iterable[Problem]) -> list[Located]:
        """Give later problems, such as planning's against the catalog, their places in the file."""
        return locate(problems, self.source)


def load(text: str | bytes, *, path: str, env: Mapping[str, str]) -> Loaded:
    """Read and check a campaign file; ``path`` is only shown. All errors are found at once, and none is raised."""
    source = read_document(text, path, env, kept=FILLED_BY_THE_WORKER)
    if source.root is None:
        return Loaded(None, None, locate_all([], source), source)
    checked = check(source.data)
    errors = locate_all(checked.problems, source)
    return Loaded(None if errors else checked.definition, source.data, errors, source)


def locate_all(problems: Iterable[Problem], document: Document) -> list[Located]:
    """Give the problems of a document's data and the faults of its text their places, by line.

    A value whose variable could not be filled in is told once, as that.
    """
    kept = [problem for problem in problems if problem.loc not in document.unfilled]
    faults = [Fault(*document.span(problem.loc), problem) for problem in kept]
    return _located(document, [*document.faults, *faults])


def locate(problems: Iterable[Problem], document: Document) -> list[Located]:
    """Give problems of a document's data their places, by line."""
    return _located(document, [Fault(*document.span(problem.loc), problem) for problem in problems])


def render(errors: Iterable[Located]) -> str:
    """Give all errors as plain text, an empty line between two."""
    return "\n\n".join(error.render() for error in errors)


def _located(document: Document, faults: Iterable[Fault]) -> list[Located]:
    located = []
    for fault in faults:
        line, column = document.position(min(fault.start, len(document.text)))
        source = document.line(line)
        length = max(1, min(fault.end - fault.start, len(source) - column + 1))
        located.append(Located(document.path, line, column, fault.problem, source, length))
    return sorted(located, key=lambda error: (error.line, error.column))


def _excerpt(source: str, at: int, length: int) -> tuple[str, int, int]:
    """Give the part of a line that is shown, the columns before the caret, and the columns under it.

    Columns are those of a terminal: wide characters take two, combining ones none, and invisible ones are written out.
    """
    first = max(0, at - _BEFORE) if len(source) > _WIDTH else 0
    window = source[first : first + _WIDTH]
    cells = [_cell(character) for character in window]
    head = "…" if first else ""
    tail = "…" if first + _WIDTH < len(source) else ""
    offset = at - first
    before = len(head) + sum(width for _, width in cells[:offset])
    under = sum(width for _, width in cells[offset : offset + length])
    return head + "".join(text for text, _ in cells) + tail, before, max(1, under)


def _cell(character: str) -> tuple[str, int]:
    if character == "\t":
        return " ", 1
    text = escaped(character)
    if len(text) > 1:
        return text, len(text)
    if unicodedata.category(character) in ("Mn", "Me"):
        return text, 0
    return text, 2 if unicodedata.east_asian_width(character) in "WF" else 1
