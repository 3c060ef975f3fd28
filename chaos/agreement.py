"""Holds what campaigns report against the panel's books: line by line, to the last digit. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Document = Mapping[str, Any]

_WORDS = {"fail": "failed", "inprogress": "in_progress"}
_UNDONE = {"planned", "held", "placing", "pending", "in_progress", "unknown"}


@dataclass(slots=True)
class Agreement:
    """What came of it: every list is empty when all is well."""

    orders: int = 0
    """Lines of the panel's books."""
    runs: int = 0
    """Order runs of the reports."""
    duplicates: list[str] = field(default_factory=list)
    """Orders in the books that no order run accounts for."""
    lost: list[str] = field(default_factory=list)
    """Order runs without an order in the books, or not at their end."""
    differences: list[str] = field(default_factory=list)
    """Fields that are not equal."""
    violations: list[str] = field(default_factory=list)
    """What the panel itself complains of."""
    off: Decimal = Decimal(0)
    """Opening and deposits, less the closing balance, less all that was reported as spent."""

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.duplicates or self.lost or self.differences or self.violations or self.off)

    def told(self) -> list[str]:
        """Say everything that is wrong, a line each."""
        named = [("bought twice", self.duplicates), ("lost", self.lost), ("differs", self.differences)]
        lines = [f"{name}: {what}" for name, found in [*named, ("violation", self.violations)] for what in found]
        return [*lines, *([f"the money is off by {self.off}"] if self.off else [])]


def state_of(status: str) -> str:
    """Give our word for the panel's."""
    word = status.lower().replace(" ", "_")
    return _WORDS.get(word, word)


def agreement(ledger: Document, reports: Sequence[Document], terminated: Sequence[Document] = ()) -> Agreement:
    """Compare.

    Args:
        ledger: the sandbox's ``/ledger.json``.
        reports: of campaigns that ended by themselves.
        terminated: order rows of campaigns that were cut off in the middle: their orders are read from the panel, by
            the request ids that they would have used; nobody looks after what became of them.

    """
    found = Agreement(orders=len(ledger["orders"]), runs=sum(len(report["orders"]) for report in reports))
    booked = {str(line["order"]): line for line in ledger["orders"]}
    spent = sum((Decimal(report["spent"]) for report in reports), Decimal(0))
    claimed: Counter[str] = Counter()
    for report in reports:
        for row in report["orders"]:
            _compare(found, report["id"], row, booked, claimed)
        if Decimal(report["reserved"]):
            found.differences.append(f"{report['id']} keeps {report['reserved']} reserved at its end")
    cut_off = {row["request_id"] for row in terminated}
    for order, line in booked.items():
        if claimed[order] == 0 and line["request_id"] in cut_off:
            claimed[order] += 1
            cut_off.remove(line["request_id"])
            spent += Decimal(line["charge"])
        if claimed[order] != 1:
            found.duplicates.append(f"{order} ({line['request_id']}) is accounted for {claimed[order]} times")
    keys = Counter(line["request_id"] for line in ledger["orders"] if line["request_id"])
    found.duplicates += [f"{key} stands {count} times in the books" for key, count in keys.items() if count > 1]
    found.violations = [f"{each['kind']}: {each['detail']}" for each in ledger["violations"]]
    found.off = Decimal(ledger["opening_balance"]) + Decimal(ledger["topped_up"]) - Decimal(ledger["balance"]) - spent
    return found


def _compare(
    found: Agreement, campaign: str, row: Document, booked: Mapping[str, Document], claimed: Counter[str]
) -> None:
    name = f"{campaign} {row['order']}/{row['run']}"
    if row["panel_order"] is None or row["state"] in _UNDONE:
        found.lost.append(f"{name} is {row['state']}: {row['why']}")
    if row["panel_order"] is None:
        return
    line = booked.get(row["panel_order"])
    if line is None:
        found.lost.append(f"{name} names {row['panel_order']}, which is not in the books")
        return
    claimed[row["panel_order"]] += 1
    there = {
        "request_id": line["request_id"],
        "service": line["service"],
        "link": line["link"],
        "quantity": line["total"],
        "charge": Decimal(line["charge"]),
        "state": state_of(line["status"]),
        "delivered": line["delivered"],
    }
    here = {key: row[key] for key in there} | {"charge": Decimal(row["charge"] or 0)}
    found.differences += [
        f"{name}: {key} is {here[key]}, and {there[key]} in the books" for key in there if here[key] != there[key]
    ]
