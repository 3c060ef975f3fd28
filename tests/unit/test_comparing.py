"""The difference between what is written and what runs."""

from __future__ import annotations

import os
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import ScheduleOverlapPolicy, ScheduleState

from campaigns.definition import Definition
from commands.schedules import describe_changes
from schedules.comparing import Existing, Kind, diff, field_changes
from schedules.specs import schedule_of

GOLDEN = Path(__file__).parent / "golden" / "changes" / "one-of-each.txt"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WEEKLY: dict[str, Any] = {
    "version": 1,
    "name": "weekly",
    "account": "main",
    "timezone": "Europe/Istanbul",
    "schedule": {"cron": "0 18 * * fri", "end": "2027-01-31"},
    "orders": [
        {"id": "views", "service": 101, "link": "https://example.com/a", "quantity": 500},
        {"id": "likes", "service": 102, "link": "https://example.com/a", "quantity": 50, "after": {"order": "views"}},
    ],
}


def definition(**fields: Any) -> Definition:
    return Definition.model_validate(deepcopy(WEEKLY) | fields)


def existing(written: Definition, *, paused: bool = False, running: int = 0) -> Existing:
    schedule = schedule_of(written, state=ScheduleState(paused=paused))
    return Existing(written.name, "default", written.document(), schedule, running, b"1")


def compared(*written: Definition, there: list[Existing] | None = None, whole: bool = True) -> str:
    old = {each.name: each for each in there or []}
    changes = diff(written, old, NOW, whole=whole, queue="campaigns")
    return "\n".join(
        str(line) for line in describe_changes(changes, {each.name: f"{each.name}.yaml" for each in written})
    )


def test_what_is_new_changed_gone_or_without_a_schedule_is_told_in_one_picture() -> None:
    orders = deepcopy(WEEKLY["orders"])
    orders[0]["quantity"] = 700
    orders[1] = {"id": "shares", "service": 103, "link": "https://example.com/a", "quantity": 9}
    told = compared(
        definition(schedule={"cron": "0 19 * * fri", "on_overlap": "queue"}, orders=orders),
        definition(name="asis"),
        definition(name="new", schedule={"at": ["2026-12-24 18:00", "2026-12-31 18:00"]}),
        definition(name="once", schedule=None),
        definition(name="over", schedule={"at": ["2026-01-01 18:00"]}),
        definition(name="unscheduled", schedule=None),
        there=[
            existing(definition(), running=1),
            existing(definition(name="asis"), paused=True),
            existing(definition(name="gone"), running=2),
            existing(definition(name="unscheduled")),
        ],
    )
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(told + "\n")
    assert told + "\n" == GOLDEN.read_text()


def test_files_alone_make_nothing_an_orphan() -> None:
    there = [existing(definition()), existing(definition(name="other"))]
    assert compared(definition(), there=there, whole=False).endswith("1 unchanged")


def test_a_paused_schedule_is_no_difference() -> None:
    assert "1 unchanged" in compared(definition(), there=[existing(definition(), paused=True)])


def test_what_was_changed_in_temporal_itself_is_told_as_that() -> None:
    there = existing(definition())
    there.schedule.policy.overlap = ScheduleOverlapPolicy.ALLOW_ALL
    there.schedule.policy.catchup_window = timedelta(days=365)
    there.schedule.spec.jitter = timedelta(minutes=1)
    there.schedule.action.task_queue = "mine"  # type: ignore[attr-defined]
    changes = diff([definition()], {"weekly": there}, NOW, whole=True, queue="campaigns")
    assert [str(each) for each in changes.changes[0].fields] == [
        "in Temporal, on_overlap: allow_all → skip",
        "in Temporal, catchup: 365d → 1h",
        "in Temporal, the times: others → as written",
        "in Temporal, what is started: Campaign campaign/weekly on mine → Campaign campaign/weekly on campaigns",
    ]


@pytest.mark.parametrize("document", [None, 5, [], {"version": 1}, {"name": "weekly", "orders": [5]}])
def test_a_schedule_whose_definition_cannot_be_read_is_made_new(document: Any) -> None:
    there = existing(definition())
    there = Existing(there.name, there.group, document, there.schedule, 0, b"1")
    changes = diff([definition()], {"weekly": there}, NOW, whole=True, queue="campaigns")
    assert changes.changes[0].kind is Kind.CHANGED


def test_the_order_of_orders_is_a_difference() -> None:
    turned = WEEKLY | {"orders": list(reversed(WEEKLY["orders"]))}
    assert [str(each) for each in field_changes(WEEKLY, turned)] == ['orders: ["views", "likes"] → ["likes", "views"]']


def test_where_notices_go_is_not_shown() -> None:
    old, new = ({"notify": {"webhook": f"https://hooks.example.com/{secret}"}} for secret in ("abc", "def"))
    assert [str(each) for each in field_changes(old, new)] == ["notify.webhook: (not shown) → (not shown)"]


def test_a_long_or_hostile_value_is_cut_and_made_harmless() -> None:
    (change,) = field_changes({"description": "a\u202eb\nc"}, {"description": "x" * 500})
    assert change.old == "a\\u202eb c"
    assert len(change.new) == 100
