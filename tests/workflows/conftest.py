from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.workflows.timelapse import Timelapse, timelapse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def lapse(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Timelapse]:
    async with timelapse(monkeypatch) as found:
        yield found
