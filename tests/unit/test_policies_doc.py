"""docs/policies.md against the code: every kind of notice, update and limit is there, and nothing else is."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from pathlib import Path
from typing import Any

from activities.telling import NOTICE_ID, SECRET_VARIABLE, SIGNATURE
from campaigns.definition import Limits, NoticeKind, Notify
from configuration import AccountSettings
from panel import sign
from workflows.wishes import SAYS

TEXT = (Path(__file__).parents[2] / "docs/policies.md").read_text()


def _first_cells(heading: str) -> set[str]:
    """Give the code words of the first column of the table under a heading."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


def test_every_limit_is_told() -> None:
    limits = {f"limits.{name}" for name in Limits.model_fields}
    account = {"per_day", "timezone", "second_person"}
    assert _first_cells("Limits") == limits | account
    assert account <= AccountSettings.model_fields.keys()


def test_every_update_is_told() -> None:
    assert _first_cells("Steering") == SAYS.keys()


def test_every_kind_of_notice_is_told_and_the_default_is_the_example_s() -> None:
    assert _first_cells("Notifications") == set(NoticeKind)
    example = re.search(r"on: \[([a-z_, ]+)\]", TEXT)
    assert example is not None
    default: list[Any] = Notify(webhook="https://example.com").on
    assert example[1].split(", ") == default


def test_the_names_of_headers_and_variables_are_the_code_s() -> None:
    for name in (SIGNATURE, NOTICE_ID, SECRET_VARIABLE):
        assert f"`{name}`" in TEXT


def test_the_check_of_the_signature_works_as_it_is_written() -> None:
    lines = TEXT.partition("    def is_ours")[2].partition("\n\n")[0]
    space: dict[str, Any] = {"hashlib": hashlib, "hmac": hmac, "time": time}
    code = "\n".join(line.removeprefix("    ") for line in f"    def is_ours{lines}".splitlines())
    exec(code, space)  # noqa: S102 - the example of our own documentation
    header = sign("whsec", int(time.time()), b'{"id": "1"}')
    assert space["is_ours"](header, b'{"id": "1"}', "whsec")
    assert not space["is_ours"](header, b'{"id": "2"}', "whsec")
    assert not space["is_ours"](sign("whsec", int(time.time()) - 301, b"{}"), b"{}", "whsec")
