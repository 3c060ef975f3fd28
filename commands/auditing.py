"""``audit``: campaigns held against what the panel says of their orders now."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.table import Table

from campaigns.auditing import Books, audit_all, orders_of
from campaigns.wording import count
from codec import CodecError
from commands.asking import ask_all
from commands.console import DONE, FAILED, CommandError, emit, plain, say, show
from commands.snapshots import Snapshot, take
from commands.temporal import connected, find, is_open
from configuration import load_configuration
from workflows import attributes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.client import Client, WorkflowExecutionDescription

    from campaigns.auditing import Audit

ALL = "WorkflowType='Campaign'"
_AT_ONCE = 10
"""Campaigns that are asked at the same time: of those that nobody answers for, each takes its patience."""


async def audit_campaigns(given: Sequence[str], *, as_machine: bool) -> int:
    """Audit the named campaigns, or all that Temporal still knows; exit 1 if anything differs or was not read."""
    configuration = load_configuration(keys=False)
    client = await connected()
    found = [await find(client, name) for name in given] if given else await every_campaign(client)
    once = {(one.id, one.run_id): one for one in found}
    few = asyncio.Semaphore(_AT_ONCE)
    books = await asyncio.gather(*(_asked(client, one, few) for one in once.values()))
    answers = await ask_all(configuration, orders_of(books))
    for one in answers.values():
        if one.failure:
            say(one.failure, "red")
    audits = audit_all(books, answers)
    if as_machine:
        emit([one.model_dump(mode="json") | {"agrees": one.agrees} for one in audits])
    else:
        _show(audits)
    return DONE if all(one.agrees for one in audits) else FAILED


async def every_campaign(client: Client) -> list[WorkflowExecutionDescription]:
    """Find all campaigns; of one that was reset, the run that goes on with it: the others' orders are its own."""
    newest: dict[tuple[str, str], WorkflowExecutionDescription] = {}
    async for found in client.list_workflows(ALL):
        description = await client.get_workflow_handle(found.id, run_id=found.run_id).describe()
        if description.status is not None and description.status.name == "CONTINUED_AS_NEW":
            continue
        first = description.raw_description.workflow_execution_info.first_run_id or description.run_id
        known = newest.get((found.id, first))
        if known is None or known.start_time < description.start_time:
            newest[found.id, first] = description
    return list(newest.values())


async def _asked(client: Client, found: WorkflowExecutionDescription, few: asyncio.Semaphore) -> Books:
    """Ask a campaign; one that nobody answers for must not keep the others from being compared."""
    async with few:
        try:
            return _books(await take(client, found))
        except (CommandError, CodecError) as error:
            account = found.typed_search_attributes.get(attributes.ACCOUNT) or ""
            why = str(error).removeprefix(f"{plain(found.id.removeprefix('campaign/'))} waits: ")
            return Books(found.id, account, Decimal(0), [], found.run_id, running=is_open(found), silence=why)


def _books(snapshot: Snapshot) -> Books:
    facts = snapshot.facts
    return Books(
        id=str(facts["id"]),
        run_id=str(facts.get("run_id") or ""),
        account=str(facts.get("account") or ""),
        spent=Decimal(str(facts["spent"])),
        rows=snapshot.rows,
        running=not snapshot.ended,
        note=snapshot.note,
    )


def _show(audits: Sequence[Audit]) -> None:
    for one in audits:
        name = plain(one.id.removeprefix("campaign/"))
        if one.spent is None:
            show(f"✗ {name}: could not be asked, so nothing is compared: {one.why_unread}")
        elif one.agrees:
            show(f"✓ {name}: {count(one.checked, 'order')} checked, spent {one.spent}, nothing differs")
        else:
            told = [count(len(one.differences), "difference")]
            told += [f"{count(one.unread, 'order')} of account {plain(one.account)} could not be read"] * bool(
                one.unread
            )
            show(f"✗ {name}: {count(one.checked, 'order')} checked, {', '.join(told)}")
        if one.differences:
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
