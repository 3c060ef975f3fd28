"""How long a file takes from its text to its plan."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

from benchmarks.plans import CATALOG, document, facts
from campaigns.loading import load
from campaigns.planning import make_plan


def planned_per_second(orders: int) -> float:
    """Read, check and plan a file of so many orders; give orders a second."""
    text = json.dumps(document(orders), indent=2)  # JSON is YAML too
    began = time.perf_counter()
    loaded = load(text, path="bench.yaml", env={})
    assert loaded.definition is not None
    planned = make_plan(loaded.definition, facts(), CATALOG, datetime(2026, 12, 4, tzinfo=UTC))
    assert planned.plan is not None
    return orders / (time.perf_counter() - began)
