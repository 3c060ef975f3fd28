"""What can go wrong between us and a panel.

    PanelError                  every answer that is not the one asked for
    ├── Ambiguous               unknown whether the request was taken: send the same bytes again, never new ones
    │   ├── Unreachable         no connection, so certainly not sent
    │   └── Missing             the answer to a batch says nothing readable about this one order
    ├── Throttled               429, not taken: nothing more before `until`
    └── Refused                 a definite no, in the panel's own words
        ├── InsufficientFunds   the balance is below the charge
        ├── BusyLink            another live order holds the link
        ├── AccountBlocked      the key or the whole account is refused
        └── Rejected            every other no: this order, as it stands, will not be taken
            ├── OrderNotFound   the panel does not know the order id (right after placing: perhaps not yet)
            ├── NotYet          a refill or cancel that may be granted later
            └── AlreadyRequested  a refill or cancel that was asked for before and still runs

    WebhookError                a delivery that must not be believed
    ├── BadSignature            not signed by the panel, or too old
    └── UnreadableDelivery      signed, but not a JSON object with an event

`words` are the panel's own, without the API key, without control characters and at most 300 characters long.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import ClassVar

WORDS_LIMIT = 300
DEFAULT_WAIT = timedelta(seconds=60)


class PanelError(Exception):
    """A call that did not give what was asked; `str()` says what happened and what to do next."""

    what: ClassVar[str] = "failed"
    advice: ClassVar[str] = ""

    def __init__(self, words: str = "", *, action: str = "", http_status: int | None = None) -> None:
        super().__init__(words)
        self.words = words
        self.action = action
        self.http_status = http_status

    def __str__(self) -> str:
        return f"{self.fact}. {self._advice()}".strip()

    @property
    def fact(self) -> str:
        """What happened, without what to do about it and without a full stop."""
        status = f" (HTTP {self.http_status})" if self.http_status is not None else ""
        words = f": {self.words.rstrip('. ')}" if self.words else ""
        return f"{self.action or 'panel'} {self.what}{status}{words}"

    @property
    def from_elsewhere(self) -> bool:
        """Whether this looks like the answer of something else than the API, as at a wrong path of the right host."""
        if self.http_status is None or self.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return False
        if type(self) is Ambiguous:
            return self.http_status not in _OPEN
        return type(self) is Rejected and self.http_status in _NOT_HERE

    def _advice(self) -> str:
        return self.advice


class Ambiguous(PanelError):  # noqa: N818 -- an outcome, not always an error
    """Nobody can say whether the panel took the request: timeout, reset, 5xx, an answer that is not the API's."""

    what = "has an unknown outcome"
    advice = "Asking again is safe."

    def _advice(self) -> str:
        if self.action == "add" and type(self) is Ambiguous:
            return "Send exactly the same order again, with the same request_id; never a new one."
        return self.advice


class Unreachable(Ambiguous):
    """No connection came about, so nothing was sent."""

    what = "was not sent"
    advice = "Check the panel's address, DNS, the proxy and the network; sending again is safe."


class Missing(Ambiguous):
    """The answer to a batch has no readable row for this order."""

    what = "got no answer for this order"
    advice = "Ask again in the next round."


class Throttled(PanelError):  # noqa: N818
    """The rate limit is used up; the request was not taken.

    `until` is an aware UTC time. `denied_by` is the limit that ran out (`ip`, `key` or `tier`), `limit` and
    `remaining` are requests, each None where the panel did not say. `http_status` is None when the client held the
    request back itself because an earlier answer had said to wait.
    """

    what = "was throttled"
    advice = "Wait for the reset; nothing was taken."

    def __init__(
        self,
        words: str = "",
        *,
        action: str = "",
        http_status: int | None = None,
        until: datetime | None = None,
        denied_by: str | None = None,
        limit: int | None = None,
        remaining: int | None = None,
    ) -> None:
        super().__init__(words, action=action, http_status=http_status)
        self.until = until or datetime.now(UTC) + DEFAULT_WAIT
        self.denied_by = denied_by
        self.limit = limit
        self.remaining = remaining

    def __str__(self) -> str:
        by = f" Denied by the limit of the {self.denied_by}." if self.denied_by else ""
        return f"{super().__str__()}{by} Open again at {self.until:%Y-%m-%dT%H:%M:%SZ}."


class Refused(PanelError):  # noqa: N818
    """The panel said no, and nothing was taken."""

    what = "was refused"


class InsufficientFunds(Refused):
    """The balance does not cover the charge."""

    advice = "Top up the account's balance; the order can be placed after that."


class BusyLink(Refused):
    """Another live order holds the same link."""

    advice = "Wait until the other order on this link has ended."


class AccountBlocked(Refused):
    """The API key or the account is refused, and with it every call."""

    advice = "Check the API key and the account in the panel's dashboard; until then every call will be refused."


class Rejected(Refused):
    """A definite no to this very request."""

    advice = "Correct the request; the same one will be refused again."


class OrderNotFound(Rejected):
    """The panel does not know this order id."""

    advice = "Right after placing, ask again in a few minutes; later, check the account and the order id."


class NotYet(Rejected):
    """A refill or cancel that is not due now."""

    advice = "Ask again later."


class AlreadyRequested(Rejected):
    """The same refill or cancel was asked for before."""

    advice = "Nothing to do: the earlier request stands."


class WebhookError(Exception):
    """A delivery that must not be believed."""


class BadSignature(WebhookError):  # noqa: N818
    """The delivery is unsigned, signed by someone else, or outside the replay window."""


class UnreadableDelivery(WebhookError):  # noqa: N818
    """The body is not a JSON object that names an event."""


def _known(words: str, kind: type[PanelError]) -> tuple[re.Pattern[str], type[PanelError]]:
    return re.compile(words, re.IGNORECASE), kind


# The one place where an error's words decide. The API has no machine-readable code, so there is no other way.
# The first match counts. [doc] NotPanel's documentation; [v2] other panels of the family and their clients.
KNOWN_WORDS: tuple[tuple[re.Pattern[str], type[PanelError]], ...] = (
    # [doc] "Rate limit exceeded"; [v2] "Too many requests"
    _known(r"rate limit exceeded|too many requests", Throttled),
    # [open] how a panel answers a request_id it is still working on or has seen with another body. Whatever the words,
    # an order under that id may exist, so this is never a definite no.
    _known(r"(duplicate|already|in progress|being processed|in use|conflict).*(request[ _]?id|idempoten)", Ambiguous),
    _known(r"(request[ _]?id|idempoten).*(duplicate|already|in progress|being processed|in use|conflict)", Ambiguous),
    _known(r"duplicate request|request (is )?(still |already )?(in progress|being processed|processed)", Ambiguous),
    # [doc] "Insufficient balance"; [v2] "Not enough funds on balance", "neworder.error.not_enough_funds",
    # "You do not have enough funds to Place order", "Order amount exceeds available funds!"
    _known(r"insufficient[ _](balance|funds?|credits?)", InsufficientFunds),
    _known(r"not[ _](have[ _])?enough[ _](funds?|balance|money|credits?)", InsufficientFunds),
    _known(r"exceeds available funds", InsufficientFunds),
    # [v2] "You have active order with this link. Please wait until order being completed.",
    # "neworder.error.link_duplicate"
    _known(r"active order (with|for|on) this link|link_duplicate", BusyLink),
    # [doc] "Invalid API key", "Account suspended"; [v2] "Incorrect API key", "API is Disable for this user or User Not
    # Found! Contact the Support"
    _known(r"\b(invalid|incorrect|wrong|inactive|missing|expired|unknown) (api[ _-]?)?key\b", AccountBlocked),
    _known(
        r"\bapi[ _-]?key (is )?(invalid|incorrect|wrong|inactive|missing|expired|not valid|not found)", AccountBlocked
    ),
    _known(r"\b(account|user) (is |has been |was )?(suspended|blocked|banned|disabled|inactive)", AccountBlocked),
    _known(r"api is disabled? for this user", AccountBlocked),
    # [v2] "Incorrect order ID"
    _known(r"(incorrect|invalid|unknown) order( id)?\b|order( id)? (was |is )?(not found|not exists?)", OrderNotFound),
    # [v2] "Cancel already requested"; [doc] one pending refill at a time (words unknown)
    _known(r"already (been )?(requested|cancell?ed|refilled)|(cancel|refill)\w* (is )?already", AlreadyRequested),
    _known(r"refill (is |request is )?(still |already )?(pending|in progress|in process)", AlreadyRequested),
    # [v2] "The order is not completed", "… refill was requested less than 24 hours ago"
    _known(r"order is not completed|less than \d+ (hours?|days?) ago", NotYet),
)

# Where the words are new, these statuses still say who is meant (RFC 9110).
_BY_STATUS: dict[int, type[PanelError]] = {
    HTTPStatus.UNAUTHORIZED: AccountBlocked,
    HTTPStatus.PAYMENT_REQUIRED: InsufficientFunds,
}

# "Too slow", "clashes with one in flight", "too early": whether an earlier copy was taken stays open.
_OPEN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY})

_NOT_HERE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE})
"""What a server says of a path at which it has nothing for us."""


def kind_of(words: str, *, action: str, http_status: int) -> type[PanelError]:
    """Return the class of a JSON `error`.

    The words win over the HTTP status, but they never make a 5xx of `add` definite.
    """
    known = next((kind for pattern, kind in KNOWN_WORDS if pattern.search(words)), None)
    if http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Ambiguous if action == "add" or known is None else known
    if http_status in _OPEN:
        return Ambiguous
    return known or _BY_STATUS.get(http_status, Rejected)
