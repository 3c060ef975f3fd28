"""Reads the schedules that are ours, and makes them equal to what is written.

Ours is what carries our mark in its memo, and a schedule of the group that is applied; everything else is left alone.

The errors::

    ScheduleError
    ├── ForeignScheduleError   a schedule of that name is somebody else's
    ├── ChangedMeanwhileError  somebody changed it between the look and the change
    └── NoScheduleError        there is none of that name
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from temporalio.client import ScheduleActionStartWorkflow, ScheduleAlreadyRunningError, ScheduleUpdate
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import CAMPAIGNS_QUEUE, campaign_id
from schedules.comparing import Change, Existing, Kind
from schedules.specs import schedule_id, schedule_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from temporalio.client import Client, ScheduleDescription, ScheduleUpdateInput

    from schedules.comparing import Changes

MARK = "campaigner"
"""The memo that tells a schedule of ours: ``{"group": …}``."""
DEFAULT_GROUP = "default"


class ScheduleError(Exception):
    """Schedules cannot be read or changed as asked; ``str()`` says why."""


class ForeignScheduleError(ScheduleError):
    """A schedule of that name was not made by ``apply``, or by another group's."""


class ChangedMeanwhileError(ScheduleError):
    """Somebody changed the schedule between the look and the change."""


class NoScheduleError(ScheduleError):
    """There is no schedule of that name."""


async def read_existing(client: Client, names: Iterable[str], *, group: str = DEFAULT_GROUP) -> dict[str, Existing]:
    """Read the schedules of these names, and all others of the group, by name.

    Raises:
        ForeignScheduleError: a schedule with one of the names is not the group's.

    """
    found: dict[str, Existing] = {}
    wanted = set(names)
    for name in sorted(wanted):
        # By name first: the listing follows a creation only after a moment.
        try:
            found[name] = await read_one(client, name, group=group)
        except NoScheduleError:
            continue
    async for name in owned_names(client, group=group):
        if name not in found:
            try:
                found[name] = await read_one(client, name, group=group)
            except NoScheduleError:  # deleted a moment ago
                continue
    return found


async def owned_names(client: Client, *, group: str | None = None) -> AsyncIterator[str]:
    """Give the campaigns that have a schedule of ours; of one group, or of all."""
    prefix = campaign_id("")
    async for listed in await client.list_schedules():
        if listed.id.startswith(prefix):
            mark = (await listed.memo()).get(MARK)
            if isinstance(mark, dict) and group in (None, mark.get("group")):
                yield listed.id.removeprefix(prefix)


async def read_one(client: Client, name: str, *, group: str | None = None) -> Existing:
    """Read one schedule of ours.

    Raises:
        NoScheduleError: there is none of that name.
        ForeignScheduleError: it is not ours, or not the group's.

    """
    return await existing_of(client, name, await describe(client, name), group)


async def describe(client: Client, name: str) -> ScheduleDescription:
    """Ask Temporal for the schedule of a campaign, ours or not.

    Raises:
        NoScheduleError: there is none of that name.

    """
    try:
        return await client.get_schedule_handle(schedule_id(name)).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND and "amespace" not in error.message:
            raise NoScheduleError(
                f"there is no schedule {name}; `campaigner schedules` shows which there are"
            ) from None
        raise


async def existing_of(
    client: Client, name: str, description: ScheduleDescription, group: str | None = None
) -> Existing:
    """Make sure that a described schedule is ours, and read it.

    Raises:
        ForeignScheduleError: it is not ours, or not the group's.

    """
    mark = (await description.memo()).get(MARK)
    action = description.schedule.action
    if not isinstance(mark, dict) or not isinstance(action, ScheduleActionStartWorkflow):
        raise ForeignScheduleError(
            f"there is a schedule {schedule_id(name)} that `campaigner apply` did not make, and so leaves alone; "
            "rename the campaign, or delete that schedule"
        )
    owner = str(mark.get("group"))
    if group not in (None, owner):
        raise ForeignScheduleError(
            f"the schedule of {name} belongs to the group {owner}, not to {group}; apply it with --group {owner}"
        )
    return Existing(
        name=name,
        group=owner,
        document=await _document(client, action),
        schedule=description.schedule,
        running=await _running(client, name, description),
        token=description.raw_description.conflict_token,
    )


async def _running(client: Client, name: str, description: ScheduleDescription) -> int:
    """Count the runs going on; those that run in parallel the schedule itself does not count (measured)."""
    query = f'TemporalScheduledById = "{schedule_id(name)}" AND ExecutionStatus = "Running"'
    return max((await client.count_workflows(query)).count, len(description.info.running_actions))


async def _document(client: Client, action: ScheduleActionStartWorkflow) -> Any:
    """Decode the definition that the schedule starts runs with."""
    payloads: Any = list(action.args)
    try:
        decoded = await client.data_converter.decode(payloads)
    except ValueError:
        return None
    return decoded[0] if decoded else None


async def apply(
    client: Client,
    changes: Changes,
    *,
    group: str = DEFAULT_GROUP,
    prune: bool = False,
    by: str = "",
    queue: str = CAMPAIGNS_QUEUE,
) -> AsyncIterator[Change]:
    """Carry out the difference, giving each change when it is done. Runs that are going on are not touched.

    Args:
        client: connected to the namespace where the workers poll.
        changes: as :func:`schedules.comparing.diff` found them.
        group: whose schedules these are.
        prune: delete orphans.
        by: who applies, and so starts the runs; an account with ``second_person`` wants somebody else to approve.
        queue: where the workers poll.

    Raises:
        ScheduleError: one could not be changed; those given before are, and applying again goes on from there.

    """
    for change in changes.of(Kind.CREATED):
        await _create(client, change, group, by, queue)
        yield change
    for change in changes.of(Kind.CHANGED):
        await _update(client, change, by, queue)
        yield change
    if prune:
        for change in changes.of(Kind.ORPHANED):
            await _delete(client, change)
            yield change


async def _create(client: Client, change: Change, group: str, by: str, queue: str) -> None:
    if change.definition is None:  # pragma: no cover - a created one has one
        return
    wanted = schedule_of(change.definition, by=by, task_queue=queue)
    try:
        await client.create_schedule(schedule_id(change.name), wanted, memo={MARK: {"group": group}})
    except ScheduleAlreadyRunningError:
        raise _meanwhile(change.name) from None
    # The scheduler counts slots from when it first looks, not from when it was told (measured): let it look.
    await describe(client, change.name)


async def _update(client: Client, change: Change, by: str, queue: str) -> None:
    definition, before = change.definition, change.existing
    if definition is None or before is None:  # pragma: no cover - a changed one has both
        return

    def updated(found: ScheduleUpdateInput) -> ScheduleUpdate:
        if found.description.raw_description.conflict_token != before.token:
            raise _meanwhile(change.name)
        # From scratch: what describe() gives is not what was sent. Paused stays paused.
        state = found.description.schedule.state
        return ScheduleUpdate(schedule_of(definition, by=by, task_queue=queue, state=state))

    await client.get_schedule_handle(schedule_id(change.name)).update(updated)


async def _delete(client: Client, change: Change) -> None:
    try:
        found = await read_one(client, change.name, group=change.existing.group if change.existing else None)
    except NoScheduleError:
        return
    if change.existing is not None and found.token != change.existing.token:
        raise _meanwhile(change.name)
    await client.get_schedule_handle(schedule_id(change.name)).delete()


def _meanwhile(name: str) -> ChangedMeanwhileError:
    return ChangedMeanwhileError(f"the schedule of {name} was changed by somebody a moment ago; look and apply again")
