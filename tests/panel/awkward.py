"""A panel that answers whatever a test tells it to, over real sockets."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> list[tuple[str, str]]:
        return parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True)


@dataclass(frozen=True, slots=True)
class _Step:
    raw: bytes = b""
    read_first: bool = True
    delay: float = 0
    drip: bool = False


class AwkwardPanel:
    """Answers its script step by step, the last step for ever, and keeps what it received."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self._steps: list[_Step] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api/v2"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    def say(
        self, body: Any = "", status: int = 200, headers: Mapping[str, str] | None = None, delay: float = 0
    ) -> Self:
        """Answer with JSON, or with text or bytes as they stand."""
        content = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Odd"
        lines = [f"HTTP/1.1 {status} {phrase}", f"Content-Length: {len(content)}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        return self.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + content, delay=delay)

    def raw(self, data: bytes, *, delay: float = 0, drip: bool = False) -> Self:
        """Answer with these bytes and close; one at a time with `drip`."""
        self._steps.append(_Step(data, delay=delay, drip=drip))
        return self

    def hang_up(self, *, read_first: bool) -> Self:
        """Close without an answer, after or before reading the request."""
        self._steps.append(_Step(read_first=read_first))
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        try:
            if step.read_first:
                self.received.append(await self._read(reader))
            await asyncio.sleep(step.delay)
            if step.drip:
                for byte in step.raw:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(0.02)
            writer.write(step.raw)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @staticmethod
    async def _read(reader: asyncio.StreamReader) -> Received:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Received(head[0], headers, body)
