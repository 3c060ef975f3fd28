"""What is carried over is packed the same way everywhere, and nothing else is taken for it."""

from __future__ import annotations

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns import packing
from campaigns.packing import pack, unpack


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_packed_comes_back(text: str) -> None:
    assert unpack(pack(text)) == text


def test_what_earlier_versions_packed_is_read() -> None:
    """Both formats, of a campaign and of an account, were this one."""
    assert unpack(base64.b64encode(zlib.compress(b'{"account":"main"}', 6)).decode()) == '{"account":"main"}'
    assert unpack("eJyrVkpMTs4vzStRslLKTczMU6oFADy0Bk0=") == '{"account":"main"}'


@pytest.mark.parametrize(
    "packed",
    ["*", "AAAA", "eJw", pack("a" * 1000)[:-8], base64.b64encode(zlib.compress(b"\xff")).decode()],
)
def test_what_was_not_packed_is_refused(packed: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack(packed)


def test_what_would_unpack_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MAX_UNPACKED", 999)
    with pytest.raises(ValueError, match="larger"):
        unpack(pack("a" * 1000))
