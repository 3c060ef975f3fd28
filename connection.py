"""The connection to Temporal: the SDK's own environment configuration, and nothing invented beside it.

``TEMPORAL_ADDRESS``, ``TEMPORAL_NAMESPACE``, ``TEMPORAL_API_KEY``, the TLS variables and the profiles of
``temporal.toml`` work as in every other Temporal program. What campaigns say to Temporal is encrypted when
``CAMPAIGNER_CODEC_KEYS`` holds keys (see :mod:`codec`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.service import RPCError, RPCStatusCode

from codec import CodecKeysError, EncryptionCodec, data_converter
from workflows import attributes

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_ADDRESS = "localhost:7233"
_PATIENCE = 4.5
"""Seconds: a person waits in front of it."""


class TemporalError(Exception):
    """Temporal cannot be used as it is; the message says what to do."""


async def connect(address: str | None = None, namespace: str | None = None, metrics: str | None = None) -> Client:
    """Connect to Temporal as the environment says.

    Args:
        address: instead of ``TEMPORAL_ADDRESS``, such as the embedded server's.
        namespace: instead of ``TEMPORAL_NAMESPACE``.
        metrics: where to serve the SDK's metrics for Prometheus, such as ``127.0.0.1:9464``; nowhere when empty.

    Raises:
        TemporalError: the configuration is wrong, or nothing answers there.

    """
    try:
        options: dict[str, Any] = dict(ClientConfigProfile.load().to_client_connect_config())
        options["data_converter"] = data_converter(EncryptionCodec.from_environment())
    except (ValueError, RuntimeError, OSError) as error:
        raise TemporalError(f"the Temporal configuration cannot be read: {error}") from None
    except CodecKeysError as error:
        raise TemporalError(str(error)) from None
    options["target_host"] = address or options.get("target_host") or DEFAULT_ADDRESS
    options["namespace"] = namespace or options.get("namespace") or "default"
    if metrics:
        options["runtime"] = _measured(metrics)
    return await _opened(options)


async def connect_embedded(address: str, metrics: str | None = None) -> Client:
    """Connect to an embedded server: namespace, API key and TLS of the environment are meant for another one.

    Args:
        address: the server's.
        metrics: as for :func:`connect`.

    Raises:
        TemporalError: nothing answers there, or the codec's keys cannot be used.

    """
    try:
        converter = data_converter(EncryptionCodec.from_environment())
    except CodecKeysError as error:
        raise TemporalError(str(error)) from None
    options: dict[str, Any] = {"target_host": address, "namespace": "default", "data_converter": converter}
    if metrics:
        options["runtime"] = _measured(metrics)
    return await _opened(options)


async def _opened(options: dict[str, Any]) -> Client:
    target = options["target_host"]
    try:
        async with asyncio.timeout(_PATIENCE):
            return await Client.connect(**options)
    except (RuntimeError, RPCError, TimeoutError, OSError, ValueError):
        raise TemporalError(
            f"no Temporal server answers at {target}; start one with `campaigner dev`, or set TEMPORAL_ADDRESS"
        ) from None


def is_encrypting(client: Client) -> bool:
    """Tell whether what this client says is encrypted."""
    codec = client.data_converter.payload_codec
    return isinstance(codec, EncryptionCodec) and codec.encrypts


def _measured(address: str) -> Runtime:
    try:
        return Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=address)))
    except (ValueError, RuntimeError) as error:
        raise TemporalError(f"the metrics cannot be served at {address}: {error}") from None


_KINDS: Mapping[IndexedValueType.ValueType, str] = {
    IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD: "Keyword",
    IndexedValueType.INDEXED_VALUE_TYPE_INT: "Int",
    IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE: "Double",
}


async def ensure_attributes(client: Client) -> None:
    """Make sure that the namespace knows the search attributes, registering what is missing.

    Raises:
        TemporalError: they are missing and cannot be registered from here; the message has the commands.

    """
    wanted = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in attributes.ALL}
    try:
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        known = {**listed.custom_attributes, **listed.system_attributes}
        wrong = [name for name, kind in wanted.items() if name in known and known[name] != kind]
        if wrong:
            raise TemporalError(
                f"the namespace {client.namespace} has search attributes of another type: {', '.join(wrong)}"
            )
        missing = {name: kind for name, kind in wanted.items() if name not in known}
        if missing:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
            )
    except RPCError as error:
        if error.status is RPCStatusCode.ALREADY_EXISTS:
            return
        commands = "\n".join(
            f"  temporal operator search-attribute create --name {name} --type {_KINDS[kind]}"
            for name, kind in wanted.items()
        )
        raise TemporalError(
            f"the search attributes of namespace {client.namespace} cannot be checked ({error.message}); "
            f"an administrator creates them once:\n{commands}"
        ) from None
