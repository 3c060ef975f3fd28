"""Named points at which a test can end the worker as a crash would; without a test nothing happens at them.

``make chaos`` sets ``CAMPAIGNER_FAULTPOINT="after_send:0.02"`` (several with commas) in a worker's environment:
whenever that worker comes to the point, it is killed with that probability, at once and with nothing finished.

    before_send     the request id is fixed, nothing is on the wire
    after_send      the whole ``add`` is on the wire, its answer is not read
    after_answer    the panel's answer is read, nobody knows it yet
    before_report   the outcome is made, Temporal has not heard of it
"""

from __future__ import annotations

import os
import random
import signal
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "CAMPAIGNER_FAULTPOINT"
POINTS = ("before_send", "after_send", "after_answer", "before_report")
_ON_THE_WIRE = "http11.send_request_body.complete"


def read(value: str) -> Mapping[str, float]:
    """Read what is armed: point -> probability.

    Raises:
        ValueError: a point nobody knows, or no probability.

    """
    armed = {}
    for spec in filter(None, value.split(",")):
        point, _, chance = spec.strip().partition(":")
        if point not in POINTS:
            raise ValueError(f"{VARIABLE}: no fault point is called {point!r}; one of {', '.join(POINTS)}")
        armed[point] = float(chance or 1)
    return armed


_armed = read(os.environ.get(VARIABLE, ""))


def reached(point: str) -> None:
    """Tell that the worker came to a point; a test may have it die here."""
    if _armed and random.random() < _armed.get(point, 0.0):  # noqa: S311 - chance, not secrecy
        os.write(2, f"killed at {point}, as {VARIABLE} asks\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)


def transport() -> httpx.AsyncBaseTransport | None:
    """Give a transport that knows when an ``add`` is on the wire; None, the usual one, unless a test asks for it."""
    return _Transport(trust_env=False) if "after_send" in _armed else None


class _Transport(httpx.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if b"&action=add&" in request.content:
            request.extensions = {**request.extensions, "trace": _trace}
        return await super().handle_async_request(request)


async def _trace(event: str, _info: Mapping[str, Any]) -> None:
    if event == _ON_THE_WIRE:
        reached("after_send")
