"""``audit``: campaigns held against what the panel says of their orders now."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.table import Table

from campaigns.auditing import Audit, audit
from campaigns.messages import Reading, Status
from commands.console import DONE, FAILED, count, emit, plain, say, show
from commands.panels import panel_of
from commands.snapshots import Snapshot, take
from commands.temporal import connected, find
from configuration import load_configuration
from panel import Missing, OrderStatus, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.client import Client

    from configuration import Configuration

PAGE = 100
"""Statuses in one request (panel documentation)."""
ALL = "WorkflowType='Campaign'"


async def audit_campaigns(given: Sequence[str], *, as_machine: bool) -> int:
    """Audit the named campaigns, or all that Temporal still knows; exit 1 if anything differs."""
    configuration = load_configuration()
    client = await connected()
    snapshots = [await _snapshot(client, name) for name in given] if given else await _all(client)
    audits = [await _audit(configuration, snapshot) for snapshot in snapshots]
    if as_machine:
        emit([one.model_dump(mode="json") | {"agrees": one.agrees} for one in audits])
    else:
        _show(audits)
    return DONE if all(one.agrees for one in audits) else FAILED


async def _snapshot(client: Client, given: str) -> Snapshot:
    return await take(client, await find(client, given))


async def _all(client: Client) -> list[Snapshot]:
    snapshots = []
    async for found in client.list_workflows(ALL):
        handle = client.get_workflow_handle(found.id, run_id=found.run_id)
        description = await handle.describe()
        if description.status is None or description.status.name != "CONTINUED_AS_NEW":
            snapshots.append(await take(client, description))
    return snapshots


async def _audit(configuration: Configuration, snapshot: Snapshot) -> Audit:
    facts = snapshot.facts
    placed = [str(row["panel_order"]) for row in snapshot.rows if row["panel_order"] is not None]
    readings: dict[str, Reading | None] = {}
    if placed:
        async with panel_of(configuration, str(facts["account"])) as panel:
            for start in range(0, len(placed), PAGE):
                answers = await panel.statuses(placed[start : start + PAGE])
                readings |= {order: _reading(order, answer) for order, answer in answers.items()}
    return audit(str(facts["id"]), Decimal(str(facts["spent"])), snapshot.rows, readings)


def _reading(order: str, answer: OrderStatus | Refused | Missing) -> Reading | None:
    now = datetime.now(UTC)
    match answer:
        case Missing():
            return None
        case Refused():
            return Reading(panel_order=order, status=Status.UNKNOWN, error=answer.words, observed_at=now)
        case OrderStatus():
            return Reading(
                panel_order=order,
                status=Status(answer.status.value),
                raw=answer.raw,
                charge=answer.charge,
                remains=answer.remains,
                observed_at=now,
            )


def _show(audits: Sequence[Audit]) -> None:
    for one in audits:
        name = plain(one.id.removeprefix("campaign/"))
        if one.agrees:
            show(f"✓ {name}: {count(one.checked, 'order')} checked, spent {one.spent}, nothing differs")
        else:
            show(f"✗ {name}: {count(len(one.differences), 'difference')}")
            table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
            for column in ("order", "panel order", "what", "campaign", "panel"):
                table.add_column(column, overflow="fold")
            for found in one.differences:
                cells = (found.order, found.panel_order or "", found.field, found.campaign, found.panel)
                table.add_row(*map(plain, cells))
            show(table)
        for words in one.unchecked[:10]:
            say(f"  not checked: {plain(words)}")
    if not audits:
        show("there is no campaign to audit")
