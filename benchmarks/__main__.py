"""``make bench``: the choices of the design as ratios, side by side in one run of a minute."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from benchmarks.engine import decisions_per_second
from benchmarks.files import planned_per_second
from benchmarks.shapes import orders_per_second

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 3
ORDERS = 100
SIZES = (100, 1_000, 10_000)


def _median(measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(ROUNDS))


def _rows() -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []

    def add(what: str, value: float, base: float, unit: str) -> None:
        rows.append((what, f"{value:,.0f} {unit}", f"{value / base:.2f}"))

    with tempfile.TemporaryDirectory() as folder:
        shapes = asyncio.run(orders_per_second(ORDERS, ROUNDS, Path(folder)))
    base = shapes["a child workflow an order"]
    for what, value in shapes.items():
        add(f"{ORDERS} orders placed and settled, {what}", value, base, "orders/s")
    engine = {size: _median(lambda size=size: decisions_per_second(size)) for size in SIZES}  # type: ignore[misc]
    for size, value in engine.items():
        add(f"engine: events applied and decided on, {size:,} runs", value, engine[SIZES[0]], "events/s")
    files = {orders: _median(lambda orders=orders: planned_per_second(orders)) for orders in (50, 500)}  # type: ignore[misc]
    for orders, value in files.items():
        add(f"a file of {orders} orders: read, checked and planned", value, files[50], "orders/s")
    return rows


def main() -> None:
    """Measure and print."""
    began = time.monotonic()
    table = Table(title=f"benchmarks, median of {ROUNDS} rounds in turn")
    for column, side in (("what", "left"), ("measured", "right"), ("ratio", "right")):
        shown: Any = side
        table.add_column(column, justify=shown)
    for row in _rows():
        table.add_row(*row)
    console = Console(width=110)
    console.print(table)
    console.print(
        "Ratios are within each group, to its first line (for the shapes: to a child workflow an order). "
        f"{time.monotonic() - began:.0f} s."
    )


if __name__ == "__main__":
    main()
