"""What people and programs are told of a campaign: rows, totals, and the words of the Temporal Web UI. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from campaigns import books, guards
from campaigns.calendar import local, slots
from campaigns.engine import status_of
from campaigns.messages import Cancel, Command, Follow, Place, ReadBalance, ReadRates, Refill, Tell
from campaigns.notices import attention
from campaigns.placing import request_id
from campaigns.quantities import money_text as money
from campaigns.state import UNPLACED, Run, RunState, State
from campaigns.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from campaigns.plan import PlannedOrder

TABLE_ROWS = 40
"""Rows of the live table in the Web UI; the rest is counted."""
_GAP = "\N{EM SPACE}\N{WORD JOINER}"
"""The Web UI sets its tables without any room between two columns, and cuts off space at the end of a cell."""
_MARKS = {
    RunState.PLANNED: "·",
    RunState.HELD: "…",
    RunState.COMPLETED: "✓",
    RunState.PARTIAL: "◐",
    RunState.CANCELED: "◐",
    RunState.REFUNDED: "◐",
    RunState.FAILED: "✗",
    RunState.SKIPPED: "·",
    RunState.UNKNOWN: "?",
}
"""As in the terminal; what is on its way has a full circle."""


def title(order: PlannedOrder, run: int, replacement: int = 0) -> str:
    """Name an order run as people say it: ``views 3/10``, or ``seed`` when there is only one."""
    name = f"{order.id} {run}/{order.runs}" if order.runs > 1 else order.id
    return f"{name} (reorder {replacement})" if replacement else name


def name_of(state: State, run: Run) -> str:
    """Name a run as people say it."""
    return title(state.order_of(run), run.run, run.replacement)


def rows(state: State, offset: int = 0, limit: int | None = None) -> list[dict[str, Any]]:
    """Give order runs in the order of the file, those to come included, as JSON (the contract's row).

    Args:
        state: the campaign.
        offset: rows to pass over.
        limit: rows to give at most; all when None.

    """
    end = None if limit is None else offset + limit
    result = []
    for position, row in enumerate(_all_rows(state)):
        if end is not None and position >= end:
            break
        if position >= offset:
            result.append(row)
    return result


def _all_rows(state: State) -> Iterator[dict[str, Any]]:
    for order in state.plan.orders:
        progress = state.progress[order.id]
        for number in range(1, progress.next_run):
            run: Run | None = state.runs[f"{order.id}/{number}"]
            replaces = None
            while run is not None:
                yield row_of(state, order, run, replaces)
                replaces, run = run.key, state.runs.get(run.replaced_by or "")
        coming: Iterator[datetime] = iter(())
        if progress.next_slot is not None and order.every is not None:
            left = order.runs - progress.next_run + 1
            coming = slots(progress.next_slot, left, order.every, order.window, state.plan.timezone)
        elif progress.next_slot is not None:
            coming = iter([progress.next_slot])
        for number in range(progress.next_run, order.runs + 1):
            yield _planned_row(state, order, number, next(coming, None))


def row_of(state: State, order: PlannedOrder, run: Run, replaces: str | None = None) -> dict[str, Any]:
    """Give one decided order run as JSON; ``replaces`` is the key of the run whose rest it buys."""
    return {
        "order": order.id,
        "run": run.run,
        "service": order.offer(run.offer).service,
        "link": order.link,
        "quantity": run.units,
        "request_id": request_id(state.key_root, run.key, run.submission),
        "panel_order": run.panel_order,
        "state": run.state.value,
        "delivered": run.delivered,
        "charge": None if run.charge is None else money(run.charge),
        "due": _stamp(run.due if run.state in UNPLACED else run.slot),
        "placed_at": _stamp(run.placed_at),
        "settled_at": _stamp(run.settled_at),
        "why": run.why,
        "replaces": replaces,
        "key": run.key,
    }


def _planned_row(state: State, order: PlannedOrder, number: int, slot: datetime | None) -> dict[str, Any]:
    waits = ""
    if slot is None and order.after is not None and state.progress[order.id].began is None:
        waits = f"waits for {order.after.order} to be {order.after.when}"
    if number in state.progress[order.id].skips:
        waits = "will be skipped"
    return {
        "order": order.id,
        "run": number,
        "service": order.service,
        "link": order.link,
        "quantity": order.units_of(number),
        "request_id": request_id(state.key_root, f"{order.id}/{number}", 1),
        "panel_order": None,
        "state": RunState.PLANNED.value,
        "delivered": 0,
        "charge": None,
        "due": _stamp(slot),
        "placed_at": None,
        "settled_at": None,
        "why": waits,
        "replaces": None,
        "key": f"{order.id}/{number}",
    }


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def summary(state: State) -> dict[str, Any]:
    """Give the totals as JSON: state, money in the account's currency, counts, what comes next, who decided what."""
    counts: dict[str, int] = {}
    for run in state.runs.values():
        counts[run.state.value] = counts.get(run.state.value, 0) + 1
    planned = state.plan.runs - sum(progress.next_run - 1 for progress in state.progress.values())
    if planned:
        counts[RunState.PLANNED.value] = counts.get(RunState.PLANNED.value, 0) + planned
    return {
        "state": status_of(state).value,
        "why": attention(state),
        "name": state.plan.name,
        "account": state.plan.account.name,
        "currency": state.plan.account.currency,
        "timezone": state.plan.timezone,
        "planned_cost": money(state.plan.cost),
        "budget": None if state.budget is None else str(state.budget),
        "spent": money(state.spent),
        "reserved": money(state.reserved),
        "delivered_percent": str(delivered_percent(state)),
        "runs": state.plan.runs,
        "counts": counts,
        "open": state.open,
        "next": next_thing(state),
        "decisions": [decision.model_dump(mode="json") | {"at": _stamp(decision.at)} for decision in state.decisions],
    }


def units_planned(state: State) -> int:
    """Give the units of all runs together."""
    return sum(order.quantity * (order.runs if order.package else 1) for order in state.plan.orders)


def delivered_percent(state: State) -> Decimal:
    """Give what was delivered in percent of what was planned, to one place."""
    planned = units_planned(state)
    return (Decimal(100 * state.delivered) / planned).quantize(Decimal("0.1")) if planned else Decimal(0)


def describe(state: State, command: Command) -> str:
    """Say a command in the operator's words, for an activity's summary in the Web UI."""
    match command:
        case Place():
            run = state.runs[command.key]
            again = "" if command.first else " (again, same request id)"
            return f"place {name_of(state, run)}: {run.units:,} of service {command.form.service}{again}"
        case Cancel():
            return f"ask to cancel {_names(state, list(command.orders))}"
        case Refill():
            return f"ask to refill {_names(state, list(command.orders))}"
        case Follow():
            return f"follow {_names(state, [state.by_panel_order[order] for order in command.panel_orders])}"
        case ReadRates():
            return f"read the rates of {', '.join(str(service) for service in command.services[:5])}"
        case ReadBalance():
            return "read the balance"
        case Tell():
            return f"tell: {'; '.join(notice.kind.replace('_', ' ') for notice in command.notices[:3])}"


def _names(state: State, keys: list[str]) -> str:
    names = [name_of(state, state.runs[key]) for key in keys[:3]]
    more = f" and {len(keys) - 3:,} more" if len(keys) > 3 else ""  # noqa: PLR2004 - three names fit a line
    return ", ".join(names) + more


def next_thing(state: State) -> str:
    """Say what comes next and when, for the timer's summary: ``next: views 4/10, Fri 4 Dec 18:00 Europe/Istanbul``."""
    if not state.agenda:
        return "waiting for news from the panel" if state.open else ""
    when, *_, key = state.agenda[0]
    zone = state.plan.timezone
    if key == guards.CHEAPER:
        return f"next: see whether what became dearer is cheaper, {local(when, zone)}"
    if key == guards.BALANCE:
        return f"next: look at the balance, {local(when, zone)}"
    if key == books.PROBE:
        return f"next: see whether the account can order again, {local(when, zone)}"
    run = state.runs.get(key)
    if run is None:
        return f"next: {title(state.order(key), state.progress[key].next_run)}, {local(when, zone)}"
    name = name_of(state, run)
    if run.state in UNPLACED or run.state is RunState.PLACING:
        return f"next: {name}, {local(when, zone)}"
    if run.guard_until is not None:
        return f"next: refill check of {name}, {local(when, zone)}"
    return f"waiting for news from the panel; next look at {name}, {local(when, zone)}"


def markdown(state: State) -> str:
    """Write the live details of the Web UI: state, money, what it waits for, and a table of orders."""
    facts = summary(state)
    currency = facts["currency"]
    of_budget = f" of {facts['budget']}" if facts["budget"] else f" {currency}"
    lines = [
        (
            f"**{facts['state'].replace('_', ' ')}** · spent **{facts['spent']}**{of_budget} · "
            f"reserved {facts['reserved']} · delivered {facts['delivered_percent']} % · {facts['open']} open"
        ),
        "",
    ]
    if facts["why"]:
        lines += [f"> {plain(facts['why'])}", ""]
    if facts["next"]:
        lines += [plain(facts["next"]), ""]
    lines += [
        f"| order{_GAP} | state{_GAP} | delivered{_GAP} | charge{_GAP} |",
        "| :--- | :--- | ---: | ---: |",
    ]
    shown = _shown(state)
    lines += [_line(state, run) for run in shown]
    lines += _reasons(state, shown)
    hidden = state.plan.runs - min(len(state.runs), TABLE_ROWS)
    if hidden > 0:
        counts = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in sorted(facts["counts"].items()))
        lines += ["", f"{count(state.plan.runs, 'order run')} in all: {counts}"]
    return "\n".join(lines)


def _shown(state: State) -> list[Run]:
    """The runs decided last: they are at the end of the mapping, which keeps its order."""
    return list(state.runs.values())[-TABLE_ROWS:]


def _line(state: State, run: Run) -> str:
    """Write a row, narrow enough for the page: no panel id, and no reason, which stand elsewhere."""
    cells = (
        name_of(state, run),
        f"{_MARKS.get(run.state, '●')} {run.state.replace('_', ' ')}",
        f"{run.delivered:,} / {run.units:,}",
        "" if run.charge is None else money(run.charge),
    )
    kept = " | ".join(cell.replace(" ", "\N{NO-BREAK SPACE}") + _GAP for cell in cells)
    return f"| {kept} |"


def _reasons(state: State, shown: list[Run]) -> list[str]:
    """Say below the table why orders stand as they do, each reason once."""
    runs_of: dict[str, list[str]] = {}
    for run in shown:
        if run.why:
            runs_of.setdefault(run.why, []).append(run.key)
    return ["", *(f"- **{_names(state, keys)}**: {plain(why)}" for why, keys in runs_of.items())] if runs_of else []


def plain(text: str) -> str:
    """Keep foreign words (a panel's, a person's) from being read as Markdown or as a table."""
    return "".join(f"\\{c}" if c in "|<>[]`*_#" else " " if c in "\r\n" else c for c in text)
