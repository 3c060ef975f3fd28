"""The sandbox's books in SQLite: orders, every movement of money, remembered keys, counters, violations.

Money is TEXT holding a Decimal. `opening_balance + topped_up - balance == sum of net charges` holds after every commit.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from sandbox.progress import Facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, request_id TEXT, service INTEGER NOT NULL, link TEXT NOT NULL,
    quantity INTEGER NOT NULL, runs INTEGER NOT NULL, interval REAL NOT NULL, coupon TEXT, charged TEXT NOT NULL,
    refunded TEXT NOT NULL, start_count INTEGER NOT NULL, placed_at REAL NOT NULL, cancel_at REAL, due_at REAL,
    ended_at REAL, status TEXT, comments TEXT);
CREATE INDEX IF NOT EXISTS orders_due ON orders (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS orders_live ON orders (service, link) WHERE ended_at IS NULL;
CREATE TABLE IF NOT EXISTS refills (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, order_id TEXT NOT NULL, at REAL NOT NULL, base INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS refills_order ON refills (order_id);
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, amount TEXT NOT NULL, balance TEXT NOT NULL,
    order_id TEXT);
CREATE TABLE IF NOT EXISTS keys (
    request_id TEXT PRIMARY KEY, body TEXT NOT NULL, wall REAL NOT NULL, order_id TEXT, error TEXT, status INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS violations (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, request_id TEXT, detail TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS counters (
    kind TEXT NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS webhooks (
    id TEXT PRIMARY KEY, key TEXT NOT NULL, url TEXT NOT NULL, events TEXT NOT NULL, secret TEXT NOT NULL);
"""
_ORDER = (
    "seq, id, request_id, service, link, quantity, runs, interval, coupon, charged, refunded, start_count, placed_at, "
    "cancel_at, ended_at, status"
)
EntryKind = Literal["opening", "charge", "refund", "top_up"]
CounterKind = Literal["requests", "attempts", "throttled"]


@dataclass(frozen=True, slots=True)
class Order:
    """An order as booked; `charged` is what was taken at first, `refunded` what was given back since."""

    seq: int
    id: str
    request_id: str | None
    service: int
    link: str
    quantity: int
    runs: int
    interval: float  # sandbox seconds
    coupon: str | None
    charged: Decimal
    refunded: Decimal
    start_count: int
    placed_at: float
    cancel_at: float | None
    ended_at: float | None
    status: str | None
    refills: tuple[tuple[str, float, int], ...] = ()

    @property
    def charge(self) -> Decimal:
        """What the order costs after refunds."""
        return self.charged - self.refunded

    @property
    def facts(self) -> Facts:
        """What progress needs to know."""
        times = tuple((at, base) for _, at, base in self.refills)
        return Facts(self.quantity, self.runs, self.interval, self.placed_at, self.cancel_at, times)


@dataclass(frozen=True, slots=True)
class Remembered:
    """The answer an idempotency key stands for."""

    body: str
    wall: float
    order_id: str | None
    error: str | None
    status: int | None


class Books:
    """One SQLite connection; every method is safe from any thread, writes belong inside `transaction`."""

    def __init__(self, path: str, *, opening: Decimal, currency: str, now: float) -> None:
        self._lock = threading.RLock()
        self._counted: Counter[tuple[str, str]] = Counter()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        if self.meta("opened_at") is None:
            with self.transaction():
                self.set_meta("opened_at", repr(now))
                self.set_meta("currency", currency)
                self.set_meta("opening_balance", str(opening))
                self.set_meta("balance", "0")
                self.move("opening", opening, now)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything or nothing; not nested."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def meta(self, name: str) -> str | None:
        """A remembered value."""
        with self._lock:
            row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, name: str, value: str) -> None:
        """Remember a value."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    @property
    def balance(self) -> Decimal:
        """The account's money."""
        return Decimal(self.meta("balance") or "0")

    def move(self, kind: EntryKind, amount: Decimal, at: float, order_id: str | None = None) -> None:
        """Book money in (positive) or out (negative)."""
        balance = self.balance + amount
        self.set_meta("balance", str(balance))
        self._db.execute(
            "INSERT INTO entries (at, kind, amount, balance, order_id) VALUES (?, ?, ?, ?, ?)",
            (at, kind, str(amount), str(balance), order_id),
        )

    def topped_up(self) -> Decimal:
        """Everything paid in since the opening."""
        with self._lock:
            rows = self._db.execute("SELECT amount FROM entries WHERE kind = 'top_up'").fetchall()
        return sum((Decimal(amount) for (amount,) in rows), Decimal(0))

    def next_seq(self, table: Literal["orders", "refills"]) -> int:
        """The number the next row gets."""
        with self._lock:
            row = self._db.execute(f"SELECT coalesce(max(seq), 0) + 1 FROM {table}").fetchone()  # noqa: S608  # a literal
        return int(row[0])

    def insert(self, order: Order, *, due_at: float | None, comments: str | None) -> None:
        """Book a new order and its charge."""
        self._db.execute(
            f"INSERT INTO orders ({_ORDER}, due_at, comments) VALUES ({', '.join('?' * 18)})",  # noqa: S608  # constants
            (
                order.seq, order.id, order.request_id, order.service, order.link, order.quantity, order.runs,
                order.interval, order.coupon, str(order.charged), str(order.refunded), order.start_count,
                order.placed_at, order.cancel_at, order.ended_at, order.status, due_at, comments,
            ),
        )  # fmt: skip
        self.move("charge", -order.charged, order.placed_at, order.id)

    def orders(self, ids: Sequence[str]) -> dict[str, Order]:
        """Those of the orders that exist, by id."""
        marks = ", ".join("?" * len(ids))
        return {order.id: order for order in self._orders(f"WHERE id IN ({marks})", *ids)}

    def newest(self, limit: int | None = None) -> list[Order]:
        """Orders, newest first."""
        return self._orders("ORDER BY seq DESC LIMIT ?", -1 if limit is None else limit)

    def due(self, now: float) -> list[Order]:
        """Orders whose end has come but is not booked, in the order of their ends."""
        return self._orders("WHERE due_at <= ? ORDER BY due_at, seq", now)

    def count_orders(self) -> int:
        """How many orders there are."""
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM orders").fetchone()[0])

    def live_on(self, service: int, link: str) -> bool:
        """Whether an order on this link and service has not ended."""
        with self._lock:
            query = "SELECT 1 FROM orders WHERE service = ? AND link = ? AND ended_at IS NULL LIMIT 1"
            return self._db.execute(query, (service, link)).fetchone() is not None

    def coupon_uses(self, coupon: str) -> int:
        """How many orders used a coupon."""
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM orders WHERE coupon = ?", (coupon,)).fetchone()[0])

    def ask_cancel(self, id_: str, *, at: float, due_at: float | None) -> None:
        """Note that a cancel was asked for."""
        self._db.execute("UPDATE orders SET cancel_at = ?, due_at = ? WHERE id = ?", (at, due_at, id_))

    def end(self, id_: str, *, status: str, at: float, refunded: Decimal) -> None:
        """Book an order's end and what it gives back."""
        self._db.execute(
            "UPDATE orders SET status = ?, ended_at = ?, refunded = ?, due_at = NULL WHERE id = ?",
            (status, at, str(refunded), id_),
        )
        if refunded:
            self.move("refund", refunded, at, id_)

    def add_refill(self, id_: str, order_id: str, *, at: float, base: int) -> None:
        """Book a refill."""
        self._db.execute("INSERT INTO refills (id, order_id, at, base) VALUES (?, ?, ?, ?)", (id_, order_id, at, base))

    def remembered(self, request_id: str) -> Remembered | None:
        """What a key stands for."""
        query = "SELECT body, wall, order_id, error, status FROM keys WHERE request_id = ?"
        with self._lock:
            row = self._db.execute(query, (request_id,)).fetchone()
        return None if row is None else Remembered(*row)

    def remember(self, request_id: str, answer: Remembered) -> None:
        """Keep an answer under its key."""
        with self._lock:
            self._db.execute(
                "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?)",
                (request_id, answer.body, answer.wall, answer.order_id, answer.error, answer.status),
            )

    def violation(self, kind: str, *, at: float, request_id: str | None, detail: str) -> None:
        """Record that the client broke a rule."""
        with self._lock:
            self._db.execute(
                "INSERT INTO violations (at, kind, request_id, detail) VALUES (?, ?, ?, ?)",
                (at, kind, request_id, detail),
            )

    def violations(self) -> list[tuple[float, str, str | None, str]]:
        """Every broken rule, oldest first: at, kind, request_id, detail."""
        with self._lock:
            return self._db.execute("SELECT at, kind, request_id, detail FROM violations ORDER BY seq").fetchall()

    def count(self, kind: CounterKind, name: str) -> None:
        """Add one to a counter; it reaches the file with the next `save_counters`."""
        with self._lock:
            self._counted[kind, name] += 1

    def save_counters(self) -> None:
        """Write what was counted since; belongs inside `transaction`."""
        self._db.executemany(
            "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
            [(kind, name, count) for (kind, name), count in self._counted.items()],
        )
        self._counted.clear()

    def counters(self, kind: CounterKind) -> dict[str, int]:
        """The counters of a kind."""
        with self.transaction():
            self.save_counters()
            return dict(self._db.execute("SELECT name, count FROM counters WHERE kind = ?", (kind,)).fetchall())

    def add_webhook(self, id_: str, *, key: str, url: str, events: str, secret: str) -> None:
        """Keep an endpoint."""
        with self._lock:
            self._db.execute("INSERT INTO webhooks VALUES (?, ?, ?, ?, ?)", (id_, key, url, events, secret))

    def webhooks(self, key: str | None = None) -> list[tuple[str, str, str, str]]:
        """Endpoints of a key, or of all: id, url, events, secret."""
        query = "SELECT id, url, events, secret FROM webhooks WHERE key = coalesce(?, key) ORDER BY rowid"
        with self._lock:
            return self._db.execute(query, (key,)).fetchall()

    def remove_webhook(self, id_: str, *, key: str) -> bool:
        """Forget an endpoint; whether there was one."""
        with self._lock:
            return self._db.execute("DELETE FROM webhooks WHERE id = ? AND key = ?", (id_, key)).rowcount > 0

    def _orders(self, where: str, *arguments: object) -> list[Order]:
        with self._lock:
            rows = self._db.execute(f"SELECT {_ORDER} FROM orders {where}", arguments).fetchall()  # noqa: S608
            query = "SELECT id, at, base FROM refills WHERE order_id = ? ORDER BY seq"
            columns: list[list[Any]] = [
                [*row[:9], Decimal(row[9]), Decimal(row[10]), *row[11:], tuple(self._db.execute(query, (row[1],)))]
                for row in rows
            ]
        return [Order(*column) for column in columns]
