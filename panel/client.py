"""The panel's API, one HTTP request a call.

The client needs nothing of the rest of Campaigner:

    >>> import asyncio
    >>> from panel import OrderRequest, PanelClient
    >>> async def main():
    ...     async with PanelClient(url, api_key) as panel:
    ...         order = await panel.add(
    ...             OrderRequest(
    ...                 service=101,
    ...                 request_id="550e8400-e29b-41d4-a716-446655440000",
    ...                 link="https://www.youtube.com/watch?v=dQw4w9WgXcQ",
    ...                 quantity=500,
    ...             )
    ...         )
    ...         status = await panel.status(order)
    ...         return order, status.status.value, status.charge
    >>> asyncio.run(main())
    ('ord_01HG9X7KJP4N', 'in_progress', Decimal('0.50'))

Nothing is retried here: whoever calls knows best whether, when and for how long. The errors say which (`panel.errors`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode, urlsplit

import httpx
from pydantic import SecretStr

from panel import answers, reading
from panel.errors import Ambiguous, Missing, PanelError, Refused, Rejected, Throttled, Unreachable
from panel.models import Balance, Catalog, OrderRequest, OrderStatus, Webhook, http_url
from panel.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

BATCH_LIMIT = 100
BODY_LIMIT = 10 * 1024 * 1024
DEADLINE = 60.0
TIMEOUT = httpx.Timeout(connect=5.0, read=20.0, write=10.0, pool=5.0)

# Nothing of a request is on the wire before one of these. A proxy that refuses the tunnel has not passed it on either.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
# Only encodings that grow a bounded number of times, and only one: the body is cut after decoding.
_ENCODINGS = frozenset({"", "identity", "gzip", "deflate"})
_PRIVATE_NAMES = (".localhost", ".local", ".internal", ".test", ".lan", ".home.arpa")


class PanelClient:
    """A panel account. Safe to share between tasks; close it with `async with` or `aclose()`.

    `url` is the API's address, `api_key` goes into the body of each request and nowhere else. `timeout` is httpx's, in
    seconds; `deadline` bounds a whole call. `http` is a client of the caller's, used but never closed; otherwise one is
    made, over `transport` if given. After a 429 every call raises Throttled without a request until the reset has
    passed; `now` and `monotonic` are the clocks used for that.
    """

    def __init__(
        self,
        url: str,
        api_key: SecretStr | str,
        *,
        timeout: httpx.Timeout | float = TIMEOUT,
        deadline: float = DEADLINE,
        transport: httpx.AsyncBaseTransport | None = None,
        http: httpx.AsyncClient | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = _checked_key(api_key)
        self._redactor = Redactor(self._key.get_secret_value())
        self.url = _checked_url(url, self._redactor)
        self._timeout = timeout if isinstance(timeout, httpx.Timeout) else httpx.Timeout(timeout)
        self._deadline = deadline
        self._owned = http is None
        # Proxies and certificates from the environment are for the internet; http:// is only ever a private host.
        trust_env = self.url.startswith("https:")
        self._http = http or httpx.AsyncClient(transport=transport, timeout=self._timeout, trust_env=trust_env)
        self._now = now
        self._monotonic = monotonic
        self._open_at = float("-inf")
        self._throttled: Throttled | None = None

    def __repr__(self) -> str:
        return f"PanelClient({self.url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, unless they belong to the caller's `http`."""
        if self._owned:
            await self._http.aclose()

    @property
    def throttled_until(self) -> datetime | None:
        """When the panel takes requests again (aware UTC); None if it does now."""
        wait = self._open_at - self._monotonic()
        return self._now() + timedelta(seconds=wait) if wait > 0 else None

    async def services(self) -> Catalog:
        """Read the catalog."""
        return answers.catalog(await self._call("services"))

    async def add(self, order: OrderRequest) -> str:
        """Place an order and return the panel's id for it.

        Ambiguous means that it may have been placed: send the same OrderRequest again.
        """
        return answers.order_id(await self._call("add", order.form()))

    async def status(self, order: str) -> OrderStatus:
        """Read the status of one order."""
        (asked,) = _checked_ids([order])
        return answers.status(await self._call("status", [("order", asked)]), asked)

    async def statuses(self, orders: Sequence[str]) -> dict[str, OrderStatus | Refused | Missing]:
        """Read the statuses of 1 to 100 orders, which costs one request of the rate limit.

        Every id asked for is in the result; an order the panel refuses to tell about has its error there.
        """
        asked = _checked_ids(orders)
        if len(asked) > 1:
            return answers.statuses(await self._call("status", [("orders", ",".join(asked))]), asked)
        try:
            return {asked[0]: await self.status(asked[0])}
        except (Rejected, Missing) as error:
            return {asked[0]: error.with_traceback(None)}

    async def refill(self, order: str) -> str:
        """Ask for the refill of a completed or partial order and return the refill's id."""
        (asked,) = _checked_ids([order])
        return answers.refill(await self._call("refill", [("order", asked)]), asked)

    async def refills(self, orders: Sequence[str]) -> dict[str, str | Refused | Missing]:
        """Ask for the refill of 1 to 100 orders: a refill id or an error for each."""
        asked = _checked_ids(orders)
        if len(asked) > 1:
            return answers.refills(await self._call("refill", [("orders", ",".join(asked))]), asked)
        try:
            return {asked[0]: await self.refill(asked[0])}
        except (Rejected, Missing) as error:
            return {asked[0]: error.with_traceback(None)}

    async def cancel(self, order: str) -> None:
        """Ask for the cancellation of an order. It is canceled only when a later status says so."""
        (asked,) = _checked_ids([order])
        answers.cancel(await self._call("cancel", [("order", asked)]), asked)

    async def cancels(self, orders: Sequence[str]) -> dict[str, Refused | Missing | None]:
        """Ask for the cancellation of 1 to 100 orders: None where the panel took the request, or the error."""
        asked = _checked_ids(orders)
        if len(asked) > 1:
            return answers.cancels(await self._call("cancel", [("orders", ",".join(asked))]), asked)
        try:
            await self.cancel(asked[0])
        except (Rejected, Missing) as error:
            return {asked[0]: error.with_traceback(None)}
        return {asked[0]: None}

    async def balance(self) -> Balance:
        """Read what is left on the account."""
        return answers.balance(await self._call("balance"))

    async def webhook_add(self, url: str, events: Iterable[str] | None = None) -> Webhook:
        """Register an endpoint for all events or the named ones; its secret is told only now."""
        fields = [("url", http_url(url))]
        if events is not None:
            fields.append(("events", ",".join(events)))
        return answers.webhook(await self._call("webhook.add", fields), url)

    async def webhook_list(self) -> list[Webhook]:
        """Read the registered endpoints."""
        return answers.webhooks(await self._call("webhook.list"))

    async def webhook_remove(self, webhook: str) -> None:
        """Remove an endpoint by its id."""
        (asked,) = _checked_ids([webhook])
        await self._call("webhook.remove", [("id", asked)])

    async def _call(self, action: str, fields: Sequence[tuple[str, str]] = ()) -> answers.Reply:
        """Send one request. This frame and those above never hold the key, so no traceback can show it."""
        self._gate(action)
        outcome = await self._exchange(action, fields)
        if isinstance(outcome, PanelError):
            raise outcome
        try:
            return answers.judge(outcome, self._redactor, self._now())
        except Throttled as error:
            self._hold(error)
            raise

    def _gate(self, action: str) -> None:
        until, last = self.throttled_until, self._throttled
        if until is not None and last is not None:
            words = "held back here, not sent: the panel asked for a pause"
            raise Throttled(words, action=action, until=until, denied_by=last.denied_by, limit=last.limit, remaining=0)

    def _hold(self, error: Throttled) -> None:
        open_at = self._monotonic() + (error.until - self._now()).total_seconds()
        if open_at > self._open_at:
            self._open_at, self._throttled = open_at, error

    async def _exchange(self, action: str, fields: Sequence[tuple[str, str]]) -> answers.Answer | PanelError:
        """Return the answer or what kept it away. Returned, not raised: httpx's exceptions carry the request's body."""
        try:
            async with asyncio.timeout(self._deadline):
                return await self._post(action, fields)
        except _NOT_SENT as error:
            words = self._redactor.text(reading.text(str(error)))
            return Unreachable(words or type(error).__name__, action=action)
        except TimeoutError:
            return Ambiguous(f"no complete answer within {self._deadline:g} s", action=action)
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            words = self._redactor.text(reading.text(str(error)))
            return Ambiguous(f"{type(error).__name__} {words}".strip(), action=action)

    async def _post(self, action: str, fields: Sequence[tuple[str, str]]) -> answers.Answer | PanelError:
        body = urlencode([("key", self._key.get_secret_value()), ("action", action), *fields]).encode("ascii")
        request = self._http.build_request(
            "POST",
            self.url,
            content=body,
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",
            },
            timeout=self._timeout,
        )
        response = await self._http.send(request, stream=True, follow_redirects=False)
        try:
            status = response.status_code
            encoding = response.headers.get("content-encoding", "").strip().lower()
            if encoding not in _ENCODINGS:
                return Ambiguous("the answer is in an encoding nobody asked for", action=action, http_status=status)
            content = bytearray()
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > BODY_LIMIT:
                    words = f"the answer is too large, above {BODY_LIMIT >> 20} MiB"
                    return Ambiguous(words, action=action, http_status=status)
            headers = {name.lower(): value for name, value in response.headers.items()}
            return answers.Answer(action, status, headers, bytes(content))
        finally:
            await response.aclose()


def _checked_key(api_key: SecretStr | str) -> SecretStr:
    key = (api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key).strip()
    if not key or not key.isprintable() or len(key.split()) != 1:
        msg = "the API key is empty, or has a space or a control character in it; copy it again from the dashboard"
        raise ValueError(msg) from None
    return SecretStr(key)


def _checked_url(url: str, redactor: Redactor) -> str:
    http_url(url)
    parts = urlsplit(url)
    if parts.username or parts.password or parts.fragment or redactor.text(url) != url:
        raise ValueError("the panel's url must hold no user, password, fragment or API key")
    if parts.scheme == "http" and not _is_private(parts.hostname or ""):
        raise ValueError("the panel's url must start with https://: the API key would cross the internet in the clear")
    return url


def _is_private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_NAMES)


def _checked_ids(orders: Sequence[str]) -> list[str]:
    """Return the ids once each, in order; raise ValueError for what no request could carry."""
    if isinstance(orders, str):
        raise TypeError("give a list of ids, not one string")
    asked = list(dict.fromkeys(str(order) for order in orders))
    if not 1 <= len(asked) <= BATCH_LIMIT:
        msg = f"a batch takes 1 to {BATCH_LIMIT} ids, not {len(asked)}"
        raise ValueError(msg)
    for order in asked:
        if reading.identifier(order) != order:
            msg = f"not an id a panel could have given: {reading.text(order, 40)!r}"
            raise ValueError(msg)
    return asked
