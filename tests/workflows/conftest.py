from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.workflows.timelapse import ServerStuckError, Timelapse, timelapse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run a test of this tier again for a known fault of the test server, and for nothing else."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.flaky(reruns=3, only_rerun=rf"\b{ServerStuckError.__name__}\b"))


@pytest.fixture
async def lapse(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Timelapse]:
    async with timelapse(monkeypatch) as found:
        yield found
