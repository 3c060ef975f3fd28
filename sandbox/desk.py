"""The panel's rules: what each action answers, refuses and books."""

from __future__ import annotations

import json
import secrets
import zlib
from collections import deque
from decimal import ROUND_HALF_UP, Decimal
from math import isinf
from typing import TYPE_CHECKING, Any

from sandbox import form, progress, webhooks
from sandbox.books import Books, Order, Remembered
from sandbox.catalog import CATALOG, COUPONS, Service
from sandbox.clock import DAY, MINUTE, SandboxClock
from sandbox.dialects import PanelError, dialect, money

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.settings import SandboxSettings

MOST_REFILLS = 3
MOST_REQUEST_ID = 128
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Desk:
    """Answers one action at a time. Time passes only when somebody looks: `settle` books what has ended since."""

    def __init__(self, settings: SandboxSettings) -> None:
        self.settings = settings
        self.dialect = dialect(settings.dialect)
        clock = SandboxClock(settings.speed)
        opening = Decimal(settings.opening_balance)
        self.books = Books(settings.db, opening=opening, currency=settings.currency, now=clock.now())
        saved, jumped = self.books.meta("clock"), self.books.meta("jumped")
        start = clock.now() if saved is None else max(clock.now(), float(saved))
        self.clock = SandboxClock(settings.speed, start=start, jumped=float(jumped or 0))
        self.services: dict[int, Service] = dict(CATALOG)
        self.suspended = False
        self.events: deque[dict[str, Any]] = deque(maxlen=10_000)
        self._balance_answer: tuple[float, Decimal] | None = None
        self._actions: dict[str, Callable[[Mapping[str, str], float], Any]] = {
            "services": self._services,
            "add": self._add,
            "status": self._status,
            "refill": self._refill,
            "cancel": self._cancel,
            "balance": self._balance,
            "webhook.add": self._webhook_add,
            "webhook.list": self._webhook_list,
            "webhook.remove": self._webhook_remove,
        }

    def close(self) -> None:
        """Save the clock and close the books."""
        self.save()
        self.books.close()

    def save(self) -> None:
        """Keep the counters, and the time, so that books opened again never go back in it."""
        with self.books.transaction():
            self.books.save_counters()
            self.books.set_meta("clock", repr(self.clock.now()))
            self.books.set_meta("jumped", repr(self.clock.jumped))

    def knows(self, action: str) -> bool:
        """Whether there is such an action."""
        return action in self._actions

    def answer(self, action: str, fields: Mapping[str, str]) -> Any:
        """Do one action and give its JSON; a refusal is raised as PanelError and books nothing."""
        if self.suspended:
            raise PanelError("Account suspended", 403)
        if action not in self._actions:
            raise PanelError("Incorrect request")
        now = self.clock.now()
        self.settle(now)
        return self._actions[action](fields, now)

    def settle(self, now: float | None = None) -> None:
        """Book the end of every order that has ended by now."""
        now = self.clock.now() if now is None else now
        ended = self.books.due(now)
        if not ended:
            return
        with self.books.transaction():
            for order in ended:
                self._end(order)

    def snapshot(self, order: Order, now: float) -> progress.Snapshot:
        """How an order stands at `now`."""
        behaviour = CATALOG[order.service].behaviour
        return progress.observe(behaviour, order.facts, now, quiet_refills=self.settings.quiet_refills)

    def rate(self, service: Service, now: float) -> Decimal:
        """The price of 1000 units at `now`."""
        behaviour = service.behaviour
        opened = float(self.books.meta("opened_at") or now)
        risen = behaviour.rises_to is not None and now >= opened + behaviour.rises_after
        return behaviour.rises_to if risen and behaviour.rises_to is not None else service.rate

    def top_up(self, amount: Decimal) -> None:
        """Pay in, or take out when negative."""
        with self.books.transaction():
            self.books.move("top_up", amount, self.clock.now())
        self._balance_answer = None

    def _end(self, order: Order) -> None:
        behaviour = CATALOG[order.service].behaviour
        final = progress.outcome(behaviour, order.facts)
        at = progress.ends_at(behaviour, order.facts)
        refunded = progress.refund(final, order.charged, order.facts.total)
        self.books.end(order.id, status=final.status, at=at, refunded=refunded)
        self.events.append(
            {
                "event": webhooks.event_of(final.status),
                "order": self.dialect.identifier(order.id),
                "status": self.dialect.word(final.status),
                "charge": self.dialect.amount(order.charged - refunded),
                "remains": self.dialect.count(order.facts.total - final.delivered),
                "currency": self.settings.currency,
            }
        )

    def _identifier(self, prefix: str, seq: int, now: float) -> str:
        if self.settings.dialect == "classic":
            return str(seq)
        number = (int(now * 1000) << 80) | (secrets.randbits(50) << 30) | (seq & (1 << 30) - 1)
        return prefix + "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))

    # The catalog and the account

    def _services(self, _fields: Mapping[str, str], now: float) -> list[dict[str, Any]]:
        return [
            {
                "service": service.id,
                "name": service.name,
                "type": service.type,
                "category": service.category,
                "rate": self.dialect.amount(self.rate(service, now)),
                "min": self.dialect.count(service.min),
                "max": self.dialect.count(service.max),
                "dripfeed": service.dripfeed,
                "refill": service.refill,
                "cancel": service.cancel,
            }
            for service in self.services.values()
            if service.active
        ]

    def _balance(self, _fields: Mapping[str, str], _now: float) -> dict[str, Any]:
        wall = self.clock.wall()
        if self._balance_answer is None or wall >= self._balance_answer[0] + self.settings.balance_cache:
            self._balance_answer = (wall, self.books.balance)
        return {"balance": self.dialect.amount(self._balance_answer[1]), "currency": self.settings.currency}

    # Placing

    def _add(self, fields: Mapping[str, str], now: float) -> dict[str, Any]:
        request_id = fields.get("request_id", "")
        if not self.settings.honours_request_ids:
            return self._place(fields, now, request_id or None, None)
        if not request_id and self.settings.dialect == "classic":
            return self._place(fields, now, None, None)
        if not request_id:
            raise PanelError("Missing required parameter: request_id")
        if len(request_id) > MOST_REQUEST_ID:
            raise PanelError(f"request_id must be at most {MOST_REQUEST_ID} characters")
        body = json.dumps(sorted((name, value) for name, value in fields.items() if name != "key"))
        if (known := self.books.remembered(request_id)) is not None:
            if self.clock.wall() < known.wall + self.settings.key_memory:
                return self._repeat(known, body, request_id, now)
            detail = f"used again after it was forgotten; it stood for {known.order_id}"
            self.books.violation("request_id_forgotten", at=now, request_id=request_id, detail=detail)
        try:
            return self._place(fields, now, request_id, body)
        except PanelError as error:
            if self.settings.remember_errors:
                wall = self.clock.wall()
                self.books.remember(request_id, Remembered(body, wall, None, error.text, error.status))
            raise

    def _repeat(self, known: Remembered, body: str, request_id: str, now: float) -> dict[str, Any]:
        if known.body != body:
            detail = _difference(dict(json.loads(known.body)), dict(json.loads(body)))
            self.books.violation("request_id_conflict", at=now, request_id=request_id, detail=detail)
            raise PanelError("request_id was already used with a different body")
        if known.order_id is None:
            raise PanelError(known.error or "", known.status or 400)
        return {"order": self.dialect.identifier(known.order_id)}

    def _place(self, fields: Mapping[str, str], now: float, request_id: str | None, body: str | None) -> dict[str, Any]:
        service = self.services.get(form.integer(form.required(fields, "service")) or 0)
        if service is None or not service.active:
            raise PanelError("Service not found")
        link, comments = form.link(fields, service), fields.get("comments")
        quantity = form.quantity(fields, service)
        runs, interval = form.drip(fields, service)
        coupon, percent = self._coupon(fields.get("coupon", ""))
        price = self.rate(service, now) * quantity / 1000 * (100 - percent) / 100
        charged = price.quantize(progress.CENTS, ROUND_HALF_UP) * runs
        if service.behaviour.one_per_link and self.books.live_on(service.id, link):
            raise PanelError("You have active order with this link. Please wait until order being completed.")
        before = self.books.balance
        if before < charged:
            raise PanelError("Insufficient balance")
        seq = self.books.next_seq("orders")
        order = Order(
            seq=seq, id=self._identifier("ord_", seq, now), request_id=request_id, service=service.id, link=link,
            quantity=quantity, runs=runs, interval=interval * MINUTE, coupon=coupon, charged=charged,
            refunded=Decimal(0), start_count=zlib.crc32(link.encode()) % 10_000, placed_at=now, cancel_at=None,
            ended_at=None, status=None,
        )  # fmt: skip
        with self.books.transaction():
            self.books.insert(order, due_at=_due(service, order), comments=comments)
            if body is not None and request_id is not None:
                self.books.remember(request_id, Remembered(body, self.clock.wall(), order.id, None, None))
        low = Decimal(self.settings.low_balance)
        if before >= low > before - charged:
            self.events.append({"event": "balance.low", "balance": money(before - charged)})
        return {"order": self.dialect.identifier(order.id)}

    def _coupon(self, code: str) -> tuple[str | None, int]:
        if not code:
            return None, 0
        coupon = COUPONS.get(code)
        if coupon is None:
            raise PanelError("Coupon not found")
        if coupon.uses is not None and self.books.coupon_uses(code) >= coupon.uses:
            raise PanelError("Coupon usage limit reached")
        return code, coupon.percent

    # Following

    def _status(self, fields: Mapping[str, str], now: float) -> dict[str, Any]:
        ids, single = form.ids(fields)
        if single:
            return self._status_row(self._order(ids[0]), now)
        found = self.books.orders(ids)
        wrong = {"error": "Incorrect order ID"}
        return {id_: self._status_row(found[id_], now) if id_ in found else wrong for id_ in ids}

    def _status_row(self, order: Order, now: float) -> dict[str, Any]:
        seen = self.snapshot(order, now)
        return {
            "charge": self.dialect.amount(order.charge),
            "start_count": self.dialect.count(order.start_count),
            "status": self.dialect.word(seen.status),
            "remains": self.dialect.count(order.facts.total - seen.delivered),
            "currency": self.settings.currency,
        }

    def _order(self, id_: str) -> Order:
        found = self.books.orders([id_])
        if not found:
            raise PanelError("Incorrect order ID")
        return found[id_]

    # Refills and cancels

    def _refill(self, fields: Mapping[str, str], now: float) -> Any:
        return self._each("refill", self._refill_one, fields, now)

    def _cancel(self, fields: Mapping[str, str], now: float) -> Any:
        return self._each("cancel", self._cancel_one, fields, now)

    def _each(
        self, verb: str, do: Callable[[str, float], str | int], fields: Mapping[str, str], now: float
    ) -> dict[str, Any] | list[dict[str, Any]]:
        ids, single = form.ids(fields)
        if single:
            return {verb: do(ids[0], now)}
        rows = []
        for id_ in ids:
            try:
                rows.append(self.dialect.row(verb, id_, do(id_, now)))
            except PanelError as error:
                rows.append(self.dialect.row(verb, id_, error))
        return rows

    def _refill_one(self, id_: str, now: float) -> str | int:
        order = self._order(id_)
        service = self.services[order.service]
        if not service.refill or service.behaviour.refuses_refill:
            raise PanelError("Refill is disabled for this service")
        if order.status not in ("completed", "partial") or order.ended_at is None:
            raise PanelError("The order is not completed")
        if order.refills and (
            now < order.refills[-1][1] + DAY or progress.refilling(service.behaviour, order.facts, now)
        ):
            raise PanelError("The order refill was requested less than 24 hours ago")
        if now > order.ended_at + service.behaviour.refill_days * DAY:
            raise PanelError("Refill days are over")
        if len(order.refills) >= MOST_REFILLS:
            raise PanelError("Refill limit reached for this order")
        refill = self._identifier("ref_", self.books.next_seq("refills"), now)
        with self.books.transaction():
            self.books.add_refill(refill, id_, at=now, base=self.snapshot(order, now).delivered)
        return self.dialect.identifier(refill)

    def _cancel_one(self, id_: str, now: float) -> str | int:
        order = self._order(id_)
        service = self.services[order.service]
        if not service.cancel:
            raise PanelError("Cancel is not available")
        if order.cancel_at is not None and order.ended_at is None:
            raise PanelError("Cancel already requested")
        if service.behaviour.refuses_cancel or order.ended_at is not None:
            raise PanelError("This order cannot be canceled")
        asked = Order(**{name: getattr(order, name) for name in Order.__slots__} | {"cancel_at": now})
        with self.books.transaction():
            self.books.ask_cancel(id_, at=now, due_at=_due(service, asked))
            if progress.ends_at(service.behaviour, asked.facts) <= now:
                self._end(asked)
        return self.dialect.identifier(id_)

    # Webhooks

    def _webhook_add(self, fields: Mapping[str, str], _now: float) -> dict[str, Any]:
        url = form.required(fields, "url")
        events = webhooks.chosen(fields.get("events", ""))
        if not (self.settings.allow_private_webhooks or webhooks.public_https(url)):
            raise PanelError("Webhook URL must be a public https URL")
        if len(self.books.webhooks(fields["key"])) >= webhooks.MOST_ENDPOINTS:
            raise PanelError(f"Maximum {webhooks.MOST_ENDPOINTS} webhook endpoints per key")
        id_, secret = f"whk_{secrets.token_hex(8)}", f"whsec_{secrets.token_hex(24)}"
        self.books.add_webhook(id_, key=fields["key"], url=url, events=",".join(events), secret=secret)
        return {"id": id_, "url": url, "events": events, "secret": secret}

    def _webhook_list(self, fields: Mapping[str, str], _now: float) -> list[dict[str, Any]]:
        held = self.books.webhooks(fields["key"])
        return [{"id": id_, "url": url, "events": events.split(",")} for id_, url, events, _ in held]

    def _webhook_remove(self, fields: Mapping[str, str], _now: float) -> dict[str, Any]:
        id_ = form.required(fields, "id")
        if not self.books.remove_webhook(id_, key=fields["key"]):
            raise PanelError("Webhook not found")
        return {"removed": id_}


def _difference(first: dict[str, str], then: dict[str, str]) -> str:
    names = [name for name in sorted(first | then) if first.get(name) != then.get(name)]
    return "; ".join(f"{name} was {first.get(name, 'absent')}, now {then.get(name, 'absent')}" for name in names)


def _due(service: Service, order: Order) -> float | None:
    at = progress.ends_at(service.behaviour, order.facts)
    return None if isinf(at) else at
