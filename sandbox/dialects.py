"""How answers are spelt: NotPanel's way, or the way of the stock v2 panels it descends from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decimal import Decimal

    from sandbox.settings import DialectName

_CLASSIC_WORDS = {
    "pending": "Pending",
    "in_progress": "In progress",
    "completed": "Completed",
    "partial": "Partial",
    "canceled": "Canceled",
    "refunded": "Refunded",
    "fail": "Fail",
}


class PanelError(Exception):
    """A refusal in the panel's words, with the HTTP status it comes with."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


def money(amount: Decimal) -> str:
    """An amount with two to five decimals: `0.50`, `0.00045`."""
    whole, _, decimals = f"{amount:.5f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


class NotPanel:
    """NotPanel's documented answers: money and counters as strings, opaque ids, errors with 4xx."""

    def identifier(self, text: str) -> str | int:
        """An order's or a refill's id."""
        return text

    def amount(self, amount: Decimal) -> str | float:
        """An amount of money."""
        return money(amount)

    def count(self, count: int) -> str | int:
        """A number of units."""
        return str(count)

    def word(self, status: str) -> str:
        """A status."""
        return status

    def http_status(self, error: PanelError) -> int:
        """The HTTP status a refusal comes with."""
        return error.status

    def row(self, verb: str, order: str, value: Any) -> dict[str, Any]:
        """One row of a batch of `cancel` or `refill`: the value or the refusal."""
        if isinstance(value, PanelError):
            return {"order": order, "error": value.text}
        return {"order": order, verb: value}


class Classic(NotPanel):
    """A stock v2 panel: integer ids, JSON numbers, Title Case words, every error with 200."""

    def identifier(self, text: str) -> str | int:
        """An integer."""
        return int(text)

    def amount(self, amount: Decimal) -> str | float:
        """A float, as they do."""
        return float(amount)

    def count(self, count: int) -> str | int:
        """An integer."""
        return count

    def word(self, status: str) -> str:
        """Title Case."""
        return _CLASSIC_WORDS.get(status, status)

    def http_status(self, error: PanelError) -> int:
        """Only the rate limit and breakdowns show in the HTTP status."""
        return error.status if error.status in (429, 500) else 200

    def row(self, verb: str, order: str, value: Any) -> dict[str, Any]:
        """The error stands inside."""
        named = int(order) if order.isascii() and order.isdigit() else order
        return {"order": named, verb: {"error": value.text} if isinstance(value, PanelError) else value}


def dialect(name: DialectName) -> NotPanel:
    """The dialect of that name."""
    return Classic() if name == "classic" else NotPanel()
