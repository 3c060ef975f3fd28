"""Holds a campaign's report against the sandbox's books, line by line. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

_WORDS = {"fail": "failed"}
_NAMES = {
    "request_id": "request_id",
    "service": "service",
    "link": "link",
    "quantity": "total",
    "charge": "charge",
    "delivered": "delivered",
    "state": "status",
}
"""A field of an order row -> the same field in the ledger."""
_MONEY = frozenset({"charge"})


def differences(rows: list[dict[str, Any]], spent: str, ledger: dict[str, Any]) -> list[str]:
    """Say in words everything in which a campaign's report and the panel's books do not agree; nothing when they do.

    Args:
        rows: the campaign's order rows, as ``status --json`` gives them.
        spent: what the campaign says it spent.
        ledger: the sandbox's books, of nothing but this campaign.

    """
    booked = {str(order["order"]): order for order in ledger["orders"]}
    told: list[str] = []
    reported: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["panel_order"] is None:
            continue
        if row["panel_order"] in reported:
            told.append(f"{_name(row)} and {_name(reported[row['panel_order']])} are one order, {row['panel_order']}")
        reported[row["panel_order"]] = row
    told += [f"{order} is at the panel, but not in the report" for order in booked.keys() - reported.keys()]
    for panel_order, row in reported.items():
        order = booked.get(panel_order)
        if order is None:
            told.append(f"{_name(row)} is reported as {panel_order}, which the panel does not have")
            continue
        told += [
            f"{_name(row)}: {name} is {row[name]} in the report and {order[theirs]} at the panel"
            for name, theirs in _NAMES.items()
            if not _same(name, row[name], order[theirs])
        ]
    opening, closing = Decimal(ledger["opening_balance"]), Decimal(ledger["balance"])
    paid = opening + Decimal(ledger["topped_up"]) - closing
    if paid != Decimal(spent):
        told.append(f"the report says {spent} was spent; the balance fell by {paid}")
    if (charges := sum((Decimal(row["charge"] or 0) for row in rows), Decimal(0))) != Decimal(spent):
        told.append(f"the rows' charges add up to {charges}, the report says {spent}")
    told += [f"the panel recorded a violation: {v['kind']} ({v['detail']})" for v in ledger["violations"]]
    return told


def _name(row: dict[str, Any]) -> str:
    return f"{row['order']}/{row['run']}"


def _same(name: str, ours: Any, theirs: Any) -> bool:
    if name in _MONEY:
        return ours is not None and Decimal(str(ours)) == Decimal(str(theirs))
    if name == "state":
        return bool(ours == _WORDS.get(theirs, theirs))
    return bool(ours == theirs)
