"""Starts campaigns from Python: a typed helper over the plain SDK call.

client = await Client.connect("localhost:7233", data_converter=pydantic_data_converter)
handle = await start_campaign(client, definition)
report = await handle.result()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.contracts import CAMPAIGNS_QUEUE, REVIEWED, STARTED_BY, campaign_id
from campaigns.wording import count

if TYPE_CHECKING:
    from temporalio.client import Client, WorkflowHandle

    from campaigns.definition import Definition
    from campaigns.reviewed import Reviewed


class AlreadyStartedError(Exception):
    """A campaign of this name runs or ran; starting it again would buy again."""

    def __init__(self, name: str, *, again: bool = False) -> None:
        before = "still runs" if again else "was started before"
        later = "--again starts it anew" if again else "start it with --again to buy it all once more"
        super().__init__(
            f"campaign {name} {before}; nothing was started now. See `campaigner status {name}`; "
            f"when it has ended, {later}"
        )


class ScheduledError(Exception):
    """The campaign has a schedule, which starts its runs."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"campaign {name} has a schedule; nothing was started now. `campaigner apply` puts the schedule to work, "
            f"and `campaigner trigger {name}` then runs it once at any time"
        )


async def start_campaign(
    client: Client,
    definition: Definition,
    *,
    again: bool = False,
    by: str = "",
    reviewed: Reviewed | None = None,
    task_queue: str = CAMPAIGNS_QUEUE,
) -> WorkflowHandle[Any, dict[str, Any]]:
    """Start a campaign and give its handle; its result is the report.

    Args:
        client: connected to the namespace where the workers poll.
        definition: validated, for example by :func:`campaigns.loading.load`.
        again: allow a campaign whose earlier run has ended to run, and buy, once more.
        by: who starts it, for the record; an account with ``second_person`` wants somebody else to approve.
        reviewed: the rates that were seen, if it is to be refused where they grew too much until a worker plans it.
        task_queue: where the workers poll.

    Raises:
        AlreadyStartedError: a campaign of this name is running, or ran before and ``again`` is not given.
        ScheduledError: its schedule starts it.

    """
    if definition.schedule is not None:
        raise ScheduledError(definition.name)
    memo: dict[str, Any] = {STARTED_BY: by} if by else {}
    if reviewed is not None:
        memo[REVIEWED] = reviewed.document()
    reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE if again else WorkflowIDReusePolicy.REJECT_DUPLICATE
    try:
        return await client.start_workflow(
            "Campaign",
            definition.document(),
            id=campaign_id(definition.name),
            task_queue=task_queue,
            id_reuse_policy=reuse,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            static_summary=static_summary(definition),
            static_details=definition.description or None,
            memo=memo or None,
            result_type=dict,
        )
    except WorkflowAlreadyStartedError:
        raise AlreadyStartedError(definition.name, again=again) from None


def static_summary(definition: Definition) -> str:
    """Say in one line what a campaign is, for the Web UI."""
    orders = count(len(definition.orders), "order")
    budget = f", budget {definition.limits.budget}" if definition.limits.budget else ""
    return f"{definition.name}: {orders} on account {definition.account}{budget}"
