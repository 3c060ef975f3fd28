"""A burst of hints becomes few signals, and nobody's hint is lost or believed to be taken when it was not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from temporalio.service import RPCError, RPCStatusCode

from receiver import Hints, UnheardError
from receiver.hints import MOST

if TYPE_CHECKING:
    from temporalio.client import Client


class Temporal:
    """Takes signals when the test lets it."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, list[str]]] = []
        self.answers: list[RPCError] = []
        self.gate = asyncio.Event()

    def get_workflow_handle(self, workflow_id: str) -> Any:
        outer = self

        class Handle:
            async def signal(self, name: str, orders: list[str], **_more: Any) -> None:
                assert name == "hint"
                await outer.gate.wait()
                if outer.answers:
                    raise outer.answers.pop(0)
                outer.taken.append((workflow_id, orders))

        return Handle()

    @property
    def hints(self) -> Hints:
        return Hints(cast("Client", self))


async def a_moment() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_comes_while_a_signal_is_on_its_way_goes_together_into_the_next() -> None:
    temporal = Temporal()
    hints = temporal.hints
    first = asyncio.create_task(hints.tell("main", "ord_0"))
    await a_moment()
    rest = [asyncio.create_task(hints.tell("main", f"ord_{number % 7}")) for number in range(300)]
    other = asyncio.create_task(hints.tell("other", "ord_9"))
    await a_moment()
    temporal.gate.set()
    await asyncio.gather(first, *rest, other)
    assert sorted(temporal.taken) == [
        ("account/main", ["ord_0"]),
        ("account/main", [f"ord_{number}" for number in range(7)]),
        ("account/other", ["ord_9"]),
    ]


async def test_one_signal_holds_a_bounded_number_of_orders() -> None:
    temporal = Temporal()
    temporal.gate.set()
    hints = temporal.hints
    await asyncio.gather(*(hints.tell("main", f"ord_{number}") for number in range(2 * MOST + 1)))
    assert [len(orders) for _, orders in temporal.taken] == [MOST, MOST, 1]


async def test_a_hint_that_was_not_taken_is_told_to_all_that_went_with_it_and_to_no_other() -> None:
    temporal = Temporal()
    hints = temporal.hints
    temporal.answers = [RPCError("gone", RPCStatusCode.UNAVAILABLE, b"")]
    failing = [asyncio.create_task(hints.tell("main", f"ord_{number}")) for number in range(3)]
    await a_moment()
    later = asyncio.create_task(hints.tell("main", "ord_4"))
    await a_moment()
    temporal.gate.set()
    told = await asyncio.gather(*failing, return_exceptions=True)
    assert [str(each) for each in told] == ["Temporal answers UNAVAILABLE"] * 3
    await later
    assert temporal.taken == [("account/main", ["ord_4"])]


async def test_where_no_workflow_runs_nobody_wants_the_hint_and_where_no_namespace_is_somebody_must_look() -> None:
    temporal = Temporal()
    temporal.gate.set()
    temporal.answers = [
        RPCError("workflow execution already completed", RPCStatusCode.NOT_FOUND, b""),
        RPCError("Namespace default is not found.", RPCStatusCode.NOT_FOUND, b""),
    ]
    await temporal.hints.tell("main", "ord_1")
    with pytest.raises(UnheardError, match="NOT_FOUND"):
        await temporal.hints.tell("main", "ord_1")


async def test_somebody_who_goes_away_takes_nobody_elses_hint_along() -> None:
    temporal = Temporal()
    hints = temporal.hints
    leaving, staying = (asyncio.create_task(hints.tell("main", order)) for order in ("ord_1", "ord_2"))
    await a_moment()
    leaving.cancel()
    await a_moment()
    temporal.gate.set()
    await staying
    assert temporal.taken == [("account/main", ["ord_1", "ord_2"])]
