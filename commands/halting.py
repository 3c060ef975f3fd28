"""``halt`` and ``release``: an account's placements stop, or go on, everywhere at once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError

from campaigns.wording import count
from codec import CodecError
from commands.campaigns import who
from commands.console import DONE, FAILED, CommandError, Kind, emit, say, show
from commands.temporal import connected, nobody_works, unattended
from configuration import load_configuration
from workflows import halting

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def _answered(account: str, done: str) -> Iterator[None]:
    """Say what it means when the account's workflow refuses, or nobody answers for it."""
    try:
        yield
    except WorkflowUpdateFailedError as error:
        raise CommandError(f"account {account} was not {done}: {error.cause}", FAILED, Kind.REFUSED) from None
    except CodecError as error:
        told = f"account {account} was told, and may be {done}: its answer cannot be read here ({error})"
        told += "; set the keys, look at `campaigner accounts`, and ask again"
        raise CommandError(told, FAILED, Kind.TEMPORAL) from None
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        raise CommandError(
            f"no worker answered within {halting.PATIENCE.seconds} s: account {account} may be {done} as soon as "
            "one does, or not at all; look at the workers, then ask again",
            FAILED,
            Kind.NO_WORKER,
        ) from None


async def halt_account(account: str, why: str, *, as_machine: bool) -> int:
    """Stop every placement of an account."""
    load_configuration(keys=False).account(account)
    client = await connected()
    if missing := await unattended(client):
        raise CommandError(f"nothing was halted: {nobody_works(missing)}, then halt again", FAILED, Kind.NO_WORKER)
    by = who()
    with _answered(account, "halted"):
        await halting.halt(client, account, by=by, why=why)
    if as_machine:
        emit({"account": account, "halted": True, "by": by, "why": why})
    else:
        show(f"account {account} is halted: nothing more is placed until `campaigner release {account}`")
        say("a placement that is on its way to the panel still arrives; open orders are looked after", "dim")
    return DONE


async def release_account(account: str, why: str, *, as_machine: bool) -> int:
    """Let an account's placements go on."""
    load_configuration(keys=False).account(account)
    client = await connected()
    if missing := await unattended(client):
        why_not = f"nothing was released: {nobody_works(missing)}, then release again"
        raise CommandError(why_not, FAILED, Kind.NO_WORKER)
    by = who()
    with _answered(account, "released"):
        released = await halting.release(client, account, by=by, why=why)
    if as_machine:
        emit({"account": account, "halted": False, "by": by, "why": why, "campaigns": released.campaigns})
    else:
        how = "goes on" if released.was_halted else "was not halted"
        show(f"account {account} {how}; {count(released.campaigns, 'running campaign')} told to try again now")
    return DONE
