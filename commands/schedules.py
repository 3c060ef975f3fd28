"""The commands about schedules: ``apply``, ``schedules``, ``trigger``, and pausing a schedule."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from activities.contracts import CAMPAIGNS_QUEUE
from campaigns.calendar import local
from campaigns.wording import count
from commands.campaigns import who
from commands.console import DONE, FAILED, INVALID, CommandError, emit, err, out, plain, say, show, width_of
from commands.console import Kind as Mistake
from commands.files import known_configuration, read_campaign
from commands.temporal import (
    connected,
    is_unknown_to_workers,
    nobody_works,
    unattended,
    unknown_to_workers,
    web_page,
    workers_missing,
)
from commands.views import word
from schedules.applying import DEFAULT_GROUP, NoScheduleError, ScheduleError, apply, read_existing, read_one
from schedules.comparing import Change, Changes, Kind, diff
from schedules.steering import Effect, set_paused, standings, trigger

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from campaigns.definition import Definition
    from schedules.steering import Standing

CONFIGURATION_FILE = "campaigner.yaml"
"""Stands beside campaign files, and is none."""
_SUFFIXES = (".yaml", ".yml")
_SIGNS = {
    Kind.CREATED: ("+", "green"),
    Kind.CHANGED: ("~", "yellow"),
    Kind.UNCHANGED: ("=", "dim"),
    Kind.ORPHANED: ("-", "red"),
    Kind.ENDED: (".", "dim"),
    Kind.UNSCHEDULED: (".", "dim"),
}
_TO_DO = {Kind.CREATED: "to create", Kind.CHANGED: "to change"}
"""In words for people; programs read the kind."""
_NEXT_SHOWN = 3


async def apply_files(
    paths: list[Path], *, yes: bool, prune: bool, check: bool, group: str | None, as_machine: bool
) -> int:
    """Make the schedules equal to what is written: shows the difference, asks, and applies it."""
    whole = any(path.is_dir() for path in paths)
    if prune and not whole:
        told = "--prune goes with a directory: files alone do not say which other schedules should not be there"
        raise CommandError(told, INVALID)
    written = _read_all(_files(paths))
    client = await connected()
    group = group or DEFAULT_GROUP
    try:
        existing = await read_existing(client, [definition.name for definition in written.values()], group=group)
    except ScheduleError as error:
        raise CommandError(f"{error}. Nothing was applied", FAILED, Mistake.REFUSED) from None
    changes = diff(written.values(), existing, datetime.now(UTC), whole=whole, queue=CAMPAIGNS_QUEUE)
    files = {definition.name: str(path) for path, definition in written.items()}
    if not as_machine:
        for line in describe_changes(changes, files, pruning=prune and not check):
            show(line)
    pending = changes.of(Kind.CREATED, Kind.CHANGED, *([Kind.ORPHANED] if prune else []))
    if check or not pending:
        if as_machine:
            emit(_result(changes, files, []))
        return INVALID if check and changes.drift else DONE
    if not yes and not _confirmed(pending, as_machine=as_machine):
        raise CommandError("nothing was applied", INVALID)
    done: list[Change] = []
    try:
        async for change in apply(client, changes, group=group, prune=prune, by=who()):
            done.append(change)  # noqa: PERF401 - those done count also when a later one fails
    except ScheduleError as error:
        raise CommandError(f"{error}. {_applied(done)}", FAILED, Mistake.REFUSED) from None
    if as_machine:
        emit(_result(changes, files, done))
    else:
        say(_applied(done), "bold")
        if missing := await unattended(client):
            say(f"nothing will run yet: {nobody_works(missing)}", "yellow")
    applied = [change.definition for change in done if change.kind is not Kind.ORPHANED and change.definition]
    for account in sorted({definition.account for definition in applied}):
        if await is_unknown_to_workers(client, account):
            say(f"before the first slot: {unknown_to_workers(account)}", "yellow")
    return DONE


def _files(paths: list[Path]) -> list[Path]:
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            within = sorted(each for each in path.rglob("*") if each.suffix in _SUFFIXES and each.is_file())
            if not (ours := [each for each in within if each.name != CONFIGURATION_FILE]):
                raise CommandError(f"there are no campaign files (*.yaml) in {plain(path)}", INVALID)
            found |= dict.fromkeys(ours)
        else:
            found[path] = None
    return list(found)


def _read_all(paths: list[Path]) -> dict[Path, Definition]:
    """Read all files; one that is wrong, or two of one name, and nothing is applied at all."""
    configuration, missing = known_configuration()
    if missing:
        say(f"{missing}, so the links were not held against allowed_targets", "dim")
    read: dict[Path, Definition] = {}
    wrong: list[str] = []
    problems: list[dict[str, Any]] = []
    named: dict[str, Path] = {}
    for path in paths:
        try:
            _, definition = read_campaign(path, configuration)
        except CommandError as error:
            wrong.append(str(error))
            problems += error.facts.get("problems") or [{"file": str(path), "message": str(error)}]
            continue
        if (other := named.setdefault(definition.name, path)) != path:
            wrong.append(f"{plain(path)}: name: {definition.name} is the campaign of {plain(other)} already")
            problems.append({"file": str(path), "message": wrong[-1]})
        read[path] = definition
    if wrong:
        told = "\n\n".join([*wrong, "nothing was applied"])
        raise CommandError(told, INVALID, Mistake.INVALID_FILE, problems=problems)
    return read


def describe_changes(changes: Changes, files: dict[str, str], *, pruning: bool = False) -> list[Text]:
    """Write the difference as lines, as what is still to do: nothing of it is done when they are shown."""
    lines: list[Text] = []
    for change in changes.changes:
        sign, style = _SIGNS[change.kind]
        lines.append(
            Text(f"{sign} {change.name}: {_said(change, files.get(change.name, ''), pruning=pruning)}", style=style)
        )
        lines += [Text(f"    {each}") for each in change.fields]
        if change.kind is Kind.CHANGED:
            lines.append(Text(f"    {_holds(change)}", style="dim"))
    counts = [(len(changes.of(kind)), _TO_DO.get(kind, kind.value)) for kind in Kind]
    lines.append(Text(", ".join(f"{number} {what}" for number, what in counts if number) or "no campaigns"))
    return lines


def _said(change: Change, file: str, *, pruning: bool) -> str:
    paused = " (paused)" if change.existing and change.existing.paused else ""
    match change.kind:
        case Kind.CREATED:
            return f"to create, next run {_moment(change)}"
        case Kind.CHANGED:
            return f"to change{paused}"
        case Kind.UNCHANGED:
            return f"unchanged{paused}, " + (f"next run {_moment(change)}" if change.next else "no run is left")
        case Kind.ORPHANED:
            going = f"; {_going(change)}" if change.existing and change.existing.running else ""
            why = f"{plain(file)} has no schedule" if change.definition else "no file says so"
            return f"orphaned{paused}: {why}; {'it will be deleted' if pruning else '--prune deletes it'}{going}"
        case Kind.ENDED:
            return "has no run left, so it is not created"
        case Kind.UNSCHEDULED:
            return f"has no schedule: `campaigner start {plain(file)}` runs it"


def _holds(change: Change) -> str:
    when = f"holds from the next run, {_moment(change)}" if change.next else "no run is left by it"
    return f"{when}; {_going(change)}" if change.existing and change.existing.running else when


def _going(change: Change) -> str:
    running = change.existing.running if change.existing else 0
    return f"{count(running, 'run')} going on now {'keeps' if running == 1 else 'keep'} to what it began with"


def _moment(change: Change) -> str:
    if change.next is None:
        return "never"
    note = f"; {change.next.note}" if change.next.note else ""
    zone = change.definition.timezone if change.definition else None
    return f"{local(change.next.at, zone)} ({change.next.at:%Y-%m-%d %H:%M} UTC{note})"


def _confirmed(pending: list[Change], *, as_machine: bool) -> bool:
    if as_machine or not sys.stdin.isatty():
        raise CommandError("nothing was applied: nobody can be asked here, so say --yes (or --check)", INVALID)
    err().print(f"apply {count(len(pending), 'change')}? [y/N] ", end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _applied(done: list[Change]) -> str:
    if not done:
        return "nothing was applied"
    words = {Kind.CREATED: "created", Kind.CHANGED: "changed", Kind.ORPHANED: "deleted"}
    return "; ".join(f"{words[change.kind]} {change.name}" for change in done)


def _result(changes: Changes, files: dict[str, str], done: list[Change]) -> dict[str, Any]:
    names = {change.name for change in done}
    rows = [
        change.document() | {"file": files.get(change.name), "applied": change.name in names}
        for change in changes.changes
    ]
    return {"drift": changes.drift, "applied": len(done), "campaigns": rows}


async def list_schedules(*, as_machine: bool) -> int:
    """Show every schedule: its next runs, its last one, and what was left out."""
    client = await connected()
    found = await standings(client)
    if as_machine:
        emit([each.document() for each in found])
    elif found:
        show(*tables(found, out().width))
        for each in found:
            if each.pausing:
                say(f"{each.existing.name} is {_as_paused(each.existing.schedule.state.note)}", "yellow")
    else:
        say("there are no schedules; `campaigner apply FILE` makes one")
    return DONE


def _as_paused(note: str | None) -> str:
    """Give what a paused schedule's note says; ours says that it is paused, one of the Web UI's need not."""
    if not note:
        return "paused"
    return plain(note) if note.startswith("paused ") else f"paused: {plain(note)}"


def tables(found: list[Standing], width: int) -> list[RenderableType]:
    """Draw schedules as they fit: the zone at every moment or once below the name; in one table, or two, or three."""
    full = _table(found, _PARTS)
    if width_of(full) <= width:
        return [full]
    for split in ((_PARTS,), (("next", "last"), ("numbers",)), (("next",), ("last",), ("numbers",))):
        drawn = [_table(found, parts, brief=True) for parts in split]
        if all(width_of(table) <= width for table in drawn):
            break
    apart: list[RenderableType] = [drawn[0]]
    for table in drawn[1:]:
        apart += ["", table]
    return apart


_PARTS = ("next", "last", "numbers")
_COLUMNS = {"next": ("next runs", "UTC"), "last": ("last run", "outcome")}
_NUMBERS = ("runs", "going on", "queued", "skipped", "missed")


def _table(found: list[Standing], parts: tuple[str, ...], *, brief: bool = False) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("name", overflow="fold")
    for part in parts:
        for name in _COLUMNS.get(part, ()):
            table.add_column(name, no_wrap=True)
    if "numbers" in parts:
        for name in _NUMBERS:
            table.add_column(name, justify="right", no_wrap=True)
    for each in found:
        called = Text(each.existing.name)
        if brief and "next" in parts:
            called.append(f"\n{each.timezone}", style="dim")
        cells: list[RenderableType] = [called]
        if "next" in parts:
            cells += _next(each, brief=brief)
        if "last" in parts:
            cells += ("", "") if each.last is None else (_shown(each, each.last.slot, brief), word(each.last.state))
        if "numbers" in parts:
            numbers = (each.runs, each.existing.running, each.waiting, each.skipped)
            cells += (f"{number:,}" for number in numbers)
            cells.append(f"1 to {each.missed:,}" if each.missed > 1 else f"{each.missed}")
        table.add_row(*cells)
    return table


def _shown(each: Standing, moment: datetime, brief: bool) -> str:  # noqa: FBT001 - as the table is
    written = local(moment, each.timezone)
    return written.replace(f" {each.timezone}", "") if brief else written


def _next(each: Standing, *, brief: bool) -> list[RenderableType]:
    nexts = [] if each.pausing else each.next[:_NEXT_SHOWN]
    utc = [f"{at.day} {at:%b %H:%M}" if brief else f"{at:%Y-%m-%d %H:%M}" for at in nexts]
    told = "\n".join(_shown(each, at, brief) for at in nexts)
    return ["paused" if each.pausing else told or "none left", "\n".join(utc)]


def _refused(error: ScheduleError) -> CommandError:
    kind = Mistake.NOT_FOUND if isinstance(error, NoScheduleError) else Mistake.REFUSED
    return CommandError(str(error), FAILED, kind)


async def trigger_now(name: str, *, as_machine: bool) -> int:
    """Run a scheduled campaign once, now."""
    client = await connected()
    name = name.removeprefix("campaign/")
    try:
        written = (await read_one(client, name)).document
        account = written.get("account") if isinstance(written, dict) else None
        missing = await (workers_missing(client, account) if isinstance(account, str) else unattended(client))
        effect, workflow_id = await trigger(client, name)
    except ScheduleError as error:
        raise _refused(error) from None
    if as_machine:
        page = web_page(workflow_id, client.namespace) if workflow_id else None
        emit({"name": name, "effect": effect.value, "id": workflow_id, "web_page": page})
    match effect:
        case Effect.STARTED:
            run = plain((workflow_id or "").removeprefix("campaign/"))
            if not as_machine:
                show(f"started {plain(workflow_id)}")
                say(f"watch it with `campaigner watch {run}`")
            if missing:
                say(f"nothing is ordered yet: {nobody_works(missing)}", "yellow")
            return DONE
        case Effect.QUEUED:
            say(f"{plain(name)} is queued: it runs when the run before it has ended (on_overlap: queue)")
            return DONE
        case Effect.SKIPPED:
            raise CommandError(f"nothing was started: a run of {plain(name)} still goes on (on_overlap: skip)")
        case Effect.NOTHING:
            other = f"; {plain(workflow_id)} began just before, and two triggers in a second are one run"
            raise CommandError(f"nothing was started{other if workflow_id else '; look at `campaigner schedules`'}")


async def pause_schedule(name: str, why: str, *, paused: bool, as_machine: bool) -> int:
    """Pause or resume a schedule; runs that are going on are not touched."""
    client = await connected()
    name, by = name.removeprefix("campaign/"), who()
    verb = "paused" if paused else "resumed"
    note = f"{verb}{f' by {by}' if by else ''}{f': {why}' if why else ''}"
    try:
        await set_paused(client, name, paused=paused, note=note)
    except ScheduleError as error:
        raise _refused(error) from None
    if as_machine:
        emit({"name": name, "paused": paused, "note": note})
    else:
        more = f"no new run until `campaigner schedules resume {plain(name)}`" if paused else "its next slot runs"
        show(f"the schedule of {plain(name)} is {verb}: {more}")
    return DONE
