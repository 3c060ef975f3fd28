"""The books as one JSON document: what a test, a report or a person compares with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.catalog import CATALOG
from sandbox.clock import iso
from sandbox.dialects import money

if TYPE_CHECKING:
    from sandbox.books import Order
    from sandbox.desk import Desk
    from sandbox.faults import Faults


def ledger(desk: Desk, faults: Faults, *, newest: int | None = None) -> dict[str, Any]:
    """Everything booked so far, orders newest first; money as strings.

    `charge` is net of refunds, and `opening_balance + topped_up - balance` is the sum of all charges. `requests` counts
    requests by action, throttled ones included; `attempts` the `add` requests that carried each request_id.
    """
    now = desk.clock.now()
    desk.settle(now)
    books = desk.books
    throttled = books.counters("throttled")
    return {
        "balance": money(books.balance),
        "opening_balance": books.meta("opening_balance"),
        "topped_up": money(books.topped_up()),
        "currency": desk.settings.currency,
        "now": iso(now),
        "speed": desk.clock.speed,
        "count": books.count_orders(),
        "orders": [_row(desk, order, now) for order in books.newest(newest)],
        "violations": [
            {"at": iso(at), "kind": kind, "request_id": request_id, "detail": detail}
            for at, kind, request_id, detail in books.violations()
        ],
        "requests": books.counters("requests"),
        "attempts": books.counters("attempts"),
        "throttled": sum(throttled.values()),
        "throttled_by": throttled,
        "faults": dict(faults.fired),
    }


def _row(desk: Desk, order: Order, now: float) -> dict[str, Any]:
    seen = desk.snapshot(order, now)
    total = order.facts.total
    return {
        "order": desk.dialect.identifier(order.id),
        "request_id": order.request_id,
        "service": order.service,
        "service_name": CATALOG[order.service].name,
        "link": order.link,
        "quantity": order.quantity,
        "runs": order.runs,
        "interval": round(order.interval / 60),
        "total": total,
        "coupon": order.coupon,
        "status": desk.dialect.word(seen.status),
        "charge": money(order.charge),
        "charged": money(order.charged),
        "refunded": money(order.refunded),
        "delivered": seen.delivered,
        "remains": total - seen.delivered,
        "placed_at": iso(order.placed_at),
        "cancel_requested_at": iso(order.cancel_at),
        "ended_at": iso(order.ended_at),
        "refills": [id_ for id_, _, _ in order.refills],
    }
