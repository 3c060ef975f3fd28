"""``make chaos`` in short: everything goes wrong at once, on real processes, and the books agree with the reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaos.running import Wanted, chaos

if TYPE_CHECKING:
    from pathlib import Path


async def test_whatever_is_killed_reset_or_lost_each_order_is_in_the_books_once(tmp_path: Path) -> None:
    wanted = Wanted(
        orders=40, size=12, workers=2, kills=3, server_kills=1, resets=2, again=1, faults=0.3, seed=3, hasty=True
    )
    figures = await chaos(wanted, tmp_path)
    assert figures.holds, "\n".join([*figures.agreement.told(), *figures.trouble])
    assert figures.agreement.orders >= wanted.orders
    assert figures.faults > 0
    assert figures.kills.total() >= 2
    assert (figures.server_kills, figures.resets.total(), figures.again) == (1, 2, 1)
