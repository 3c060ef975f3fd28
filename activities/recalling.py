"""What was sent before a reset: read from the histories of the runs that the reset replaced.

A reset run forgets what its predecessor did after the reset point, and starts the same placements again, with the same
request ids. As long as the panel remembers those, it answers as it did the first time. Later only Temporal knows: the
histories of the replaced run, and of what it continued as, still hold every placement and its outcome. So do those of
the runs that other resets of the same campaign made, which only Temporal's list of runs knows.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import PLACE_ORDER, PlaceOrder, PlaceOutcome
from campaigns.remembering import Sendings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.api.common.v1 import Payloads
    from temporalio.api.history.v1 import WorkflowExecutionStartedEventAttributes
    from temporalio.client import Client

    from campaigns.remembering import Sent

Kind = TypeVar("Kind")
_Key: TypeAlias = tuple[str, str, tuple[str, ...]]
"""Workflow id, run id, and the reset runs before it."""
_KEPT = 8
"""Chains of replaced runs that a worker keeps in mind."""
_SETTLES = 15.0
"""Seconds after which a run stands in the list of runs, with a wide margin."""


@dataclass(slots=True)
class _Chain:
    """What was read of one chain of runs."""

    sendings: Sendings
    read_at: float
    settled: bool
    """The list of runs may lag behind; read once more a while later, it is trusted for good."""


class Memory:
    """Finds earlier placements in the histories of the runs that resets replaced."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._chains: OrderedDict[_Key, _Chain] = OrderedDict()
        self._readings: dict[_Key, asyncio.Task[Sendings]] = {}
        """Those on their way: every placement of a reset run wants the same histories, all at once."""

    async def recall(
        self, workflow_id: str, run_id: str, resets: Sequence[str], request_id: str, key: str
    ) -> tuple[Sent | None, bool]:
        """Look for an earlier sending of ``request_id``.

        Args:
            workflow_id: the campaign's workflow.
            run_id: the run that asks.
            resets: the run ids of its chain that were made by a reset.
            request_id: of the placement.
            key: its order run.

        Returns:
            The earlier sending, if there was one; and whether every history was still there to look at.

        """
        sendings = await self.sendings(workflow_id, run_id, resets)
        return sendings.find(request_id, key), sendings.complete

    async def sendings(self, workflow_id: str, run_id: str, resets: Sequence[str]) -> Sendings:
        """Give everything that the replaced runs have sent."""
        if not resets:
            return Sendings()
        key = (workflow_id, run_id, tuple(resets))
        now = time.monotonic()
        chain = self._chains.get(key)
        if chain is None or (not chain.settled and now - chain.read_at > _SETTLES):
            read = await self._shared_read(key)
            self._chains[key] = chain = _Chain(read, now, settled=chain is not None)
            while len(self._chains) > _KEPT:
                self._chains.popitem(last=False)
        return chain.sendings

    async def _shared_read(self, key: _Key) -> Sendings:
        """Read once for all who wait; an activity that is given up meanwhile does not end the reading."""
        reading = self._readings.get(key)
        if reading is None:
            self._readings[key] = reading = asyncio.create_task(self._read(*key))
            reading.add_done_callback(lambda done: self._has_read(key, done))
        return await asyncio.shield(reading)

    def _has_read(self, key: _Key, done: asyncio.Task[Sendings]) -> None:
        del self._readings[key]
        if not done.cancelled():
            done.exception()  # looked at, also where nobody waits any more

    async def _read(self, workflow_id: str, run_id: str, resets: Sequence[str]) -> Sendings:
        """Read every replaced run, what it continued as, and what it itself had replaced."""
        chain = Sendings()
        first, own = await self._lineage(workflow_id, run_id)
        seen = own | set(resets)
        # Of the reset runs themselves only the marker counts: their own placements are the caller's.
        waiting = [base for run in resets for base in await self._related(workflow_id, run, chain, own=True)]
        waiting += await self._others(workflow_id, first, seen)
        while waiting:
            run = waiting.pop()
            if run not in seen:
                seen.add(run)
                waiting += await self._related(workflow_id, run, chain)
        return chain

    async def _related(self, workflow_id: str, run_id: str, chain: Sendings, *, own: bool = False) -> list[str]:
        """Scan a run; where its history is gone with the namespace's retention, the chain is not complete."""
        try:
            return await self._scan(workflow_id, run_id, None if own else chain)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            chain.complete = False
            return []

    async def _lineage(self, workflow_id: str, run_id: str) -> tuple[str, set[str]]:
        """Give the first run's id, and the runs whose outcomes the campaign knows: this one and those it continues."""
        first, own = "", set[str]()
        while run_id and run_id not in own:
            own.add(run_id)
            start = await self._start(workflow_id, run_id)
            if start is None:
                break
            first = start.first_execution_run_id
            run_id = start.continued_execution_run_id
        return first, own

    async def _others(self, workflow_id: str, first: str, known: set[str]) -> list[str]:
        """Name all other runs with the same root of keys: a run may be reset again after a reset has replaced it.

        No history leads there: of a run's resets Temporal tells only the last. ``start --again`` has another root.
        """
        found = []
        async for run in self._client.list_workflows(f"WorkflowId = {_quoted(workflow_id)}"):
            if run.run_id not in known:
                start = await self._start(workflow_id, run.run_id)
                if start is not None and start.first_execution_run_id == first:
                    found.append(run.run_id)
        return found

    async def _start(self, workflow_id: str, run_id: str) -> WorkflowExecutionStartedEventAttributes | None:
        """Read how a run began; None for a run whose history is gone."""
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id)
        try:
            async for event in handle.fetch_history_events(page_size=1):
                return event.workflow_execution_started_event_attributes
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        return None

    async def _scan(self, workflow_id: str, run_id: str, chain: Sendings | None) -> list[str]:
        """Note a run's placements in ``chain``; give the runs it replaced and the one it continued as."""
        related: list[str] = []
        scheduled: dict[int, str] = {}
        lost: dict[int, datetime | None] = {}
        """When a placement without an answer was given up; None while it is not."""
        end: datetime | None = None
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id)
        async for event in handle.fetch_history_events():
            end = event.event_time.ToDatetime(tzinfo=UTC)
            match event.event_type:
                case EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                    failed = event.workflow_task_failed_event_attributes
                    if failed.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW:
                        related.append(failed.base_run_id)
                case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW if chain is not None:
                    related.append(event.workflow_execution_continued_as_new_event_attributes.new_execution_run_id)
                case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED if chain is not None:
                    asked = event.activity_task_scheduled_event_attributes
                    if asked.activity_type.name == PLACE_ORDER:
                        order = await self._decode(asked.input, PlaceOrder)
                        scheduled[event.event_id], lost[event.event_id] = order.form.request_id, None
                        chain.send(order.form.request_id, order.key, end, order.form)
                case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED if chain is not None:
                    done = event.activity_task_completed_event_attributes
                    request_id = scheduled.get(done.scheduled_event_id)
                    if request_id is not None:
                        del lost[done.scheduled_event_id]
                        chain.answer(request_id, (await self._decode(done.result, PlaceOutcome)).event)
                case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
                    _give_up(lost, event.activity_task_failed_event_attributes.scheduled_event_id, end)
                case EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
                    _give_up(lost, event.activity_task_timed_out_event_attributes.scheduled_event_id, end)
                case _:
                    pass
        if chain is not None and end is not None:
            for number, at in lost.items():  # what was on its way when the run ended may have been sent until then
                chain.lose(scheduled[number], at or end)
        return related

    async def _decode(self, payloads: Payloads, kind: type[Kind]) -> Kind:
        values = await self._client.data_converter.decode(payloads.payloads, [kind])
        value: Kind = values[0]
        return value


def _give_up(lost: dict[int, datetime | None], scheduled: int, at: datetime) -> None:
    if scheduled in lost:
        lost[scheduled] = at


def _quoted(text: str) -> str:
    """Write a value into a list query."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
