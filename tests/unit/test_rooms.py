"""The rooms keep to themselves where import-linter cannot look: top-level modules, and the clock."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "configuration.py": {"temporalio", "httpx", "panel", "sandbox", "activities", "workflows", "cli", "worker"},
    "connection.py": {"httpx", "panel", "sandbox", "cli", "worker", "embedded"},
    "dev_files.py": {"httpx", "panel", "sandbox", "cli", "worker", "embedded"},
    "embedded.py": {"httpx", "panel", "sandbox", "cli", "worker"},
    "serving.py": {
        "temporalio",
        "httpx",
        "panel",
        "sandbox",
        "activities",
        "workflows",
        "configuration",
        "cli",
        "worker",
    },
    "worker.py": {"sandbox", "cli", "embedded"},
}
CLOCKS = {"now", "utcnow", "today", "fromtimestamp", "monotonic", "time_ns", "uuid4", "uuid1"}


def _imported(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("module", FORBIDDEN)
def test_a_top_level_module_imports_only_what_its_room_allows(module: str) -> None:
    assert not _imported((ROOT / module).read_text()) & FORBIDDEN[module]


@pytest.mark.parametrize("path", sorted((ROOT / "campaigns").glob("*.py")), ids=lambda path: path.name)
def test_the_domain_never_reads_a_clock_or_draws_a_random_id(path: Path) -> None:
    called = {
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not called & CLOCKS
