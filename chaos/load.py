"""What the campaigns of a chaos run buy: every way in which an order can fare, on a link of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

ACCOUNT = "main"
ALLOWED = "https://example.com/*"
BUDGET = "100000.00 USD"

_FOLLOWS = 0.1
"""Share of the orders that wait for another one."""

Document = dict[str, Any]


def _kinds(patience: str) -> list[tuple[int, Document]]:
    """Give weighted orders; ``runs`` of a drip count as so many orders."""
    return [
        (10, {"service": 102, "quantity": 250}),
        (3, {"service": 101, "quantity": 1337}),
        (2, {"service": 101, "quantity": 900, "drip": {"runs": 6, "every": "1s"}, "concurrent": True}),
        (1, {"service": 102, "quantity": 400, "drip": {"runs": 8, "every": "2s"}, "concurrent": True}),
        (1, {"service": 112, "quantity": 300, "drip": {"runs": 3, "every": "10m", "by": "panel"}}),
        (1, {"service": 103, "quantity": 777}),
        (1, {"service": 106, "quantity": 20, "on_shortfall": "reorder", "fallback": [102]}),
        (1, {"service": 115, "quantity": 50}),
        (1, {"service": 111, "quantity": 1000}),
        (1, {"service": 117, "quantity": 120}),
        (1, {"service": 104, "quantity": 30, "cancel": {"not_started_in": patience}}),
        (1, {"service": 105, "quantity": 30, "cancel": {"stalled_for": patience}}),
    ]


def campaign(name: str, size: int, chance: random.Random, patience: str = "5s") -> tuple[Document, int]:
    """Draw a campaign of about ``size`` orders, as the file would have it; give it and how many orders it plans."""
    kinds = _kinds(patience)
    weights = [weight for weight, _ in kinds]
    orders: list[Document] = []
    planned = 0
    while planned < size:
        (_, kind) = chance.choices(kinds, weights)[0]
        number = len(orders) + 1
        order = {"id": f"o{number}", "link": f"https://example.com/{name}/{number}", **kind}
        if number > 1 and chance.random() < _FOLLOWS:
            order["after"] = {"order": f"o{chance.randrange(1, number)}", "when": "placed"}
        drip = order.get("drip", {})
        planned += drip["runs"] if drip and drip.get("by") != "panel" else 1
        orders.append(order)
    return {"version": 1, "name": name, "account": ACCOUNT, "limits": {"budget": BUDGET}, "orders": orders}, planned


def storm(level: float) -> list[str]:
    """Arm the sandbox so that this share of all ``add`` requests goes wrong, in every way there is."""
    shares = {
        "drop_after": 0.27,
        "error_after": 0.2,
        "drop_before": 0.16,
        "html_502": 0.1,
        "error_before": 0.07,
        "html_200": 0.07,
        "slow:0.5": 0.05,
        "slow_after:0.5": 0.05,
        "throttle": 0.03,
    }
    faults, left = [], 1.0
    for kind, share in shares.items():
        # The first fault that strikes is the only one: each later one is drawn from what the earlier ones left over.
        faults.append(f"add:{kind}={share * level / left:.4f}")
        left -= share * level
    return [*faults, f"status:drop_after={level / 3:.4f}", f"services:error_before={level / 2:.4f}"]
