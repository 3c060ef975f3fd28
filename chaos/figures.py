"""The figures of a run, as a table and as JSON."""

from __future__ import annotations

import bisect
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chaos.agreement import Agreement
    from chaos.processes import Kill

SHOWN = 20
"""Lines of what is wrong, before the rest is counted."""


@dataclass(kw_only=True)
class Figures:
    """What a run did, and what came of it."""

    agreement: Agreement
    seconds: float
    campaigns: int
    kills: Counter[str] = field(default_factory=Counter)
    server_kills: int = 0
    resets: Counter[str] = field(default_factory=Counter)
    outages: int = 0
    again: int = 0
    faults: int = 0
    adds: int = 0
    waits: Mapping[str, list[float]] = field(default_factory=dict)
    """Seconds from a kill to the next order in the books, by what was killed."""
    trouble: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return self.agreement.holds and not self.trouble

    def as_json(self) -> dict[str, Any]:
        """Give them as JSON."""
        found = self.agreement
        return {
            "holds": self.holds,
            "seconds": round(self.seconds, 1),
            "campaigns": self.campaigns,
            "orders": found.orders,
            "order_runs": found.runs,
            "orders_per_second": round(found.orders / self.seconds, 1),
            "add_requests": self.adds,
            "faults_on_add": self.faults,
            "worker_kills": self.kills.total(),
            "worker_kills_by_point": dict(self.kills),
            "server_kills": self.server_kills,
            "panel_outages": self.outages,
            "resets": self.resets.total(),
            "resets_by_point": dict(self.resets),
            "terminated_and_started_again": self.again,
            "duplicates": len(found.duplicates),
            "lost": len(found.lost),
            "differences": len(found.differences),
            "violations": len(found.violations),
            "money_off": str(found.off),
            "seconds_to_next_order": {
                what: {"kills": len(each), "p50": round(percentile(each, 50), 2), "p99": round(percentile(each, 99), 2)}
                for what, each in self.waits.items()
            },
            "wrong": [*found.told(), *self.trouble],
        }


def waits(ledger: Mapping[str, Any], read_at: float, kills: Iterable[Kill]) -> dict[str, list[float]]:
    """Give, by what was killed, the seconds from each kill to the next order in the panel's books.

    After a kill without which nothing can go on, orders count from when it was up again: what the workers still had in
    hand is no sign of recovery. A kill after which no order was due at all is left out.
    """
    now, speed = datetime.fromisoformat(ledger["now"]), ledger["speed"]
    placed = sorted(
        read_at - (now - datetime.fromisoformat(line["placed_at"])).total_seconds() / speed for line in ledger["orders"]
    )
    found: dict[str, list[float]] = {}
    for kill in kills:
        position = bisect.bisect_left(placed, kill.back_at or kill.at)
        if position < len(placed):
            found.setdefault(kill.what, []).append(placed[position] - kill.at)
    everybody = [wait for what, each in found.items() if what != "server" for wait in each]
    return found | ({"any worker": everybody} if everybody else {})


def percentile(values: list[float], percent: int) -> float:
    """Give the value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def show(title: str, figures: Mapping[str, Any]) -> None:
    """Print the figures as a table, and what is wrong below it."""
    table = Table(title=title, show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, value in figures.items():
        if name == "wrong":
            continue
        if isinstance(value, dict):
            for what, each in value.items():
                text = "  ".join(f"{key} {one}" for key, one in each.items()) if isinstance(each, dict) else f"{each:,}"
                table.add_row(f"  {name.replace('_', ' ')}: {what}", text)
        else:
            table.add_row(name.replace("_", " "), f"{value:,}" if isinstance(value, int | float) else str(value))
    console = Console(width=110)
    console.print(table)
    wrong = figures.get("wrong", [])
    for line in wrong[:SHOWN]:
        console.print(line, markup=False)
    if len(wrong) > SHOWN:
        console.print(f"… and {len(wrong) - SHOWN} more")
