"""The arguments of updates: read strictly, whatever a stranger sends, and refused with the field's name."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError

from campaigns.messages import Approved, CancelRequested, OrderCancelRequested, Rescheduled
from workflows import wishes

if TYPE_CHECKING:
    from collections.abc import Callable

READERS: dict[str, Callable[[Any], Any]] = {name: getattr(wishes, name) for name in wishes.SAYS}


def test_every_update_says_what_it_is_for_and_takes_who_and_why() -> None:
    least: dict[str, dict[str, Any]] = {
        "skip": {"order": "a"}, "retry": {"order": "a/1"}, "raise_budget": {"budget": "1.00 USD"},
        "reschedule": {"later": "2h"}, "resolve": {"order": "a/1", "not_placed": True},
    }  # fmt: skip
    for name, read in READERS.items():
        event = read({"by": "ada", "why": "because", **least.get(name, {})})
        assert (event.by, event.why) == ("ada", "because"), name


def test_text_alone_is_the_reason_and_nothing_is_fine_where_nothing_is_needed() -> None:
    assert wishes.approve("agreed") == Approved(why="agreed")
    assert wishes.cancel(None) == CancelRequested()
    assert wishes.cancel({"order": "views/3"}) == OrderCancelRequested(target="views/3")
    assert wishes.reschedule({"later": "1h30m", "order": "views"}) == Rescheduled(
        later=timedelta(minutes=90), order="views"
    )


@pytest.mark.parametrize(
    ("update", "given", "field"),
    [
        ("skip", None, "order"), ("skip", {"order": ""}, "order"), ("skip", {"order": "views/0"}, "order"),
        ("skip", {"order": "views/03"}, "order"), ("skip", {"order": "views/"}, "order"),
        ("skip", {"order": "views\n"}, "order"), ("skip", {"order": "views/²"}, "order"),
        ("skip", {"order": "../x"}, "order"), ("skip", {"order": ["views"]}, "order"), ("skip", {"order": 3}, "order"),
        ("skip", {"order": "views", "extra": 1}, "extra"), ("skip", {"order": "v" * 65}, "order"),
        ("retry", {"order": "views"}, "order"), ("retry", {"order": "views/3+0"}, "order"),
        ("retry", {"order": "views/100000"}, "order"), ("cancel", {"order": "a b"}, "order"),
        ("approve", {"by": "x" * 201}, "by"), ("approve", {"why": "x" * 1001}, "why"), ("approve", {"by": 1}, "by"),
        ("approve", [], "argument"), ("approve", 7, "argument"), ("approve", True, "argument"),
        ("raise_budget", {"budget": 150}, "budget"), ("raise_budget", {"budget": "150"}, "budget"),
        ("raise_budget", {"budget": "-1.00 USD"}, "budget"), ("raise_budget", {"budget": "1e9 USD"}, "budget"),
        ("raise_budget", {"budget": "NaN USD"}, "budget"), ("raise_budget", {}, "budget"),
        ("reschedule", {"later": "0s"}, "later"), ("reschedule", {"later": "-2h"}, "later"),
        ("reschedule", {"later": "367d"}, "later"), ("reschedule", {"later": 7200}, "later"),
        ("reschedule", {"later": "2h", "order": "views/3"}, "order"),
        ("resolve", {"order": "a/1"}, "placed"), ("resolve", {"order": "a/1", "placed": "7,8"}, "placed"),
        ("resolve", {"order": "a/1", "placed": "7", "not_placed": True}, "placed"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_refused_by_the_name_of_its_field(update: str, given: Any, field: str) -> None:
    with pytest.raises(ApplicationError) as caught:
        READERS[update](given)
    assert field in caught.value.message
    assert (caught.value.type, caught.value.non_retryable) == ("InvalidArgument", True)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["order", "by", "why", "budget", "later", "placed", "not_placed", "x"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@given(update=st.sampled_from(sorted(READERS)), argument=_JSON)
def test_no_argument_raises_anything_but_a_refusal(update: str, argument: Any) -> None:
    # Any other exception in a handler fails the workflow task, again and again.
    try:
        event = READERS[update](argument)
    except ApplicationError as refused:
        assert refused.type == "InvalidArgument"  # noqa: PT017 - a refusal or an event, both are fine
    else:
        assert isinstance(event.by, str)
