"""YAML 1.2 text to plain JSON data, with the place of every key and value.

The scanner and parser are ruamel's; the data is built here, from its events, so that a hostile file cannot cost much:
depth and size are bounded while reading, aliases count for what they expand to, and tags are refused. Differences from
the YAML 1.2 core schema, all of them to keep values as they are written: ``10_000`` is a whole number; fractions,
timestamps, hexadecimal, octal and numbers with leading zeros stay text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from ruamel.yaml.scanner import Scanner

from campaigns.explaining import Loc, Problem
from campaigns.interpolation import InterpolationError, interpolate, variable_at
from campaigns.wording import quoted
from campaigns.yaml_errors import in_plain_words, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ruamel.yaml.events import Event

MAX_TEXT = 1 << 20
"""Bytes of a file."""
MAX_NODES = 100_000
"""Keys and values, aliases expanded."""
MAX_DEPTH = 50
MAX_FAULTS = 100
"""Faults of the text that are told."""
_CHARACTERS = 256
"""Characters of a text that count as one more value, so that aliases of a long text are bounded too."""

_UNREADABLE = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_END = re.compile(r"\r\n|\r|\n")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17}|[1-9][0-9]{0,2}(?:_[0-9]{3}){1,5})")
_CONSTANTS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """A problem at a place in the text: offsets of its first character and behind its last."""

    start: int
    end: int
    problem: Problem


@dataclass(slots=True)
class Node:
    """One value of the text; ``start`` and ``end`` are offsets."""

    kind: Literal["scalar", "sequence", "mapping"]
    start: int
    end: int
    text: str = ""
    """A scalar as written, before variables are filled in."""
    plain: bool = True
    """Whether a scalar is written without quotes."""
    filled: str | None = None
    """A scalar with its variables filled in; None when that failed."""
    items: list[Node] = field(default_factory=list)
    entries: dict[str, tuple[Node, Node]] = field(default_factory=dict)
    size: int = 1
    height: int = 0


@dataclass(repr=False)
class Document:
    """A file that was read: its data, and where everything stands. Has no ``repr``: the data may hold secrets."""

    path: str
    text: str
    data: Any = None
    """Plain JSON; None when the text could not be read at all."""
    root: Node | None = None
    faults: list[Fault] = field(default_factory=list)
    """What is wrong with the text itself."""
    unfilled: set[Loc] = field(default_factory=set)
    """Values whose variables could not be filled in; they stand in the data as written."""

    def __post_init__(self) -> None:
        self._lines = [0, *(match.end() for match in _LINE_END.finditer(self.text))]
        self._shown: dict[int, str] = {}

    def position(self, offset: int) -> tuple[int, int]:
        """Give line and column of an offset, both from 1."""
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1

    def line(self, number: int) -> str:
        """Give a line of the text, without its end."""
        if number not in self._shown:
            end = self._lines[number] if number < len(self._lines) else len(self.text)
            self._shown[number] = self.text[self._lines[number - 1] : end].rstrip("\r\n")
        return self._shown[number]

    def span(self, loc: Loc) -> tuple[int, int]:
        """Give the offsets of what ``loc`` names: the key of a mapping's entry, or the item of a list.

        Where the document ends before ``loc`` does, it is the last place that exists.
        """
        node, span = self.root, None
        for step in loc:
            if node is None:
                break
            if isinstance(step, str) and step in node.entries:
                key, node = node.entries[step]
                span = (key.start, key.end)
            elif isinstance(step, int) and step < len(node.items):
                node = node.items[step]
                span = _first(node)
            else:
                break
        return span or (_first(self.root) if self.root else (0, 0))

    def node(self, loc: Loc) -> Node | None:
        """Give the value at ``loc``, if it is there."""
        node = self.root
        for step in loc:
            if node is None:
                return None
            if isinstance(step, str):
                node = node.entries[step][1] if step in node.entries else None
            else:
                node = node.items[step] if step < len(node.items) else None
        return node


def read_document(
    text: str | bytes, path: str, env: Mapping[str, str], *, kept: frozenset[Loc] = frozenset()
) -> Document:
    """Read one YAML document. Never raises: what is wrong stands in ``faults``, in the order found."""
    decoded, fault = _decode(text)
    document = Document(path, decoded)
    if fault is None:
        reader = _Reader(document, env, kept)
        try:
            document.root = reader.read()
        except _StoppedError as stop:
            fault = stop.fault
        else:
            document.data = reader.build(document.root, ())
    if fault is not None:
        document.faults.append(fault)
    return document


def _decode(text: str | bytes) -> tuple[str, Fault | None]:
    """Give the text, and what makes it unreadable if anything does."""
    if len(text) > MAX_TEXT:
        return "", Fault(0, 0, Problem((), "the file is larger than 1 MiB"))
    if isinstance(text, bytes):
        if text.startswith((b"\xff\xfe", b"\xfe\xff")):
            return "", Fault(0, 0, Problem((), "the file is UTF-16; save it as UTF-8"))
        decoded = text.decode("utf-8", errors="surrogateescape")
    else:
        decoded = text
    text = decoded.removeprefix("\ufeff")
    if match := _UNREADABLE.search(text):
        message = f"the character {quoted(match[0])} is not allowed in a YAML file"
        if "\udc80" <= match[0] <= "\udcff":
            message = "this is not UTF-8; save the file as UTF-8"
        return text, Fault(match.start(), match.end(), Problem((), message))
    return text, None


class _StoppedError(Exception):
    """Reading ends here: what follows cannot be understood, or would cost too much."""

    def __init__(self, start: int, end: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.fault = Fault(start, end, Problem((), message, hint))


class _Scanner(Scanner):
    """Takes a tab for a space where YAML does: after something on the line, or on an empty line; never to indent."""

    def scan_to_next_token(self) -> None:
        line, column = self.reader.line, self.reader.column
        super().scan_to_next_token()
        while self.reader.peek() == "\t":
            blanks = 1
            while self.reader.peek(blanks) in "\t ":
                blanks += 1
            if not (column and self.reader.line == line) and self.reader.peek(blanks) not in "\r\n#\0":
                break
            self.reader.forward(blanks)
            super().scan_to_next_token()


class _Reader:
    def __init__(self, document: Document, env: Mapping[str, str], kept: frozenset[Loc]) -> None:
        self._document = document
        self._env = env
        self._kept = kept
        yaml = YAML(typ="safe", pure=True)
        yaml.Scanner = _Scanner
        self._events: Iterator[Event] = yaml.parse(document.text)
        self._anchors: dict[str, Node | None] = {}
        """None while the anchor's own value is being read."""
        self._nodes = 0
        self._at = 0
        self._end = len(document.text.rstrip())

    def _next(self) -> Event:
        try:
            event = next(self._events)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            if mark is not None and error.context_mark is not None and mark.index >= self._end:
                mark = error.context_mark  # what is missing at the end is best shown where it was opened
            at = self._at if mark is None else mark.index
            if (variable := variable_at(self._document.text, at)) is not None:
                raise _StoppedError(at - 1, at - 1 + len(variable), *unquoted(variable)) from None
            raise _StoppedError(at, at + 1, *in_plain_words(error)) from None
        except Exception:  # noqa: BLE001 - the scanner has raised ValueError, TypeError and more on damaged text
            raise _StoppedError(self._at, self._at + 1, "this is not valid YAML from here on") from None
        self._at = event.start_mark.index
        return event

    def read(self) -> Node:
        """Read the only document."""
        root: Node | None = None
        while not isinstance(event := self._next(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                start, end = event.start_mark.index, event.end_mark.index
                if root is not None:
                    raise _StoppedError(start, end, "a second document begins here; one file holds one document")
                if event.version is not None and tuple(event.version) != (1, 2):
                    raise _StoppedError(0, 0, "the file asks for another YAML version; remove the %YAML line")
            elif isinstance(event, NodeEvent):
                root = self._node(event, 0, ())
        if root is None or (root.kind == "scalar" and root.plain and not root.text):
            raise _StoppedError(0, 0, "the file is empty")
        return root

    def _node(self, event: NodeEvent, depth: int, loc: Loc) -> Node:
        start, end = event.start_mark.index, event.end_mark.index
        if isinstance(event, AliasEvent):
            node = self._anchors.get(event.anchor)
            if node is None:
                within = event.anchor in self._anchors
                message = "refers to itself" if within else "refers to an anchor that is not defined above it"
                raise _StoppedError(start, end, message)
            self._count(node.size, depth + node.height, start)
            return node
        self._count(1, depth, start)
        if isinstance(event, (ScalarEvent, CollectionStartEvent)) and event.tag is not None:
            self._fault(start, end, loc, "tags (!…) are not supported; write the plain value")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if isinstance(event, ScalarEvent):
            node = Node("scalar", start, end, text=_paired(event.value), plain=event.style is None)
            node.size += len(node.text) // _CHARACTERS
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(start, depth, loc)
        else:
            node = self._mapping(start, depth, loc)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _sequence(self, start: int, depth: int, loc: Loc) -> Node:
        node = Node("sequence", start, start + 1)
        while isinstance(event := self._next(), NodeEvent):
            item = self._node(event, depth + 1, (*loc, len(node.items)))
            node.items.append(item)
            _grow(node, item)
        return node

    def _mapping(self, start: int, depth: int, loc: Loc) -> Node:
        node = Node("mapping", start, start + 1)
        while isinstance(event := self._next(), NodeEvent):
            key = self._node(event, depth + 1, loc)
            name = key.text
            following = self._next()
            if not isinstance(following, NodeEvent):  # pragma: no cover - the parser always gives a pair
                break
            value = self._node(following, depth + 1, (*loc, name))
            _grow(node, value)
            if key.kind != "scalar":
                self._fault(key.start, key.start + 1, loc, "a list or a mapping cannot be a name")
            elif name == "<<" and key.plain:
                hint = "repeat the fields, or move them to defaults"
                self._fault(key.start, key.end, loc, "merge keys (<<) are not part of YAML 1.2", hint)
            elif name in node.entries:
                line, column = self._document.position(node.entries[name][0].start)
                message = f"{quoted(name)} is written twice, first at line {line}, column {column}"
                self._fault(key.start, key.end, loc, message)
            else:
                node.entries[name] = (key, value)
        return node

    def _count(self, nodes: int, depth: int, start: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _StoppedError(start, start + 1, f"the file has more than {MAX_NODES:,} values, aliases expanded")
        if depth > MAX_DEPTH:
            raise _StoppedError(start, start + 1, f"values are nested more than {MAX_DEPTH} deep")

    def _fault(self, start: int, end: int, loc: Loc, message: str, hint: str = "") -> None:
        if len(self._document.faults) < MAX_FAULTS:
            self._document.faults.append(Fault(start, end, Problem(loc, message, hint)))

    def build(self, node: Node, loc: Loc) -> Any:
        """Build plain data, variables filled in."""
        if node.kind == "sequence":
            return [self.build(item, (*loc, index)) for index, item in enumerate(node.items)]
        if node.kind == "mapping":
            return {name: self.build(value, (*loc, name)) for name, (_, value) in node.entries.items()}
        try:
            node.filled = node.text if loc in self._kept else interpolate(node.text, self._env)
        except InterpolationError as error:
            start = self._fragment(node, error)
            self._fault(start, start + len(error.fragment), loc, str(error), error.hint)
            self._document.unfilled.add(loc)
            return node.text
        return _resolved(node.filled) if node.plain else node.filled

    def _fragment(self, node: Node, error: InterpolationError) -> int:
        """Find where in the file a fragment of a value stands: exactly, unless escapes or folded lines moved it."""
        text = self._document.text
        for opening in (0, 1):
            if text.startswith(error.fragment, node.start + opening + error.at):
                return node.start + opening + error.at
        found = text.find(error.fragment, node.start, node.end)
        return found if found >= 0 else node.start


def _grow(node: Node, child: Node) -> None:
    node.size += child.size
    node.height = max(node.height, child.height + 1)


def _first(node: Node) -> tuple[int, int]:
    """Give the part of a value that a caret stands under."""
    if node.kind == "scalar":
        return node.start, node.end
    if node.entries and node.start == (key := next(iter(node.entries.values()))[0]).start:
        return key.start, key.end
    return node.start, node.start + 1


def _paired(text: str) -> str:
    """Join the two halves by which JSON escapes a character beyond the first 65,536."""
    if _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _resolved(text: str) -> Any:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    return int(text) if _INTEGER.fullmatch(text) else text
