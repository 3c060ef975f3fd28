"""The audit: agrees with a panel that says the same, and names whatever was planted."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from campaigns.auditing import Answers, Audit, Books, audit, audit_all, orders_of
from campaigns.messages import Reading, Status

NOW = datetime(2026, 12, 4, 15, tzinfo=UTC)


def row(**facts: Any) -> dict[str, Any]:
    return {
        "order": "views", "run": 1, "quantity": 100, "request_id": "r1", "panel_order": "ord_1", "state": "completed",
        "delivered": 100, "charge": "0.09", "replaces": None,
    } | facts  # fmt: skip


def reading(**facts: Any) -> Reading:
    chosen: dict[str, Any] = {"status": Status.COMPLETED, "charge": Decimal("0.09"), "remains": 0} | facts
    return Reading(panel_order="ord_1", observed_at=NOW, **chosen)


def books(*rows: dict[str, Any], spent: str = "0.09", name: str = "c", **facts: Any) -> Books:
    chosen: dict[str, Any] = {"account": "main"} | facts
    return Books(id=f"campaign/{name}", spent=Decimal(spent), rows=rows, **chosen)


def answers(**readings: Reading | None) -> Answers:
    return Answers(readings)


def fields(*rows: dict[str, Any], said: Reading | None, spent: str = "0.09") -> list[str]:
    return [found.field for found in audit(books(*rows, spent=spent), answers(ord_1=said)).differences]


def claims(audits: list[Audit]) -> list[list[tuple[str, str | None, str]]]:
    return [
        [(found.order, found.panel_order, found.campaign) for found in one.differences if found.field == "panel_order"]
        for one in audits
    ]


def test_the_same_words_and_figures_agree() -> None:
    found = audit(books(row(), spent="0.090"), answers(ord_1=reading()))
    assert (found.agrees, found.checked, found.spent, found.panel_charges) == (True, 1, "0.09", "0.09")


@pytest.mark.parametrize(
    ("ours", "said", "differing"),
    [
        ({}, {"status": Status.CANCELED}, ["state"]),
        ({}, {"remains": 25}, ["delivered"]),
        ({}, {"charge": Decimal("0.0900001")}, ["charge", "spent"]),
        ({}, {"error": "Incorrect order ID"}, ["order", "spent"]),
        ({"panel_order": None}, {}, ["panel_order", "spent"]),
        ({"charge": None}, {}, ["charge"]),
    ],
)
def test_each_planted_difference_is_named(ours: dict[str, Any], said: dict[str, Any], differing: list[str]) -> None:
    assert fields(row(**ours), said=reading(**said)) == differing


def test_money_that_no_order_accounts_for_is_found() -> None:
    assert fields(row(), said=reading(), spent="0.10") == ["spent"]


def test_an_order_or_a_request_id_that_stands_twice_is_found_and_a_replacement_is_named_as_one() -> None:
    twice = audit(books(row(), row(replaces="views/1"), spent="0.18"), answers(ord_1=reading()))
    names = {(found.order, found.field) for found in twice.differences}
    assert names == {
        ("views/1, views/1 (replaces views/1)", "panel_order"), ("views/1, views/1 (replaces views/1)", "request_id"),
    }  # fmt: skip


def test_what_the_panel_does_not_answer_is_said_and_is_no_difference() -> None:
    found = audit(books(row()), answers(ord_1=None))
    assert (found.agrees, found.checked, len(found.unchecked)) == (True, 0, 1)


def test_an_open_order_may_be_ahead_at_the_panel() -> None:
    open_row = row(state="in_progress", delivered=10, charge="0.09")
    assert fields(open_row, said=reading(status=Status.IN_PROGRESS, remains=50)) == []


def test_the_orders_of_all_campaigns_are_asked_for_together_by_account_and_each_once() -> None:
    planned = row(panel_order=None, state="planned")
    held = [
        books(row(panel_order="ord_1"), planned),
        books(row(panel_order="ord_1"), account="other"),
        books(row(panel_order="ord_2"), row(panel_order="ord_1")),
        books(planned, account="unused"),
    ]
    assert orders_of(held) == {"main": ["ord_1", "ord_2"], "other": ["ord_1"]}


def test_an_order_that_two_campaigns_claim_differs_in_both_with_both_names() -> None:
    held = [books(row(), name="spring"), books(row(panel_order="ord_2"), name="calm"), books(row(run=7), name="autumn")]
    said = answers(ord_1=reading(), ord_2=reading())
    spring, calm, autumn = claims(audit_all(held, {"main": said}))
    told = "claimed by spring views/1 and autumn views/7"
    assert (spring, calm, autumn) == ([("views/1", "ord_1", told)], [], [("views/7", "ord_1", told)])


def test_an_order_that_two_runs_of_one_campaign_claim_is_told_with_their_run_ids() -> None:
    held = [books(row(), run_id="0001"), books(row(order="seed"), run_id="0002")]
    first, second = claims(audit_all(held, {"main": answers(ord_1=reading())}))
    assert first[0][2] == second[0][2] == "claimed by c (run 0001) views/1 and c (run 0002) seed/1"


def test_the_same_id_at_two_panels_is_two_orders() -> None:
    held = [books(row(), name="a"), books(row(), name="b", account="other")]
    said = {account: answers(ord_1=reading()) for account in ("main", "other")}
    assert all(one.agrees for one in audit_all(held, said))


def test_what_could_not_be_read_is_counted_with_its_reason_and_the_rest_is_compared() -> None:
    held = [
        books(row(delivered=50), row(panel_order="ord_2", run=2, request_id="r2"), spent="0.18"),
        books(row(panel_order="ord_3", request_id="r3"), name="whole"),
        books(row(), name="away", account="gone"),
    ]
    said = {"main": Answers({"ord_1": reading(), "ord_3": reading()}, failure="account main: no")}
    part, whole, away = audit_all(held, said)
    assert (part.agrees, part.checked, part.unread, part.why_unread) == (False, 1, 1, "account main: no")
    assert [found.field for found in part.differences] == ["delivered"]  # and not the total, which nobody knows
    assert (whole.agrees, whole.unread, whole.why_unread) == (True, 0, "")
    assert (away.agrees, away.differences, away.unread) == (False, [], 1)


@pytest.mark.parametrize(("running", "differing"), [(True, []), (False, ["charge", "spent"])])
def test_an_order_of_a_running_campaign_may_have_ended_since_it_was_read(
    running: bool,  # noqa: FBT001
    differing: list[str],
) -> None:
    held = books(row(state="in_progress", delivered=10), running=running)
    said = answers(ord_1=reading(status=Status.PARTIAL, remains=50, charge=Decimal("0.045")))
    assert [found.field for found in audit(held, said).differences] == differing


def test_the_total_of_a_campaign_that_shows_only_some_of_its_orders_is_not_compared() -> None:
    found = audit(books(row(), spent="9.00", note="only the first 1 order runs are shown"), answers(ord_1=reading()))
    assert (found.agrees, found.unchecked) == (True, ["only the first 1 order runs are shown"])


def test_a_campaign_that_could_not_be_asked_is_not_read_and_does_not_touch_the_others() -> None:
    held = [books(name="silent", silence="no worker answers", running=True), books(row(), name="spring")]
    assert orders_of(held) == {"main": ["ord_1"]}
    silent, spring = audit_all(held, {"main": answers(ord_1=reading())})
    assert (silent.agrees, silent.checked, silent.why_unread) == (False, 0, "no worker answers")
    assert (silent.spent, silent.panel_charges) == (None, None)
    assert spring.agrees
