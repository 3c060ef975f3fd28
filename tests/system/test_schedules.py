"""Schedules on the real server: slots, overlap, catch-up, clocks that change, and campaigns as code."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.api.workflowservice.v1 import ListScheduleMatchingTimesRequest
from temporalio.client import Schedule, ScheduleActionStartWorkflow, ScheduleSpec
from temporalio.common import SearchAttributeKey

from campaigns.clock_changes import timetable
from campaigns.definition import Definition
from campaigns.definition import Schedule as Written
from campaigns.moments import zone
from campaigns.recurrence import next_slots
from commands.console import CommandError
from commands.schedules import apply_files
from commands.temporal import find
from connection import connect, connect_embedded
from embedded import embedded_temporal
from schedules.applying import ForeignScheduleError, apply, describe, read_existing
from schedules.comparing import Changes, Kind, diff
from schedules.specs import schedule_id, spec_of
from schedules.steering import Effect, set_paused, standing, trigger
from tests.system.rig import LINK, ROOT, Rig, assert_eventually, ledger_agrees
from workflows.starting import ScheduledError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from temporalio.client import Client

SLOT = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
QUEUE = "campaigns"


SOON = 6.0
"""Seconds until a first slot: the scheduler forgets slots from before it first looks, seconds late when busy."""


def at(*seconds: float) -> dict[str, Any]:
    """Slots so many seconds from now."""
    now = datetime.now(UTC).replace(microsecond=0)
    return {"at": [f"{now + timedelta(seconds=each):%Y-%m-%dT%H:%M:%SZ}" for each in seconds]}


def document(name: str, account: str = "main", **fields: Any) -> dict[str, Any]:
    order = {"id": "views", "service": 101, "link": LINK, "quantity": 500}
    return {"version": 1, "name": name, "account": account, "timezone": "Europe/Berlin", "orders": [order]} | fields


async def applied(client: Client, group: str, *documents: dict[str, Any], prune: bool = False) -> Changes:
    """Apply as the command does; files of one group are all there are."""
    definitions = [Definition.model_validate(each) for each in documents]
    existing = await read_existing(client, [each.name for each in definitions], group=group)
    changes = diff(definitions, existing, datetime.now(UTC), whole=True, queue=QUEUE)
    async for _ in apply(client, changes, group=group, prune=prune):
        pass
    return changes


def kinds(changes: Changes) -> dict[str, Kind]:
    return {change.name: change.kind for change in changes.changes}


@asynccontextmanager
async def scheduled(rig: Rig, name: str, spec: ScheduleSpec) -> AsyncIterator[str]:
    """Have a schedule of somebody else."""
    action = ScheduleActionStartWorkflow("Other", id=name, task_queue="nobody")
    handle = await rig.client.create_schedule(name, Schedule(action=action, spec=spec))
    yield handle.id
    await handle.delete()


async def matching(client: Client, schedule: str, begin: datetime, end: datetime) -> list[datetime]:
    """Ask the server what will fire."""
    request = ListScheduleMatchingTimesRequest(namespace=client.namespace, schedule_id=schedule)
    request.start_time.FromDatetime(begin.replace(tzinfo=None))
    request.end_time.FromDatetime(end.replace(tzinfo=None))
    answer = await client.workflow_service.list_schedule_matching_times(request)
    return [each.ToDatetime(tzinfo=UTC) for each in answer.start_time]


CHANGES = {
    "Europe/Berlin": ("2027-03-28", "2027-10-31"),
    "America/New_York": ("2027-03-14", "2027-11-07"),
    "Australia/Lord_Howe": ("2027-10-03", "2027-04-04"),
    "Atlantic/Azores": ("2027-03-28", "2027-10-31"),
}
CRONS = (
    "30 2 * * *",
    "30 1 * * *",
    "*/15 0-3 * * *",
    "0 * * * *",
    "0,59 */2 * * sun",
    "45 1,23 * jan-apr,oct-dec sat,sun",
)


@pytest.mark.parametrize("zone_name", CHANGES)
async def test_the_server_fires_every_slot_once_when_clocks_change(rig: Rig, zone_name: str) -> None:
    for cron in CRONS:
        written = Written.model_validate({"cron": cron})
        spec = spec_of(timetable(written, zone_name))
        async with scheduled(rig, f"{rig.tag}-clocks", spec) as schedule:
            for day in CHANGES[zone_name]:
                begin = datetime.fromisoformat(day).replace(tzinfo=zone(zone_name)).astimezone(UTC) - timedelta(days=1)
                end = begin + timedelta(days=3)
                expected = [slot.at for slot in next_slots(written, zone_name, begin, 1000) if slot.at <= end]
                fires = [moment for moment in await matching(rig.client, schedule, begin, end) if moment > begin]
                assert fires == expected, f"{cron} in {zone_name} around {day}"
                assert len(expected) >= 2


async def test_a_plain_cron_would_not(rig: Rig) -> None:
    """Holds why slots near a change are told one by one; when this fails, the server has learned it."""
    fires = {}
    for zone_name, day in (("Europe/Berlin", "2027-03-28"), ("America/New_York", "2027-11-07")):
        clock = "30 2 * * *" if zone_name == "Europe/Berlin" else "30 1 * * *"
        spec = ScheduleSpec(cron_expressions=[clock], time_zone_name=zone_name)
        begin = datetime.fromisoformat(day).replace(tzinfo=zone(zone_name)).astimezone(UTC)
        async with scheduled(rig, f"{rig.tag}-plain", spec) as schedule:
            fires[zone_name] = len(await matching(rig.client, schedule, begin, begin + timedelta(hours=12)))
    assert fires == {"Europe/Berlin": 0, "America/New_York": 2}


async def test_a_slot_while_a_run_goes_on_is_skipped_queued_or_run_beside_it(rig: Rig) -> None:
    box = await rig.sandbox(speed=1.0)  # orders take longer than the test
    await rig.work(box.url)
    slots = at(SOON, SOON + 2, SOON + 3)
    names = {policy: rig.name(policy) for policy in ("skip", "queue", "parallel")}
    order = {"id": "views", "service": 101, "link": LINK, "quantity": 500, "concurrent": True}
    documents = [
        document(name, rig.account, schedule=slots | {"on_overlap": policy}, orders=[order])
        for policy, name in names.items()
    ]
    await applied(rig.client, rig.tag, *documents)

    async def told(policy: str) -> tuple[int, int, int, int]:
        found = await standing(rig.client, names[policy])
        return found.runs, found.existing.running, found.skipped, found.waiting

    async def all_told() -> None:
        assert {policy: await told(policy) for policy in names} == {
            "skip": (1, 1, 2, 0),
            "queue": (1, 1, 0, 2),
            "parallel": (3, 3, 0, 0),
        }

    await assert_eventually(all_told)
    runs = [
        each async for each in rig.client.list_workflows(f'TemporalScheduledById = "{schedule_id(names["parallel"])}"')
    ]
    assert {run.id for run in runs} == {
        f"campaign/{names['parallel']}-{slot.removesuffix('Z')}Z" for slot in slots["at"]
    }
    assert all(run.id.endswith(f"{run.typed_search_attributes[SLOT]:%Y-%m-%dT%H:%M:%SZ}") for run in runs)
    # The queued ones follow when the one before has ended: canceling the run lets the next begin.
    first = (await describe(rig.client, names["queue"])).info.running_actions[0].workflow_id  # type: ignore[attr-defined]
    await rig.client.get_workflow_handle(first).terminate("the next, please")

    async def followed() -> None:
        found = await told("queue")
        assert (found[0], found[3]) == (2, 1)

    await assert_eventually(followed)
    await applied(rig.client, rig.tag, prune=True)


async def test_each_slot_buys_under_keys_of_its_own(rig: Rig) -> None:
    box = await rig.sandbox(speed=6000.0)
    await rig.work(box.url)
    name = rig.name()
    slots = at(SOON, SOON + 1)
    await applied(rig.client, rig.tag, document(name, rig.account, schedule=slots | {"on_overlap": "queue"}))

    async def bought() -> None:
        found = await standing(rig.client, name)
        assert (found.runs, found.existing.running) == (2, 0)

    await assert_eventually(bought)
    found = await standing(rig.client, name)
    assert found.last is not None
    assert found.last.state == "completed"
    reports = [
        await rig.result(rig.client.get_workflow_handle(run.action.workflow_id, result_type=dict))  # type: ignore[attr-defined]
        for run in (await describe(rig.client, name)).info.recent_actions
    ]
    ledger_agrees(box.ledger(), *reports)
    assert len({row["request_id"] for report in reports for row in report["orders"]}) == 2
    await applied(rig.client, rig.tag, prune=True)


async def test_after_an_outage_slots_within_catchup_fire_and_older_ones_are_counted(tmp_path: Path) -> None:
    database, name = tmp_path / "temporal.db", "outage"
    async with embedded_temporal(database=database, port=0, ui_port=0) as server:
        client = await connect_embedded(server.address)
        written = document(name, schedule=at(SOON, SOON + 10) | {"catchup": "10s", "on_overlap": "parallel"})
        moments = written["schedule"]["at"]
        alone = document("alone", schedule=at(SOON) | {"catchup": "10s", "on_overlap": "parallel"})
        await applied(client, "default", written, alone)
        port = int(server.address.rpartition(":")[2])
    down_until = datetime.fromisoformat(moments[0]) + timedelta(seconds=11.5)
    await asyncio.sleep((down_until - datetime.now(UTC)).total_seconds())
    async with embedded_temporal(database=database, port=port, ui_port=0) as server:
        client = await connect_embedded(server.address)

        async def caught_up() -> None:
            found = await standing(client, name)
            assert (found.runs, found.missed) == (1, 1)
            assert found.last is not None
            assert found.last.id == f"campaign/{name}-{moments[1]}"

        await assert_eventually(caught_up)
        # The server counts a missed slot again at every trigger; when the first of these fails, it has learned not to.
        for _ in range(2):
            assert (await trigger(client, "alone"))[0] is Effect.STARTED
            await asyncio.sleep(1.1)  # two within a second are one run
        assert (await describe(client, "alone")).raw_description.info.missed_catchup_window > 1
        assert (await standing(client, "alone")).missed == 1


async def test_two_triggers_within_a_second_are_one_run_and_say_so(rig: Rig) -> None:
    schedule = {"cron": "0 18 1 1 *", "on_overlap": "parallel"}
    for attempt in range(5):  # a busy machine may spread two triggers over two seconds
        name = rig.name(f"c{attempt}")
        await applied(rig.client, rig.tag, document(name, rig.account, schedule=schedule))
        await asyncio.sleep(1.05 - datetime.now(UTC).microsecond / 1e6)
        began = datetime.now(UTC)
        first, second = await asyncio.gather(trigger(rig.client, name), trigger(rig.client, name))
        if datetime.now(UTC).replace(microsecond=0) == began.replace(microsecond=0):
            break
    found = await standing(rig.client, name)
    assert (found.runs, found.existing.running) == (1, 1)
    assert Effect.STARTED in (first[0], second[0])
    assert {first[1], second[1]} == {found.last.id if found.last else ""}
    await applied(rig.client, rig.tag, prune=True)


async def test_a_trigger_that_is_skipped_says_so_and_pausing_holds_beside_a_trigger(rig: Rig) -> None:
    name = rig.name()
    await applied(rig.client, rig.tag, document(name, rig.account, schedule={"cron": "0 18 1 1 *"}))
    effect, started = await trigger(rig.client, name)
    assert effect is Effect.STARTED
    assert started is not None
    assert (await find(rig.client, name)).id == started  # status, watch and pause mean the last run
    assert (await trigger(rig.client, name))[0] is Effect.SKIPPED
    # Of two orders in one task the server keeps the last; ours is repeated until it holds.
    await asyncio.gather(
        set_paused(rig.client, name, paused=True, note="paused by ada: holiday"),
        rig.client.get_schedule_handle(schedule_id(name)).trigger(),
    )
    changes = await applied(rig.client, rig.tag, document(name, rig.account, schedule={"cron": "0 19 1 1 *"}))
    assert kinds(changes) == {name: Kind.CHANGED}
    found = await standing(rig.client, name)
    assert found.pausing
    assert found.existing.schedule.state.note == "paused by ada: holiday"
    # The run that went on was not disturbed.
    assert (await rig.client.get_workflow_handle(started).describe()).status.name == "RUNNING"  # type: ignore[union-attr]
    await applied(rig.client, rig.tag, prune=True)


async def test_a_campaign_with_a_schedule_is_not_started_beside_it(rig: Rig) -> None:
    with pytest.raises(ScheduledError, match="campaigner apply"):
        await rig.start(document(rig.name(), rig.account, schedule={"every": "6h"}))


async def test_applying_twice_changes_nothing_and_a_changed_file_only_itself(rig: Rig) -> None:
    everything = {
        "cron": "30 2 * * *", "start": "2026-12-04", "end": "2030-01-31", "on_overlap": "parallel", "catchup": "2h",
    }  # fmt: skip
    one = document(rig.name("one"), schedule=everything, description="One")
    two = document(rig.name("two"), schedule={"every": "6h"})
    three = document(rig.name("three"), schedule={"at": ["2030-10-27 02:30", "2031-01-01T00:00:01Z"]})
    # Whole hours since 1970 are an interval without an offset, which the server describes in another way.
    even = document(rig.name("even"), schedule={"every": "1h"})
    assert set(kinds(await applied(rig.client, f"{rig.tag}-e", even)).values()) == {Kind.CREATED}
    assert set(kinds(await applied(rig.client, f"{rig.tag}-e", even)).values()) == {Kind.UNCHANGED}
    await applied(rig.client, f"{rig.tag}-e", prune=True)
    assert set(kinds(await applied(rig.client, rig.tag, one, two, three)).values()) == {Kind.CREATED}
    assert set(kinds(await applied(rig.client, rig.tag, one, two, three)).values()) == {Kind.UNCHANGED}
    before = {each["name"]: (await describe(rig.client, each["name"])).raw_description for each in (one, three)}
    changed = two | {"schedule": {"every": "8h"}}
    assert kinds(await applied(rig.client, rig.tag, one, changed, three))[two["name"]] is Kind.CHANGED
    for name, description in before.items():
        assert (await describe(rig.client, name)).raw_description.conflict_token == description.conflict_token
    assert not (await applied(rig.client, rig.tag, one, changed, three)).drift
    assert kinds(await applied(rig.client, rig.tag, one, changed))[three["name"]] is Kind.ORPHANED
    await describe(rig.client, three["name"])  # without prune it is still there
    await applied(rig.client, rig.tag, one, changed, prune=True)
    assert set(await read_existing(rig.client, [three["name"]], group=rig.tag)) == {one["name"], two["name"]}
    await applied(rig.client, rig.tag, prune=True)


async def test_what_somebody_else_made_is_never_touched(rig: Rig) -> None:
    mine, theirs = document(rig.name(), schedule={"every": "6h"}), rig.name("theirs")
    await applied(rig.client, f"{rig.tag}-b", document(theirs, schedule={"every": "6h"}))
    foreign = schedule_id(rig.name("foreign"))
    async with scheduled(rig, foreign, ScheduleSpec(cron_expressions=["0 0 1 1 *"])):
        kept = (await rig.client.get_schedule_handle(foreign).describe()).raw_description
        changes = await applied(rig.client, rig.tag, mine, prune=True)
        assert kinds(changes) == {mine["name"]: Kind.CREATED}
        for name in (theirs, rig.name("foreign")):
            with pytest.raises(ForeignScheduleError):
                await applied(rig.client, rig.tag, mine, document(name, schedule={"every": "6h"}), prune=True)
        assert (await rig.client.get_schedule_handle(foreign).describe()).raw_description == kept
    await describe(rig.client, theirs)
    await applied(rig.client, rig.tag, prune=True)
    await applied(rig.client, f"{rig.tag}-b", prune=True)


async def test_the_command_asks_checks_and_applies_all_or_nothing(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", rig.server.address)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "campaigns"
    folder.mkdir()

    def write(file: str, name: str, **fields: Any) -> None:
        (folder / file).write_text(json.dumps(document(rig.name(name), **fields)))

    async def command(**options: bool) -> int:
        chosen = {"yes": False, "prune": False, "check": False, "as_machine": True} | options
        return await apply_files([folder], group=rig.tag, **chosen)

    write("a.yaml", "a", schedule={"every": "6h"})
    write("b.yml", "b", schedule={"cron": "0 18 * * fri"})
    (folder / "campaigner.yaml").write_text("accounts: {}")  # the configuration is no campaign
    assert await command(check=True) == 2
    with pytest.raises(CommandError, match="nobody can be asked"):
        await command()
    assert not await read_existing(rig.client, [rig.name("a"), rig.name("b")], group=rig.tag)
    assert await command(yes=True) == 0
    assert await command(yes=True) == 0
    assert await command(check=True) == 0
    capsys.readouterr()
    write("b.yml", "b", schedule={"cron": "0 19 * * fri"})
    assert await command(check=True) == 2
    told = json.loads(capsys.readouterr().out)
    assert [(each["change"], each["fields"]) for each in told["campaigns"]] == [
        ("unchanged", []),
        ("changed", [{"field": "schedule.cron", "old": "0 18 * * fri", "new": "0 19 * * fri"}]),
    ]
    write("c.yaml", "b", schedule={"every": "1d"})
    with pytest.raises(CommandError, match=r"c\.yaml: name: .* is the campaign of .*b\.yml already"):
        await command(yes=True)
    write("c.yaml", "c", schedule={"every": "1x"})
    with pytest.raises(CommandError, match="nothing was applied"):
        await command(yes=True)
    found = await read_existing(rig.client, [], group=rig.tag)
    assert found[rig.name("b")].document["schedule"]["cron"] == "0 18 * * fri"
    (folder / "c.yaml").unlink()
    (folder / "a.yaml").unlink()
    assert await command(yes=True, prune=True) == 0
    assert set(await read_existing(rig.client, [rig.name("a")], group=rig.tag)) == {rig.name("b")}
    (folder / "b.yml").unlink()
    with pytest.raises(CommandError, match="there are no campaign files"):
        await command(yes=True, prune=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "cli.py"), "apply", str(folder), "--check", env=environment, cwd=tmp_path
    )
    assert await process.wait() == 2
    await applied(await connect(rig.server.address), rig.tag, prune=True)
