"""What is done to the system while it works: each kind a number of times, spread over the run."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import PLACE_ORDER, campaign_id
from activities.faultpoints import POINTS
from chaos.processes import Kill

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from temporalio.client import Client

    from chaos.processes import Fleet, Panel, Server

RESETS = ("first", "between", "continued", "settled", "twice", "replaced")
"""Before the first placement, between two, in a run that was continued, after the end, and again right after: of the
run that the first reset made, and of the one that it replaced."""
_DIES_SOON = 0.3


@dataclass
class Mischief:
    """Does it, and keeps count."""

    server: Server
    panel: Panel
    fleet: Fleet
    client: Client
    chance: random.Random
    progress: Callable[[], float]
    """From 0 to 1, and beyond."""
    running: Callable[[], list[str]]
    """Names of campaigns that run, or ran to their end."""
    restart: Callable[[str], Awaitable[bool]]
    """Terminates a campaign and starts it again; tells whether it did."""
    server_kills: list[Kill] = field(default_factory=list)
    resets: Counter[str] = field(default_factory=Counter)
    again: int = 0
    outages: int = 0
    _touched: set[str] = field(default_factory=set)

    async def spread(self, times: int, do: Callable[[int], Awaitable[None]]) -> None:
        """Do something so many times, evenly over the run but never at a foreseeable moment."""
        for number in range(times):
            moment = 0.02 + 0.93 * (number + self.chance.random()) / times
            while self.progress() < moment:
                await asyncio.sleep(0.1)
            await do(number)

    async def kill_worker(self, number: int) -> None:
        """Kill a worker at any moment; every second one's successor dies at a named point."""
        if number % 2 == 0:
            self.fleet.arms.append(f"{POINTS[number // 2 % len(POINTS)]}:{_DIES_SOON}")
            self.fleet.kill(self.chance)

    async def kill_server(self, _number: int) -> None:
        """Kill the server, leave it down for a moment, and bring it back on the same file."""
        at = time.time()
        self.fleet.server_downs += 1
        self.fleet.server_is_down = True
        await self.server.kill()
        await asyncio.sleep(self.chance.random())
        await self.server.start()
        self.fleet.server_is_down = False
        self.server_kills.append(Kill("server", at, time.time()))

    async def take_panel_down(self, _number: int) -> None:
        """Let the panel answer 503, or nothing, for some seconds."""
        await self.panel.control("down", down=self.chance.choice(["503", "drop"]))
        await asyncio.sleep(1 + 3 * self.chance.random())
        await self.panel.control("down", down=False)
        self.outages += 1

    async def reset(self, number: int) -> None:
        """Reset a campaign to one kind of point; where none offers it now, to another kind."""
        wanted = RESETS[number % len(RESETS)]
        while True:
            names = [name for name in self.running() if name not in self._touched]
            self.chance.shuffle(names)
            for kind in (wanted, *RESETS):
                for name in names[:8]:
                    if await self._reset(name, kind):
                        self.resets[kind] += 1
                        return
            await asyncio.sleep(0.5)

    async def start_again(self, _number: int) -> None:
        """Terminate a campaign in the middle and start it again, which buys it again."""
        while True:
            names = [name for name in self.running() if name not in self._touched]
            self.chance.shuffle(names)
            for name in names:
                if await self.restart(name):
                    self._touched.add(name)
                    self.again += 1
                    return
            await asyncio.sleep(0.5)

    async def _reset(self, name: str, kind: str) -> bool:
        try:
            return await self._try_reset(campaign_id(name), kind)
        except RPCError as error:
            if error.status in (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.NOT_FOUND):
                return False
            await asyncio.sleep(0.2)  # the server is down, very likely by our own hand
            return False

    async def _try_reset(self, workflow: str, kind: str) -> bool:
        description = await self.client.get_workflow_handle(workflow).describe()
        open_now = description.status is WorkflowExecutionStatus.RUNNING
        if open_now == (kind == "settled"):
            return False
        if description.status not in (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.COMPLETED):
            return False
        point = await self._point(workflow, description.run_id, kind)
        if point is None:
            return False
        run = await self._send_reset(workflow, description.run_id, point)
        if kind == "twice":
            await asyncio.sleep(self.chance.random())
            again = await self._point(workflow, run, "between") or point
            await self._send_reset(workflow, run, again)
        elif kind == "replaced":
            await asyncio.sleep(1 + 3 * self.chance.random())
            await self._send_reset(workflow, description.run_id, point)
        return True

    async def _point(self, workflow: str, run: str, kind: str) -> int | None:
        tasks: list[int] = []
        placed: list[int] = []
        continued = False
        async for event in self.client.get_workflow_handle(workflow, run_id=run).fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                continued = bool(event.workflow_execution_started_event_attributes.continued_execution_run_id)
            elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                tasks.append(event.event_id)
            elif event.activity_task_scheduled_event_attributes.activity_type.name == PLACE_ORDER:
                placed.append(event.event_id)
        if not tasks or not placed or (kind == "continued" and not continued):
            return None
        if kind == "first":
            tasks = [task for task in tasks if task < placed[0]]
        elif kind in ("between", "twice", "replaced"):
            tasks = [task for task in tasks if placed[0] < task]
        elif kind == "settled":
            tasks = tasks[len(tasks) // 2 :]
        return self.chance.choice(tasks) if tasks else None

    async def _send_reset(self, workflow: str, run: str, point: int) -> str:
        answer: Any = await self.client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=self.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=workflow, run_id=run),
                reason="chaos",
                workflow_task_finish_event_id=point,
                request_id=str(uuid.uuid4()),
            )
        )
        self._touched.add(workflow.removeprefix(campaign_id("")))
        return str(answer.run_id)
