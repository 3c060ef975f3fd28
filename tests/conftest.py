"""What every tier shares: no test is judged by how busy the machine is."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import pytest

SHARED = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
# The same examples every time, so that a failure is of the change at hand; HYPOTHESIS_PROFILE=explore draws new ones.
settings.register_profile("steady", SHARED, derandomize=True)
settings.register_profile("explore", SHARED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

# A script that runs the tests in the background makes Ctrl-C ignored, for them and for every program they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST_FIRST = (
    "test_engine_invariants.py",
    "test_trouble.py",
    "test_retention.py",
    "test_continuation.py",
    "test_shared.py",
    "test_policies.py",
    "test_rehearsed.py",
    "test_cli_trouble.py",
    "test_schedules.py",
    "test_chaos.py",
    "test_webhooks.py",
)
"""Files that take long, begun first: whole files go to a process, and none should be left alone with a long one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin the longest files first; the rest stays as it is."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))
