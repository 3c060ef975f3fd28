"""What the domain knows of a panel account: the facts that rules need, and no secret."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from campaigns.quantities import Amount

RETRY_WINDOW = timedelta(hours=12)
"""How long the same request_id may be sent again: half of the day a panel is assumed to remember it (an open point)."""


class AccountFacts(BaseModel):
    """The part of an account's configuration that plans and engines read; recorded with the plan, never the key."""

    model_config = ConfigDict(frozen=True)

    name: str
    currency: str = "USD"
    allowed_targets: list[str] = Field(default_factory=list)
    """Links the operator owns: exact, or with ``*``."""
    poll_every: timedelta = timedelta(seconds=60)
    """How often an open order's status is read."""
    retry_window: timedelta = RETRY_WINDOW
    """How long an unanswered request is repeated with its own key."""
    probe_every: timedelta = timedelta(minutes=5)
    """How often one order probes an account without funds, and a link that is busy is tried again."""
    second_person: bool = False
    """True when a campaign must be approved by somebody else than who started it."""
    guarded: bool = False
    """True when the account has a limit for the day: each placement is reserved with the account first."""
    per_day: Amount | None = None
    """What all campaigns of the account together may order on one day, as planning sees it."""
    idempotent: bool = True
    """False for a panel that ignores ``request_id``: an unanswered request is then never repeated."""
    private: bool = False
    """True where campaigns are encrypted: their spending then stays out of the search attributes, which never are."""
