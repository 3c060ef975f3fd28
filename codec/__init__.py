"""The payload codec: what campaigns say to Temporal, encrypted, for clusters that others can read too.

The errors::

    CodecError
    ├── CodecKeysError       the keys in the environment cannot be used
    ├── UnknownKeyError      a payload is encrypted with a key that is not in the environment
    └── DamagedPayloadError  an encrypted payload was altered, or is none
"""

from __future__ import annotations

from codec.encryption import KEYS_VARIABLE, EncryptionCodec, data_converter
from codec.errors import CodecError, CodecKeysError, DamagedPayloadError, UnknownKeyError

__all__ = [
    "KEYS_VARIABLE",
    "CodecError",
    "CodecKeysError",
    "DamagedPayloadError",
    "EncryptionCodec",
    "UnknownKeyError",
    "data_converter",
]
