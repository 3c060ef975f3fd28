"""What the answer to an ``add`` is worth where an earlier attempt at it may have arrived."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.contracts import PlaceOrder
from activities.sending import ON_ITS_WAY, Doubt, send
from campaigns.messages import OrderForm, Unanswered
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
