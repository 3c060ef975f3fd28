"""A rehearsal as plain text: the calendar day by day on the campaign's clock, the money, and how every order ends."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING, Final, TypedDict
from zoneinfo import ZoneInfo

from campaigns.calendar import local
from campaigns.outlook import Mood
from campaigns.quantities import format_duration
from campaigns.quantities import money_text as money
from campaigns.state import RunState
from campaigns.wording import count, escaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from campaigns.rehearsed import Ending, Happening, Rehearsal

_MOODS = {
    Mood.ALL_COMPLETE: "every order completes",
    Mood.SOME_PARTIAL: "{share}% of the order runs end partial",
    Mood.SOME_STALL: "{share}% of the order runs stall or never start",
    Mood.SOME_FAIL: "{share}% of the order runs fail",
    Mood.MIXED: "{share}% of the order runs go wrong: partial, stalled, failed or never started",
}
_TALLY = {
    RunState.COMPLETED: "completed",
    RunState.PARTIAL: "partial",
    RunState.CANCELED: "canceled",
    RunState.REFUNDED: "refunded",
    RunState.FAILED: "failed",
    RunState.SKIPPED: "skipped",
    RunState.PENDING: "never ending",
    RunState.IN_PROGRESS: "never ending",
    RunState.UNKNOWN: "unknown",
    RunState.HELD: "never placed",
    RunState.PLACING: "never placed",
    RunState.PLANNED: "never placed",
}
_TOLD = 20
"""Order runs with an unusual end that are listed one by one."""


class _Folding(TypedDict):
    break_on_hyphens: bool
    break_long_words: bool


_WIDE = 100
"""Columns of a warning where there is room."""
_NARROW, _UNFOLDED = 60, 100_000
_MARGIN, _CLOCK = 13, 15
"""Columns before what the head says, and before what happens in a day."""
_ENDS = 16
"""Columns that the words for the ends of orders have at least."""
_AT_SPACES: Final[_Folding] = {"break_on_hyphens": False, "break_long_words": False}
_QUIET = frozenset({"started"})
_VERBS = ("placed", "completed", "refilled", "partial", "canceled", "failed", "skipped", "held")
"""In the order in which a day tells them; what else happened follows."""


def assumption(rehearsal: Rehearsal) -> str:
    """Say in words what is assumed of the panel."""
    outlook = rehearsal.outlook
    takes = f"each takes {format_duration(outlook.takes)}"
    own = ", ".join(f"{order} {format_duration(time)}" for order, time in outlook.takes_of.items())
    mood = _MOODS[outlook.mood].format(share=f"{outlook.share.normalize():f}")
    if outlook.mood is Mood.ALL_COMPLETE and any(end.state is RunState.CANCELED for end in rehearsal.endings):
        mood = f"left alone, {mood}"  # but a cancel policy did not leave it alone
    return f"{mood}; {takes}{f' ({own})' if own else ''}"


def conclusion(rehearsal: Rehearsal) -> str:
    """Say in words how it ends, and when."""
    when = local(rehearsal.ends_at, rehearsal.plan.timezone)
    if rehearsal.finished:
        return f"{rehearsal.state.value} on {when}"
    return f"does not end by itself: after {when} nothing more happens ({rehearsal.state.value.replace('_', ' ')})"


def tally(endings: Iterable[Ending]) -> dict[str, int]:
    """Count order runs by how they end, in words: the good end first, what never came about last."""
    found = dict.fromkeys(_TALLY.values(), 0)
    for ending in endings:
        if not ending.replaced:
            found[_TALLY[ending.state]] += 1
    return {word: number for word, number in found.items() if number}


def days_of(rehearsal: Rehearsal) -> Iterator[tuple[date, list[Happening], Decimal, Decimal]]:
    """Give each local day with its happenings, what it added to the spending, and what was spent by its end."""
    zone = ZoneInfo(rehearsal.plan.timezone or "UTC")
    by_day: dict[date, list[Happening]] = {}
    for happening in rehearsal.happenings:
        by_day.setdefault(happening.at.astimezone(zone).date(), []).append(happening)
    spent_by: dict[date, Decimal] = {}
    for point in rehearsal.spending:
        spent_by[point.at.astimezone(zone).date()] = point.spent
    before = Decimal(0)
    for day in sorted(by_day.keys() | spent_by.keys()):
        after = spent_by.get(day, before)
        yield day, by_day.get(day, []), after - before, after
        before = after


def render(rehearsal: Rehearsal, width: int | None = None) -> str:
    """Give the whole rehearsal as text; with a width folded between words, so that a terminal of it breaks none."""
    plan, currency = rehearsal.plan, rehearsal.plan.account.currency
    budget = f" of {plan.budget}" if plan.budget else f" {currency}"
    percent = f"{100 * rehearsal.delivered / rehearsal.units:.1f}%" if rehearsal.units else "0%"
    width = _UNFOLDED if width is None else max(width, _NARROW)
    lines = [
        *_folded(f"rehearsal of {plan.name}: {assumption(rehearsal)}", width, 2),
        "",
        *_folded(f"  starts     {local(rehearsal.start, plan.timezone)}{_slot(rehearsal)}", width, _MARGIN),
        *_folded(f"  ends       {conclusion(rehearsal)}", width, _MARGIN),
        *_folded(f"  spends     {money(rehearsal.spent)}{budget} (planned {money(plan.cost)})", width, _MARGIN),
        *_folded(f"  delivers   {rehearsal.delivered:,} of {rehearsal.units:,} units ({percent})", width, _MARGIN),
        "",
    ]
    if rehearsal.warnings:
        for warning in rehearsal.warnings:
            lines += _folded(f"! {warning}", min(width, _WIDE), 2)
        lines.append("")
    for line in _calendar(rehearsal):
        lines += _folded(line, width, _CLOCK)
    lines += ["", *_endings(rehearsal, width)]
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"


def _folded(text: str, width: int, indent: int) -> list[str]:
    """Fold a line between words, its continuation indented; what is short enough stays as it is."""
    shown = escaped(text)
    return [shown] if len(shown) <= width else wrap(shown, width, subsequent_indent=" " * indent, **_AT_SPACES)


def occasion(rehearsal: Rehearsal) -> str:
    """Say which slot of its schedule starts it; nothing where none does."""
    if (slot := rehearsal.slot) is None:
        return ""
    return f"the slot {slot.at:%Y-%m-%dT%H:%M:%SZ} of its schedule" + (f": {slot.note}" if slot.note else "")


def _slot(rehearsal: Rehearsal) -> str:
    return f", {told}" if (told := occasion(rehearsal)) else ""


def _calendar(rehearsal: Rehearsal) -> Iterator[str]:
    zone = ZoneInfo(rehearsal.plan.timezone or "UTC")
    runs = {order.id: order.runs for order in rehearsal.plan.orders}
    days = list(days_of(rehearsal))
    added = aligned([amount for _, _, amount, _ in days])
    totals = aligned([amount for _, _, _, amount in days])
    before: date | None = None
    for (day, happenings, _, _), more, total in zip(days, added, totals, strict=True):
        if before is not None and (gap := (day - before).days - 1) > 0:
            yield f"  … {count(gap, 'quiet day')}"
        before = day
        yield f"{_name_of_day(day):<44}  spent {more}   in all {total}"
        by_order: defaultdict[str, list[Happening]] = defaultdict(list)
        for happening in happenings:
            if happening.what not in _QUIET:
                by_order[happening.order].append(happening)
        for order, told in by_order.items():
            first, last = (f"{told[end].at.astimezone(zone):%H:%M}" for end in (0, -1))
            span = first if first == last else f"{first}-{last}"
            if order:
                yield f"  {span:<11}  {order}: {', '.join(_summed(told, runs[order]))}"
                continue
            for each in told:
                clock = f"{each.at.astimezone(zone):%H:%M}"
                yield f"  {clock:<11}  the campaign: {each.what}, because {each.why}"


def _summed(told: list[Happening], runs: int) -> Iterator[str]:
    by_word: defaultdict[str, list[int]] = defaultdict(list)
    for each in told:
        by_word[each.what].append(each.run)
    for word in sorted(by_word, key=lambda word: _VERBS.index(word) if word in _VERBS else len(_VERBS)):
        numbers = by_word[word]
        if runs == 1:
            yield word if len(numbers) == 1 else f"{word} {len(numbers)} times"
        else:
            yield f"{word} {ranges(numbers)}"


def aligned(amounts: Sequence[Decimal]) -> list[str]:
    """Write amounts so that their decimal points stand below one another."""
    written = [money(amount) for amount in amounts]
    places = max((len(text.partition(".")[2]) for text in written), default=0)
    padded = [text + " " * (places - len(text.partition(".")[2])) for text in written]
    width = max((len(text) for text in padded), default=0)
    return [text.rjust(width) for text in padded]


def ranges(numbers: Iterable[int]) -> str:
    """Write numbers shortly: ``1-3, 7``."""
    parts = []
    for _, group in groupby(enumerate(sorted(set(numbers))), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        parts.append(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]))
    return " ".join(parts)


def _name_of_day(day: date) -> str:
    return f"{('Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun')[day.weekday()]} {day.day} {_month(day)} {day.year}"


def _month(day: date) -> str:
    return ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[day.month - 1]


def _endings(rehearsal: Rehearsal, width: int) -> Iterator[str]:
    head = ("order", "runs", "ends", "delivered", "of", "charged")
    rows = []
    for order in rehearsal.plan.orders:
        own = [ending for ending in rehearsal.endings if ending.order == order.id]
        rows.append(_row(order.id, f"{order.runs:,}", own))
    rows.append(_row("all", f"{rehearsal.plan.runs:,}", rehearsal.endings))
    charges = aligned([amount for *_, amount in rows])
    shown = [head, *((*row[:-1], charge) for row, charge in zip(rows, charges, strict=True))]
    widths = [max(len(row[column]) for row in shown) for column in range(len(head))]
    ends = head.index("ends")
    widths[ends] = min(widths[ends], max(width - sum(widths) - 2 * (len(widths) - 1) + widths[ends], _ENDS))
    for row in shown:
        first, *more = wrap(row[ends], widths[ends], **_AT_SPACES)
        yield "  ".join(
            text.ljust(room) if column in (0, ends) else text.rjust(room)
            for column, (text, room) in enumerate(zip((*row[:ends], first, *row[ends + 1 :]), widths, strict=True))
        )
        yield from (" " * (sum(widths[:ends]) + 2 * ends) + rest for rest in more)
    unusual = [ending for ending in rehearsal.endings if ending.state is not RunState.COMPLETED and ending.why]
    unusual = [ending for ending in unusual if ending.state not in (RunState.PLANNED, RunState.SKIPPED)]
    if unusual:
        yield ""
    for ending in unusual[:_TOLD]:
        yield from _folded(f"  {ending.name}: {ending.state.replace('_', ' ')}, {ending.why}", width, 4)
    if len(unusual) > _TOLD:
        yield f"  … and {len(unusual) - _TOLD:,} more"


def _row(name: str, runs: str, endings: Sequence[Ending]) -> tuple[str, str, str, str, str, Decimal]:
    ends = ", ".join(f"{count:,} {word}" for word, count in tally(endings).items())
    if reordered := sum(ending.replaced for ending in endings):
        ends += f" ({reordered:,} reordered)"
    delivered = sum(ending.delivered for ending in endings)
    units = sum(ending.units for ending in endings if not ending.replaces)
    charged = sum((ending.charge or Decimal(0) for ending in endings), Decimal(0))
    return name, runs, ends, f"{delivered:,}", f"{units:,}", charged
