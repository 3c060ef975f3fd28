"""Campaigns of any size, and a catalog for them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from campaigns.accounts import AccountFacts
from campaigns.plan import ServiceFacts

ACCOUNT = "bench"
ALLOWED = ["https://example.com/*"]
CATALOG = {
    101: ServiceFacts(
        service=101, name="Views", type="Default", rate=Decimal("0.90"), min=10, max=100_000,
        dripfeed=True, refill=True, cancel=True, category="Views",
    )
}  # fmt: skip


def facts() -> AccountFacts:
    """Give the account; nobody becomes impatient for news during a measurement."""
    return AccountFacts(name=ACCOUNT, allowed_targets=ALLOWED, poll_every=timedelta(days=1))


def document(orders: int, name: str = "bench") -> dict[str, Any]:
    """Give a campaign of so many single orders, each on a link of its own."""
    rows = [
        {"id": f"o{number}", "service": 101, "quantity": 100, "link": f"https://example.com/{number}"}
        for number in range(orders)
    ]
    return {"version": 1, "name": name, "account": ACCOUNT, "orders": rows}
