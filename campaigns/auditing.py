"""The audit: what a campaign believes of its orders, held against what the panel says of them now. Pure.

The campaign's side is its order rows (``campaigner status --json``); the panel's side is one reading an order. Only
what both sides state is compared; what the panel does not tell (such as the quantity, or a charge it leaves out) is
said to be unchecked, never guessed.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from campaigns.messages import Status
from campaigns.quantities import money_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.messages import Reading

_OPEN = {"pending", "in_progress"}
_NEVER_PLACED = {"planned", "held", "placing", "skipped", "failed", "unknown"}


class Difference(BaseModel):
    """One thing on which the campaign and the panel do not agree."""

    order: str
    """``views/3``, or ``*`` for the campaign as a whole."""
    panel_order: str | None = None
    field: str
    campaign: str
    panel: str


class Audit(BaseModel):
    """The outcome for one campaign."""

    id: str
    checked: int = 0
    """Orders held against the panel's answer."""
    unchecked: list[str] = Field(default_factory=list)
    """What could not be compared, in words."""
    spent: str = "0.00"
    panel_charges: str = "0.00"
    differences: list[Difference] = Field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Nothing differs."""
        return not self.differences


def audit(
    campaign: str, spent: Decimal, rows: Sequence[Mapping[str, Any]], readings: Mapping[str, Reading | None]
) -> Audit:
    """Compare a campaign's rows with the panel's readings.

    Args:
        campaign: its workflow id.
        spent: what the campaign says it spent, in the account's currency.
        rows: its order rows, all pages.
        readings: panel order id -> what the panel says, or None when it gave no answer.

    Returns:
        The differences; none means that ids, delivered units, charges, states and the total agree.

    """
    result = Audit(id=campaign, spent=money_text(spent))
    _check_ids(result, rows)
    charges, all_told = Decimal(0), True
    for row in rows:
        panel_order = row["panel_order"]
        if panel_order is None:
            if row["state"] not in _NEVER_PLACED:
                _differs(result, row, "panel_order", "none", "an order must exist in this state")
            continue
        reading = readings.get(panel_order)
        if reading is None:
            all_told = False
            result.unchecked.append(f"{_name(row)}: the panel gave no answer for {panel_order}")
            continue
        if reading.error is not None:
            _differs(result, row, "order", panel_order, reading.error)
            continue
        result.checked += 1
        all_told = _check_row(result, row, reading) and all_told
        charges += reading.charge if reading.charge is not None else Decimal(row["charge"] or 0)
    result.panel_charges = money_text(charges)
    if all_told and charges != spent:
        total = Difference(order="*", field="spent", campaign=money_text(spent), panel=money_text(charges))
        result.differences.append(total)
    return result


def _check_ids(result: Audit, rows: Sequence[Mapping[str, Any]]) -> None:
    for field in ("panel_order", "request_id"):
        counts = Counter(row[field] for row in rows if row[field] is not None)
        for value, count in counts.items():
            if count > 1:
                names = ", ".join(_name(row) for row in rows if row[field] == value)
                told = Difference(order=names, field=field, campaign=f"{count} times {value}", panel="one order each")
                result.differences.append(told)


def _check_row(result: Audit, row: Mapping[str, Any], reading: Reading) -> bool:
    """Compare one order; tell whether the panel stated its charge."""
    if reading.status is Status.UNKNOWN:
        result.unchecked.append(f'{_name(row)}: the panel says "{reading.raw}", which no documentation explains')
    elif reading.status.value != row["state"] and not _is_on_its_way(row["state"], reading.status):
        _differs(result, row, "state", row["state"], reading.status.value)
    if reading.remains is not None and reading.status is not Status.UNKNOWN:
        delivered = row["quantity"] - min(max(reading.remains, 0), row["quantity"])
        moving = row["state"] in _OPEN and delivered >= row["delivered"]
        if delivered != row["delivered"] and not moving:
            _differs(result, row, "delivered", f"{row['delivered']:,}", f"{delivered:,}")
    if reading.charge is None:
        result.unchecked.append(f"{_name(row)}: the panel tells no charge")
        return False
    ours = Decimal(row["charge"]) if row["charge"] is not None else None
    if ours is None and row["state"] in _OPEN:
        result.unchecked.append(f"{_name(row)}: not read by the campaign yet")
        return False
    if ours != reading.charge:
        _differs(result, row, "charge", "none" if ours is None else money_text(ours), money_text(reading.charge))
    return True


def _is_on_its_way(ours: str, theirs: Status) -> bool:
    """An open order may be ahead at the panel: the next round of readings brings it."""
    return ours in _OPEN or (ours == "unknown" and theirs.value in _OPEN)


def _differs(result: Audit, row: Mapping[str, Any], field: str, ours: str, theirs: str) -> None:
    result.differences.append(
        Difference(order=_name(row), panel_order=row["panel_order"], field=field, campaign=ours, panel=theirs)
    )


def _name(row: Mapping[str, Any]) -> str:
    name = f"{row['order']}/{row['run']}"
    return f"{name} (replaces {row['replaces']})" if row.get("replaces") else name
