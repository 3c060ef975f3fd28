"""What a YAML parser's complaints mean to the person who wrote the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ruamel.yaml.error import MarkedYAMLError

_PLAIN_WORDS = (
    # Words in the parser's problem, what to say, what to do: the parser has one type of error, and only its words.
    ("'\\t' that cannot start", "a tab cannot indent a line", "use spaces"),
    ("mapping values are not allowed", "a colon is not expected here", "quote the value, or check the indentation"),
    ("could not find expected ':'", "a name needs a colon after it", "write name: value"),
    ("found unexpected ':'", "a colon is not expected here", "put the value in quotes"),
    ("sequence entries are not allowed", "a list item cannot begin here", "begin it on a line of its own"),
    ("mapping keys are not allowed", "a name cannot begin here", "begin it on a line of its own"),
    ("expected <block end>", "this does not fit the lines above", "check the indentation, and where quotes end"),
    ("expected ',' or ']'", "a list in [ ] lacks a comma or its closing ]", ""),
    ("expected ',' or '}'", "a mapping in { } lacks a comma or its closing }", ""),
    ("found unexpected end of stream", "a quote is opened and never closed", ""),
    ("unexpected document separator", "a quote is opened and never closed", ""),
    ("unknown escape character", "a backslash in double quotes begins an escape", "use single quotes, or \\\\"),
    ("escape sequence of", "this escape in double quotes is not complete", "use single quotes, or \\\\"),
    ("expected the node content", "a value is expected here", "put text that begins with a sign in quotes"),
    ("that cannot start any token", "a value cannot begin with this character", "put the value in quotes"),
    ("undefined tag handle", "tags (!…) are not supported", "put text that begins with ! in quotes"),
    ("expected alphabetic or numeric", "an anchor needs a name", "put text that begins with & or * in quotes"),
    ("comment or a line break", "text stands where the line should end", "begin it on the next line"),
    ("indentation", "the text block below is not indented properly", "check the indentation"),
    ("<document start>", "this does not fit what stands above", "check the indentation"),
    ("incompatible YAML document", "the file asks for another YAML version", "remove the %YAML line"),
)  # fmt: skip


def unquoted(variable: str) -> tuple[str, str]:
    """Give a message and a hint for a variable whose ``{`` the parser took for a mapping, inside ``[ ]`` or ``{ }``."""
    message = "a variable inside [ ] or { } must stand in quotes: YAML takes its { for a mapping"
    # In quotes it is text, whatever it holds: a number has to get out of the braces.
    return message, f'write "{variable}"; for a number, put the field on a line of its own, without quotes'


def in_plain_words(error: MarkedYAMLError) -> tuple[str, str]:
    """Give a message and a hint; neither repeats text of the file, which may be a secret."""
    problem = f"{error.problem or ''} {error.context or ''}"
    for words, message, hint in _PLAIN_WORDS:
        if words in problem:
            return message, hint
    return "this is not valid YAML", ""
