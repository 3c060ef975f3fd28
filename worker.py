"""The worker process: ``python worker.py``.

Polls the campaigns' queue and one queue per panel account of the configuration. Any number of these processes may run,
on any number of machines: the work is shared, and so is each account's request limit, which the Temporal server keeps.
With ``TEMPORAL_DEPLOYMENT_NAME`` and ``TEMPORAL_WORKER_BUILD_ID`` they are versioned (docs/operations.md).
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities import faultpoints, logs
from activities.accounts import PanelAccount
from activities.contracts import CAMPAIGNS_QUEUE, panel_queue
from activities.following import CampaignActivities
from activities.gating import DailyLimit, Gate
from activities.orders import PanelActivities
from activities.recalling import Memory
from activities.telling import TellingActivities
from configuration import Configuration, ConfigurationError, load_configuration
from connection import TemporalError, ensure_attributes, is_encrypting
from dev_files import connect_here
from panel import PanelClient
from workflows.account import Account
from workflows.campaign import Campaign
from workflows.payloads import tolerant
from workflows.punctual import PunctualRunner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from temporalio.client import Client

BELOW_THE_LIMIT = 0.95
"""The queue's rate against the panel's own: dispatches and arrivals are not evenly apart."""
SHUTDOWN = timedelta(seconds=50)
"""For what is on the wire: above an activity's time for one request, so that no answer is thrown away."""
PANEL_REQUESTS_AT_ONCE = 50
REQUEST_DEADLINE = 30.0
"""Seconds for one HTTP request, all told: below an activity's time, so that a live worker always reports first."""
NAME_VARIABLE, BUILD_VARIABLE = "TEMPORAL_DEPLOYMENT_NAME", "TEMPORAL_WORKER_BUILD_ID"
"""As Temporal's own worker controller sets them."""
METRICS_VARIABLE = "CAMPAIGNER_METRICS"
_log = logging.getLogger("campaigner.worker")


def _runner() -> PunctualRunner:
    # The domain is pure and shared: importing it once, outside the sandbox, keeps a workflow small.
    passed = ("campaigns", "activities", "pydantic", "pydantic_core", "annotated_types", "zoneinfo", "tzdata")
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*passed)
    return PunctualRunner(SandboxedWorkflowRunner(restrictions=restrictions))


def deployment(env: Mapping[str, str] = os.environ) -> WorkerDeploymentConfig | None:
    """Read which version of which deployment this worker is; None when the environment names neither: unversioned.

    Running campaigns move to the current version by themselves (auto-upgrade): a campaign of a month must get a fix the
    day it is released, and workers of an old version would have to be kept until the last campaign pinned to it ends.

    Raises:
        ConfigurationError: only one of the two is set.

    """
    name, build = env.get(NAME_VARIABLE, ""), env.get(BUILD_VARIABLE, "")
    if not name and not build:
        return None
    if not name or not build:
        unset = BUILD_VARIABLE if name else NAME_VARIABLE
        raise ConfigurationError(f"{unset} is not set; a versioned worker needs {NAME_VARIABLE} and {BUILD_VARIABLE}")
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name=name, build_id=build),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


@asynccontextmanager
async def running_workers(
    client: Client, configuration: Configuration, version: WorkerDeploymentConfig | None = None
) -> AsyncIterator[None]:
    """Work while the block lasts; what is on its way at the end is finished first.

    Args:
        client: connected with the pydantic data converter.
        configuration: the panel accounts.
        version: of the deployment; unversioned when None.

    Raises:
        TemporalError: the namespace lacks our search attributes and they cannot be registered from here.

    """
    await ensure_attributes(client)
    logs.shorten()
    async with AsyncExitStack() as stack:
        accounts: dict[str, PanelAccount] = {}
        for name, settings in configuration.accounts.items():
            panel = await stack.enter_async_context(
                PanelClient(
                    settings.url, settings.api_key, deadline=REQUEST_DEADLINE, transport=faultpoints.transport()
                )
            )
            facts = configuration.facts(name).model_copy(update={"private": is_encrypting(client)})
            limit = DailyLimit(settings.per_day.amount, settings.timezone) if settings.per_day else None
            accounts[name] = PanelAccount(facts=facts, client=panel, limit=limit)
        memory = Memory(client)
        panel_activities = PanelActivities(accounts, memory, Gate(client)).all
        http = await stack.enter_async_context(httpx.AsyncClient(follow_redirects=False))
        # Entered first, left last: campaigns still decide while their requests finish.
        await stack.enter_async_context(
            Worker(
                tolerant(client),
                task_queue=CAMPAIGNS_QUEUE,
                workflows=[Campaign, Account],
                activities=[*CampaignActivities(client, accounts, memory).all, *TellingActivities(http).all],
                workflow_runner=_runner(),
                graceful_shutdown_timeout=SHUTDOWN,
                deployment_config=version,
            )
        )
        for name, settings in configuration.accounts.items():
            await stack.enter_async_context(
                Worker(
                    client,
                    task_queue=panel_queue(name),
                    activities=panel_activities,
                    max_concurrent_activities=PANEL_REQUESTS_AT_ONCE,
                    max_task_queue_activities_per_second=settings.requests_per_minute / 60 * BELOW_THE_LIMIT,
                    graceful_shutdown_timeout=SHUTDOWN,
                    deployment_config=version,
                )
            )
        yield


async def work_until_stopped(stop: asyncio.Event) -> None:
    """Load the configuration, connect, and work until ``stop`` is set.

    Raises:
        ConfigurationError: the configuration is missing or wrong.
        TemporalError: the server cannot be reached or used.

    """
    configuration = load_configuration()
    version = deployment()
    client = await connect_here(metrics=os.environ.get(METRICS_VARIABLE))
    async with running_workers(client, configuration, version):
        queues = ", ".join([CAMPAIGNS_QUEUE, *map(panel_queue, configuration.accounts)])
        _log.info("worker is up: %s in namespace %s polls %s", client.identity, client.namespace, queues)
        if version is not None:
            _log.info("it is build %s of %s", version.version.build_id, version.version.deployment_name)
        await stop.wait()
        _log.info("worker stops: what is on its way is finished first")


async def _main() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await work_until_stopped(stop)
    finally:
        # A short-lived client process may crash at exit when the core's runtime goes after the loop (measured).
        gc.collect()
        await asyncio.sleep(0.05)


def main() -> int:
    """Run the worker; 0 after a clean stop, 2 for a wrong configuration, 1 for an unusable server."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        asyncio.run(_main())
    except ConfigurationError as error:
        print(f"campaigner: {error}", file=sys.stderr)  # noqa: T201 - the process's last word
        return 2
    except TemporalError as error:
        print(f"campaigner: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
