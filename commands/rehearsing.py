"""``rehearse``: the campaign's engine against an imagined panel, a month in a moment. Nothing is ordered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from campaigns.accounts import AccountFacts
from campaigns.outlook import Mood, Outlook
from campaigns.plan import ServiceFacts
from campaigns.planning import make_plan
from campaigns.quantities import parse_duration, parse_percent
from campaigns.recurrence import slot_at, slots_after
from campaigns.rehearsal import rehearse as play
from campaigns.rehearsal_page import render_page
from campaigns.rehearsal_text import render
from commands.console import DONE, INVALID, CommandError, emit, out, plain, say
from commands.files import InvalidFileError, known_configuration, read_campaign, show_warnings
from commands.planning import ContradictedError, review
from configuration import Configuration, NoConfigurationError, UnknownAccountError, load_configuration

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from campaigns.definition import Definition
    from campaigns.loading import Loaded, Located
    from campaigns.plan import Plan
    from campaigns.recurrence import Slot
    from campaigns.rehearsed import Rehearsal

_LARGEST = 64 * 1024 * 1024
"""Bytes of a saved catalog that are read at most."""
_EARLIEST, _LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(2400, 1, 1, tzinfo=UTC)
_SHARE_OPTION, _TAKES_OPTION, _START_OPTION = "--share", "--takes", "--start"


@dataclass(frozen=True)
class Wishes:
    """What ``rehearse`` was asked for, as written."""

    outlook: str
    share: str
    takes: tuple[str, ...]
    start: str | None
    seed: int
    html: Path | None
    catalog: Path | None


async def rehearse(path: Path, wishes: Wishes, *, as_machine: bool) -> int:
    """Play the campaign through, and show what would happen."""
    loaded, definition = read_campaign(path, None if wishes.catalog else known_configuration()[0])
    outlook = _outlook(wishes, definition)
    start, slot = _start(wishes.start, definition)
    if wishes.catalog is None:
        reviewed = await review(path)
        plan, warnings, balance = reviewed.plan, reviewed.warnings, reviewed.balance
    else:
        plan, warnings = _offline(loaded, definition, wishes.catalog, start)
        balance = None
    rehearsal = play(plan, start, outlook, seed=wishes.seed, balance=balance, slot=slot)
    if wishes.html is not None:
        _save(wishes.html, render_page(rehearsal))
    if as_machine:
        emit(rehearsal.document())
    else:
        _show(rehearsal, warnings, wishes.html)
    return DONE


def _show(rehearsal: Rehearsal, warnings: Iterable[Located], saved: Path | None) -> None:
    text = render(rehearsal, out().width if out().is_terminal else None)
    print(text, end="")  # noqa: T201 - text of its own layout, escaped where it is foreign
    show_warnings(warnings)
    if saved is not None:
        say(f"drawn in {plain(saved)}", "green")


def _outlook(wishes: Wishes, definition: Definition) -> Outlook:
    moods = [mood.value for mood in Mood]
    name = wishes.outlook.replace("-", "_")
    if name not in moods:
        known = ", ".join(mood.replace("_", "-") for mood in moods)
        raise CommandError(f"--outlook is one of {known}", INVALID)
    takes, takes_of = Outlook().takes, {}
    orders = {order.id for order in definition.orders}
    for written in wishes.takes:
        order, _, duration = written.rpartition("=")
        if order and order not in orders:
            raise CommandError(f"{_TAKES_OPTION} {plain(written)}: the file has no order {plain(order)}", INVALID)
        try:
            long = parse_duration(duration)
        except ValueError as error:
            raise CommandError(f"{_TAKES_OPTION}: {error}", INVALID) from None
        if order:
            takes_of[order] = long
        else:
            takes = long
    try:
        share = parse_percent(wishes.share if wishes.share.endswith("%") else f"{wishes.share}%")
        return Outlook(Mood(name), share=share, takes=takes, takes_of=takes_of)
    except ValueError:
        raise CommandError(f"{_SHARE_OPTION} is a percentage from 0% to 100%, such as 20%", INVALID) from None


def _start(written: str | None, definition: Definition) -> tuple[datetime, Slot | None]:
    """Give the moment at which it starts, and the slot that this is: the next one, where nothing else is wished."""
    schedule, zone = definition.schedule, definition.timezone
    now = datetime.now(UTC).replace(microsecond=0)
    if schedule is None or zone is None:
        return now if written is None else _moment(written, zone), None
    if written is not None:
        return (moment := _moment(written, zone)), slot_at(schedule, zone, moment)
    if (slot := next(slots_after(schedule, zone, now), None)) is None:
        told = (
            f"the schedule of {definition.name} has ended: no run of it is left to rehearse. Give the file slots that "
            "are still to come, or say --start TIME to rehearse a run at a moment of your choice"
        )
        raise CommandError(told, INVALID)
    return slot.at, slot


def _moment(written: str, zone: str | None) -> datetime:
    """Read a moment; one without an offset is on the campaign's clock."""
    try:
        moment = datetime.fromisoformat(written)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(zone or "UTC"))
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        moment = _EARLIEST
    if not _EARLIEST < moment < _LATEST:
        raise CommandError(f"{_START_OPTION} is a date and time, such as 2026-12-04T18:00", INVALID)
    return moment


def _offline(loaded: Loaded, definition: Definition, catalog: Path, start: datetime) -> tuple[Plan, list[Located]]:
    """Plan against a catalog saved with ``services --json``, asking nobody."""
    planned = make_plan(definition, _facts(loaded, definition), _saved_catalog(catalog), start)
    warnings = loaded.locate(planned.warnings)
    if planned.plan is None:
        raise ContradictedError(loaded.locate(planned.problems), warnings)
    return planned.plan, warnings


def _facts(loaded: Loaded, definition: Definition) -> AccountFacts:
    """Give the account's facts; without a configuration, those that let the campaign through."""
    try:
        configuration: Configuration | None = load_configuration(keys=False)
    except NoConfigurationError as error:
        configuration = None
        say(f"{str(error).partition(';')[0]}, so the links were not held against allowed_targets", "dim")
    if configuration is not None:
        try:
            return configuration.facts(definition.account)
        except UnknownAccountError as error:
            raise InvalidFileError(loaded.locate([error.problem])) from None
    budget = definition.limits.budget
    links = [order.link for order in definition.complete_orders() if order.link is not None]
    return AccountFacts(name=definition.account, currency=budget.currency if budget else "USD", allowed_targets=links)


def _saved_catalog(path: Path) -> dict[int, ServiceFacts]:
    try:
        with path.open("rb") as file:
            rows = json.loads(file.read(_LARGEST))
        return {service.service: service for service in TypeAdapter(list[ServiceFacts]).validate_python(rows)}
    except OSError as error:
        raise CommandError(f"{plain(path)} cannot be read: {error.strerror}", INVALID) from None
    except (ValueError, RecursionError, ValidationError):
        raise CommandError(
            f"{plain(path)} is not a catalog; save one with `campaigner services --json > {plain(path.name)}`", INVALID
        ) from None


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise CommandError(f"{plain(path)} cannot be written: {error.strerror}") from None
