"""A worker upgrade in the middle: the old build and the new one at once, then the new one alone."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from embedded import embedded_temporal, temporal_binary
from tests.system.rig import assert_eventually, ledger_agrees, open_rig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.rig import Rig

DEPLOYMENT = "campaigner"


async def set_current(rig: Rig, build: str) -> None:
    """Make a build current, as docs/operations.md says; its queues are known once its workers have polled."""
    told = [
        "worker",
        "deployment",
        "set-current-version",
        "--deployment-name",
        DEPLOYMENT,
        "--build-id",
        build,
        "--yes",
    ]

    async def done() -> None:
        process = await asyncio.create_subprocess_exec(
            temporal_binary(),
            *told,
            "--address",
            rig.server.address,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()

    await assert_eventually(done)


def build(number: str) -> dict[str, str]:
    return {"TEMPORAL_DEPLOYMENT_NAME": DEPLOYMENT, "TEMPORAL_WORKER_BUILD_ID": number}


async def test_a_running_campaign_moves_to_the_build_that_is_made_current_and_buys_nothing_twice(
    tmp_path: Path,
) -> None:
    async with AsyncExitStack() as stack:
        # A server of its own: what is current counts for a whole task queue.
        server = await stack.enter_async_context(embedded_temporal(port=0, ui_port=0, log=tmp_path / "temporal.log"))
        rig = await open_rig(server, tmp_path, stack)
        box = await rig.sandbox(speed=6000)
        old = await rig.worker_process(box.url, env=build("1"))
        await old.up()
        assert "build 1 of campaigner" in old.said()
        await set_current(rig, "1")
        order = {"id": "views", "service": 101, "quantity": 6000, "concurrent": True}
        handle = await rig.start(rig.document([order | {"drip": {"runs": 6, "every": "1s"}}]))
        await rig.until(handle, lambda _: len(box.ledger()["orders"]) >= 2)
        await handle.execute_update("pause", "so that enough is left for the new build, however long it takes to start")
        new = await rig.worker_process(box.url, env=build("2"))
        await new.up()
        await set_current(rig, "2")
        await handle.execute_update("resume")
        await rig.until(handle, lambda _: len(box.ledger()["orders"]) >= 4)
        assert await old.stop() == 0
        report = await rig.result(handle)
        ledger_agrees(box.ledger(), report)
        assert len(report["orders"]) == 6
        builds = [
            event.workflow_task_completed_event_attributes.deployment_version.build_id
            for event in (await handle.fetch_history()).events
            if event.HasField("workflow_task_completed_event_attributes")
        ]
        assert builds == sorted(builds)
        assert set(builds) == {"1", "2"}
        assert await rig.failures(handle) == []
