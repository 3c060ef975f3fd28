"""What can be wrong with keys and payloads; no message ever holds a key or a part of one."""

from __future__ import annotations


class CodecError(Exception):
    """Anything wrong with the keys or a payload."""


class CodecKeysError(CodecError):
    """The keys in the environment cannot be used; the message says which entry, and why."""


class UnknownKeyError(CodecError):
    """A payload is encrypted with a key that is not here."""

    def __init__(self, key_id: str, variable: str) -> None:
        super().__init__(f"a payload is encrypted with the key {key_id!r}, which is not in {variable}")
        self.key_id = key_id


class DamagedPayloadError(CodecError):
    """An encrypted payload does not open with its own key: altered on its way, or never ours."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"a payload does not open with the key {key_id!r}: it was altered, or the key is another one")
        self.key_id = key_id
