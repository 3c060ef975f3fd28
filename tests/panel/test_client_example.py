"""The examples in the docstrings run as printed."""

from __future__ import annotations

import asyncio
import doctest
from typing import TYPE_CHECKING

from panel import client, webhooks
from tests.panel.conftest import KEY

if TYPE_CHECKING:
    from types import ModuleType

    from tests.panel.awkward import AwkwardPanel


def run(module: ModuleType, **names: object) -> doctest.TestResults:
    runner = doctest.DocTestRunner()
    for example in doctest.DocTestFinder(recurse=False).find(module, extraglobs=names):
        runner.run(example)
    return runner.summarize()


async def test_the_client_s_example_places_and_follows_an_order(awkward: AwkwardPanel) -> None:
    awkward.say({"order": "ord_01HG9X7KJP4N"}).say({"status": "in_progress", "charge": "0.50"})
    result = await asyncio.to_thread(run, client, url=awkward.url, api_key=KEY)
    assert result == doctest.TestResults(failed=0, attempted=4)
    assert len(awkward.received) == 2


def test_the_webhooks_example_signs_and_verifies() -> None:
    failed, attempted = run(webhooks)
    assert not failed
    assert attempted
