"""What a campaign document must keep to, and that no JSON value at all can upset the check."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.checking import MAX_PROBLEMS, SHAPE, check, describe
from campaigns.definition import MAX_ORDERS
from campaigns.explaining import Problem

LINK = "https://example.com/brand/film"


def campaign(*orders: dict[str, Any], **fields: Any) -> dict[str, Any]:
    listed = [{"id": f"o{i}", "service": 101, "link": LINK, "quantity": 100} | order for i, order in enumerate(orders)]
    return {"version": 1, "name": "spring", "account": "main", "orders": listed} | fields


def said(document: Any) -> list[str]:
    return [str(problem) for problem in check(document).problems]


def test_a_campaign_that_is_right_gives_its_definition() -> None:
    checked = check(campaign({"after": "o1"}, {}))
    assert checked.problems == []
    assert checked.definition is not None
    assert [order.id for order in checked.definition.orders] == ["o0", "o1"]


def test_a_definition_written_out_again_is_the_same_definition() -> None:
    document = campaign(
        {
            "after": {"order": "o1", "when": "completed", "delay": "1h30m"},
            "drip": {"runs": 3, "every": "2d", "by": "campaign"},
            "window": {"days": ["mon"], "from": "22:00", "to": "24:00"},
            "cancel": {"stalled_for": "24h"},
            "refill": {"within": "30d"},
        },
        {"late": "skip", "concurrent": True, "coupon": "SPRING", "on_failure": "abort"},
        timezone="Europe/Istanbul",
        limits={"budget": "120.00 USD"},
    )
    first = check(document).definition
    assert first is not None
    again = json.loads(json.dumps(first.document()))
    assert check(again).definition == first


@pytest.mark.parametrize("quantity", ["500", 500.0, True, None, [], {}, float("nan"), "", "\uff15\uff10\uff10"])
def test_a_quantity_is_a_whole_number_and_nothing_that_looks_like_one(quantity: Any) -> None:
    checked = check(campaign({"quantity": quantity}))
    assert (checked.definition is None) == (quantity is not None)


@pytest.mark.parametrize("version", [True, 1.0, "1", 2, None])
def test_only_version_1_is_read(version: Any) -> None:
    assert [problem.loc for problem in check(campaign({}, version=version)).problems] == [("version",)]


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"link": None}, "orders[0]: needs a target or a link"),
        ({"service": None}, "orders[0]: service is missing"),
        ({"target": 5}, None),
        ({"target": "film"}, "orders[0].link: stands beside a target; keep one of the two"),
        ({"link": None, "target": "flim"}, 'orders[0].target: "flim" is not one of the targets'),
        ({"after": "o0"}, "orders[0].after: an order cannot wait for itself"),
        ({"after": "o9"}, 'orders[0].after: "o9" is not the id of an order'),
        ({"after": {"order": "o9"}}, 'orders[0].after.order: "o9" is not the id of an order'),
        ({"after": 5}, "orders[0].after: must be an order id or a mapping (name: value), not 5"),
        ({"cancel": {}}, "orders[0].cancel: says nothing; give not_started_in or stalled_for, or remove it"),
        ({"cancel": {"stalled_for": None}}, None),
        ({"refill": {"within": "1d", "every": "2d"}}, "orders[0].refill.every: 2d is longer than the guarantee of 1d"),
        ({"refill": {"within": "3d"}}, "orders[0].refill: lasts 3d; give every, which is 1w unless written"),
        ({"drip": {"runs": 101, "every": "1h"}}, "orders[0].quantity: 100 is fewer than the 101 runs of its drip"),
        (
            {"drip": {"runs": 3, "every": "1h", "by": "panel"}},
            "orders[0].quantity: 100 cannot be divided by the 3 runs of a drip by the panel",
        ),
        (
            {"drip": {"runs": 2, "every": "90s", "by": "panel"}},
            "orders[0].drip.every: must be whole minutes when the panel keeps the drip",
        ),
        (
            {"drip": {"runs": 9000, "every": "1d"}, "quantity": 9000},
            "orders[0].drip: 9000 runs, one every 1d, would take longer than 1096d",
        ),
        ({"coupon": "a\u202eb"}, "orders[0].coupon: holds invisible control characters; remove them"),
        ({"id": "a\u0000b"}, None),
        ({"link": "javascript:alert(1)"}, "orders[0].link: is not a full link; it must begin with https:// or http://"),
        ({"link": "https://example.com/" + "x" * 1000}, "orders[0].link: is longer than 1000 characters"),
        ({"on_shortfall": "buy"}, 'orders[0].on_shortfall: "buy" is not one of accept, reorder'),
        ({"timezone": "UTC"}, "orders[0].timezone: is not a known field"),
    ],
)  # fmt: skip
def test_a_rule_that_is_broken_is_told_at_the_field_that_breaks_it(order: dict[str, Any], message: str | None) -> None:
    problems = said(campaign(order, targets={"film": LINK}))
    assert problems == [message] if message else len(problems) in (1, 2)


def test_a_window_needs_a_timezone_and_that_is_said_once() -> None:
    window = {"from": "09:00", "to": "17:00"}
    problems = check(campaign({"window": window}, {"window": window})).problems
    assert [problem.loc for problem in problems] == [("orders", 0, "window")]
    assert check(campaign({"window": window}, timezone="Europe/Istanbul")).definition is not None


@pytest.mark.parametrize("window", [{"from": "09:00", "to": "09:00"}, {"to": "00:00"}, {"from": "24:00"}])
def test_a_window_that_is_never_open_is_refused(window: dict[str, str]) -> None:
    assert len(said(campaign({"window": window}, timezone="UTC"))) == 1


def test_a_default_reaches_every_order_and_its_fault_is_told_once() -> None:
    document = campaign({}, {}, defaults={"refill": {"within": "1d"}, "after": "zero"})
    assert said(document) == [
        "defaults.refill: lasts 1d; give every, which is 1w unless written",
        'defaults.after: "zero" is not the id of an order',
    ]


def test_an_order_need_not_give_what_the_defaults_give() -> None:
    document = campaign({}, defaults={"service": 5, "target": "film", "quantity": 10}, targets={"film": LINK})
    document["orders"] = [{"id": "a"}, {"id": "b", "link": LINK}]
    assert said(document) == []


def test_an_order_that_would_wait_for_itself_by_the_defaults_is_told_how_not_to() -> None:
    document = campaign({}, {}, defaults={"after": "o0"})
    assert said(document) == ["orders[0]: would wait for itself by the defaults; write after: null in it"]
    document["orders"][0]["after"] = None
    assert said(document) == []


def test_orders_that_wait_for_each_other_are_named_once_in_the_order_they_wait() -> None:
    document = campaign(
        {"after": "o2"}, {"after": "o0"}, {"after": "o1"}, {"after": "o0"}, {"after": "o5"}, {"after": "o4"}
    )
    assert said(document) == [
        "orders[0].after: these orders wait for each other: o0 → o2 → o1 → o0",
        "orders[4].after: these orders wait for each other: o4 → o5 → o4",
    ]


def test_two_orders_never_share_an_id() -> None:
    assert said(campaign({"id": "a"}, {"id": "a"})) == ['orders[1].id: "a" is already the id of orders[0]']


def test_one_campaign_has_no_more_runs_than_a_workflow_can_carry() -> None:
    drip = {"quantity": 10_000, "drip": {"runs": 5000, "every": "1h"}}
    assert said(campaign(drip, drip)) == []
    assert said(campaign(drip, drip, {})) == [
        "orders: come to 10,001 order runs; one campaign may have 10,000, so make several"
    ]
    by_panel = {"quantity": 10_000, "drip": {"runs": 5000, "every": "1h", "by": "panel"}}
    assert said(campaign(drip, by_panel, by_panel)) == []


def test_rules_between_fields_are_told_beside_the_faults_of_single_fields() -> None:
    document = campaign({"id": "a", "after": "b", "service": "x"}, {"id": "b", "after": "a", "quantity": -1}, name=5)
    assert said(document) == [
        "name: must be text, not 5; put it in quotes",
        'orders[0].service: "x" is not a whole number',
        "orders[1].quantity: -1 is below the minimum 1",
        "orders[0].after: these orders wait for each other: a → b → a",
    ]


def test_more_problems_than_anyone_reads_are_not_listed() -> None:
    problems = check({f"field{i}": i for i in range(100_000)}).problems
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1].message == "and more problems"


def test_too_many_orders_are_refused_without_looking_at_them_all() -> None:
    document = campaign(*[{}] * (MAX_ORDERS + 1))
    assert said(document) == ["orders: has more than 500 entries"]


def test_a_hostile_document_is_refused_in_the_time_a_workflow_may_take() -> None:
    words = [f"target{i}" for i in range(50_000)]
    started = time.process_time()
    for document in (
        dict.fromkeys(words),
        campaign(*[dict.fromkeys(words[:300])] * 400),
        campaign(*[{"target": "targte7"}] * 500, targets=dict.fromkeys(words, LINK)),
        campaign(*[{"after": f"o{i + 1}"} for i in range(500)]),
        campaign({}, targets=dict.fromkeys(words, "x")),
        campaign({"quantity": "9" * 1_000_000, "link": "x" * 1_000_000, "after": "y" * 1_000_000}),
    ):
        assert check(document).problems
    assert time.process_time() - started < 20


def test_a_hint_never_offers_a_field_that_is_there_already() -> None:
    hints = [problem.hint for problem in check(campaign({"quantiy": 5, "coupn": "A", "runs": 5})).problems]
    assert hints == ["", 'did you mean "coupon"?', "it belongs in drip"]


def test_a_value_is_shown_short_and_with_nothing_invisible() -> None:
    document = campaign({"id": "\u202e" + "x" * 10_000}, name={"a": [1] * 10_000}, account="a\nb")
    text = "; ".join(said(document))
    assert "\u202e" not in text
    assert "\n" not in text
    assert len(text) < 600


def test_a_place_is_written_as_a_person_would() -> None:
    assert describe(("orders", 1, "window", "days", 0)) == "orders[1].window.days[0]"
    assert describe(()) == ""
    assert str(Problem((), "is empty")) == "is empty"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=20,
)
WORDS = sorted({field for holder in SHAPE.models for field in SHAPE.fields(holder)} | {"schedule", "fallback"})
VALUES = (
    JSON
    | st.sampled_from(
        ["a", "b", "2h", "90s", "09:00", "24:00", "panel", LINK, "120 USD", "UTC", "${X}", "\ud800", "a\0"]
    )
    | st.sampled_from([0, 1, 2, 10**400, -(10**400), 10_000])
)
NEARLY = st.recursive(
    VALUES,
    lambda inner: (
        st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=4) | st.lists(inner, max_size=3)
    ),
    max_leaves=12,
)
ORDERS = st.lists(st.dictionaries(st.sampled_from(SHAPE.fields("orders")), NEARLY, max_size=8), max_size=4)


def one_line(text: str) -> bool:
    return text.isprintable() and len(text) < 1000


@settings(max_examples=200, deadline=None)
@given(JSON | NEARLY)
def test_no_json_value_upsets_the_check(document: Any) -> None:
    checked = check(document)
    assert (checked.definition is None) == bool(checked.problems)
    assert all(one_line(str(problem)) and one_line(problem.hint) for problem in checked.problems)


@settings(max_examples=200, deadline=None)
@given(ORDERS, st.dictionaries(st.sampled_from(SHAPE.fields("defaults")), NEARLY, max_size=4), NEARLY)
def test_nothing_inside_orders_and_defaults_upsets_the_check(orders: Any, defaults: Any, targets: Any) -> None:
    document = {"version": 1, "name": "a", "account": "b", "orders": orders, "defaults": defaults, "targets": targets}
    checked = check(document)
    assert (checked.definition is None) == bool(checked.problems)
    if checked.definition is not None:
        assert all(order.link for order in checked.definition.complete_orders())


def test_a_value_nested_very_deep_is_refused_like_any_other() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for document in (deep, campaign({"quantity": deep}), campaign({"foo": deep}), campaign({}, targets={"a": deep})):
        assert check(document).problems
    while deep:  # taken apart by hand: freeing it at once would overflow the C stack on some versions
        deep = deep[0]


@given(st.data())
def test_the_same_document_always_gives_the_same_answer(data: st.DataObject) -> None:
    document = data.draw(NEARLY)
    assert check(document).problems == check(document).problems
