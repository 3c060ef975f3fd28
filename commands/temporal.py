"""What commands ask of Temporal: the connection, a campaign by its name, and whether anybody works."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import CAMPAIGNS_QUEUE, campaign_id, panel_queue
from commands.console import FAILED, CommandError, Kind, plain
from dev_files import DevFiles, connect_here, is_elsewhere
from schedules.steering import last_run_id

if TYPE_CHECKING:
    from temporalio.client import Client

PATIENCE = timedelta(seconds=10)
"""How long one question to Temporal may take."""
_SEEN_LATELY = timedelta(seconds=75)
"""A worker asks for work at least once a minute; one that went away is listed for five more."""
_LOOKS = 3
"""Before it is said that workers do not know an account."""


async def connected() -> Client:
    """Connect as the environment says; where it names no server, to the dev server of this folder.

    Raises:
        TemporalError: nothing answers there, or this folder's dev server does not run and no other one is named.

    """
    return await connect_here()


def web_page(workflow_id: str, namespace: str) -> str | None:
    """Give the Web UI's page of a workflow, if it is this folder's dev server that is talked to."""
    running = None if is_elsewhere() else DevFiles().running()
    if running is None:
        return None
    return f"{running.ui}/namespaces/{namespace}/workflows/{workflow_id.replace('/', '%2F')}"


async def find(client: Client, given: str) -> WorkflowExecutionDescription:
    """Find a campaign by its name or its workflow id; of several runs, and of those of a schedule, the last.

    Raises:
        CommandError: there is none, or it is not a campaign.

    """
    candidates = [given] if given.startswith("campaign/") else [campaign_id(given), given]
    for candidate in [*candidates, None]:
        if candidate is None and (candidate := await last_run_id(client, given.removeprefix("campaign/"))) is None:
            break
        try:
            found = await client.get_workflow_handle(candidate).describe(rpc_timeout=PATIENCE)
        except RPCError as error:
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT) and "amespace" not in str(
                error
            ):
                continue
            raise
        if found.workflow_type == "Campaign":
            return found
        told = f"{plain(given)} is not a campaign, but a workflow of type {plain(found.workflow_type)}"
        raise CommandError(told, FAILED, Kind.NOT_FOUND)
    where = "`campaigner list` shows which there are, `campaigner schedules` which are to come"
    raise CommandError(f"there is no campaign {plain(given)}; {where}", FAILED, Kind.NOT_FOUND)


def is_open(found: WorkflowExecutionDescription) -> bool:
    """Tell whether the workflow still runs."""
    return found.status is WorkflowExecutionStatus.RUNNING


def knows_no_campaigns(error: RPCError) -> bool:
    """Tell whether a list was refused because the namespace has never seen a worker of ours."""
    return error.status is RPCStatusCode.INVALID_ARGUMENT and "search attribute" in error.message.lower()


async def unattended(client: Client, account: str | None = None) -> list[str]:
    """Give the queues that nobody polls: the campaigns' own and, if named, an account's."""
    queues = [(CAMPAIGNS_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW)]
    if account is not None:
        queues.append((panel_queue(account), TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY))
    return [queue for queue, kind in queues if not await _polled(client, queue, kind)]


async def workers_missing(client: Client, account: str) -> list[str]:
    """Give the queues that nobody polls, an account's too, before a campaign of it is started.

    Raises:
        CommandError: somebody works for campaigns, but nobody for this account: it would be refused at once, for good.

    """
    for look in range(_LOOKS):
        if look:
            await asyncio.sleep(1)  # a worker that is just starting polls one queue after the other
        missing = await unattended(client, account)
        if missing != [panel_queue(account)]:
            return missing
    raise CommandError(f"nothing was started: {unknown_to_workers(account)}", FAILED, Kind.NO_WORKER)


async def is_unknown_to_workers(client: Client, account: str) -> bool:
    """Tell whether somebody works for campaigns, but nobody for this account."""
    return await unattended(client, account) == [panel_queue(account)]


def unknown_to_workers(account: str) -> str:
    """Say that workers run and none has the account, and what to do."""
    return (
        f"no running worker has the account {plain(account)} (nobody polls the queue {panel_queue(account)}), so its "
        f"campaigns would be refused. Put {plain(account)} into the configuration of a worker and restart that "
        "worker: it reads its configuration when it starts"
    )


async def _polled(client: Client, queue: str, kind: TaskQueueType.ValueType) -> bool:
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind),
        timeout=PATIENCE,
    )
    since = datetime.now(UTC) - _SEEN_LATELY
    return any(poller.last_access_time.ToDatetime(UTC) >= since for poller in answer.pollers)


NOBODY_WORKS = "no worker polls {queues}; start one with `campaigner worker` (or `campaigner dev`)"


def nobody_works(queues: list[str]) -> str:
    """Say that nobody works, and what to do."""
    return NOBODY_WORKS.format(queues=" and ".join(f"the queue {queue}" for queue in queues))
