"""Text made small for a payload: what a workflow carries over continue-as-new, at about a tenth to a fifth."""

from __future__ import annotations

import base64
import zlib

MAX_UNPACKED = 64 * 1024 * 1024
"""Bytes of text that are read at most; a campaign of ten thousand runs needs about five million."""


def pack(text: str) -> str:
    """Give the text as the base64 of its zlib stream."""
    return base64.b64encode(zlib.compress(text.encode(), 6)).decode()


def unpack(packed: str) -> str:
    """Give the text that :func:`pack` was given.

    Raises:
        ValueError: it did not write this, or the text is larger than any this program writes.

    """
    expander = zlib.decompressobj()
    try:
        text = expander.decompress(base64.b64decode(packed, validate=True), MAX_UNPACKED)
    except zlib.error as error:
        raise ValueError(f"what was carried over is damaged: {error}") from None
    if expander.unconsumed_tail:
        raise ValueError("what was carried over is larger than any this program writes")
    if not expander.eof:
        raise ValueError("what was carried over is cut short")
    return text.decode()
