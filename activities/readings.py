"""What the panel answers about an order, as the engine and the audit read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns.messages import Reading, Status
from panel import Refused

if TYPE_CHECKING:
    from datetime import datetime

    from panel import OrderStatus


def unreadable(order: str, now: datetime) -> Reading:
    """Read an id that no request can carry."""
    return Reading(panel_order=order, status=Status.UNKNOWN, error="no panel could have given this id", observed_at=now)


def reading_of(order: str, answer: OrderStatus | Refused, now: datetime) -> Reading:
    """Read one row of a status answer."""
    if isinstance(answer, Refused):
        return Reading(panel_order=order, status=Status.UNKNOWN, error=answer.words or str(answer), observed_at=now)
    return Reading(
        panel_order=order,
        status=Status(answer.status.value),
        raw=answer.raw,
        charge=answer.charge,
        remains=answer.remains,
        start_count=answer.start_count,
        observed_at=now,
    )
