"""What the answer to an ``add`` is worth where an earlier attempt at it may have arrived."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.accounts import PanelAccount
from activities.contracts import PlaceOrder
from activities.gating import DailyLimit
from activities.orders import PanelActivities
from activities.sending import ON_ITS_WAY, Doubt, send
from campaigns.accounts import AccountFacts
from campaigns.messages import OrderForm, Unanswered
from campaigns.remembering import Sent
from panel import PanelClient
from tests.panel.awkward import AwkwardPanel

if TYPE_CHECKING:
    from campaigns.messages import PlaceEvent

NOW = datetime.now(UTC)
FORM = OrderForm(service=101, request_id="req-1", link="https://example.com/brand/film", quantity=500)
FUNDS = (402, "Insufficient balance")
BUSY = (400, "You have active order with this link")
SUSPENDED = (403, "Account suspended")
WRONG_KEY = (401, "Invalid API key")
BAD_LINK = (400, "Incorrect link")
BUSY_NETWORK = (502, "<html>Bad gateway</html>")

CERTAIN = Doubt()


async def answer_to(said: tuple[int, str], doubt: Doubt, *, idempotent: bool = True) -> str:
    """Give the outcome's kind, or `repeat` where Temporal is to send the same again."""
    event = await outcome_of(said, doubt, idempotent=idempotent)
    return "repeat" if event is None else event.kind


async def outcome_of(said: tuple[int, str], doubt: Doubt, *, idempotent: bool = True) -> PlaceEvent | None:
    """Give the outcome, or None where Temporal is to send the same again."""
    status, words = said
    body: Any = words if words.startswith("<") else {"error": words}
    order = PlaceOrder(
        account="main",
        key="views/1",
        form=FORM,
        first=True,
        due=NOW,
        repeat_until=NOW + timedelta(hours=12),
        idempotent=idempotent,
    )
    async with AwkwardPanel() as awkward, PanelClient(awkward.url, "a-key") as client:
        awkward.say(body, status)
        event = None
        with suppress(ApplicationError):
            event = await send(client, order, doubt)
        assert awkward.connections == 1
    return event


@pytest.mark.parametrize(
    ("said", "certain", "fresh", "old", "old_unheard"),
    [
        (FUNDS, "blocked", "repeat", "blocked", "blocked"),
        (BAD_LINK, "rejected", "repeat", "rejected", "rejected"),
        (BUSY, "link_busy", "repeat", "link_busy", "repeat"),
        (SUSPENDED, "blocked", "repeat", "repeat", "repeat"),
        (WRONG_KEY, "blocked", "repeat", "repeat", "repeat"),
        (BUSY_NETWORK, "repeat", "repeat", "repeat", "repeat"),
    ],
    ids=["funds", "refused", "busy link", "suspended", "wrong key", "proxy"],
)
async def test_a_refusal_is_believed_only_where_it_is_a_word_on_the_order_itself(
    said: tuple[int, str], certain: str, fresh: str, old: str, old_unheard: str
) -> None:
    now, before = datetime.now(UTC), datetime.now(UTC) - 2 * ON_ITS_WAY
    doubts = (CERTAIN, Doubt(now, unheard_of=True), Doubt(before), Doubt(before, unheard_of=True))
    assert [await answer_to(said, doubt) for doubt in doubts] == [certain, fresh, old, old_unheard]


async def test_the_last_attempt_counts_and_what_the_campaign_knows_of_waits_for_its_end() -> None:
    now = datetime.now(UTC)
    # The first may never have arrived; the last one may have used up the money just now.
    unheard = Doubt(now - 3 * ON_ITS_WAY, now, unheard_of=True)
    assert [await answer_to(said, unheard) for said in (FUNDS, BAD_LINK, BUSY)] == ["repeat"] * 3
    known = Doubt(now - 3 * ON_ITS_WAY, now)
    assert [await answer_to(said, known) for said in (FUNDS, BAD_LINK, BUSY)] == ["not_taken"] * 3
    over = Doubt(now - 3 * ON_ITS_WAY, now - 2 * ON_ITS_WAY)
    assert [await answer_to(said, over) for said in (FUNDS, BAD_LINK, BUSY)] == ["blocked", "rejected", "link_busy"]


class _Gate:
    """Lets everything go on; keeps whose room was given back."""

    def __init__(self) -> None:
        self.given_back: list[str] = []

    async def ask(self, *_: Any) -> None:
        return None

    async def give_back(self, order: PlaceOrder) -> None:
        self.given_back.append(order.key)


class _Replaced:
    """A run that a reset replaced, and when it lost an answer last."""

    def __init__(self, at: datetime, lost_at: datetime) -> None:
        self.sent = Sent("views/1", at, form=FORM, unanswered=1, lost_at=lost_at)

    async def recall(self, *_: Any) -> tuple[Sent, bool]:
        return self.sent, True


async def placed(
    said: tuple[int, str],
    *,
    attempt: int,
    first_sent: timedelta,
    lost: timedelta | None,
    replaced: timedelta | None = None,
) -> str:
    """Give the outcome of the activity's attempt, and a `+` where the day gets its room back.

    Args:
        said: the panel's answer.
        attempt: its number.
        first_sent: how long ago the order was sent first.
        lost: how long ago the campaign lost the last answer it knows of.
        replaced: how long ago a run lost one that a reset has replaced since.

    """
    status, words = said
    facts = AccountFacts(name="main", allowed_targets=["https://example.com/*"], retry_window=timedelta(hours=12))
    now = datetime.now(UTC)
    order = PlaceOrder(
        account="main",
        key="views/1",
        form=FORM,
        first=lost is None,
        due=now,
        repeat_until=now - first_sent + facts.retry_window,
        lost_at=None if lost is None else now - lost,
        resets=[] if replaced is None else ["a-run"],
    )
    memory = None if replaced is None else _Replaced(now - first_sent, now - replaced)
    environment, gate = ActivityEnvironment(), _Gate()
    environment.info = dataclasses.replace(environment.info, attempt=attempt)
    async with AwkwardPanel() as awkward, PanelClient(awkward.url, "a-key") as client:
        awkward.say({"error": words}, status)
        account = PanelAccount(facts, client, DailyLimit(Decimal(5), "UTC"))
        activities = PanelActivities({"main": account}, cast("Any", memory), cast("Any", gate))
        kind = "repeat"
        with suppress(ApplicationError):
            kind = (await environment.run(activities.place_order, order)).event.kind
    return kind + "+" * len(gate.given_back)


@pytest.mark.parametrize(
    ("attempt", "first_sent", "lost", "outcome"),
    [
        (1, timedelta(0), None, "blocked+"),
        (3, timedelta(minutes=3), None, "repeat"),
        (1, timedelta(minutes=3), timedelta(seconds=15), "not_taken"),
        (1, timedelta(minutes=3), timedelta(minutes=2), "blocked+"),
        (2, timedelta(minutes=3), timedelta(minutes=2), "repeat"),
        (1, timedelta(hours=-11), timedelta(minutes=2), "blocked+"),
    ],
    ids=[
        "new",
        "later attempt",
        "lost a moment ago",
        "lost a while ago",
        "lost, later attempt",
        "shorter window since",
    ],
)
async def test_no_funds_is_believed_only_a_while_after_the_last_attempt_that_may_have_taken_them(
    attempt: int, first_sent: timedelta, lost: timedelta | None, outcome: str
) -> None:
    assert await placed(FUNDS, attempt=attempt, first_sent=first_sent, lost=lost) == outcome


@pytest.mark.parametrize(
    ("replaced", "outcome"), [(timedelta(seconds=15), "not_taken"), (timedelta(minutes=2), "blocked+")]
)
async def test_what_a_replaced_run_lost_a_moment_ago_counts_like_what_the_campaign_knows_of(
    replaced: timedelta, outcome: str
) -> None:
    long_ago, while_ago = timedelta(minutes=5), timedelta(minutes=3)
    found = await placed(FUNDS, attempt=1, first_sent=long_ago, lost=while_ago, replaced=replaced)
    assert found == outcome


async def test_the_day_keeps_the_room_of_an_order_that_may_be_there() -> None:
    throttled = (429, "Rate limit exceeded")
    assert await placed(throttled, attempt=1, first_sent=timedelta(0), lost=None) == "not_taken+"
    assert await placed(throttled, attempt=1, first_sent=timedelta(hours=1), lost=timedelta(hours=1)) == "not_taken"


async def test_without_request_ids_nothing_is_ever_repeated() -> None:
    said = (FUNDS, BAD_LINK, BUSY, SUSPENDED, WRONG_KEY, BUSY_NETWORK)
    kinds = [await answer_to(each, CERTAIN, idempotent=False) for each in said]
    assert kinds == ["blocked", "rejected", "link_busy", "blocked", "blocked", "unanswered"]


async def test_without_request_ids_nobody_is_told_to_send_it_again() -> None:
    event = await outcome_of(BUSY_NETWORK, CERTAIN, idempotent=False)
    assert isinstance(event, Unanswered)
    assert event.words.startswith("add has an unknown outcome (HTTP 502): the answer is not JSON")
    assert "again" not in event.words
    assert not event.words.endswith(".")
