from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from embedded import Embedded, embedded_temporal
from tests.system.cli_rig import box, desk
from tests.system.rig import Rig, open_rig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

__all__ = ["box", "desk", "desk_temporal", "rig", "temporal"]


@pytest.fixture(scope="session")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """One real server with a file store for all system tests of this process, on free ports."""
    yield from _server(tmp_path_factory)


@pytest.fixture(scope="session")
def desk_temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """Another one for the command line's tests: the worker that stands there must not take the others' campaigns."""
    yield from _server(tmp_path_factory)


def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("temporal")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        server = embedded_temporal(database=folder / "temporal.db", port=0, ui_port=0, log=folder / "temporal.log")
        yield runner.run(stack.enter_async_context(server))
        runner.run(stack.aclose())


@pytest.fixture
async def rig(temporal: Embedded, tmp_path: Path) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        yield await open_rig(temporal, tmp_path, stack)
