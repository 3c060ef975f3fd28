"""The commands that keep running: ``dev`` and ``sandbox``."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from commands.console import DONE, FAILED, INVALID, CommandError, emit_line, err, plain, say
from commands.stopping import Stop
from configuration import load_configuration
from connection import connect_embedded
from dev_files import DevFiles, DevServer
from embedded import embedded_temporal
from sandbox.faults import BadFaultError
from sandbox.server import running
from sandbox.settings import SandboxSettings
from worker import running_workers

if TYPE_CHECKING:
    from embedded import Embedded


async def dev(port: int, ui_port: int) -> int:
    """Run the embedded Temporal with a file store, and a worker, until stopped."""
    configuration = load_configuration()
    files = DevFiles()
    stop = Stop("stopping: what is on its way is finished first; Ctrl-C again to stop at once")
    with files.held():
        known = files.database.exists()
        async with AsyncExitStack() as stack:
            start = embedded_temporal(database=files.database, port=port, ui_port=ui_port, log=files.log)
            server = await stack.enter_async_context(start)
            stop.on_force.append(server.process.kill)
            client = await connect_embedded(server.address)
            await stack.enter_async_context(running_workers(client, configuration))
            files.tell(DevServer(address=server.address, ui=server.ui, pid=os.getpid()))
            _introduce(server, (port, ui_port), known=known, files=files)
            return await _until(stop, server)


def _introduce(server: Embedded, wanted: tuple[int, int], *, known: bool, files: DevFiles) -> None:
    for word, port, address in zip(("port", "Web UI's port"), wanted, (server.address, server.ui), strict=True):
        if port and address.rpartition(":")[2] != str(port):
            say(f"the {word} {port} is taken, so this is on {address.rpartition(':')[2]}", "yellow")
    say(f"Temporal Web UI  {server.ui}", "bold")
    say(f"address          {server.address}   (found by itself in this folder;")
    say(f"                 elsewhere: export TEMPORAL_ADDRESS={server.address})")
    say(f"store            {files.database}{', continued' if known else ''}")
    say(f"log              {files.log}")
    say("a worker is up; Ctrl-C stops, and the next start carries on", "green")


async def _until(stop: Stop, server: Embedded) -> int:
    asked, gone = asyncio.create_task(stop.asked.wait()), asyncio.create_task(server.process.wait())
    await asyncio.wait((asked, gone), return_when=asyncio.FIRST_COMPLETED)
    if not asked.done():
        asked.cancel()
        say("the embedded Temporal server ended by itself; its log is .campaigner/temporal.log", "red")
        return FAILED
    gone.cancel()
    return DONE


@dataclass(frozen=True)
class SandboxOptions:
    """What `campaigner sandbox` may be told."""

    port: int
    db: str
    speed: float
    balance: str
    faults: tuple[str, ...]
    seed: int
    dialect: str
    local_webhooks: bool
    control: bool


async def practise(options: SandboxOptions, *, as_machine: bool) -> int:
    """Run the sandbox until stopped."""
    try:
        dialect: Literal["notpanel", "classic"] = "classic" if options.dialect == "classic" else "notpanel"
        settings = SandboxSettings(
            port=options.port,
            db=options.db,
            speed=options.speed,
            opening_balance=options.balance,
            faults=options.faults,
            seed=options.seed,
            dialect=dialect,
            allow_private_webhooks=options.local_webhooks,
            control=options.control,
        )
    except ArithmeticError:
        raise CommandError(f"{plain(options.balance)} is not an amount of money, such as 1000.00", INVALID) from None
    except (ValueError, BadFaultError) as error:
        raise CommandError(f"the sandbox cannot start like this: {plain(error)}", INVALID) from None
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    stop = Stop()
    async with AsyncExitStack() as stack:
        try:
            box = await stack.enter_async_context(running(settings))
        except sqlite3.Error as error:
            told = f"the books cannot be kept in {plain(options.db)}: {plain(error)}"
            raise CommandError(f"{told}; the folder must exist, and the file be the sandbox's own") from None
        if as_machine:
            emit_line({"url": box.url, "ledger": box.base_url, "api_key": "sandbox-key", "port": box.port})
        if options.port not in (0, box.port):
            say(f"the port {options.port} is taken, so this is on {box.port}", "yellow")
        say(f"panel    {box.url}   (API key sandbox-key)", "bold")
        say(f"ledger   {box.base_url}/   and as JSON {box.base_url}/ledger.json")
        say(f"in campaigner.yaml:  url: {box.url}   api_key: ${{SANDBOX_KEY}}   with SANDBOX_KEY=sandbox-key")
        err().file.flush()
        await stop.asked.wait()
    return DONE
