"""Payloads encrypted with AES-256-GCM, under keys from the environment.

``CAMPAIGNER_CODEC_KEYS`` is a list, ``<key id>:<base64 of 32 bytes>[,<older id>:<key>…]``. The first key encrypts, all
decrypt: that is how keys rotate. ``plain`` in the first place encrypts nothing while the keys after it still decrypt:
that is how encryption is switched on and off in a fleet of workers without a moment in which one cannot read another.

What is encrypted is the whole payload with its metadata. The key's id stands beside it in clear and is authenticated
with it; every payload has a random nonce of 96 bits. Nothing ties a payload to its workflow, because the Web UI's codec
endpoint has to open it without knowing where it stood.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import os
import re
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec

from codec.errors import CodecKeysError, DamagedPayloadError, UnknownKeyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEYS_VARIABLE = "CAMPAIGNER_CODEC_KEYS"
PLAIN = "plain"
ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
_BOUND = b"campaigner/1:"
"""Authenticated with every payload, before its key id; the number is the format's."""
_KEY_BYTES = 32
_NONCE_BYTES = 12
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
"""Too short for a key in hexadecimal, and without the signs of base64: a key in its place is never shown."""
_HINT = "make a key with `openssl rand -base64 32`"


class EncryptionCodec(PayloadCodec):
    """Encrypts with one key, decrypts with any of several; what is not encrypted passes as it is.

    Without a key to encrypt with it lets everything pass, and still says clearly when it meets an encrypted payload.
    """

    def __init__(self, keys: Mapping[str, bytes], encrypt_with: str | None) -> None:
        """Take keys of 32 bytes by their id, and the id of the one to encrypt with (None: encrypt nothing)."""
        self._keys = {name: AESGCM(key) for name, key in keys.items()}
        self._encrypt_with = encrypt_with

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> EncryptionCodec:
        """Read the keys from ``CAMPAIGNER_CODEC_KEYS``; unset or empty means no encryption.

        Raises:
            CodecKeysError: the variable is malformed; the message tells the entry and never the key.

        """
        entries = [entry.strip() for entry in env.get(KEYS_VARIABLE, "").split(",")]
        if entries == [""]:
            return cls({}, None)
        plain = entries[0] == PLAIN
        keys: dict[str, bytes] = {}
        for number, entry in enumerate(entries[1:] if plain else entries, 2 if plain else 1):
            key_id, key = _entry(number, entry)
            if key_id in keys:
                raise CodecKeysError(f'{KEYS_VARIABLE}: the key id "{key_id}" stands there twice')
            keys[key_id] = key
        if not keys:
            raise CodecKeysError(f"{KEYS_VARIABLE}: {PLAIN} stands there with no key after it; leave it unset instead")
        return cls(keys, None if plain else next(iter(keys)))

    @property
    def encrypts(self) -> bool:
        """There is a key to encrypt with."""
        return self._encrypt_with is not None

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The keys by name, the first of the environment first."""
        return tuple(self._keys)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt every payload with the first key."""
        key_id = self._encrypt_with
        return list(payloads) if key_id is None else [self._sealed(payload, key_id) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt what is encrypted; other payloads pass.

        Raises:
            UnknownKeyError: a payload's key is not here.
            DamagedPayloadError: a payload does not open.

        """
        return [self._opened(payload) for payload in payloads]

    def _sealed(self, payload: Payload, key_id: str) -> Payload:
        nonce, name = os.urandom(_NONCE_BYTES), key_id.encode()
        data = self._keys[key_id].encrypt(nonce, payload.SerializeToString(), _BOUND + name)
        return Payload(metadata={"encoding": ENCODING, KEY_ID: name}, data=nonce + data)

    def _opened(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        name = payload.metadata.get(KEY_ID, b"")
        key_id = name.decode(errors="replace")[:64]
        key = self._keys.get(key_id)
        if key is None:
            raise UnknownKeyError(key_id, KEYS_VARIABLE)
        try:
            plain = key.decrypt(payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:], _BOUND + name)
            return Payload.FromString(plain)
        except (InvalidTag, ValueError, DecodeError):
            raise DamagedPayloadError(key_id) from None


def data_converter(codec: EncryptionCodec) -> DataConverter:
    """Give the pydantic converter with this codec.

    With encryption on, the messages and stack traces of failures are encrypted too. The codec is there even without a
    key: a worker that meets an encrypted payload then fails its task, to be tried again by a worker that has the key,
    where the SDK alone would drop a signal that it cannot read.
    """
    converter = dataclasses.replace(pydantic_data_converter, payload_codec=codec)
    if not codec.encrypts:
        return converter
    return dataclasses.replace(converter, failure_converter_class=DefaultFailureConverterWithEncodedAttributes)


def _entry(number: int, entry: str) -> tuple[str, bytes]:
    where = f"{KEYS_VARIABLE}: entry {number}"
    key_id, colon, text = (part.strip() for part in entry.partition(":"))
    if not colon:
        # Not repeated: what stands alone may well be the key.
        raise CodecKeysError(f"{where} is not <key id>:<base64 of 32 bytes>; {_HINT}")
    if not _ID.fullmatch(key_id):
        raise CodecKeysError(f"{where}: a key id is 1 to 32 letters, digits, dots, dashes and underscores")
    if key_id == PLAIN:
        raise CodecKeysError(f'{where}: "{PLAIN}" is no key id; it stands alone, in the first place')
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CodecKeysError(f'{where}: the key of "{key_id}" is not base64; {_HINT}') from None
    if len(key) != _KEY_BYTES:
        raise CodecKeysError(f'{where}: the key of "{key_id}" has {len(key)} bytes, not {_KEY_BYTES}; {_HINT}')
    return key_id, key
