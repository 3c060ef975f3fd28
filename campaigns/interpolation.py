"""Variables in the values of a file, as in Compose: ``${VAR}``, ``${VAR:-default}``, ``${VAR:?message}``, ``$$``.

Two things are stricter than in Compose, because these files spend money: a variable that is not set and has no default
is an error, not an empty text, and a lone ``$`` must be written ``$$``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from campaigns.wording import did_you_mean, escaped

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST = 1 << 20
"""Characters an interpolated value may have: the size a whole file may have."""
_DEEPEST = 10
"""Defaults within defaults."""
_MESSAGE = 200
_OPENING = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<operator>:?[-?+]|(?=\}))")
_PLAIN = re.compile(r"[^$}]+")
_WRITTEN = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*[^{}\r\n]{0,200}\}")


class InterpolationError(ValueError):
    """A variable that cannot be filled in; ``str()`` says why, without any variable's value."""

    def __init__(self, message: str, at: int, fragment: str, hint: str = "") -> None:
        super().__init__(message)
        self.at = at
        """Where in the text the fault begins."""
        self.fragment = fragment
        """The part of the text that is meant."""
        self.hint = hint


def variable_at(text: str, brace: int) -> str | None:
    """Give the variable as written whose opening ``{`` stands at an offset, if one does."""
    written = _WRITTEN.match(text, brace - 1) if brace > 0 else None
    return None if written is None else written[0]


def interpolate(text: str, env: Mapping[str, str]) -> str:
    """Fill in the variables of one value.

    Raises:
        InterpolationError: a variable is missing, or a ``$`` is not written in one of the forms.

    """
    if "$" not in text:
        return text
    return _Reader(text, env).read(0, depth=0)[0]


class _Reader:
    """Reads one text from left to right; a default is read by the same rules, up to its closing brace."""

    def __init__(self, text: str, env: Mapping[str, str]) -> None:
        self._text = text
        self._env = env

    def read(self, position: int, *, depth: int, needed: bool = True) -> tuple[str, int]:
        """Give the text up to the end, or (inside a default) up to its ``}``, and where that is.

        ``needed`` is false for a default that is not used: its own variables may then be missing.
        """
        pieces: list[str] = []
        text, length, opened = self._text, 0, position
        while position < len(text):
            if text[position] == "}" and depth:
                return "".join(pieces), position
            if match := _PLAIN.match(text, position):
                piece, position = match[0], match.end()
            elif text[position] == "}":
                piece, position = "}", position + 1
            elif text.startswith("$$", position):
                piece, position = "$", position + 2
            elif text.startswith("${", position):
                piece, position = self._variable(position, depth=depth, needed=needed)
            else:
                hint = "write ${NAME} for a variable, $$ for a dollar sign"
                raise InterpolationError("a lone $ has no meaning", position, "$", hint)
            length += len(piece)
            if length > _LONGEST:
                raise InterpolationError(
                    "the value becomes longer than a file may be", opened, text[opened : opened + 1]
                )
            pieces.append(piece)
        if depth:
            start = text.rindex("${", 0, opened)
            raise InterpolationError("${ is not closed by }", start, text[start:opened])
        return "".join(pieces), position

    def _variable(self, start: int, *, depth: int, needed: bool) -> tuple[str, int]:
        match = _OPENING.match(self._text, start)
        if match is None:
            raise InterpolationError(
                "a variable is not written properly",
                start,
                self._text[start : start + 2],
                "write ${NAME}, ${NAME:-default} or ${NAME:?message}",
            )
        if depth >= _DEEPEST:
            raise InterpolationError(f"more than {_DEEPEST} defaults within each other", start, match[0])
        name, operator = match["name"], match["operator"]
        value = self._env.get(name)
        given = bool(value) if operator.startswith(":") else value is not None
        kind = operator[-1:]
        if kind == "?":
            end = self._text.find("}", match.end())
            if end < 0:
                raise InterpolationError("${ is not closed by }", start, "${")
            words = escaped(self._text[match.end() : end][:_MESSAGE]).strip()
            if not given and needed:
                reason = f"{name} is not set" + (f": {words}" if words else "")
                raise InterpolationError(reason, start, match[0], self._near(name))
            return value or "", end + 1
        chosen = (kind == "-" and not given) or (kind == "+" and given)
        inner, end = self.read(match.end(), depth=depth + 1, needed=needed and chosen)
        if chosen:
            return inner, end + 1
        if not kind and value is None and needed:
            hint = self._near(name) or "set it in the environment"
            raise InterpolationError(f"{name} is not set", start, match[0], hint)
        return ("" if kind == "+" else value or ""), end + 1

    def _near(self, name: str) -> str:
        """Suggest what was likely meant; the environment is full of names that merely look alike."""
        return did_you_mean(name, [known for known in self._env if known[:1] == name[:1]])
