"""Where a notice goes: an address in the file, or the name of a variable that the worker fills in when it sends.

An address often holds a secret, and a campaign's file stands in its workflow's history. So a variable in it is kept as
it is written, and it must be the whole value: a variable among other text could carry a key out of the worker's
environment to an address of the file's own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from campaigns.targets import BadLink, normalise

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::?\?[^}]*)?\}")


def webhook_fault(text: str) -> str | None:
    """Say what is wrong with a webhook as written in a file, or give None."""
    if _VARIABLE.fullmatch(text):
        return None
    if "$" in text:
        return "must be an address, or one variable alone, such as ${ALERT_URL}"
    return _address_fault(text)


def _address_fault(text: str) -> str | None:
    try:
        address = normalise(text)
    except BadLink as error:
        return str(error)
    return None if address.startswith(("http://", "https://")) else "must begin with https:// or http://"


def address_of(webhook: str, env: Mapping[str, str]) -> str:
    """Give the address a notice goes to.

    Raises:
        ValueError: the variable is not set, or does not hold an address; its value is not told.

    """
    match = _VARIABLE.fullmatch(webhook)
    if match is None:
        return webhook
    value = env.get(match[1], "")
    if not value:
        raise ValueError(f"the variable {match[1]} is not set in the worker's environment")
    if _address_fault(value):
        raise ValueError(f"the variable {match[1]} does not hold an address")
    return value
