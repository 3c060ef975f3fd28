"""Reads the parameters of a request, refusing them in the panel's words."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sandbox.dialects import PanelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.catalog import Service

MOST_ORDERS = 100
MOST_LINK = 1000
_LONGEST_INTEGER = 12


def required(fields: Mapping[str, str], name: str) -> str:
    """A parameter that must not be empty."""
    value = fields.get(name, "").strip()
    if not value:
        raise PanelError(f"Missing required parameter: {name}")
    return value


def integer(text: str) -> int | None:
    """A positive integer, or None."""
    text = text.strip()
    return (int(text) or None) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_INTEGER else None


def ids(fields: Mapping[str, str]) -> tuple[list[str], bool]:
    """The ids of `order` or `orders`, and whether it was the single form."""
    one, many = fields.get("order", "").strip(), fields.get("orders", "").strip()
    if one and many:
        raise PanelError("Provide exactly one of order, orders")
    if one:
        return [one], True
    found = [part.strip() for part in many.split(",") if part.strip()]
    if not found:
        raise PanelError("Missing required parameter: order")
    if len(found) > MOST_ORDERS:
        raise PanelError(f"Maximum {MOST_ORDERS} orders per request")
    return found, False


def link(fields: Mapping[str, str], service: Service) -> str:
    """The target: an http(s) URL, or for Subscriptions a username."""
    if service.type == "Subscriptions":
        return fields.get("username", "").strip() or required(fields, "link")
    target = required(fields, "link")
    if len(target) > MOST_LINK:
        raise PanelError(f"Link must be at most {MOST_LINK} characters")
    try:
        parts = urlsplit(target)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise PanelError("Link must be a valid http(s) URL")
    return target


def quantity(fields: Mapping[str, str], service: Service) -> int:
    """The units to bill: `min` for packages, one a line for custom comments."""
    if service.bills_min:
        return service.min
    if service.type == "Custom Comments":
        units = sum(1 for line in required(fields, "comments").splitlines() if line.strip())
    else:
        number = integer(required(fields, "quantity"))
        if number is None:
            raise PanelError("Quantity must be a positive integer")
        units = number
    if units < service.min:
        raise PanelError(f"Quantity less than minimal {service.min}")
    if units > service.max:
        raise PanelError(f"Quantity more than maximum {service.max}")
    return units


def drip(fields: Mapping[str, str], service: Service) -> tuple[int, int]:
    """Runs, and the minutes between them."""
    if not fields.get("runs"):
        return 1, 0
    runs = integer(fields["runs"])
    if runs is None:
        raise PanelError("Runs must be a positive integer")
    if runs == 1:
        return 1, 0
    if not service.dripfeed:
        raise PanelError("Drip-feed is not available for this service")
    interval = integer(fields.get("interval", ""))
    if interval is None:
        raise PanelError("Interval must be a positive integer")
    return runs, interval
