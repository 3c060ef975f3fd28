from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpx
import pytest

from panel import PanelClient
from tests.panel.awkward import AwkwardPanel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = "k3y/with+odd=chars&0123456789"


@pytest.fixture
async def awkward() -> AsyncIterator[AwkwardPanel]:
    async with AwkwardPanel() as panel:
        yield panel


@pytest.fixture
async def client(awkward: AwkwardPanel) -> AsyncIterator[PanelClient]:
    # A context without certificates saves the 25 ms it takes to load them; plain http needs none.
    transport = httpx.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    async with PanelClient(awkward.url, KEY, transport=transport) as panel:
        yield panel
