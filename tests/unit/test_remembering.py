"""What the histories of replaced runs say of an order, and what follows for sending it again."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from campaigns.messages import Expired, LinkBusy, NotTaken, OrderForm, Placed, Rejected, Unanswered
from campaigns.remembering import Sendings, answered
from tests.unit.model_panel import START

if TYPE_CHECKING:
    from campaigns.messages import PlaceEvent

KEY, ID = "views/3", "id-1"
FORM = OrderForm(service=101, request_id=ID, link="https://example.com/brand/film", quantity=500)
NOT_TAKEN = NotTaken(key=KEY, words="Rate limit exceeded")
PLACED = Placed(key=KEY, panel_order="ord_1", units=500)


def sendings(*answers: PlaceEvent | None, request_id: str = ID, key: str = KEY) -> Sendings:
    """Note one sending for each answer; None is an answer that never came."""
    noted = Sendings()
    for number, event in enumerate(answers):
        noted.send(request_id, key, START + timedelta(minutes=number), FORM)
        if event is not None:
            noted.answer(request_id, event)
    return noted


def outcome(noted: Sendings, *, idempotent: bool, complete: bool = True) -> PlaceEvent | None:
    return answered(KEY, noted.find(ID, KEY), START + timedelta(hours=1), complete=complete, idempotent=idempotent)


@pytest.mark.parametrize("lost", [None, Unanswered(key=KEY, words="timeout")])
def test_an_answer_to_one_sending_says_nothing_of_another_whose_answer_was_lost(lost: PlaceEvent | None) -> None:
    for answers in permutations([NOT_TAKEN, lost]):
        noted = sendings(*answers)
        assert isinstance(outcome(noted, idempotent=False), Expired)
        (doubtful,) = noted.at_the_panel()
        assert (doubtful.key, doubtful.panel_order) == (KEY, None)
    assert outcome(sendings(NOT_TAKEN, NOT_TAKEN), idempotent=False) is None
    assert sendings(NOT_TAKEN, NOT_TAKEN).at_the_panel() == []


def test_histories_may_be_read_in_any_order() -> None:
    runs = [sendings(NOT_TAKEN), sendings(None), sendings(PLACED), sendings(NOT_TAKEN)]
    for order in permutations(runs):
        chain = Sendings()
        for run in order:
            chain.merge(run)
        assert outcome(chain, idempotent=False) == PLACED
        assert [each.panel_order for each in chain.at_the_panel()] == ["ord_1"]
    assert runs[0].sent[ID].event == NOT_TAKEN, "the parts stay as they were"


def test_a_refused_id_that_another_one_followed_is_not_sent_again() -> None:
    noted = sendings(LinkBusy(key=KEY, words="busy"))
    noted.send("id-2", KEY, START + timedelta(hours=1), FORM)
    again = outcome(noted, idempotent=True)
    assert isinstance(again, LinkBusy)
    assert again.superseded
    refused = sendings(Rejected(key=KEY, words="Bad link"))
    assert outcome(refused, idempotent=True) is None
    refused.send("id-2", f"{KEY}+1", START + timedelta(hours=1), FORM)
    assert isinstance(outcome(refused, idempotent=True), Rejected)


def test_where_a_history_is_gone_a_panel_without_keys_is_not_asked_again() -> None:
    assert isinstance(outcome(Sendings(), idempotent=False, complete=False), Expired)
    assert outcome(Sendings(), idempotent=False) is None
    assert outcome(Sendings(), idempotent=True, complete=False) is None


def test_the_latest_loss_of_all_runs_counts() -> None:
    early, late, sure = sendings(None), sendings(None), sendings(NOT_TAKEN)
    early.lose(ID, START + timedelta(minutes=1))
    late.lose(ID, START + timedelta(minutes=9))
    for order in permutations([early, late, sure]):
        chain = Sendings()
        for run in order:
            chain.merge(run)
        found = chain.find(ID, KEY)
        assert found is not None
        assert found.lost_at == START + timedelta(minutes=9)
    assert sure.sent[ID].lost_at is None
