"""A worker serves the SDK's metrics where CAMPAIGNER_METRICS says, and no key with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from embedded import free_port
from tests.system.rig import KEY, assert_eventually
from worker import METRICS_VARIABLE

if TYPE_CHECKING:
    from tests.system.rig import Rig


async def test_metrics_are_served_where_the_variable_says(rig: Rig) -> None:
    box = await rig.sandbox(speed=6000)
    address = f"127.0.0.1:{free_port()}"
    worker = await rig.worker_process(box.url, env={METRICS_VARIABLE: address})
    await worker.up()
    await rig.result(await rig.start(rig.document([{"id": "a", "service": 101, "quantity": 100}])))

    async def served() -> str:
        async with httpx.AsyncClient() as http:
            text = (await http.get(f"http://{address}/metrics")).text
        assert "temporal_request" in text
        return text

    text = await assert_eventually(served)
    for name in (
        "temporal_workflow_task_execution_latency",
        "temporal_activity_schedule_to_start_latency",
        "temporal_worker_task_slots_available",
        "temporal_num_pollers",
    ):
        assert name in text
    assert 'activity_type="place_order"' in text
    assert KEY not in text
    second = await rig.worker_process(box.url, env={METRICS_VARIABLE: address})
    assert await second.process.wait() == 1
    assert f"the metrics cannot be served at {address}" in second.said()
