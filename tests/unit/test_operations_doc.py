"""docs/operations.md tells every variable and every search attribute that there is."""

from __future__ import annotations

import re
from itertools import chain

from connection import _KINDS
from tests.unit.test_rooms import ROOT
from workflows import attributes

TEXT = (ROOT / "docs" / "operations.md").read_text()
ROOMS = ("activities", "campaigns", "codec", "commands", "panel", "receiver", "sandbox", "workflows")


def test_every_environment_variable_of_ours_is_told() -> None:
    sources = chain(ROOT.glob("*.py"), *((ROOT / room).glob("*.py") for room in ROOMS))
    named = set(chain.from_iterable(re.findall(r"\bCAMPAIGNER_[A-Z_]+", source.read_text()) for source in sources))
    assert {"CAMPAIGNER_CONFIG", "CAMPAIGNER_CODEC_KEYS"} <= named
    assert {name for name in named if name not in TEXT} == set()


def test_the_commands_that_create_the_search_attributes_are_right() -> None:
    told = re.findall(r"search-attribute create --name (\w+) --type (\w+)", TEXT)
    assert told == [(key.name, _KINDS[key.indexed_value_type]) for key in attributes.ALL]  # type: ignore[index]
