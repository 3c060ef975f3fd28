"""What a worker writes of an activity that failed: a line in our words; a traceback only of what nobody foresaw."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from temporalio.exceptions import ApplicationError

from activities import logs
from tests.system.rig import assert_eventually

if TYPE_CHECKING:
    import pytest

    from tests.system.rig import Rig


async def test_a_lost_answer_is_one_line_in_the_workers_log(rig: Rig) -> None:
    box = await rig.sandbox(faults=("add:drop_afterx2",))
    worker = await rig.worker_process(box.url)
    report = await rig.result(await rig.start(rig.document([{"id": "only", "service": 102, "quantity": 10}])))
    assert report["state"] == "completed"
    about = f"place_order of campaign/{rig.name()}, attempt"

    def told() -> None:
        lines = [line for line in worker.said().splitlines() if about in line]
        assert [line.partition(about)[2].split(":")[0].strip() for line in lines] == ["1", "2"]
        assert all("WARNING" in line for line in lines)

    await assert_eventually(told)
    assert "Traceback" not in worker.said()


def _logged(caplog: pytest.LogCaptureFixture, error: Exception) -> str:
    logs.shorten()
    logs.shorten()  # a process may run workers more than once
    about = {"activity_type": "read_statuses", "workflow_id": "account/main", "attempt": 3}
    try:
        raise error
    except type(error):
        # As the SDK logs it (temporalio.worker._activity).
        logger = logging.LoggerAdapter(logging.getLogger("temporalio.activity"), {"temporal_activity": about})
        logger.warning("Completing activity as failed (%s)", about, exc_info=True)
    return caplog.text


def test_what_is_raised_on_purpose_says_all_there_is_to_say(caplog: pytest.LogCaptureFixture) -> None:
    text = _logged(caplog, ApplicationError("the panel is down"))
    assert text.strip().endswith("read_statuses of account/main, attempt 3: the panel is down")
    assert "Traceback" not in text
    assert len(text.splitlines()) == 1


def test_what_nobody_foresaw_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    text = _logged(caplog, ZeroDivisionError("a mistake of ours"))
    assert "Traceback" in text
    assert "ZeroDivisionError: a mistake of ours" in text
