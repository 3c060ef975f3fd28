"""A panel account as the activities hold it: its facts, and the client that knows the key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporalio.exceptions import ApplicationError

from panel import PanelError, Throttled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from activities.gating import DailyLimit
    from campaigns.accounts import AccountFacts
    from panel import PanelClient


@dataclass(frozen=True, slots=True)
class PanelAccount:
    """One configured account: what rules may know of it, and the client to reach it with."""

    facts: AccountFacts
    client: PanelClient
    limit: DailyLimit | None = None
    """What all its campaigns together may order on one day."""


def account_named(accounts: Mapping[str, PanelAccount], name: str) -> PanelAccount:
    """Give the account of this name.

    Raises:
        ApplicationError: the worker's configuration has none; not retried, because asking again cannot help.

    """
    try:
        return accounts[name]
    except KeyError:
        known = ", ".join(sorted(accounts)) or "none"
        raise ApplicationError(
            f'account: "{name}" is not in the configuration of this worker (it has: {known}); '
            "a worker reads it when it starts, so restart it once the account is there",
            type="UnknownAccount",
            non_retryable=True,
        ) from None


def failure(error: PanelError) -> ApplicationError:
    """Turn a panel's error into a failed attempt that Temporal tries again, after the reset when there is one.

    The panel's words come without the key (see :mod:`panel.errors`), and nothing is chained: an exception of the HTTP
    library would carry the request.
    """
    delay: timedelta | None = None
    if isinstance(error, Throttled):
        delay = max(error.until - datetime.now(UTC), timedelta(seconds=1))
    return ApplicationError(str(error), type=type(error).__name__, next_retry_delay=delay)
