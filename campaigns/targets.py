"""Links and the targets an operator owns: one normal form, and patterns that can only be matched as written.

A rule in doubt refuses. Compared are scheme, host and port, path, query and fragment, after case, default ports,
international hosts and percent-encoding have been brought to one form. In a pattern ``*`` stands for any characters
within one path segment or within the query; at the very end it stands for everything that follows. A host may begin
with ``*.``, which stands for exactly one label.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from campaigns.definition import MAX_LINK

if TYPE_CHECKING:
    from collections.abc import Iterable

_PARTS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.DOTALL)
_HOST_PORT = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})?")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65_535
_HOST_LENGTH = 253
_DECODINGS = 4
"""How often a path is decoded in search of hidden dot segments."""
_WILD_LABELS = 3
"""``*.example.com`` has three labels; fewer would open a whole top-level domain."""


class BadLink(ValueError):  # noqa: N818 - a link is bad; "BadLinkError" says no more
    """A link or a pattern that is refused; ``str()`` gives the reason in words, without the link."""


class _Link(NamedTuple):
    scheme: str
    host: str
    port: str
    rest: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}{self.port}{self.rest}"


@lru_cache(maxsize=4096)
def normalise(link: str) -> str:
    """Bring a link to its normal form, in which two links to the same thing are equal.

    Raises:
        BadLink: it is not an http(s) link, or holds something that could be read in two ways.

    """
    return str(_parse(link, wild=False))


def is_allowed(link: str, patterns: Iterable[str]) -> bool:
    """Tell whether a link is one of the operator's own; a link or pattern that is not valid matches nothing."""
    try:
        parsed = _parse(link, wild=False)
    except BadLink:
        return False
    return any(_matches(parsed, pattern) for pattern in patterns)


def check_pattern(pattern: str) -> None:
    """Check a pattern of ``allowed_targets``.

    Raises:
        BadLink: the pattern could never match, or its ``*`` would reach further than one site.

    """
    _compile(pattern)


def _matches(link: _Link, pattern: str) -> bool:
    try:
        scheme, host, port, rest = _compile(pattern)
    except BadLink:
        return False
    return (
        (link.scheme, link.port) == (scheme, port)
        and host.fullmatch(link.host) is not None
        and rest.fullmatch(link.rest) is not None
    )


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> tuple[str, re.Pattern[str], str, re.Pattern[str]]:
    parsed = _parse(pattern, wild=True)
    host = re.escape(parsed.host)
    if parsed.host.startswith("*."):
        host = r"[a-z0-9_-]+\." + re.escape(parsed.host[2:])
    first, *pieces = re.sub(r"\*+", "*", parsed.rest).split("*")
    rest = [re.escape(first)]
    for number, piece in enumerate(pieces, start=1):
        if number < len(pieces):
            # Leftmost is enough for all but the last piece; the atomic group keeps the match linear.
            rest.append(f"(?>[^/?#]*?{re.escape(piece)})")
        else:
            rest.append(f"[^/?#]*{re.escape(piece)}" if piece else ".*")
    return parsed.scheme, re.compile(host), parsed.port, re.compile("".join(rest), re.DOTALL)


def _parse(link: str, *, wild: bool) -> _Link:
    if not link:
        raise BadLink("is empty; a link begins with https://")
    if len(link) > MAX_LINK:
        raise BadLink(f"is longer than {MAX_LINK} characters")
    if any(c == " " or not c.isprintable() for c in link):
        raise BadLink("holds a space or an invisible character; write it percent-encoded, such as %20")
    if "\\" in link:
        raise BadLink("holds a backslash; use / or %5C")
    parts = _PARTS.fullmatch(link)
    if parts is None:
        raise BadLink("is not a full link; it must begin with https:// or http://")
    scheme = parts["scheme"].lower()
    if scheme not in _DEFAULT_PORTS:
        raise BadLink("is not an http or https link")
    if "@" in parts["authority"]:
        raise BadLink("holds a user name or password before the host; a link must not")
    authority = _HOST_PORT.fullmatch(parts["authority"])
    if authority is None:
        raise BadLink("has no valid host after //")
    port = int(authority["port"] or _DEFAULT_PORTS[scheme])
    if not 0 < port <= _LAST_PORT:
        raise BadLink("has no valid port")
    return _Link(
        scheme=scheme,
        host=_host(authority["host"], wild=wild),
        port="" if port == _DEFAULT_PORTS[scheme] else f":{port}",
        rest=_rest(parts["rest"]),
    )


def _host(host: str, *, wild: bool) -> str:
    if host.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            raise BadLink("has no valid IPv6 address in [ ]") from None
    labels = host.split(".")
    if wild and labels[0] == "*":
        if len(labels) < _WILD_LABELS:
            raise BadLink("opens a whole domain ending; * needs two names after it, such as *.example.com")
        named = ["*", *map(_label, labels[1:])]
    else:
        if wild and "*" in host:
            raise BadLink("may hold * in the host only as the whole first name, such as *.example.com")
        named = [_label(label) for label in labels]
    joined = ".".join(named)
    if len(joined) > _HOST_LENGTH:
        raise BadLink("has a host that is too long")
    return joined


def _label(label: str) -> str:
    """Give one name of a host in ASCII; a character that standards encode differently is refused."""
    low = label.lower()
    if not low.isascii():
        # Only letters, marks and digits that every version of IDNA keeps as they are: no full-width forms, no sharp s.
        stable = unicodedata.normalize("NFKC", low) == low == low.casefold()
        if not stable or any(c != "-" and unicodedata.category(c)[0] not in "LMN" for c in low):
            raise BadLink("has a host that can be read in two ways; write it in its ASCII form (xn--…)")
        low = "xn--" + low.encode("punycode").decode("ascii")
    if not _LABEL.fullmatch(low):
        raise BadLink("has no valid host after //")
    return low


def _rest(rest: str) -> str:
    """Normalise path, query and fragment."""
    if not rest.startswith("/"):
        rest = "/" + rest
    normal = _PERCENT.sub(_percent, "".join(c if c.isascii() else _encode(c) for c in rest))
    path = re.split(r"[?#]", normal, maxsplit=1)[0]
    for _ in range(_DECODINGS):
        # "..;x" is a dot segment to some servers, and an encoded slash is a slash to some.
        if any(segment.split(";")[0] in (".", "..") for segment in re.split(r"[/\\]", path)):
            raise BadLink("holds a . or .. step in its path; write the path it leads to")
        path = unquote(path)
    return normal


def _encode(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8"))


def _percent(match: re.Match[str]) -> str:
    if match[1] is None:
        raise BadLink("holds a % that is not followed by two hexadecimal digits; a percent sign is %25")
    character = chr(int(match[1], 16))
    if character < " " or character == "\x7f":
        raise BadLink("holds an encoded control character")
    return character if character in _UNRESERVED else f"%{match[1].upper()}"
