"""What is written against what runs: created, changed field by field, unchanged, orphaned. Data and rules; no calls."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from temporalio.client import ScheduleActionStartWorkflow

from campaigns.checking import check
from campaigns.moments import zone
from campaigns.quantities import format_duration
from campaigns.recurrence import next_slots
from campaigns.wording import escaped
from schedules.specs import schedule_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime, timedelta

    from temporalio.client import Schedule

    from campaigns.definition import Definition
    from campaigns.recurrence import Slot

ABSENT = "(absent)"
_HIDDEN = ("notify",)
"""Fields whose values may hold secrets, such as a webhook's address."""
_LONGEST = 100
"""Characters of a value that a line shows."""


class Kind(StrEnum):
    """What applying would do with one campaign."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    ORPHANED = "orphaned"
    """It runs, and no file says so."""
    ENDED = "ended"
    """It has no slot left, so it is not created again."""
    UNSCHEDULED = "unscheduled"
    """The file has no schedule: `start` runs it."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs."""

    field: str
    """``schedule.cron`` or ``orders[views].quantity``."""
    old: str
    new: str

    def __str__(self) -> str:
        """``schedule.cron: 0 18 * * fri → 0 19 * * fri``."""
        return f"{self.field}: {self.old} → {self.new}"


@dataclass(frozen=True, slots=True)
class Existing:
    """A schedule that ``apply`` made earlier."""

    name: str
    group: str
    document: Any
    """The definition it starts runs with."""
    schedule: Schedule
    running: int
    """Runs going on now."""
    token: bytes
    """Changes with every change of the schedule."""

    @property
    def paused(self) -> bool:
        """Whether a person paused it."""
        return self.schedule.state.paused


@dataclass(frozen=True, slots=True)
class Change:
    """What applying would do with one campaign."""

    name: str
    kind: Kind
    definition: Definition | None = None
    existing: Existing | None = None
    fields: tuple[FieldChange, ...] = ()
    next: Slot | None = None
    """The next slot by what is written."""

    def document(self) -> dict[str, Any]:
        """Give it as JSON."""
        timezone = self.definition.timezone if self.definition else None
        there = None if self.next is None else self.next.at.astimezone(zone(timezone or "UTC"))
        return {
            "name": self.name,
            "change": self.kind.value,
            "fields": [{"field": each.field, "old": each.old, "new": each.new} for each in self.fields],
            "next": None if self.next is None else self.next.at.isoformat().replace("+00:00", "Z"),
            "next_local": None if there is None else there.isoformat(timespec="seconds"),
            "running": self.existing.running if self.existing else 0,
            "paused": bool(self.existing and self.existing.paused),
        }


@dataclass(frozen=True, slots=True)
class Changes:
    """The whole difference, by name."""

    changes: tuple[Change, ...] = field(default=())

    def of(self, *kinds: Kind) -> list[Change]:
        """Give the changes of these kinds."""
        return [change for change in self.changes if change.kind in kinds]

    @property
    def drift(self) -> bool:
        """Whether what runs differs from what is written."""
        return bool(self.of(Kind.CREATED, Kind.CHANGED, Kind.ORPHANED))


def diff(
    definitions: Iterable[Definition], existing: Mapping[str, Existing], now: datetime, *, whole: bool, queue: str
) -> Changes:
    """Compare.

    Args:
        definitions: what is written, each name once.
        existing: what runs, by name.
        now: for next slots.
        whole: the definitions are all there are, so what has none is an orphan.
        queue: the task queue that runs should be started on.

    """
    desired = {definition.name: definition for definition in definitions}
    found = [_change(definition, existing.get(name), now, queue) for name, definition in desired.items()]
    if whole:
        found += [Change(name, Kind.ORPHANED, existing=old) for name, old in existing.items() if name not in desired]
    return Changes(tuple(sorted(found, key=lambda change: change.name)))


def _change(definition: Definition, old: Existing | None, now: datetime, queue: str) -> Change:
    name = definition.name
    if definition.schedule is None or definition.timezone is None:
        # A schedule whose file lost its block still runs: that is an orphan, not something to leave unsaid.
        return Change(name, Kind.ORPHANED if old else Kind.UNSCHEDULED, definition, old)
    slot = next(iter(next_slots(definition.schedule, definition.timezone, now, 1)), None)
    if old is None:
        return Change(name, Kind.CREATED if slot else Kind.ENDED, definition, None, next=slot)
    wanted = schedule_of(definition, task_queue=queue)
    fields = (*field_changes(old.document, definition.document()), *_by_hand(old, wanted, queue))
    return Change(name, Kind.CHANGED if fields else Kind.UNCHANGED, definition, old, fields, slot)


def field_changes(old: Any, new: Any) -> list[FieldChange]:
    """Compare two campaign documents; orders are matched by their ids."""
    return list(_differences("", old, new))


def _differences(path: str, old: Any, new: Any) -> Iterator[FieldChange]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            there = f"{path}.{name}" if path else str(name)
            yield from _differences(there, old.get(name, ABSENT), new.get(name, ABSENT))
    elif path == "orders" and (before := _by_id(old)) is not None and (after := _by_id(new)) is not None:
        for name in [*before, *(name for name in after if name not in before)]:
            yield from _differences(f"orders[{name}]", before.get(name, ABSENT), after.get(name, ABSENT))
        kept = [name for name in before if name in after]
        if kept != (moved := [name for name in after if name in before]):
            yield FieldChange("orders", _shown(path, kept), _shown(path, moved))
    else:
        yield FieldChange(path or "definition", _shown(path, old), _shown(path, new))


def _by_id(orders: Any) -> dict[str, Any] | None:
    if not isinstance(orders, list) or not all(isinstance(order, dict) and "id" in order for order in orders):
        return None
    return {str(order["id"]): {name: value for name, value in order.items() if name != "id"} for order in orders}


def _shown(path: str, value: Any) -> str:
    if value == ABSENT:
        return ABSENT
    if path.startswith(_HIDDEN):
        return "(not shown)"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = escaped(text.replace("\n", " "))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _by_hand(old: Existing, wanted: Schedule, queue: str) -> Iterator[FieldChange]:
    """Find what was changed in Temporal itself, or was made by another version: the document does not show it."""
    there, then = old.schedule, check(old.document).definition
    expected = wanted if then is None or then.schedule is None else schedule_of(then, task_queue=queue)
    for name, actual, meant, new in (
        ("on_overlap", there.policy.overlap.name, expected.policy.overlap.name, wanted.policy.overlap.name),
        ("catchup", *(_written(each.policy.catchup_window) for each in (there, expected, wanted))),
        ("pause_on_failure", *(each.policy.pause_on_failure for each in (there, expected, wanted))),
    ):
        if actual != meant:
            yield FieldChange(f"in Temporal, {name}", str(actual).lower(), str(new).lower())
    if _times(there) != _times(expected):
        yield FieldChange("in Temporal, the times", "others", "as written")
    if _started(there) != _started(expected):
        yield FieldChange("in Temporal, what is started", _started(there), _started(wanted))


def _written(catchup: timedelta | None) -> str:
    return format_duration(catchup) if catchup is not None else "365d"


def _times(schedule: Schedule) -> tuple[Any, ...]:
    spec = schedule.spec
    lists = (spec.calendars, spec.intervals, spec.cron_expressions, spec.skip)
    return (*(list(each) for each in lists), spec.start_at, spec.end_at, spec.jitter, spec.time_zone_name)


def _started(schedule: Schedule) -> str:
    action = schedule.action
    if not isinstance(action, ScheduleActionStartWorkflow):  # pragma: no cover - Temporal has no other kind
        return "something else"
    return f"{action.workflow} {action.id} on {action.task_queue}"
