"""The same load under the same faults and kills on plain defaults, and how many orders that buys twice."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from temporalio.client import Client

from chaos import load, plain
from chaos.processes import Fleet, Panel, Server

if TYPE_CHECKING:
    from pathlib import Path

    from chaos.running import Wanted


def forms(wanted: Wanted) -> list[list[plain.Form]]:
    """Give the load's order runs as plain requests, campaign by campaign; each has a link of its own."""
    chance = random.Random(wanted.seed)  # noqa: S311
    campaigns: list[list[plain.Form]] = []
    planned = 0
    while planned < wanted.orders:
        document, count = load.campaign(
            f"c{len(campaigns) + 1}", min(wanted.size, wanted.orders - planned), chance, "5s"
        )
        planned += count
        requests: list[plain.Form] = []
        for order in document["orders"]:
            runs = order["drip"]["runs"] if "drip" in order and order["drip"].get("by") != "panel" else 1
            requests += [
                {
                    "service": order["service"],
                    "link": f"{order['link']}/{run}",
                    "quantity": max(order["quantity"] // runs, 100) if runs > 1 else order["quantity"],
                }
                for run in range(1, runs + 1)
            ]
        campaigns.append(requests)
    return campaigns


async def baseline(wanted: Wanted, folder: Path) -> dict[str, Any]:
    """Run it; give the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        server = Server(folder, continue_at=4096)
        stack.push_async_callback(server.stop)
        await server.start()
        settings = {"speed": wanted.speed, "seed": wanted.seed, "opening_balance": "1000000.00"}
        panel = Panel(folder, settings | {"faults": load.storm(wanted.faults) if wanted.faults else []})
        stack.push_async_callback(panel.stop)
        await panel.start()
        fleet = Fleet(folder, server.address, panel.url, {}, "chaos.plain")
        stack.push_async_callback(fleet.stop)
        for _ in range(wanted.workers):
            fleet.add({plain.URL_VARIABLE: panel.url})
        client = await Client.connect(server.address)
        campaigns = forms(wanted)
        orders = sum(len(requests) for requests in campaigns)
        began = time.monotonic()
        killing = asyncio.create_task(_kill(wanted, fleet, panel, orders))
        room = asyncio.Semaphore(wanted.at_once)

        async def one(number: int, requests: list[plain.Form]) -> None:
            async with room:
                handle = await client.start_workflow(
                    plain.Plain.run, requests, id=f"plain/{number}", task_queue=plain.QUEUE
                )
                await handle.result()

        await asyncio.gather(*(one(number, requests) for number, requests in enumerate(campaigns)))
        killing.cancel()
        ledger = await panel.ledger()
        return _figures(wanted, orders, ledger, fleet) | {"seconds": round(time.monotonic() - began, 1)}


async def _kill(wanted: Wanted, fleet: Fleet, panel: Panel, orders: int) -> None:
    chance = random.Random(wanted.seed + 1)  # noqa: S311
    for number in range(wanted.kills):
        while panel.orders < orders * (number + chance.random()) / wanted.kills:
            await asyncio.sleep(0.1)
        fleet.kill(chance)


def _figures(wanted: Wanted, orders: int, ledger: dict[str, Any], fleet: Fleet) -> dict[str, Any]:
    booked = Counter(line["link"] for line in ledger["orders"])
    first: dict[str, Decimal] = {}
    for line in reversed(ledger["orders"]):
        first.setdefault(line["link"], Decimal(line["charged"]))
    charged = sum((Decimal(line["charged"]) for line in ledger["orders"]), Decimal(0))
    return {
        "holds": True,
        "orders_wanted": orders,
        "orders_bought": len(ledger["orders"]),
        "duplicates": sum(count - 1 for count in booked.values()),
        "lost": orders - len(booked),
        "charged_too_much": str(charged - sum(first.values(), Decimal(0))),
        "add_requests": ledger["requests"].get("add", 0),
        "faults_on_add": sum(count for name, count in ledger["faults"].items() if name.startswith("add:")),
        "share_of_faults": wanted.faults,
        "worker_kills": fleet.counted.total(),
    }
