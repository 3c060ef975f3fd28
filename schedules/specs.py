"""From a definition to a Temporal Schedule, every policy written out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleState,
)

from activities.contracts import CAMPAIGNS_QUEUE, STARTED_BY, campaign_id
from campaigns.clock_changes import Timetable, timetable
from campaigns.definition import Overlap
from workflows.starting import static_summary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from campaigns.clock_changes import CalendarTime
    from campaigns.definition import Definition

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OVERLAP = {
    Overlap.SKIP: ScheduleOverlapPolicy.SKIP,
    Overlap.QUEUE: ScheduleOverlapPolicy.BUFFER_ALL,
    Overlap.PARALLEL: ScheduleOverlapPolicy.ALLOW_ALL,
}


def schedule_id(name: str) -> str:
    """Name the schedule of a campaign; each of its runs is this and the slot's timestamp."""
    return campaign_id(name)


def schedule_of(
    definition: Definition, *, by: str = "", task_queue: str = CAMPAIGNS_QUEUE, state: ScheduleState | None = None
) -> Schedule:
    """Give the schedule of a definition that has one.

    Args:
        definition: checked, with a ``schedule`` and a ``timezone``.
        by: who starts the runs, for the record.
        task_queue: where the workers poll.
        state: kept from the schedule as it is: paused or not, and the note.

    Raises:
        ValueError: the definition has no schedule.

    """
    written, timezone = definition.schedule, definition.timezone
    if written is None or timezone is None:
        raise ValueError(f"campaign {definition.name} has no schedule")
    return Schedule(
        action=ScheduleActionStartWorkflow(
            "Campaign",
            definition.document(),
            id=campaign_id(definition.name),
            task_queue=task_queue,
            static_summary=static_summary(definition),
            static_details=definition.description or None,
            memo={STARTED_BY: by} if by else None,
        ),
        spec=spec_of(timetable(written, timezone)),
        policy=SchedulePolicy(
            overlap=OVERLAP[written.on_overlap], catchup_window=written.catchup, pause_on_failure=False
        ),
        state=state or ScheduleState(),
    )


def spec_of(table: Timetable) -> ScheduleSpec:
    """Tell a timetable in Temporal's terms."""
    # An interval as long as the time from 1970 to an instant fires then, and not again before 2082. (A century with an
    # offset would not do: the server leaves out the first round of an offset that lies in the future, as measured.)
    intervals = [ScheduleIntervalSpec(at - _EPOCH) for at in table.instants]
    if table.every is not None and table.anchor is not None:
        # No offset, where it is zero: that is how the server describes it, and what is written is held against that.
        intervals.append(ScheduleIntervalSpec(table.every, offset=(table.anchor - _EPOCH) % table.every or None))
    return ScheduleSpec(
        calendars=[_calendar(calendar) for calendar in table.calendars],
        intervals=intervals,
        start_at=table.start,
        end_at=table.end,
        time_zone_name=table.timezone,
    )


def _calendar(times: CalendarTime) -> ScheduleCalendarSpec:
    return ScheduleCalendarSpec(
        second=_ranges(times.seconds),
        minute=_ranges(times.minutes),
        hour=_ranges(times.hours),
        day_of_month=_ranges(times.days),
        month=_ranges(times.months),
        year=_ranges(times.years),
        day_of_week=_ranges(times.weekdays),
        comment=times.comment or None,
    )


def _ranges(numbers: Iterable[int]) -> tuple[ScheduleRange, ...]:
    """Write ascending numbers as ranges: 1, 2, 3, 7 as 1-3 and 7."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return tuple(ScheduleRange(first, last) for first, last in found)
