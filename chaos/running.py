"""One chaos run: the whole system as processes, a load, mischief meanwhile, and the books at the end."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from activities.contracts import campaign_id
from campaigns.definition import Definition
from chaos import load
from chaos.agreement import agreement
from chaos.figures import Figures, waits
from chaos.mischief import Mischief
from chaos.processes import Fleet, Panel, Server, build, set_current
from connection import connect
from workflows.starting import AlreadyStartedError, start_campaign

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from chaos.load import Document

PAGE = 500
_QUERY = timedelta(seconds=10)
LOOKS_EVERY = 1.0
STUCK_AFTER = 240.0
"""Seconds without any progress at the end, after which what is left counts as lost."""
LAST_CHANCE = 30.0
"""Seconds that mischief has left when no campaign will come any more to which it could be done."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How big, how long, and how much of what goes wrong."""

    orders: int = 600
    minutes: float | None = None
    """At most so long, whatever the number of orders."""
    workers: int = 3
    kills: int = 0
    server_kills: int = 0
    outages: int = 0
    resets: int = 0
    again: int = 0
    faults: float = 0.0
    upgrade: bool = False
    seed: int = 1
    size: int = 100
    """Orders in a campaign."""
    at_once: int = 4
    """Campaigns that run together."""
    speed: float = 3600.0
    hasty: bool = False
    """Give up in seconds what a killed worker had on the wire, instead of after 45."""


@dataclass
class _Campaign:
    name: str
    document: Document
    ended: bool = False


@dataclass
class Run:
    """A run that is under way."""

    wanted: Wanted
    folder: Path
    server: Server
    panel: Panel
    fleet: Fleet
    client: Client
    chance: random.Random
    campaigns: list[_Campaign] = field(default_factory=list)
    planned: int = 0
    reports: list[Document] = field(default_factory=list)
    terminated: list[Document] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    _fed: bool = False

    def progress(self) -> float:
        """How much of the load is in the panel's books, or how much of the time is over."""
        # When everything has ended, no further order can bring on the mischief that waits for it.
        over = self._fed and all(campaign.ended for campaign in self.campaigns)
        shares = [self.panel.orders / self.wanted.orders, 1.0 if over else 0.0]
        if self.wanted.minutes is not None:
            shares.append((time.monotonic() - self.began) / (60 * self.wanted.minutes))
        return max(shares)

    async def feed(self) -> None:
        """Start campaigns, some at once, until the load is complete."""
        while self.progress() < 1 and self.planned < self.wanted.orders:
            if self._running >= self.wanted.at_once:
                await asyncio.sleep(0.2)
            else:
                await self._start_next(min(self.wanted.size, self.wanted.orders - self.planned))
        self._fed = True

    async def feed_mischief(self, is_done: Callable[[], bool]) -> None:
        """Start more campaigns, one at a time, while mischief is left that wants a running one nobody touched yet."""
        for _ in range(self.wanted.resets + self.wanted.again):
            while self._running and not is_done():
                await asyncio.sleep(0.2)
            if is_done() or self.fleet.is_hopeless:
                return
            await self._start_next(self.wanted.size)

    @property
    def _running(self) -> int:
        return sum(not campaign.ended for campaign in self.campaigns)

    async def _start_next(self, size: int) -> None:
        name = f"c{len(self.campaigns) + 1}"
        document, planned = load.campaign(name, size, self.chance, "2s" if self.wanted.hasty else "5s")
        self.planned += planned
        await self._start(document)
        self.campaigns.append(_Campaign(name, document))

    async def _start(self, document: Document, *, again: bool = False) -> None:
        while not self.fleet.is_hopeless:
            try:
                await start_campaign(self.client, Definition.model_validate(document), again=again)
            except AlreadyStartedError:
                return  # an answer was lost, not the start
            except RPCError:
                await asyncio.sleep(0.5)
            else:
                return

    async def look(self) -> None:
        """Note which campaigns have ended; a reset may open one again."""
        for campaign in self.campaigns:
            status = await self._status(campaign.name)
            if status is not None:
                campaign.ended = status is not WorkflowExecutionStatus.RUNNING

    async def _status(self, name: str) -> WorkflowExecutionStatus | None:
        try:
            return (await self.client.get_workflow_handle(campaign_id(name)).describe()).status
        except RPCError:
            return None

    async def restart(self, name: str) -> bool:
        """Terminate a campaign in the middle, keep its rows, and start it again."""
        handle = self.client.get_workflow_handle(campaign_id(name))
        try:
            description = await handle.describe()
            summary: Document = await handle.query("progress", rpc_timeout=_QUERY)
            if description.status is not WorkflowExecutionStatus.RUNNING or not summary.get("counts", {}).get(
                "completed"
            ):
                return False
            this = self.client.get_workflow_handle(campaign_id(name), run_id=description.run_id)
            await this.terminate("chaos")
        except Exception:  # noqa: BLE001 - it ended or continued meanwhile, or the server is down: another one, then
            return False
        self.terminated += await self._rows(name, description.run_id)
        document = next(campaign.document for campaign in self.campaigns if campaign.name == name)
        self.planned += len(document["orders"])
        await self._start(document, again=True)
        return True

    async def _rows(self, name: str, run: str) -> list[Document]:
        handle = self.client.get_workflow_handle(campaign_id(name), run_id=run)
        rows: list[Document] = []
        while not self.fleet.is_hopeless:
            try:
                page = await handle.query("orders", {"offset": len(rows), "limit": PAGE}, rpc_timeout=_QUERY)
            except Exception:  # noqa: BLE001 - the workers or the server may be down just now
                await asyncio.sleep(0.5)
                continue
            rows += page
            if len(page) < PAGE:
                break
        return rows

    async def finish(self) -> None:
        """Wait for every campaign's end and take its report."""
        last, moved = (-1, -1), time.monotonic()
        while True:
            await self.look()
            left = [campaign for campaign in self.campaigns if not campaign.ended]
            if not left:
                break
            now = (len(left), self.panel.orders)
            if now != last:
                last, moved = now, time.monotonic()
            if time.monotonic() - moved > STUCK_AFTER or self.fleet.is_hopeless:
                break
            await asyncio.sleep(LOOKS_EVERY)
        for campaign in self.campaigns:
            self.reports.append(await self._report(campaign))

    async def _report(self, campaign: _Campaign) -> Document:
        handle = self.client.get_workflow_handle(campaign_id(campaign.name), result_type=dict)
        if campaign.ended:
            try:
                report: Document = await handle.result()
            except Exception as error:  # noqa: BLE001 - a campaign that failed is a finding like any other
                cause = getattr(error, "cause", error)
                return _nothing(handle.id, f"{type(cause).__name__}: {cause}")
            else:
                return report
        return _nothing(handle.id, "never ended")


def _nothing(campaign: str, why: str) -> Document:
    row = {"order": "*", "run": 0, "panel_order": None, "state": "unknown", "why": why}
    return {"id": campaign, "spent": "0", "reserved": "0", "orders": [row]}


@asynccontextmanager
async def opened(wanted: Wanted, folder: Path) -> AsyncIterator[Run]:
    """Start the server, the panel and the workers; end them with the block."""
    async with AsyncExitStack() as stack:
        server = Server(folder, continue_at=400)
        stack.push_async_callback(server.stop)
        await server.start()
        settings = {
            "speed": wanted.speed,
            "seed": wanted.seed,
            "opening_balance": "1000000.00",
            "faults": load.storm(wanted.faults) if wanted.faults else [],
        }
        panel = Panel(folder, settings)
        stack.push_async_callback(panel.stop)
        await panel.start()
        account = {
            "requests_per_minute": 60_000,
            "poll_every": "1s",
            "probe_every": "1s",
            "allowed_targets": [load.ALLOWED],
        }
        fleet = Fleet(folder, server.address, panel.url, account, "chaos.hasty" if wanted.hasty else "worker")
        stack.push_async_callback(fleet.stop)
        client = await connect(server.address)
        run = Run(wanted, folder, server, panel, fleet, client, random.Random(wanted.seed))  # noqa: S311
        for _ in range(wanted.workers):
            fleet.add(build("1") if wanted.upgrade else None)
        if wanted.upgrade:
            await set_current(server.address, "1")
        yield run


async def chaos(wanted: Wanted, folder: Path) -> Figures:
    """Run it, and hold the reports against the books."""
    async with opened(wanted, folder) as run:
        mischief = Mischief(
            run.server,
            run.panel,
            run.fleet,
            run.client,
            random.Random(wanted.seed + 1),  # noqa: S311
            run.progress,
            lambda: [campaign.name for campaign in run.campaigns],
            run.restart,
        )
        doing: dict[str, Coroutine[Any, Any, None]] = {
            "worker kills": mischief.spread(wanted.kills, mischief.kill_worker),
            "server kills": mischief.spread(wanted.server_kills, mischief.kill_server),
            "outages of the panel": mischief.spread(wanted.outages, mischief.take_panel_down),
            "resets": mischief.spread(wanted.resets, mischief.reset),
            "starts again": mischief.spread(wanted.again, mischief.start_again),
        }
        if wanted.upgrade:
            doing["upgrade"] = mischief.spread(1, lambda _: _upgrade(run))
        undone = await _do_all(run, doing)
        await run.finish()
        seconds = time.monotonic() - run.began
        ledger = await run.panel.ledger()
        ended_at = time.time()
        kills = [*run.fleet.kills, *mischief.server_kills]
        return Figures(
            agreement=agreement(ledger, run.reports, run.terminated),
            seconds=seconds,
            campaigns=len(run.campaigns),
            kills=run.fleet.counted,
            server_kills=len(mischief.server_kills),
            resets=mischief.resets,
            outages=mischief.outages,
            again=mischief.again,
            faults=sum(count for name, count in ledger["faults"].items() if name.startswith("add:")),
            adds=ledger["requests"].get("add", 0),
            waits=waits(ledger, ended_at, kills),
            trouble=[*run.fleet.trouble, *(f"not all done: {what}" for what in undone)],
        )


async def _do_all(run: Run, doing: dict[str, Coroutine[Any, Any, None]]) -> list[str]:
    """Feed the load while mischief is done; give what could not be done in the end. Never waits for ever."""
    tasks = {what: asyncio.create_task(each) for what, each in doing.items()}
    looking = asyncio.create_task(_look_on(run))
    feeding = asyncio.create_task(_feed_all(run, lambda: all(task.done() for task in tasks.values())))
    try:
        left = {feeding, *tasks.values()}
        while feeding in left:
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        if left:
            done, left = await asyncio.wait(left, timeout=LAST_CHANCE)
            for task in done:
                task.result()
        return [what for what, task in tasks.items() if task in left]
    finally:
        for task in (looking, feeding, *tasks.values()):
            task.cancel()


async def _feed_all(run: Run, is_done: Callable[[], bool]) -> None:
    await run.feed()
    await run.feed_mischief(is_done)


async def _look_on(run: Run) -> None:
    while True:
        await asyncio.sleep(LOOKS_EVERY)
        await run.look()


async def _upgrade(run: Run) -> None:
    """Add workers of a new build, make it current, and take the old ones away."""
    old = list(range(1, run.wanted.workers + 1))
    for _ in old:
        run.fleet.add(build("2"))
    await set_current(run.server.address, "2")
    for slot in old:
        code = await run.fleet.leave(slot)
        if code != 0:
            run.fleet.trouble.append(f"worker {slot} of the old build ended with {code}")
