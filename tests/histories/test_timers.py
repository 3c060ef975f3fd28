"""A campaign's timer runs on while its moment stays the same: each one set anew is two events, and an action to pay."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.contrib.pydantic import pydantic_data_converter

from tests.histories.test_replay import RECORDED, _history
from workflows.waiting import KEEPS_ITS_TIMER

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


def _keeps(file: Path) -> bool:
    """Tell whether a campaign began with this way of waiting: each patch is marked in the history."""
    markers = [event.marker_recorded_event_attributes for event in _history(file).events]
    return any(KEEPS_ITS_TIMER in str(marker.details) for marker in markers)


NEVER_PAUSED = ("completed-campaign", "continued-campaign", "was_reset-campaign")
"""A pause takes the timer back, and the campaign sets it again afterwards."""
KEPT = [file for file in RECORDED if file.name.startswith(NEVER_PAUSED) and _keeps(file)]


def _timers(file: Path) -> list[tuple[str, datetime]]:
    """Give what each timer was for, and when it was to fire."""
    convert = pydantic_data_converter.payload_converter.from_payload
    return [
        (
            convert(event.user_metadata.summary, str) if event.user_metadata.HasField("summary") else "",
            event.event_time.ToDatetime() + event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta(),
        )
        for event in _history(file).events
        if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED
    ]


def test_there_is_something_to_look_at() -> None:
    assert {"completed-campaign-1", "was_reset-campaign-2"} <= {file.stem for file in KEPT}


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.stem)
def test_no_timer_is_set_again_for_the_same_moment(file: Path) -> None:
    timers = _timers(file)
    for (purpose, moment), (next_purpose, next_moment) in pairwise(timers):
        same = purpose == next_purpose and abs(next_moment - moment) < timedelta(milliseconds=100)
        assert not same, f"{purpose} at {moment}"


def test_it_was_set_again_before() -> None:
    old = _timers(next(file for file in RECORDED if file.stem == "completed.v2-campaign-1"))
    assert len(old) > len(_timers(next(file for file in RECORDED if file.stem == "completed-campaign-1"))) * 1.5
