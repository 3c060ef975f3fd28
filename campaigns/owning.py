"""What a campaign's account says of its file, without the catalog: whose links they are, and in which money it pays.

It reads the raw document, of which any part may be missing or wrong, so that a file's other mistakes do not hide these.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from campaigns.definition import MAX_ORDERS, MAX_TARGETS
from campaigns.explaining import Loc, Problem
from campaigns.quantities import parse_money
from campaigns.targets import BadLink, is_allowed, normalise
from campaigns.wording import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaigns.accounts import AccountFacts

_LIMITS = ("budget", "per_day", "approval_over")


def account_problems(document: Any, account: AccountFacts) -> list[Problem]:
    """Hold a document's links against ``allowed_targets``, and its limits against the account's currency.

    Args:
        document: a campaign as JSON data, complete or not.
        account: the one it names.

    Returns:
        Every problem, once, at the place where the value is written; a malformed value is not this check's.

    """
    if not isinstance(document, dict):
        return []
    return list(dict.fromkeys([*_links(document, account), *_currencies(document, account)]))


def not_allowed(link: str, account: AccountFacts) -> str:
    """Say that a link is not the operator's."""
    return f"{escaped(link)} is not in allowed_targets of account {account.name}; add it only if you own it"


def wrong_currency(written: str, account: AccountFacts) -> str:
    """Say that an amount is in a money that the account is not billed in."""
    return f"is in {written}, but account {account.name} is billed in {account.currency}"


def _links(document: dict[str, Any], account: AccountFacts) -> Iterator[Problem]:
    targets = dict(islice(_mapping(document.get("targets")).items(), MAX_TARGETS))
    defaults = _mapping(document.get("defaults"))
    orders = document.get("orders")
    for index, order in enumerate(orders[:MAX_ORDERS] if isinstance(orders, list) else []):
        own = _mapping(order)
        holder, fields = (("orders", index), own) if {"link", "target"} & own.keys() else (("defaults",), defaults)
        loc: Loc
        for loc, link in (
            ((*holder, "link"), fields.get("link")),
            (("targets", fields.get("target")), targets.get(_key(fields.get("target")))),
        ):
            if isinstance(link, str) and _is_link(link) and not is_allowed(link, account.allowed_targets):
                yield Problem(loc, not_allowed(link, account))


def _currencies(document: dict[str, Any], account: AccountFacts) -> Iterator[Problem]:
    limits = _mapping(document.get("limits"))
    for name in _LIMITS:
        try:
            written = parse_money(limits[name]).currency
        except (KeyError, ValueError, TypeError):
            continue
        if written != account.currency:
            yield Problem(("limits", name), wrong_currency(written, account))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _key(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _is_link(text: str) -> bool:
    try:
        normalise(text)
    except BadLink:
        return False
    return True
