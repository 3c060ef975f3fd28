"""``plan``: what a campaign would order, when, and for how much, by the catalog and the balance of this moment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from rich.table import Table
from rich.text import Text

from campaigns.binding import write_plan
from campaigns.calendar import local
from campaigns.plan import Plan, PlannedRun, ServiceFacts
from campaigns.planning import calendar_of, make_plan
from campaigns.quantities import format_duration, money_text
from campaigns.recurrence import Slot, next_slots
from campaigns.reviewed import Reviewed
from campaigns.wording import count
from commands.console import DONE, INVALID, CommandError, column, emit, money, out, plain, say, show
from commands.files import InvalidFileError, as_json, known_configuration, read_campaign, show_warnings
from commands.panels import panel_of
from configuration import load_configuration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from campaigns.definition import Definition
    from campaigns.loading import Located

WIDE = 110
"""Columns from which a table shows what is only nice to have."""
_SHOWN_IN_FULL = 6
"""Runs of one order that are all shown; of a longer drip the first ones and the last."""
_HEAD = 2
_MINUTE = timedelta(minutes=1)
SLOTS = 5
"""Next runs of a schedule that are shown."""


@dataclass(frozen=True)
class Review:
    """A campaign file that can be started as it is."""

    definition: Definition
    plan: Plan
    warnings: list[Located]
    balance: Decimal | None
    reviewed: Reviewed | None = None
    """The rates it was reviewed at, where they bind."""

    @property
    def slots(self) -> list[Slot]:
        """The next runs of its schedule, if it has one."""
        schedule, timezone = self.definition.schedule, self.definition.timezone
        return (
            [] if schedule is None or timezone is None else next_slots(schedule, timezone, self.plan.planned_at, SLOTS)
        )

    @property
    def has_ended(self) -> bool:
        """Whether its schedule has no slot left, so that nothing will run."""
        return self.definition.schedule is not None and not self.slots

    @property
    def runs(self) -> list[PlannedRun]:
        """Its order runs, dated from the next slot of its schedule, or from now; none when its schedule has ended."""
        starts = next((slot.at for slot in self.slots), self.plan.planned_at)
        return [] if self.has_ended else list(calendar_of(self.plan, starts))


class ContradictedError(InvalidFileError):
    """A file that is right by itself, but not by the catalog; there may be warnings too."""

    def __init__(self, problems: list[Located], warnings: list[Located]) -> None:
        super().__init__(problems)
        self.warnings = warnings


async def review(path: Path) -> Review:
    """Read a campaign file, the catalog and the balance, and plan.

    Raises:
        InvalidFileError: the file is wrong, or the catalog contradicts it.
        CommandError: the file or the panel cannot be read.

    """
    loaded, definition = read_campaign(path, known_configuration()[0])
    configuration = load_configuration(keys=False)
    facts = configuration.facts(definition.account)
    async with panel_of(configuration, definition.account) as panel:
        catalog = await panel.services()
        left = await panel.balance()
    known = {service.service: ServiceFacts(**service.model_dump()) for service in catalog}
    now = datetime.now(UTC)
    planned = make_plan(
        definition, facts, known, now, balance=left.balance, billed_currency=left.currency or facts.currency
    )
    warnings = loaded.locate(planned.warnings)
    if planned.plan is None:
        raise ContradictedError(loaded.locate(planned.problems), warnings)
    allowed = definition.limits.max_rate_increase
    reviewed = None if allowed is None else Reviewed.of(planned.plan, allowed)
    return Review(definition, planned.plan, warnings, left.balance, reviewed)


async def plan(path: Path, *, everything: bool, keep: Path | None, as_machine: bool) -> int:
    """Show what would happen; nothing is ordered."""
    try:
        reviewed = await review(path)
    except InvalidFileError as error:
        warnings = error.warnings if isinstance(error, ContradictedError) else []
        show_warnings(warnings)
        error.facts = {"valid": False, **error.facts, "warnings": as_json(warnings)}
        raise
    if keep is not None and reviewed.definition.schedule is not None:
        file = plain(path)
        told = (
            f"{file} has a schedule, so no plan of it is kept: a plan is for `start`, and a schedule is put to work by "
            f"`campaigner apply {file}`. Plan without --out to see its next run"
        )
        raise CommandError(told, INVALID)
    if as_machine:
        if keep is not None:
            _keep(keep, path, reviewed)  # a file that cannot be written is told instead of the plan
        emit(_document(reviewed))
        return DONE
    _show(reviewed, everything=everything)
    if keep is not None:
        _keep(keep, path, reviewed)
    return DONE


def _keep(path: Path, source: Path, reviewed: Review) -> None:
    text = write_plan(
        reviewed.definition,
        reviewed.plan,
        balance=reviewed.balance,
        now=datetime.now(UTC),
        source=os.path.relpath(source, path.parent),
    )
    try:
        path.write_text(text, encoding="ascii", newline="\n")
    except OSError as error:
        raise CommandError(f"{plain(path)} cannot be written: {error.strerror}") from None
    say(f"kept in {plain(path)}; start exactly this with `campaigner start {plain(path)}`", "green")


def _document(reviewed: Review) -> dict[str, Any]:
    made, balance = reviewed.plan, reviewed.balance
    by_id = {order.id: order for order in made.orders}
    return {
        "valid": True,
        "name": made.name,
        "account": made.account.name,
        "timezone": made.timezone,
        "currency": made.account.currency,
        "cost": money_text(made.cost),
        "budget": None if made.budget is None else str(made.budget),
        "balance": None if balance is None else money_text(balance),
        "schedule": None
        if reviewed.definition.schedule is None
        else [slot.document(made.timezone or "UTC") for slot in reviewed.slots],
        "runs": [
            {
                "order": run.order,
                "run": run.run,
                "runs": run.runs,
                "at": run.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
                "at_local": run.at.astimezone(_zone(made)).isoformat(timespec="seconds"),
                "exact": run.exact,
                "waits_for": run.waits_for,
                "service": by_id[run.order].service,
                "link": by_id[run.order].link,
                "quantity": run.quantity,
                "units": run.units,
                "rate": money_text(run.rate),
                "cost": money_text(run.cost),
            }
            for run in reviewed.runs
        ],
        "problems": [],
        "warnings": as_json(reviewed.warnings),
    }


def _zone(made: Plan) -> ZoneInfo | None:
    """The campaign's zone; without one, that of this machine."""
    return ZoneInfo(made.timezone) if made.timezone else None


def _show(reviewed: Review, *, everything: bool) -> None:
    made = reviewed.plan
    head = Text(f"{made.name}", style="bold")
    head.append(f"  {count(len(made.orders), 'order')}, {count(made.runs, 'order run')}", style="")
    head.append(f" on account {made.account.name}, {_when(reviewed)}", style="")
    show(head, "")
    if reviewed.definition.schedule is not None:
        show(_slots_table(reviewed), "")
    show(_orders_table(made), "")
    runs = reviewed.runs
    if runs:
        show(_calendar(made, runs, everything=everything))
    if any(not run.exact for run in runs):
        show(
            Text(
                "≥ at the earliest: it waits for another order or for the run before it, whose end the panel decides",
                style="dim",
            )
        )
    show("", _totals(made, reviewed.balance))
    if reviewed.warnings:
        show("")
    show_warnings(reviewed.warnings)
    if reviewed.has_ended:
        say("nothing will run: give the schedule slots that are still to come, then `campaigner apply` it", "yellow")


def _when(reviewed: Review) -> str:
    if reviewed.definition.schedule is None:
        return "if started now"
    return "whose schedule has ended" if reviewed.has_ended else "each run of its schedule; the next one"


def _slots_table(reviewed: Review) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("next runs", no_wrap=True)
    table.add_column("UTC", no_wrap=True)
    table.add_column("", style="dim")
    for slot in reviewed.slots:
        table.add_row(local(slot.at, reviewed.definition.timezone), f"{slot.at:%Y-%m-%d %H:%M}", slot.note)
    if not reviewed.slots:
        table.add_row("none is left")
    return table


def _orders_table(made: Plan) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("order", no_wrap=True)
    table.add_column("service", overflow="fold")
    table.add_column("link", overflow="fold")
    for order in made.orders:
        table.add_row(order.id, f"{order.service} {plain(order.service_name)}", plain(order.link))
    return table


def _calendar(made: Plan, runs: list[PlannedRun], *, everything: bool) -> Table:
    zone = _zone(made)
    wide = out().width >= WIDE
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("run", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column(made.timezone or f"local ({made.planned_at.astimezone().tzname()})", no_wrap=True)
    table.add_column("UTC", no_wrap=True)
    for name in ("quantity", "rate", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("after", overflow="fold", style="dim")
    clock = _Clock(runs, made.planned_at)
    rows = runs if everything else list(_abbreviated(runs))
    rates = column(None if isinstance(row, Gap) else row.rate for row in rows)
    costs = column(row.cost for row in rows)
    for row, rate, cost in zip(rows, rates, costs, strict=True):
        if isinstance(row, Gap):
            each = f"every {format_duration(row.every)}" if row.every else ""
            cells = [f"{row.order} {row.first}-{row.last}", "", f"… {row.runs:,} more", each, f"{row.quantity:,}"]
            table.add_row(*cells, rate, cost, style="dim")
            continue
        name = f"{row.order} {row.run}/{row.runs}" if row.runs > 1 else row.order
        cells = [name, "" if row.exact else "≥", clock.show(row.at.astimezone(zone)), clock.short(row.at)]
        table.add_row(*cells, _quantity(row), rate, cost, *([plain(row.waits_for)] if wide else []))
    return table


def _quantity(run: PlannedRun) -> str:
    """Give a quantity; of a drip that the panel keeps, how often it is delivered."""
    times = run.units // run.quantity if run.quantity else 1
    return f"{times} x {run.quantity:,}" if times > 1 else f"{run.quantity:,}"


@dataclass(frozen=True, slots=True)
class Gap:
    """Runs of a long drip that are told together."""

    order: str
    first: int
    last: int
    quantity: int
    cost: Decimal
    every: timedelta | None

    @property
    def runs(self) -> int:
        """How many they are."""
        return self.last - self.first + 1


def _abbreviated(runs: list[PlannedRun]) -> Iterator[PlannedRun | Gap]:
    """Give the calendar with the middle of every long drip drawn together."""
    hidden: dict[str, list[PlannedRun]] = {}
    for run in runs:
        if run.runs > _SHOWN_IN_FULL and _HEAD < run.run < run.runs:
            hidden.setdefault(run.order, []).append(run)
    for run in runs:
        middle = hidden.get(run.order)
        if middle is None or run.run <= _HEAD or run.run == run.runs:
            yield run
        elif run is middle[0]:
            cost = sum((each.cost for each in middle), Decimal(0))
            every = min(b.at - a.at for a, b in pairwise(middle))
            yield Gap(run.order, run.run, middle[-1].run, sum(each.quantity for each in middle), cost, every)


class _Clock:
    """Shows moments as shortly as a plan allows: seconds and years only where they matter."""

    def __init__(self, runs: Iterable[PlannedRun], now: datetime) -> None:
        last: dict[str, datetime] = {}
        self._seconds, self._year = False, False
        for run in runs:
            before = last.get(run.order)
            self._seconds |= before is not None and run.at - before < _MINUTE
            self._year |= run.at.year != now.year
            last[run.order] = run.at

    def show(self, moment: datetime) -> str:
        """Give ``Fri 4 Dec 18:00``."""
        return f"{moment:%a} {self.short(moment)}"

    def short(self, moment: datetime) -> str:
        """Give ``4 Dec 18:00``."""
        year = f" {moment.year}" if self._year else ""
        return (
            f"{moment.day} {moment:%b}{year} {moment:%H:%M:%S}"
            if self._seconds
            else (f"{moment.day} {moment:%b}{year} {moment:%H:%M}")
        )


def _totals(made: Plan, balance: Decimal | None) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="dim")
    rows = [("total", made.cost, "")]
    if made.budget is not None:
        rows.append(("budget", made.budget.amount, f"leaves {money(made.budget.amount - made.cost)}"))
    if balance is not None:
        left = balance - made.cost
        note = f"leaves {money(left)}" if left >= 0 else f"{money(-left)} short: orders would wait for a top-up"
        rows.append(("balance", balance, note))
    for (name, _, note), amount in zip(rows, column(amount for _, amount, _ in rows), strict=True):
        table.add_row(name, amount, made.account.currency, note, style="bold" if name == "total" else "")
    return table
