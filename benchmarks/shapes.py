"""One workflow for a whole campaign, against one child workflow an order: the same activities, the same server."""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from temporalio import activity, workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from activities import contracts
    from activities.contracts import CAMPAIGNS_QUEUE, panel_queue
    from benchmarks.plans import ACCOUNT, CATALOG, document, facts
    from campaigns.definition import Definition
    from campaigns.messages import News, Placed, Reading, Status
    from connection import connect
    from embedded import embedded_temporal
    from worker import _runner
    from workflows.campaign import Campaign
    from workflows.starting import start_campaign

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from temporalio.client import Client

MINUTE = timedelta(minutes=1)
CAMPAIGN, CHILDREN = "one workflow a campaign (ours)", "a child workflow an order"


class Stubs:
    """Activities that answer at once, as the real ones would after their request."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._placed = 0

    @activity.defn(name=contracts.DESCRIBE_ACCOUNT)
    async def describe(self, _asked: contracts.DescribeAccount) -> contracts.AccountDescribed:
        """Tell of the account."""
        return contracts.AccountDescribed(facts=facts())

    @activity.defn(name=contracts.READ_CATALOG)
    async def catalog(self, _asked: contracts.ReadCatalog) -> contracts.CatalogRead:
        """Give the catalog."""
        return contracts.CatalogRead(services=list(CATALOG.values()))

    @activity.defn(name=contracts.PLACE_ORDER)
    async def place(self, order: contracts.PlaceOrder) -> contracts.PlaceOutcome:
        """Take the order."""
        self._placed += 1
        return contracts.PlaceOutcome(event=Placed(key=order.key, panel_order=f"ord_{self._placed}"))

    @activity.defn(name=contracts.FOLLOW_ORDERS)
    async def follow(self, asked: contracts.FollowOrders) -> None:
        """Send the news that all is done."""
        now = datetime.now(UTC)
        readings = [
            Reading(panel_order=order, status=Status.COMPLETED, charge=Decimal("0.09"), remains=0, observed_at=now)
            for order in asked.request.panel_orders
        ]
        await self._client.get_workflow_handle(asked.request.campaign).signal("news", News(readings=readings))


@activity.defn
async def place_one(number: int) -> str:
    """Take the order, for a child."""
    return f"ord_{number}"


@activity.defn
async def read_one(_order: str) -> str:
    """Give its status, for a child."""
    return "completed"


@workflow.defn
class OneOrder:
    """Places one order and reads its end."""

    @workflow.run
    async def run(self, number: int) -> str:
        """Do it."""
        order = await workflow.execute_activity(place_one, number, start_to_close_timeout=MINUTE)
        return await workflow.execute_activity(read_one, order, start_to_close_timeout=MINUTE)


@workflow.defn
class Children:
    """Starts a child for each order."""

    @workflow.run
    async def run(self, orders: int) -> int:
        """Do it."""
        await asyncio.gather(*(workflow.execute_child_workflow(OneOrder.run, number) for number in range(orders)))
        return orders


async def orders_per_second(orders: int, rounds: int, folder: Path) -> dict[str, float]:
    """Run both shapes in turn on one embedded server; give the median of each."""
    measured: dict[str, list[float]] = {CHILDREN: [], CAMPAIGN: []}
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(embedded_temporal(port=0, ui_port=0, log=folder / "temporal.log"))
        client = await connect(server.address)
        stubs = Stubs(client)
        campaign: list[Callable[..., Any]] = [stubs.describe, stubs.follow]
        child: list[Callable[..., Any]] = [place_one, read_one]
        workflows = [Campaign, OneOrder, Children]
        queue = Worker(
            client, task_queue=CAMPAIGNS_QUEUE, workflows=workflows, activities=[*campaign, *child],
            workflow_runner=_runner(),
        )  # fmt: skip
        await stack.enter_async_context(queue)
        panel = Worker(client, task_queue=panel_queue(ACCOUNT), activities=[stubs.catalog, stubs.place])
        await stack.enter_async_context(panel)
        await _campaign(client, 5, "warm")
        await _children(client, 5, "warm")
        for number in range(rounds):
            measured[CHILDREN].append(orders / await _children(client, orders, str(number)))
            measured[CAMPAIGN].append(orders / await _campaign(client, orders, str(number)))
    return {what: statistics.median(each) for what, each in measured.items()}


async def _campaign(client: Client, orders: int, name: str) -> float:
    began = time.perf_counter()
    handle = await start_campaign(client, Definition.model_validate(document(orders, f"bench-{name}")))
    await handle.result()
    return time.perf_counter() - began


async def _children(client: Client, orders: int, name: str) -> float:
    began = time.perf_counter()
    await client.execute_workflow(
        Children.run, orders, id=f"children/{name}", task_queue=CAMPAIGNS_QUEUE,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
    )  # fmt: skip
    return time.perf_counter() - began
