"""Panels that nobody here wrote the client for: other v2 dialects, with integer ids and errors under HTTP 200."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from tests.system.rig import KEY, LINK, ledger_agrees, states

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.system.rig import Report, Rig


def _orders() -> list[dict[str, Any]]:
    return [
        {"id": "seed", "service": 1, "quantity": 500},
        {
            "id": "views",
            "service": 2,
            "quantity": 10_000,
            "after": "seed",
            "concurrent": True,
            "drip": {"runs": 10, "every": "1s"},
        },
        {"id": "more", "service": 1, "quantity": 300, "after": {"order": "views", "when": "placed"}},
    ]


async def test_the_sandbox_in_another_dialect_settles_with_exactly_the_planned_orders(rig: Rig) -> None:
    box = await rig.sandbox(dialect="classic", idempotent=True, speed=3600)
    await rig.work(box.url)
    orders = [order | {"service": {1: 102, 2: 101}[order["service"]]} for order in _orders()]
    report = await rig.result(await rig.start(rig.document(orders)))
    assert set(states(report).values()) == {"completed"}
    assert len(report["orders"]) == 12
    ledger_agrees(box.ledger(), report)


class StockPanel:
    """A stock v2 panel from its conventions alone: integer ids, Title Case, numbers as numbers, 200 for everything."""

    def __init__(self) -> None:
        self.orders: dict[int, dict[str, Any]] = {}
        self.balance = Decimal(100)
        self.requests: list[str] = []
        self.url = ""

    def answer(self, form: dict[str, str]) -> Any:
        """Answer one call."""
        self.requests.append(form.get("action", ""))
        if form.get("key") != KEY:
            return {"error": "Invalid API key"}
        match form.get("action"):
            case "services":
                return [
                    {"service": 1, "name": "Fast views", "type": "Default", "category": "Views", "rate": 1.2},
                    {"service": "2", "name": "Views", "type": "Default", "category": "Views", "rate": "0.90"},
                ]
            case "add":
                return self.add(form)
            case "status":
                ids = [int(order) for order in form.get("orders", "").split(",") if order]
                return {str(order): self.status(order) for order in ids} if ids else self.status(int(form["order"]))
            case "balance":
                return {"balance": float(self.balance), "currency": "USD"}
        return {"error": "Incorrect request"}

    def add(self, form: dict[str, str]) -> Any:
        """Book an order; this kind of panel happens to honour request_id."""
        for number, order in self.orders.items():
            if order["request_id"] == form["request_id"]:
                return {"order": number}
        charge = Decimal(form["quantity"]) * {"1": Decimal("1.2"), "2": Decimal("0.90")}[form["service"]] / 1000
        self.balance -= charge
        number = 23_500 + len(self.orders)
        self.orders[number] = {**form, "charge": charge, "at": time.monotonic()}
        return {"order": number}

    def status(self, number: int) -> Any:
        """Give an order's status, spelt as stock panels do."""
        order = self.orders.get(number)
        if order is None:
            return {"error": "Incorrect order ID"}
        age = time.monotonic() - order["at"]
        quantity = int(order["quantity"])
        word, remains = ("In progress", quantity // 2) if age > 0.5 else ("Processing", quantity)
        if age > 1.5:
            word, remains = "Completed", 0
        return {
            "charge": float(order["charge"]),
            "start_count": 3572,
            "status": word,
            "remains": remains,
            "currency": "USD",
        }


async def _serve(panel: StockPanel, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        form = {name: values[0] for name, values in parse_qs((await reader.readexactly(length)).decode()).items()}
        body = json.dumps(panel.answer(form)).encode()
        kind = b"Content-Type: text/html; charset=UTF-8\r\n"  # as PHP does when nobody says otherwise
        writer.write(
            b"HTTP/1.1 200 OK\r\n" + kind + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
        )
        await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def _running(panel: StockPanel) -> AsyncIterator[StockPanel]:
    server = await asyncio.start_server(lambda r, w: _serve(panel, r, w), "127.0.0.1", 0)
    async with server:
        panel.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v2"
        yield panel


async def test_a_stock_v2_panel_of_its_own_settles_with_exactly_the_planned_orders(rig: Rig) -> None:
    async with _running(StockPanel()) as panel:
        async with rig.workers(panel.url):
            report: Report = await rig.result(await rig.start(rig.document(_orders())))
        assert set(states(report).values()) == {"completed"}
        booked = {str(number): order for number, order in panel.orders.items()}
        assert {row["panel_order"]: row["request_id"] for row in report["orders"]} == {
            number: order["request_id"] for number, order in booked.items()
        }
        assert sorted(int(order["quantity"]) for order in booked.values()) == [300, 500, *[1000] * 10]
        assert all(order["link"] == LINK for order in booked.values())
        assert Decimal(report["spent"]) == 100 - panel.balance
