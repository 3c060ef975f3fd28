"""The audit: what campaigns believe of their orders, held against what the panel says of them now. Pure.

A campaign's side is its order rows (``campaigner status --json``); the panel's side is one reading an order. Only
what both sides state is compared; what the panel does not tell (such as the quantity, or a charge it leaves out) is
said to be unchecked, never guessed, and what it could not be asked for is said to be unread.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from campaigns.messages import Status
from campaigns.quantities import money_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from campaigns.messages import Reading

_OPEN = {"pending", "in_progress"}
_NEVER_PLACED = {"planned", "held", "placing", "skipped", "failed", "unknown"}


@dataclass(frozen=True)
class Books:
    """A campaign's side of the audit, as it stood when it was asked."""

    id: str
    account: str
    spent: Decimal
    """In the account's currency."""
    rows: Sequence[Mapping[str, Any]]
    """Its order rows, all pages."""
    run_id: str = ""
    running: bool = False
    note: str = ""
    """Why these are not all rows; nothing when they are."""
    silence: str = ""
    """Why the campaign could not be asked at all; nothing when it could. Nothing is then known of its orders."""


@dataclass(frozen=True)
class Answers:
    """An account's side of the audit."""

    readings: Mapping[str, Reading | None] = field(default_factory=dict)
    """Panel order id -> what the panel says, None where it gave no answer; an id that is left out was not read."""
    failure: str = ""
    """Why not all were read."""


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
    run_id: str = ""
    account: str = ""
    checked: int = 0
    """Orders held against the panel's answer."""
    unchecked: list[str] = Field(default_factory=list)
    """What could not be compared, in words."""
    unread: int = 0
    """Orders that the panel could not be asked for."""
    why_unread: str = ""
    """Why orders could not be read, or the campaign itself could not be asked."""
    spent: str | None = "0.00"
    """What the campaign says; None when it could not be asked."""
    panel_charges: str | None = "0.00"
    differences: list[Difference] = Field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Nothing differs, and everything was read."""
        return not self.differences and not self.why_unread and not self.unread


def orders_of(books: Iterable[Books]) -> dict[str, list[str]]:
    """Give the panel order ids of all campaigns by account, each once: what the panels are to be asked for."""
    asked: dict[str, dict[str, None]] = defaultdict(dict)
    for one in books:
        for row in one.rows:
            if row["panel_order"] is not None:
                asked[one.account][str(row["panel_order"])] = None
    return {account: list(orders) for account, orders in asked.items()}


def audit_all(books: Sequence[Books], answers: Mapping[str, Answers]) -> list[Audit]:
    """Compare campaigns with what their accounts' panels say, and with one another.

    Args:
        books: the campaigns' sides.
        answers: account -> its panel's side.

    Returns:
        One audit a campaign, in their order. A panel order that several claim is a difference of each of them.

    """
    audits = [audit(one, answers.get(one.account, Answers())) for one in books]
    for claims in _claims(books):
        if len({place for place, _ in claims}) == 1:
            continue  # told by the campaign's own audit
        names = " and ".join(_claimant(books, claims, place, row) for place, row in claims)
        for place, row in claims:
            _differs(audits[place], row, "panel_order", f"claimed by {names}", "one order")
    return audits


def _claims(books: Sequence[Books]) -> Iterable[list[tuple[int, Mapping[str, Any]]]]:
    """Give for every panel order who says it is his: the campaign's place and its row."""
    claims: dict[tuple[str, str], list[tuple[int, Mapping[str, Any]]]] = defaultdict(list)
    for place, one in enumerate(books):
        for row in one.rows:
            if row["panel_order"] is not None:
                claims[one.account, row["panel_order"]].append((place, row))
    return claims.values()


def _claimant(
    books: Sequence[Books], claims: Sequence[tuple[int, Mapping[str, Any]]], place: int, row: Mapping[str, Any]
) -> str:
    """Name a claimant; two runs of one campaign by their run ids too."""
    one = books[place]
    others = {other for other, _ in claims if other != place and books[other].id == one.id}
    return f"{one.id.removeprefix('campaign/')}{f' (run {one.run_id})' if others else ''} {_name(row)}"


def audit(books: Books, answers: Answers) -> Audit:
    """Compare a campaign with the panel's readings.

    Returns:
        The differences; none means that ids, delivered units, charges, states and the total agree.

    """
    result = Audit(id=books.id, run_id=books.run_id, account=books.account, spent=money_text(books.spent))
    if books.silence:
        return result.model_copy(update={"why_unread": books.silence, "spent": None, "panel_charges": None})
    _check_ids(result, books.rows)
    charges, all_told = Decimal(0), True
    if books.note:
        result.unchecked.append(books.note)
        all_told = False
    for row in books.rows:
        panel_order = row["panel_order"]
        if panel_order is None:
            if row["state"] not in _NEVER_PLACED:
                _differs(result, row, "panel_order", "none", "an order must exist in this state")
            continue
        if panel_order not in answers.readings:
            all_told = False
            result.unread += 1
            continue
        reading = answers.readings[panel_order]
        if reading is None:
            all_told = False
            result.unchecked.append(f"{_name(row)}: the panel gave no answer for {panel_order}")
            continue
        if reading.error is not None:
            _differs(result, row, "order", panel_order, reading.error)
            continue
        result.checked += 1
        all_told = _check_row(result, row, reading, running=books.running) and all_told
        charges += reading.charge if reading.charge is not None else Decimal(row["charge"] or 0)
    result.why_unread = answers.failure if result.unread else ""
    result.panel_charges = money_text(charges)
    if all_told and charges != books.spent:
        total = Difference(order="*", field="spent", campaign=money_text(books.spent), panel=money_text(charges))
        result.differences.append(total)
    return result


def _check_ids(result: Audit, rows: Sequence[Mapping[str, Any]]) -> None:
    for name in ("panel_order", "request_id"):
        counts = Counter(row[name] for row in rows if row[name] is not None)
        for value, count in counts.items():
            if count > 1:
                names = ", ".join(_name(row) for row in rows if row[name] == value)
                told = Difference(order=names, field=name, campaign=f"{count} times {value}", panel="one order each")
                result.differences.append(told)


def _check_row(result: Audit, row: Mapping[str, Any], reading: Reading, *, running: bool) -> bool:
    """Compare one order; tell whether both sides stated its charge."""
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
    if ours != reading.charge and running and row["state"] in _OPEN and reading.status.value != row["state"]:
        # An audit may wait for the panel for minutes; what the order came to meanwhile, the next reading brings.
        result.unchecked.append(f"{_name(row)}: moved on at the panel since the campaign read it")
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
