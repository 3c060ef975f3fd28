"""Webhook endpoints: which URLs are taken, and deliveries signed as `t=<unix>,v1=<hex>` over `<t>.<raw body>`."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from sandbox.dialects import PanelError

if TYPE_CHECKING:
    from sandbox.books import Books

EVENTS = ("order.completed", "order.failed", "order.refunded", "balance.low")
MOST_ENDPOINTS = 5
SIGNATURE = "X-NotPanel-Signature"
_TRIES = 3
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


def event_of(status: str) -> str:
    """The event an order's end is told as; a partial order counts as completed, a canceled one as refunded."""
    return {"fail": "order.failed", "refunded": "order.refunded", "canceled": "order.refunded"}.get(
        status, "order.completed"
    )


def chosen(text: str) -> list[str]:
    """The events of a CSV, all of them when it is empty."""
    names = [name.strip() for name in text.split(",") if name.strip()] or list(EVENTS)
    unknown = [name for name in names if name not in EVENTS]
    if unknown:
        raise PanelError(f"Unknown event: {unknown[0]}")
    return names


def public_https(url: str) -> bool:
    """Whether a URL is https and does not name a private address. Names are not resolved."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").lower()
    except ValueError:
        return False
    if parts.scheme != "https" or not host or host == "localhost" or host.endswith(_LOCAL_NAMES):
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.rpartition(".")[2].isdigit()


def sign(secret: str, body: bytes, at: int) -> str:
    """The signature header of a delivery."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class Courier:
    """Delivers events to the endpoints that want them, each up to three times, beside everything else."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._client = httpx.AsyncClient(timeout=5.0, trust_env=False)
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, event: dict[str, Any]) -> None:
        """Start the deliveries of one event."""
        for _, url, events, secret in self._books.webhooks():
            if event["event"] in events.split(","):
                task = asyncio.create_task(self._deliver(url, secret, json.dumps(event).encode()))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is still under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    async def _deliver(self, url: str, secret: str, body: bytes) -> None:
        for attempt in range(_TRIES):
            signature = sign(secret, body, int(time.time()))
            headers = {"Content-Type": "application/json", SIGNATURE: signature}
            try:
                answer = await self._client.post(url, content=body, headers=headers)
                if answer.is_success:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.2 * 2**attempt)
