"""What the system tests stand on: the real server, real workers, the sandbox over HTTP, and the audit at the end."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import signal
import sys
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from temporalio.client import WorkflowExecutionStatus, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import CAMPAIGNS_QUEUE, account_id, campaign_id
from campaigns.definition import Definition
from configuration import AccountSettings, Configuration
from connection import connect
from sandbox.limits import Limits
from sandbox.server import Sandbox, running
from sandbox.settings import SandboxSettings
from worker import running_workers
from workflows.starting import start_campaign

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from contextlib import AbstractAsyncContextManager, AsyncExitStack

    from temporalio.client import Client, WorkflowHandle

    from embedded import Embedded

ROOT = Path(__file__).parents[2]
LINK = "https://example.com/brand/film"
IMPATIENT, LOUD = "tests/system/impatient_worker.py", "tests/system/loud_worker.py"
SKEWED = "tests/system/skewed_worker.py"
KEY = "sandbox-key"
PATIENCE = 60.0
"""Seconds that anything may take on a busy machine before a test gives up: a limit, never a measure."""
KEY_VARIABLE = "RIG_PANEL_KEY"
_STATES = {"fail": "failed", "inprogress": "in_progress"}

Report = dict[str, Any]
Document = dict[str, Any]


async def assert_eventually(
    check: Callable[[], Any] | Callable[[], Awaitable[Any]], within: float = PATIENCE, every: float = 0.1
) -> Any:
    """Call ``check`` until it neither fails an assertion nor gives False; give what it gave."""
    deadline = asyncio.get_running_loop().time() + within
    while True:
        try:
            value = check()
            value = await value if inspect.isawaitable(value) else value
            assert value is not False, f"never came true: {inspect.getsource(check).strip()}"
        except AssertionError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(every)
        else:
            return value


def ledger_agrees(ledger: Report, *reports: Report, ignore: Iterable[str] = ()) -> None:
    """Hold the reports of all campaigns against the panel's books: line by line and to the last digit."""
    ignored = set(ignore)
    booked = {str(line["order"]): line for line in ledger["orders"]}
    reported = {row["panel_order"]: row for report in reports for row in report["orders"] if row["panel_order"]}
    assert reported.keys() == booked.keys(), "the panel holds other orders than the reports"
    assert sum(1 for report in reports for row in report["orders"] if row["panel_order"]) == len(reported)
    for order, row in reported.items():
        line = booked[order]
        there = {
            "request_id": line["request_id"],
            "service": line["service"],
            "link": line["link"],
            "quantity": line["total"],
            "charge": Decimal(line["charge"]),
            "state": _state(line["status"]),
            "delivered": line["delivered"],
        }
        here = {name: row[name] for name in there} | {"charge": Decimal(row["charge"])}
        assert {k: v for k, v in here.items() if k not in ignored} == {
            k: v for k, v in there.items() if k not in ignored
        }, f"{row['order']}/{row['run']} differs from the panel's {order}"
    spent = sum((Decimal(report["spent"]) for report in reports), Decimal(0))
    assert Decimal(ledger["opening_balance"]) + Decimal(ledger["topped_up"]) - Decimal(ledger["balance"]) == spent
    assert all(Decimal(report["reserved"]) == 0 for report in reports)
    assert ledger["violations"] == []
    assert_each_once(ledger)


def assert_each_once(ledger: Report) -> None:
    """Hold that no request id was booked twice."""
    keys = [line["request_id"] for line in ledger["orders"] if line["request_id"]]
    assert len(keys) == len(set(keys)), "an order was placed twice"


def noon() -> str:
    """Name a time zone in which the day has many hours left."""
    offset = datetime.now(UTC).hour - 12
    return f"Etc/GMT{'+' if offset >= 0 else ''}{offset}"


def _state(status: str) -> str:
    word = status.lower().replace(" ", "_")
    return _STATES.get(word, word)


def states(report: Report) -> dict[str, str]:
    """Give the state of every row by its key."""
    return {f"{row['order']}/{row['run']}": row["state"] for row in report["orders"]}


@dataclass
class WorkerProcess:
    """A real ``python worker.py``, ended by its own process id only."""

    process: asyncio.subprocess.Process
    log: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def said(self) -> str:
        """Give everything it wrote so far."""
        return self.log.read_text(errors="replace")

    async def up(self) -> None:
        """Wait until it polls."""
        await assert_eventually(lambda: "worker is up" in self.said())

    async def kill(self) -> None:
        """End it as a crash would: nothing is finished."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> int:
        """End it as an operator does; give its exit code."""
        if self.process.returncode is None:
            self.process.terminate()
        return await self.process.wait()


@dataclass
class Rig:
    """One test's share of the server: an account of its own, campaign names of its own."""

    server: Embedded
    client: Client
    folder: Path
    stack: AsyncExitStack
    tag: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    processes: list[WorkerProcess] = field(default_factory=list)

    @property
    def account(self) -> str:
        """The account only this test uses."""
        return f"acc-{self.tag}"

    def name(self, base: str = "c") -> str:
        """Give a campaign name only this test uses."""
        return f"{base}-{self.tag}"

    async def sandbox(self, *, limits: Limits | None = None, **settings: Any) -> Sandbox:
        """Serve a sandbox until the test ends: fast, without a rate limit, with the control endpoints."""
        chosen: dict[str, Any] = {"speed": 600.0, "control": True, "limits": limits or Limits.off()} | settings
        return await self.stack.enter_async_context(running(SandboxSettings(**chosen)))

    def configuration(self, url: str, **account: Any) -> Configuration:
        """Give a configuration with this test's account."""
        chosen: dict[str, Any] = {
            "url": url,
            "api_key": SecretStr(KEY),
            "requests_per_minute": 6000,
            "poll_every": timedelta(seconds=0.4),
            "probe_every": timedelta(seconds=1),
            "allowed_targets": ["https://example.com/*"],
        } | account
        return Configuration(path="rig.yaml", accounts={self.account: AccountSettings(**chosen)})

    def workers(self, url: str, **account: Any) -> AbstractAsyncContextManager[None]:
        """Work in this process while the block lasts."""
        return running_workers(self.client, self.configuration(url, **account))

    async def work(self, url: str, **account: Any) -> None:
        """Work in this process until the test ends."""
        await self.stack.enter_async_context(self.workers(url, **account))

    async def worker_process(
        self, url: str, *, key: str = KEY, env: dict[str, str] | None = None, script: str = "worker.py", **account: Any
    ) -> WorkerProcess:
        """Start ``python worker.py`` with a configuration file and an environment, as an operator does.

        With ``script`` another one: :data:`IMPATIENT` gives up within seconds what a killed worker had on the wire,
        :data:`LOUD` logs everything.
        """
        number = len(self.processes) + 1
        chosen = {
            "url": url,
            "api_key": f"${{{KEY_VARIABLE}}}",
            "requests_per_minute": 6000,
            "poll_every": "1s",
            "probe_every": "1s",
            "allowed_targets": ["https://example.com/*"],
        } | account
        path = self.folder / f"campaigner-{number}.yaml"
        path.write_text(json.dumps({"accounts": {self.account: chosen}}))  # JSON is YAML too
        log = self.folder / f"worker-{number}.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
        environment |= {
            "CAMPAIGNER_CONFIG": str(path),
            "TEMPORAL_ADDRESS": self.server.address,
            KEY_VARIABLE: key,
            "PYTHONPATH": str(ROOT),
            **(env or {}),
        }
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(ROOT / script), stdout=output, stderr=output, env=environment, cwd=self.folder
            )
        started = WorkerProcess(process, log)
        self.processes.append(started)
        return started

    def document(self, orders: list[Document], name: str | None = None, **more: Any) -> Document:
        """Give a campaign in the file's own shape."""
        filled = [{"link": LINK, **order} for order in orders]
        return {"version": 1, "name": name or self.name(), "account": self.account, "orders": filled, **more}

    async def start(self, document: Document) -> WorkflowHandle[Any, Report]:
        """Start a campaign as the command line does."""
        return await start_campaign(self.client, Definition.model_validate(document))

    async def start_raw(self, *arguments: Any, name: str | None = None) -> WorkflowHandle[Any, Any]:
        """Start the workflow type with anything at all, as a foreign program may."""
        return await self.client.start_workflow(
            "Campaign", args=arguments, id=campaign_id(name or self.name()), task_queue=CAMPAIGNS_QUEUE
        )

    async def result(self, handle: WorkflowHandle[Any, Report], within: float = PATIENCE) -> Report:
        """Wait for a campaign's report."""
        async with asyncio.timeout(within):
            return await handle.result()

    async def until(self, handle: WorkflowHandle[Any, Report], check: Callable[[Report], Any]) -> Report:
        """Wait until the campaign's progress satisfies ``check``; give that progress."""

        async def looked() -> Report:
            # Before there is a plan there are no figures.
            try:
                asked: Report = await handle.query("progress")
            except WorkflowQueryFailedError as error:
                raise AssertionError(error.message) from None  # it moved on meanwhile
            progress = {"open": 0, "counts": {}, "why": ""} | asked
            assert check(progress) or progress["state"] == "failed", f"not yet: {progress}"
            return progress

        found: Report = await assert_eventually(looked)
        assert check(found), f"the campaign failed: {found}"
        return found

    async def control(self, box: Sandbox, what: str, **order: Any) -> None:
        """Turn one of the sandbox's knobs over HTTP."""
        import httpx  # noqa: PLC0415 - only here

        async with httpx.AsyncClient() as http:
            answer = await http.post(f"{box.base_url}/control/{what}", json=order)
            assert answer.status_code == 200, answer.text

    async def failures(self, handle: WorkflowHandle[Any, Any]) -> list[str]:
        """Give the workflow tasks of a run that failed: a wedged workflow has many. Resets are not counted."""
        history = await handle.fetch_history()
        return [
            event.workflow_task_failed_event_attributes.failure.message
            for event in history.events
            if event.HasField("workflow_task_failed_event_attributes")
            and event.workflow_task_failed_event_attributes.failure.message
            and not event.workflow_task_failed_event_attributes.base_run_id
        ]

    async def close(self) -> None:
        """End what this test started: its processes by their ids, its workflows by theirs."""
        for process in self.processes:
            await process.kill()
        ours = (campaign_id(""), account_id(""))
        async for execution in self.client.list_workflows('ExecutionStatus="Running"'):
            if execution.id.startswith(ours) and execution.status is WorkflowExecutionStatus.RUNNING:
                try:
                    await self.client.get_workflow_handle(execution.id).terminate("the test is over")
                except RPCError as error:
                    # The list may be behind: it ended by itself.
                    if error.status is not RPCStatusCode.NOT_FOUND:
                        raise


async def open_rig(server: Embedded, folder: Path, stack: AsyncExitStack) -> Rig:
    """Give a test its rig; everything ends with ``stack``."""
    rig = Rig(server=server, client=await connect(server.address), folder=folder, stack=stack)
    stack.push_async_callback(rig.close)
    return rig
