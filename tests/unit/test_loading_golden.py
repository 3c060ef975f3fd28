"""Golden pairs: a wrong campaign file in, what its author is told out.

Beside each ``golden/loading/*.yaml`` stands the ``*.txt`` it must give. After a wanted change run
``UPDATE_GOLDEN=1 pytest tests/unit/test_loading_golden.py``, and read the difference before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from campaigns.loading import load, render

FOLDER = Path(__file__).parent / "golden" / "loading"
FILES = sorted(FOLDER.glob("*.yaml"))
ENV = {"QTY": "5O0", "SERVICES": "101"}


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_a_wrong_file_tells_what_stands_beside_it(file: Path) -> None:
    loaded = load(file.read_bytes(), path=f"campaigns/{file.name}", env=ENV)
    assert loaded.definition is None
    told, kept = render(loaded.errors) + "\n", file.with_suffix(".txt")
    if os.environ.get("UPDATE_GOLDEN"):
        kept.write_text(told)
    assert told == kept.read_text()


def test_every_kept_text_has_its_file() -> None:
    assert {kept.stem for kept in FOLDER.glob("*.txt")} == {file.stem for file in FILES}
