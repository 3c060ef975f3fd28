"""What a campaign tells: each thing once, under an id of its own, of the kinds asked for; and where it goes."""

from __future__ import annotations

import re
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.definition import NoticeKind, Notify
from campaigns.engine import NOTICES
from campaigns.messages import Approved, CancelRequested, Rejected, Tell
from campaigns.notices import LONGEST_QUEUE, notice
from campaigns.webhooks import address_of, webhook_fault
from tests.unit.policy_table import EVERYTHING, PolicyTable, limited, order, plan

ADDRESS = "https://hooks.example.com/T0/B1/secret"


def _played(**limits: Any) -> PolicyTable:
    table = PolicyTable(limited(plan(order("a"), order("b")), **limits)).say(Approved(by="bo"))
    table.say(Rejected(key="b/1", words="no")).place("a/1")
    return table.read("a/1", "completed", remains=0, charge=Decimal("0.45"))


def test_each_thing_is_told_once_in_order_and_with_an_id_that_the_same_history_gives_again() -> None:
    first, again = (_played(notify=EVERYTHING, approval_over="0.10 USD") for _ in range(2))
    assert [kind for kind, _ in first.told()] == ["awaiting_approval", "failed", "settled", "settled", "completed"]
    assert [one.id for one in first.notices] == [one.id for one in again.notices]
    assert len({one.id for one in first.notices}) == len(first.notices)
    assert all(uuid.UUID(one.id) for one in first.notices)
    assert first.told()[-1][1] == "completed, spent 0.45 USD"


def test_only_the_kinds_that_were_asked_for_are_told() -> None:
    for kind in NoticeKind:
        told = _played(notify=Notify(webhook=ADDRESS, on=[kind]), approval_over="0.10 USD").told()
        assert {name for name, _ in told} <= {kind.value}
    assert _played().notices == []


def test_settled_is_told_only_when_it_is_asked_for() -> None:
    assert NoticeKind.SETTLED not in Notify(webhook=ADDRESS).on
    assert [kind for kind, _ in _played(notify=Notify(webhook=ADDRESS)).told()] == ["failed", "completed"]


def test_an_order_s_notice_says_which_and_how_it_stands() -> None:
    (told,) = _played(notify=Notify(webhook=ADDRESS, on=[NoticeKind.FAILED])).notices
    assert (told.order, told.text) == ("b/1", "demo: b/1 failed (no)")
    assert told.data["order_state"] == "failed"
    assert (told.data["delivered"], told.data["quantity"]) == ("0", "500")


def test_the_end_of_a_canceled_campaign_is_told_with_the_word() -> None:
    table = PolicyTable(limited(plan(), notify=EVERYTHING)).say(CancelRequested()).place("seed/1")
    table.read("seed/1", "canceled", remains=500, charge=Decimal(0))
    assert table.told()[-1] == ("completed", "canceled, spent 0.00 USD")


def test_notices_go_out_in_pages_and_never_more_than_the_queue_holds_wait() -> None:
    table = PolicyTable(limited(plan(), notify=EVERYTHING))
    for _ in range(LONGEST_QUEUE + 500):
        notice(table.state, NoticeKind.SETTLED, "again", table.now)
    assert len(table.state.notices) == LONGEST_QUEUE
    table.decide()
    (tell,) = table.said(Tell)
    assert len(tell.notices) == NOTICES
    assert len(table.state.notices) == LONGEST_QUEUE - NOTICES
    assert len({one.id for one in table.state.notices}) == len(table.state.notices)


@pytest.mark.parametrize("webhook", [ADDRESS, "http://127.0.0.1:8080/hook", "${ALERT_URL}", "${ALERT_URL:?set it}"])
def test_an_address_or_one_variable_alone_is_a_webhook(webhook: str) -> None:
    assert webhook_fault(webhook) is None


@pytest.mark.parametrize(
    "webhook",
    [
        "https://example.com/${API_KEY}", "${A}${B}", " ${A}", "${A} ", "${A:-https://example.com}", "$A", "${}",
        "${1A}", "ftp://example.com/x", "example.com/hook", "", "https://", "javascript:alert(1)", "${A}\n",
    ],
)  # fmt: skip
def test_nothing_else_is(webhook: str) -> None:
    assert webhook_fault(webhook) is not None


def test_the_variable_is_filled_in_from_the_environment_at_the_time() -> None:
    assert address_of("${ALERT_URL}", {"ALERT_URL": ADDRESS}) == ADDRESS
    assert address_of(ADDRESS, {}) == ADDRESS


@pytest.mark.parametrize("env", [{}, {"KEY": ""}, {"KEY": "np_live_0123456789"}, {"KEY": "postgres://u:p@db/x"}])
def test_a_variable_that_holds_no_address_is_refused_without_its_value(env: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="the variable KEY") as caught:
        address_of("${KEY}", env)
    assert not env.get("KEY") or env["KEY"] not in str(caught.value)


@given(st.text(alphabet="abcXYZ019_-/+=.~", min_size=1, max_size=60))
def test_no_key_of_a_panel_is_ever_taken_for_an_address(key: str) -> None:
    with pytest.raises(ValueError, match="does not hold an address"):
        address_of("${KEY}", {"KEY": key})


@given(st.text(max_size=60))
def test_only_what_is_an_address_or_one_variable_passes(text: str) -> None:
    if webhook_fault(text) is None:
        assert re.fullmatch(r"\$\{[A-Za-z_]\w*(:?\?[^}]*)?\}|https?://[^\s$]+", text, re.ASCII | re.DOTALL)
