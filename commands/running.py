"""Runs a command's coroutine, and turns every error into one sentence and an exit code."""

from __future__ import annotations

import asyncio
import gc
import logging
import traceback
from typing import TYPE_CHECKING

from temporalio.service import RPCError, RPCStatusCode

from campaigns.wording import escaped
from commands.console import FAILED, INTERRUPTED, CommandError, Kind, fail, say
from connection import TemporalError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

SETTLE = 0.05
"""Seconds between the last use of Temporal and the end of the loop (measured: without, every third process crashes)."""
_ENOUGH = 300


def run(work: Callable[[], Coroutine[Any, Any, int]], *, debug: bool = False) -> int:
    """Run a command to its exit code; no exception gets out, except with ``debug`` its traceback on stderr."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        return asyncio.run(_guarded(work, debug=debug))
    except KeyboardInterrupt:
        return INTERRUPTED


async def _guarded(work: Callable[[], Coroutine[Any, Any, int]], *, debug: bool) -> int:
    try:
        return await work()
    except Exception as error:  # noqa: BLE001 - the last resort of a program
        if debug:
            say(traceback.format_exc())
        told = explain(error)
        return fail(str(told), told.code, told.kind, **told.facts)
    finally:
        # What holds the client (frames, tracebacks) goes first; then its runtime gets a moment to let go of the loop.
        gc.collect()
        await asyncio.sleep(SETTLE)


def explain(error: Exception) -> CommandError:
    """Say an error in a sentence that says what to do, with its exit code and its kind."""
    # Only now: no command should wait for the panel's client or a YAML reader that it does not use.
    from codec import CodecError  # noqa: PLC0415
    from commands.files import misconfigured  # noqa: PLC0415
    from configuration import ConfigurationError  # noqa: PLC0415
    from panel import PanelError  # noqa: PLC0415

    match error:
        case CommandError():
            return error
        case ConfigurationError():
            return misconfigured(error)
        case TemporalError() | CodecError():
            return CommandError(str(error), FAILED, Kind.TEMPORAL)
        case PanelError():
            return CommandError(str(error), FAILED, Kind.PANEL)
        case RPCError():
            return CommandError(_of_temporal(error), FAILED, Kind.TEMPORAL)
        case _:
            return CommandError(unexpected(error), FAILED, Kind.UNEXPECTED)


def unexpected(error: BaseException) -> str:
    """Say what nobody foresaw."""
    words = escaped(" ".join(str(error).split()))[:_ENOUGH]
    return f"this should not have happened ({type(error).__name__}{': ' if words else ''}{words}); --debug shows where"


def _of_temporal(error: RPCError) -> str:
    words = escaped(error.message)[:_ENOUGH]
    match error.status:
        case RPCStatusCode.UNAVAILABLE | RPCStatusCode.DEADLINE_EXCEEDED | RPCStatusCode.CANCELLED:
            return f"Temporal does not answer any more ({words}); look whether its server still runs, then try again"
        case RPCStatusCode.PERMISSION_DENIED | RPCStatusCode.UNAUTHENTICATED:
            return f"Temporal refuses the access ({words}); check TEMPORAL_API_KEY and TEMPORAL_NAMESPACE"
        case RPCStatusCode.NOT_FOUND if "amespace" in words:
            return f"Temporal does not know the namespace ({words}); check TEMPORAL_NAMESPACE"
        case _:
            return f"Temporal answers: {words}"
