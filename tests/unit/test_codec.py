"""The payload codec: what it encrypts opens again, with its own key only, and no message shows a key."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure

from codec import KEYS_VARIABLE, CodecKeysError, DamagedPayloadError, EncryptionCodec, UnknownKeyError, data_converter

if TYPE_CHECKING:
    from types import TracebackType

KEYS = {"k1": bytes(range(32)), "k2": bytes(range(1, 33))}
TEXT = {name: base64.b64encode(key).decode() for name, key in KEYS.items()}
LINK = "https://example.com/brand/film"
payloads = st.lists(
    st.builds(
        lambda data, metadata: Payload(data=data, metadata=metadata),
        st.binary(max_size=2000),
        st.dictionaries(st.sampled_from(["encoding", "messageType", "encryption-key-id", "x"]), st.binary(max_size=30)),
    ),
    max_size=4,
)


def from_env(value: str) -> EncryptionCodec:
    return EncryptionCodec.from_environment({KEYS_VARIABLE: value})


def encode(codec: EncryptionCodec, *given: Payload) -> list[Payload]:
    return asyncio.run(codec.encode(given))


def decode(codec: EncryptionCodec, *given: Payload) -> list[Payload]:
    return asyncio.run(codec.decode(given))


@given(payloads)
def test_every_payload_comes_back_as_it_went_whatever_its_metadata_claims(given: list[Payload]) -> None:
    codec = from_env(f"k1:{TEXT['k1']}")
    sealed = encode(codec, *given)
    assert decode(codec, *sealed) == given
    assert all(payload.metadata == {"encoding": b"binary/encrypted", "encryption-key-id": b"k1"} for payload in sealed)


@given(st.binary(min_size=1, max_size=200), st.data())
def test_a_payload_altered_in_any_one_bit_does_not_open(plain: bytes, data: st.DataObject) -> None:
    codec = from_env(f"k1:{TEXT['k1']}")
    [sealed] = encode(codec, Payload(data=plain))
    bit = data.draw(st.integers(0, len(sealed.data) * 8 - 1))
    altered = bytearray(sealed.data)
    altered[bit // 8] ^= 1 << bit % 8
    sealed.data = bytes(altered)
    with pytest.raises(DamagedPayloadError, match="does not open"):
        decode(codec, sealed)


@given(st.binary(max_size=40))
def test_what_was_never_encrypted_here_is_refused_and_not_a_crash(data: bytes) -> None:
    stranger = Payload(metadata={"encoding": b"binary/encrypted", "encryption-key-id": b"k1"}, data=data)
    with pytest.raises(DamagedPayloadError):
        decode(from_env(f"k1:{TEXT['k1']}"), stranger)


def test_the_key_id_is_bound_to_the_payload() -> None:
    twins = EncryptionCodec({"a": KEYS["k1"], "b": KEYS["k1"]}, "a")
    [sealed] = encode(twins, Payload(data=b"x"))
    sealed.metadata["encryption-key-id"] = b"b"
    with pytest.raises(DamagedPayloadError, match="'b'"):
        decode(twins, sealed)


def test_the_same_payload_never_looks_the_same_twice() -> None:
    first, second = encode(from_env(f"k1:{TEXT['k1']}"), Payload(data=b"x"), Payload(data=b"x"))
    assert first.data != second.data


def test_keys_rotate_the_first_encrypts_and_all_decrypt() -> None:
    old = from_env(f"k1:{TEXT['k1']}")
    both = from_env(f" k2:{TEXT['k2']} ,\n k1:{TEXT['k1']} ")
    before, after = encode(old, Payload(data=b"x")) + encode(both, Payload(data=b"x"))
    assert after.metadata["encryption-key-id"] == b"k2"
    assert decode(both, before, after) == [Payload(data=b"x")] * 2
    with pytest.raises(UnknownKeyError, match="'k2', which is not in CAMPAIGNER_CODEC_KEYS") as caught:
        decode(old, after)
    assert caught.value.key_id == "k2"


@pytest.mark.parametrize("value", ["", f"plain,k1:{TEXT['k1']}"])
def test_without_a_key_to_encrypt_with_everything_passes_in_clear(value: str) -> None:
    codec = from_env(value)
    assert not codec.encrypts
    assert encode(codec, Payload(data=b"x")) == decode(codec, Payload(data=b"x")) == [Payload(data=b"x")]


def test_switched_on_or_off_midway_every_worker_reads_every_other() -> None:
    sealed, plain = encode(from_env(f"k1:{TEXT['k1']}"), Payload(data=b"x"))[0], Payload(data=b"x")
    assert decode(from_env(f"plain,k1:{TEXT['k1']}"), sealed, plain) == [plain, plain]
    assert decode(from_env(f"k1:{TEXT['k1']}"), sealed, plain) == [plain, plain]
    with pytest.raises(UnknownKeyError):
        decode(from_env(""), sealed)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (TEXT["k1"], "entry 1 is not <key id>:<base64 of 32 bytes>"),
        (f"k1:{TEXT['k1']},", "entry 2 is not"),
        (f":{TEXT['k1']}", "entry 1: a key id is"),
        (f"{TEXT['k1']}:k1", "entry 1: a key id is"),
        (f"{KEYS['k1'].hex()}:k1", "entry 1: a key id is"),
        (f"k1:{KEYS['k1'].hex()}", "has 48 bytes, not 32"),
        ("k1:c2hvcnQ=", '"k1" has 5 bytes, not 32'),
        (f"k1:{TEXT['k1'][:-1]}", '"k1" is not base64'),
        (f"k1:{TEXT['k1']},k1:{TEXT['k2']}", '"k1" stands there twice'),
        (f"plain:{TEXT['k1']}", "stands alone"),
        (f"k1:{TEXT['k1']},plain", "entry 2 is not"),
        ("plain", "no key"),
    ],
)
def test_a_malformed_variable_is_refused_with_the_entry_and_never_the_key(value: str, told: str) -> None:
    with pytest.raises(CodecKeysError) as caught:
        from_env(value)
    assert told in str(caught.value)
    assert KEYS_VARIABLE in str(caught.value)
    for text in (*TEXT.values(), *(key.hex() for key in KEYS.values()), "c2hvcnQ="):
        assert text[:8] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_converter_encrypts_what_failures_say_and_gives_it_back() -> None:
    converter = data_converter(from_env(f"k1:{TEXT['k1']}"))
    failure = Failure()

    async def told() -> str:
        error = ValueError(f"no such link: {LINK}")
        error.__traceback__ = _traceback()
        await converter.encode_failure(error, failure)
        return str(await converter.decode_failure(_copy(failure)))

    assert LINK in asyncio.run(told())
    assert LINK.encode() not in failure.SerializeToString()
    assert failure.message == "Encoded failure"
    assert failure.stack_trace == ""
    assert b"test_codec" not in failure.SerializeToString()


def test_without_keys_failures_stay_readable() -> None:
    failure = Failure()
    asyncio.run(data_converter(from_env("")).encode_failure(ValueError("plain words"), failure))
    assert failure.message == "plain words"


def _traceback() -> TracebackType | None:
    try:
        int("no number")
    except ValueError as error:
        return error.__traceback__
    return None


def _copy(failure: Failure) -> Failure:
    fresh = Failure()
    fresh.CopyFrom(failure)
    return fresh
