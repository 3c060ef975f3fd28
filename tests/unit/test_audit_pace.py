"""The audit's requests begin no closer to one another than its share of the account's limit lets them."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

from campaigns.patience import Patience
from commands.asking import _Asker

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Panel:
    """Notes when it was asked."""

    def __init__(self) -> None:
        self.asked_at: list[float] = []

    async def statuses(self, page: Sequence[str]) -> dict[str, Any]:
        self.asked_at.append(time.monotonic())
        return dict.fromkeys(page)


async def test_requests_are_paced() -> None:
    panel, patience = _Panel(), Patience(requests_per_minute=2400)
    asker = _Asker(panel, "main", patience)  # type: ignore[arg-type]
    for _ in range(4):
        await asker.statuses(["ord_1"])
    gaps = [later - earlier for earlier, later in itertools.pairwise(panel.asked_at)]
    # The first may be noted a little late, so the whole is what counts.
    assert sum(gaps) >= 2 * patience.pace.total_seconds()
