"""What a person sees of a campaign: its head, its order runs, and the lines that tell what changed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from campaigns.calendar import local
from campaigns.wording import addressed
from commands.console import column, money, plain, width_of

if TYPE_CHECKING:
    from collections.abc import Iterable

WIDE = 110
"""Columns from which the panel's ids stand in the table."""
_BAR = 12
_HEAD_WIDTH = 100
ROWS = 60
"""Order runs that are shown of a large campaign, unless all are asked for."""
_STYLES = {
    "planned": "dim",
    "held": "yellow",
    "placing": "cyan",
    "pending": "cyan",
    "in_progress": "blue",
    "completed": "green",
    "partial": "yellow",
    "canceled": "magenta",
    "refunded": "magenta",
    "failed": "red",
    "skipped": "dim",
    "unknown": "bold red",
    "running": "blue",
    "paused": "yellow",
    "needs_attention": "bold red",
    "planning": "cyan",
    "awaiting_approval": "yellow",
    "terminated": "red",
}
_MARKS = {"completed": "✓", "failed": "✗", "unknown": "?", "planned": "·", "skipped": "·", "held": "…"}
_MARKS |= dict.fromkeys(("partial", "canceled", "refunded"), "◐") | dict.fromkeys(
    ("placing", "pending", "in_progress"), "●"
)
_LOOKED_UP = {"unknown": 0, "failed": 1, "canceled": 2}
"""States for which a person goes to the panel; the most pressing first."""
_TOLD = 10
"""Panel orders that are told below a narrow table."""
_ACTIVE = frozenset({"held", "placing", "pending", "in_progress", "unknown"})


def word(state: str) -> Text:
    """Give a state as people read it, in its colour."""
    return Text(state.replace("_", " "), style=_STYLES.get(state, ""))


def title(row: dict[str, Any], runs: dict[str, int]) -> str:
    """Name an order run: ``views 3/10``, ``seed`` when it is the only one, ``seed (reorder 1)`` what replaces it."""
    total = runs.get(row["order"], 1)
    name = f"{row['order']} {row['run']}/{total}" if total > 1 else str(row["order"])
    _, replaced, number = str(row.get("key", "")).partition("+")
    return f"{name} (reorder {number})" if replaced else name


def runs_of(rows: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Count the runs of each order; what replaces one of them is no run of its own."""
    runs: dict[str, int] = {}
    for row in rows:
        if row.get("replaces"):
            continue
        runs[row["order"]] = runs.get(row["order"], 0) + 1
    return runs


def head(facts: dict[str, Any], width: int) -> RenderableType:
    """Give the campaign's line of state and money, its progress, and what it waits for."""
    name = facts.get("name") or str(facts["id"]).removeprefix("campaign/")
    first = Table.grid(padding=(0, 2))
    first.width = min(width, _HEAD_WIDTH)
    first.add_column(no_wrap=True, ratio=1)
    first.add_column(justify="right")
    left = Text.assemble((plain(name), "bold"), "  ", word(facts["state"]))
    if facts.get("execution") not in ("running", "completed", None) and facts["execution"] != facts["state"]:
        left.append(f" ({facts['execution'].replace('_', ' ')})", style="dim")
    first.add_row(left, _money_line(facts))
    parts: list[RenderableType] = [first]
    if facts.get("runs"):
        percent = float(facts.get("delivered_percent", 0))
        bar = Table.grid(padding=(0, 1))
        bar.add_column(width=max(10, min(60, width - 40)))
        bar.add_column(no_wrap=True)
        counts = f"{percent:g} % delivered"
        counts += f", {facts['open']:,} open" if facts.get("open") else ""
        bar.add_row(ProgressBar(total=100, completed=min(percent, 100), complete_style="green"), counts)
        parts.append(bar)
    if facts.get("why"):
        called = str(facts["id"]).removeprefix("campaign/")  # of a scheduled run, with its slot
        parts.append(Text(plain(addressed(str(facts["why"]), called)), style="yellow"))
    if facts.get("next") and facts.get("execution") == "running":
        parts.append(Text(plain(facts["next"]), style="dim"))
    return Group(*parts)


def _money_line(facts: dict[str, Any]) -> Text:
    currency = facts.get("currency", "")
    text = Text.assemble("spent ", (money(facts["spent"]), "bold"))
    if facts.get("budget"):
        amount, _, budget_currency = str(facts["budget"]).partition(" ")
        text.append(f" of {money(amount)} {budget_currency}")
    elif currency:
        text.append(f" {currency}")
    if facts.get("execution") == "running" and facts.get("reserved") not in (None, "0.00"):
        text.append(f", reserved {money(facts['reserved'])}")
    return text


def when(stamp: str, timezone: str | None) -> str:
    """Write a document's moment as ``next:`` does: on the campaign's clock, or UTC's if it has none."""
    return local(datetime.fromisoformat(stamp), timezone)


def orders(
    rows: list[dict[str, Any]],
    width: int,
    limit: int | None = None,
    *,
    brief: bool = False,
    timezone: str | None = None,
) -> RenderableType:
    """Give the table of order runs; above ``limit`` the ones that matter now, and a line that counts the rest."""
    shown = rows if limit is None or len(rows) <= limit else _important(rows, limit)
    runs = runs_of(rows)
    wide = width >= WIDE
    table = _table(shown, runs, timezone, brief=brief, ids=wide, bars=wide)
    if wide and not brief and width_of(table) > width:
        table = _table(shown, runs, timezone, brief=False, ids=True, bars=False)  # a reason says more than a bar
    below = [] if len(shown) == len(rows) else [Text(_rest(rows, shown), style="dim")]
    if not wide and not brief:
        below += _panel_orders(shown, runs)
    return Group(table, *below)


def _table(
    shown: list[dict[str, Any]], runs: dict[str, int], timezone: str | None, *, brief: bool, ids: bool, bars: bool
) -> Table:
    # Expanded, so that a reason too long for its line is cut, and no other column.
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), expand=brief)
    table.add_column("order", no_wrap=True)
    table.add_column("state", no_wrap=True)
    if bars:
        table.add_column("", no_wrap=True, width=_BAR)
    table.add_column("delivered", justify="right", no_wrap=True)
    table.add_column("charge", justify="right", no_wrap=True)
    if ids:
        table.add_column("panel order", no_wrap=True, style="dim")
    timed = any(_due(row, timezone) and not row["why"] for row in shown)
    table.add_column(
        Text(f"times in {timezone or 'UTC'}", style="dim") if timed else "",
        overflow="ellipsis" if brief else "fold",
        no_wrap=brief,
        ratio=1 if brief else None,
        style="dim",
    )
    for row, charge in zip(shown, column(row["charge"] for row in shown), strict=True):
        state = str(row["state"])
        cells: list[RenderableType] = [
            Text(title(row, runs), style="dim" if state == "planned" else ""),
            Text.assemble((f"{_MARKS.get(state, ' ')} ", _STYLES.get(state, "")), word(state)),
        ]
        if bars:
            cells.append(_bar(row))
        cells += [_delivered(row), charge]
        if ids:
            cells.append(plain(row["panel_order"] or ""))
        table.add_row(*cells, plain(row["why"] or _due(row, timezone)))
    return table


def _panel_orders(rows: list[dict[str, Any]], runs: dict[str, int]) -> list[Text]:
    """Give what a narrow table leaves out: the panel's ids of rows that need a person, and where the others stand."""
    known = [row for row in rows if row["panel_order"]]
    needed = sorted((row for row in known if row["state"] in _LOOKED_UP), key=lambda row: _LOOKED_UP[row["state"]])
    told = needed[:_TOLD]
    written = [f"panel order of {title(row, runs)}: {plain(row['panel_order'])}" for row in told]
    lines = [Text(each, style="dim", no_wrap=True, overflow="ignore") for each in written]
    if len(told) < len(known):
        lines.append(Text(f"panel orders stand in a terminal of {WIDE} columns or more, and in --json", style="dim"))
    return lines


def _bar(row: dict[str, Any]) -> RenderableType:
    if row["state"] == "planned":
        return ""
    return ProgressBar(
        total=max(row["quantity"], 1),
        completed=min(row["delivered"], row["quantity"]),
        width=_BAR,
        complete_style=_STYLES.get(row["state"], ""),
        finished_style="green",
    )


def _delivered(row: dict[str, Any]) -> Text:
    return Text(f"{row['delivered']:,} / {row['quantity']:,}", style="dim" if row["state"] == "planned" else "")


def _due(row: dict[str, Any], timezone: str | None) -> str:
    """Say when it is due; the zone stands above."""
    if row["state"] in ("planned", "held") and row["due"]:
        return "due " + when(row["due"], timezone).replace(f" {timezone or 'UTC'}", "")
    return ""


def _important(rows: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """Choose what is going on now, what ended last, and what comes next; in the order of the file."""
    active = [i for i, row in enumerate(rows) if row["state"] in _ACTIVE]
    planned = [i for i, row in enumerate(rows) if row["state"] == "planned"]
    settled = [i for i, row in enumerate(rows) if row["state"] not in _ACTIVE and row["state"] != "planned"]
    settled.sort(key=lambda i: str(rows[i]["settled_at"] or ""), reverse=True)
    chosen = active[: max(1, limit * 2 // 3)]
    left = limit - len(chosen)
    chosen += settled[: max(left - min(len(planned), left // 3), 0)]
    chosen += planned[: limit - len(chosen)]
    return [rows[i] for i in sorted(chosen)]


def _rest(rows: list[dict[str, Any]], shown: list[dict[str, Any]]) -> str:
    told = {id(row) for row in shown}
    counts: dict[str, int] = {}
    for row in rows:
        if id(row) not in told:
            counts[row["state"]] = counts.get(row["state"], 0) + 1
    words = ", ".join(f"{number:,} {state.replace('_', ' ')}" for state, number in counts.items())
    return f"… and {len(rows) - len(shown):,} more: {words}"


def campaign(
    facts: dict[str, Any],
    rows: list[dict[str, Any]],
    width: int,
    limit: int | None = None,
    *,
    brief: bool = False,
) -> RenderableType:
    """Give all of it; ``brief`` keeps every order run on one line."""
    parts = [head(facts, width)]
    if rows:
        parts += [Text(""), orders(rows, width, limit, brief=brief, timezone=facts.get("timezone"))]
    return Group(*parts)


def changes(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the rows that say something new."""
    known = {(row["order"], row["run"]): row for row in before}
    return [row for row in after if _news(known.get((row["order"], row["run"])), row)]


def turns(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the rows that took a turn: another state, or another reason; units delivered are none."""
    known = {(row["order"], row["run"]): row for row in before}
    told = []
    for row in after:
        old = known.get((row["order"], row["run"]))
        if row["state"] != "planned" and (old is None or (old["state"], old["why"]) != (row["state"], row["why"])):
            told.append(row)
    return told


def _news(old: dict[str, Any] | None, new: dict[str, Any]) -> bool:
    if old is None:
        return bool(new["state"] != "planned")
    return any(old[name] != new[name] for name in ("state", "delivered", "charge", "panel_order", "why"))


def line(row: dict[str, Any], runs: dict[str, int]) -> str:
    """Tell a change in one plain line, for terminals that cannot redraw."""
    text = f"{title(row, runs):<14} {row['state'].replace('_', ' '):<12} {row['delivered']:>9,} / {row['quantity']:<9,}"
    text += f" {money(row['charge']):>9}"
    return f"{text}  {plain(row['why'])}".rstrip()
