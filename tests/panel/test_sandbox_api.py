"""The sandbox answers as the documentation says, over real HTTP."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sandbox.catalog import CATALOG
from sandbox.limits import Limits
from sandbox.server import Sandbox, running
from sandbox.settings import SandboxSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LINK = "https://example.com/brand/film"
HOUR, DAY = 3600.0, 86400.0


class Panel:
    """A caller of one sandbox whose clock stands still until it is pushed."""

    def __init__(self, box: Sandbox, client: httpx.AsyncClient) -> None:
        self.box = box
        self.client = client
        self._serial = 0

    async def send(self, action: str, **fields: object) -> httpx.Response:
        form = {"key": "sandbox-key", "action": action} | {name: str(value) for name, value in fields.items()}
        return await self.client.post(self.box.url, data=form)

    async def call(self, action: str, **fields: object) -> Any:
        answer = await self.send(action, **fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refusal(self, action: str, **fields: object) -> tuple[int, str]:
        answer = await self.send(action, **fields)
        return answer.status_code, answer.json()["error"]

    async def add(self, service: int, quantity: int = 1000, **fields: object) -> str:
        self._serial += 1
        wanted: dict[str, object] = {"request_id": f"r{self._serial}", "link": LINK, "quantity": quantity, **fields}
        return str((await self.call("add", service=service, **wanted))["order"])

    async def status(self, order: str, *, after: float = 0) -> tuple[str, int, str]:
        self.box.clock.advance(after)
        row = await self.call("status", order=order)
        return row["status"], int(row["remains"]), row["charge"]

    async def balance(self) -> Decimal:
        return Decimal((await self.call("balance"))["balance"])


@pytest.fixture
async def panel(request: pytest.FixtureRequest) -> AsyncIterator[Panel]:
    more: dict[str, Any] = getattr(request, "param", {})
    told: dict[str, Any] = {"speed": 0, "control": True, "limits": Limits.off(), **more}
    async with running(SandboxSettings(**told)) as box, httpx.AsyncClient(trust_env=False) as client:
        yield Panel(box, client)


def with_settings(**settings: object) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("panel", [settings], indirect=True)


async def test_services_are_listed_with_money_and_counters_as_strings_and_without_inactive_ones(panel: Panel) -> None:
    rows = {row["service"]: row for row in await panel.call("services")}
    assert set(rows) == set(CATALOG) - {114}
    assert rows[101] == {
        "service": 101, "name": "Views, steady", "type": "Default", "category": "Views", "rate": "0.90", "min": "100",
        "max": "100000", "dripfeed": True, "refill": True, "cancel": True,
    }  # fmt: skip


async def test_an_order_is_charged_at_once_and_delivered_evenly_until_it_is_completed(panel: Panel) -> None:
    order = await panel.add(101)
    assert order.startswith("ord_")
    assert await panel.call("balance") == {"balance": "999.10", "currency": "USD"}
    row = await panel.call("status", order=order)
    assert set(row) == {"charge", "start_count", "status", "remains", "currency"}
    assert await panel.status(order) == ("pending", 1000, "0.90")
    assert await panel.status(order, after=HOUR / 2 + 60) == ("in_progress", 500, "0.90")
    assert await panel.status(order, after=HOUR / 2) == ("completed", 0, "0.90")


@pytest.mark.parametrize(
    ("service", "after", "seen"),
    [
        (102, 60, ("completed", 0, "1.20")),
        (103, HOUR, ("partial", 400, "1.44")),
        (104, 30 * DAY, ("pending", 1000, "3.50")),
        (105, 30 * DAY, ("in_progress", 500, "3.10")),
        (106, HOUR, ("fail", 1000, "0.00")),
        (107, HOUR, ("completed", 0, "2.75")),
        (107, 2 * DAY, ("completed", 250, "2.75")),
        (110, 2 * HOUR, ("completed", 0, "0.75")),
        (111, HOUR, ("completed", 0, "4.00")),
        (115, HOUR, ("refunded", 700, "0.00")),
        (117, 60, ("Awaiting review", 1000, "1.40")),
        (117, 2 * HOUR, ("completed", 0, "1.40")),
        (118, 2 * HOUR, ("completed", 0, "0.50")),
    ],
)
async def test_each_service_goes_its_own_way(
    panel: Panel, service: int, after: float, seen: tuple[str, int, str]
) -> None:
    assert await panel.status(await panel.add(service), after=after) == seen


async def test_the_same_key_and_body_give_the_same_order_and_are_charged_once(panel: Panel) -> None:
    first = await panel.add(101, request_id="same")
    assert [await panel.add(101, request_id="same") for _ in range(3)] == [first] * 3
    book = panel.box.ledger()
    assert (book["count"], book["balance"], book["attempts"]) == (1, "999.10", {"same": 4})
    assert book["violations"] == []


async def test_the_same_key_with_another_body_is_refused_and_recorded_as_a_violation(panel: Panel) -> None:
    await panel.add(101, request_id="same")
    answer = await panel.refusal("add", service=101, request_id="same", link=LINK, quantity=2000)
    assert answer == (400, "request_id was already used with a different body")
    (violation,) = panel.box.ledger()["violations"]
    assert violation["kind"] == "request_id_conflict"
    assert violation["request_id"] == "same"
    assert violation["detail"] == "quantity was 1000, now 2000"
    assert panel.box.ledger()["count"] == 1


@with_settings(key_memory=60.0)
async def test_a_forgotten_key_buys_again_and_the_ledger_says_so(panel: Panel) -> None:
    first = await panel.add(101, request_id="same")
    panel.box.clock.advance(61)
    assert await panel.add(101, request_id="same") != first
    assert [found["kind"] for found in panel.box.ledger()["violations"]] == ["request_id_forgotten"]


async def test_a_refused_key_is_free_again(panel: Panel) -> None:
    assert (await panel.refusal("add", service=101, request_id="a", link=LINK, quantity=1))[0] == 400
    assert await panel.add(101, request_id="a")


@with_settings(remember_errors=True, opening_balance="0.10")
async def test_a_panel_that_remembers_errors_repeats_them(panel: Panel) -> None:
    body = {"service": 101, "request_id": "a", "link": LINK, "quantity": 1000}
    assert await panel.refusal("add", **body) == (400, "Insufficient balance")
    panel.box.front.desk.top_up(Decimal(10))
    assert await panel.refusal("add", **body) == (400, "Insufficient balance")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"request_id": ""}, "Missing required parameter: request_id"),
        ({"request_id": "x" * 129}, "request_id must be at most 128 characters"),
        ({"service": ""}, "Missing required parameter: service"),
        ({"service": 999}, "Service not found"),
        ({"service": 114}, "Service not found"),
        ({"service": "1e2"}, "Service not found"),
        ({"link": ""}, "Missing required parameter: link"),
        ({"link": "javascript:alert(1)"}, "Link must be a valid http(s) URL"),
        ({"link": "https://[oops"}, "Link must be a valid http(s) URL"),
        ({"link": "https://example.com/" + "x" * 1000}, "Link must be at most 1000 characters"),
        ({"quantity": 0}, "Quantity must be a positive integer"),
        ({"quantity": -5}, "Quantity must be a positive integer"),
        ({"quantity": "1.5"}, "Quantity must be a positive integer"),
        ({"quantity": "٣٠٠"}, "Quantity must be a positive integer"),
        ({"quantity": 99}, "Quantity less than minimal 100"),
        ({"quantity": 100_001}, "Quantity more than maximum 100000"),
        ({"service": 102, "quantity": 1_000_000}, "Insufficient balance"),
        ({"runs": 3}, "Interval must be a positive integer"),
        ({"service": 205, "runs": 3, "interval": 5}, "Drip-feed is not available for this service"),
        ({"coupon": "NOPE"}, "Coupon not found"),
        ({"service": 113}, "Missing required parameter: comments"),
    ],
)
async def test_a_wrong_order_is_refused_in_words_and_costs_nothing(
    panel: Panel, changes: dict[str, object], error: str
) -> None:
    body: dict[str, object] = {"service": 101, "request_id": "r", "link": LINK, "quantity": 1000, **changes}
    assert await panel.refusal("add", **body) == (400, error)
    assert panel.box.ledger()["balance"] == "1000.00"


async def test_a_wrong_key_a_suspended_account_and_an_unknown_action_are_refused(panel: Panel) -> None:
    assert await panel.refusal("balance", key="wrong") == (403, "Invalid API key")
    assert await panel.refusal("orders") == (400, "Incorrect request")
    await panel.client.post(f"{panel.box.base_url}/control/account", json={"suspended": True})
    assert await panel.refusal("balance") == (403, "Account suspended")


async def test_coupons_discount_and_run_out(panel: Panel) -> None:
    await panel.add(101, coupon="SPRING")
    assert await panel.balance() == Decimal("999.19")
    await panel.add(101, coupon="ONCE")
    assert await panel.balance() == Decimal("998.47")
    answer = await panel.refusal("add", service=101, request_id="z", link=LINK, quantity=1000, coupon="ONCE")
    assert answer == (400, "Coupon usage limit reached")


async def test_a_package_bills_its_minimum_whatever_the_quantity_says(panel: Panel) -> None:
    order = await panel.add(111, quantity=7)
    assert await panel.status(order) == ("pending", 1000, "4.00")


async def test_custom_comments_are_counted_by_line(panel: Panel) -> None:
    order = await panel.add(113, comments="one\ntwo\n\nthree\n")
    assert await panel.status(order) == ("pending", 3, "0.036")


async def test_a_drip_feed_is_charged_up_front_and_delivered_run_by_run(panel: Panel) -> None:
    order = await panel.add(112, runs=3, interval=60)
    assert await panel.status(order) == ("pending", 3000, "2.85")
    assert await panel.status(order, after=HOUR / 2) == ("in_progress", 2000, "2.85")
    assert await panel.status(order, after=HOUR) == ("in_progress", 1000, "2.85")
    assert await panel.status(order, after=HOUR) == ("completed", 0, "2.85")


async def test_a_busy_link_is_refused_until_its_order_has_ended(panel: Panel) -> None:
    await panel.add(110)
    body = {"service": 110, "request_id": "z", "link": LINK, "quantity": 1000}
    text = "You have active order with this link. Please wait until order being completed."
    assert await panel.refusal("add", **body) == (400, text)
    await panel.add(110, link=LINK + "/other")
    panel.box.clock.advance(2 * HOUR)
    assert (await panel.call("add", **body))["order"]


async def test_a_rising_rate_is_listed_and_charged(panel: Panel) -> None:
    panel.box.clock.advance(6 * HOUR)
    rates = {row["service"]: row["rate"] for row in await panel.call("services")}
    assert rates[116] == "1.50"
    assert await panel.status(await panel.add(116)) == ("pending", 1000, "1.50")


async def test_a_pending_order_is_canceled_and_refunded_at_once(panel: Panel) -> None:
    order = await panel.add(104)
    assert await panel.call("cancel", order=order) == {"cancel": order}
    assert await panel.status(order) == ("canceled", 1000, "0.00")
    assert await panel.balance() == Decimal(1000)
    assert await panel.refusal("cancel", order=order) == (400, "This order cannot be canceled")


async def test_a_cancel_in_flight_is_only_asked_and_shows_in_a_later_status(panel: Panel) -> None:
    order = await panel.add(105)
    panel.box.clock.advance(HOUR)
    assert await panel.call("cancel", order=order) == {"cancel": order}
    assert await panel.status(order) == ("in_progress", 500, "3.10")
    assert await panel.refusal("cancel", order=order) == (400, "Cancel already requested")
    assert await panel.status(order, after=16 * 60) == ("canceled", 500, "1.55")
    assert await panel.balance() == Decimal("998.45")


async def test_a_cancel_that_comes_too_late_lets_the_order_complete(panel: Panel) -> None:
    order = await panel.add(101)
    panel.box.clock.advance(HOUR - 60)
    await panel.call("cancel", order=order)
    assert await panel.status(order, after=HOUR) == ("completed", 0, "0.90")


async def test_a_batch_of_cancels_answers_row_by_row(panel: Panel) -> None:
    pending, stubborn = await panel.add(104), await panel.add(109)
    assert await panel.call("cancel", orders=f"{pending},{stubborn},ord_none") == [
        {"order": pending, "cancel": pending},
        {"order": stubborn, "error": "This order cannot be canceled"},
        {"order": "ord_none", "error": "Incorrect order ID"},
    ]


async def test_a_refill_restores_what_dropped_at_no_charge(panel: Panel) -> None:
    order = await panel.add(107)
    assert await panel.refusal("refill", order=order) == (400, "The order is not completed")
    assert await panel.status(order, after=2 * DAY) == ("completed", 250, "2.75")
    assert (await panel.call("refill", order=order))["refill"].startswith("ref_")
    assert await panel.status(order, after=HOUR) == ("in_progress", 125, "2.75")
    again = await panel.refusal("refill", order=order)
    assert again == (400, "The order refill was requested less than 24 hours ago")
    assert await panel.status(order, after=HOUR) == ("completed", 0, "2.75")
    assert await panel.balance() == Decimal("997.25")


async def test_refills_end_with_the_third_and_with_the_guarantee(panel: Panel) -> None:
    order, late = await panel.add(107), await panel.add(103)
    for _ in range(3):
        panel.box.clock.advance(2 * DAY)
        await panel.call("refill", order=order)
    panel.box.clock.advance(2 * DAY)
    assert await panel.refusal("refill", order=order) == (400, "Refill limit reached for this order")
    panel.box.clock.advance(30 * DAY)
    assert await panel.refusal("refill", order=late) == (400, "Refill days are over")


async def test_a_batch_of_refills_answers_row_by_row_and_a_partial_order_can_be_refilled(panel: Panel) -> None:
    partial, refused = await panel.add(103), await panel.add(108)
    panel.box.clock.advance(HOUR)
    rows = await panel.call("refill", orders=f"{partial},{refused}")
    assert rows[0]["order"] == partial
    assert rows[0]["refill"].startswith("ref_")
    assert rows[1] == {"order": refused, "error": "Refill is disabled for this service"}
    assert await panel.status(partial, after=2 * HOUR) == ("completed", 0, "1.44")


@with_settings(quiet_refills=True)
async def test_a_quiet_refill_keeps_the_word_while_it_runs(panel: Panel) -> None:
    order = await panel.add(103)
    panel.box.clock.advance(HOUR)
    await panel.call("refill", order=order)
    assert await panel.status(order, after=HOUR) == ("partial", 200, "1.44")


async def test_a_batch_of_statuses_is_keyed_by_id_with_errors_in_their_rows(panel: Panel) -> None:
    order = await panel.add(101)
    rows = await panel.call("status", orders=f"{order},ord_none")
    assert rows[order]["status"] == "pending"
    assert rows["ord_none"] == {"error": "Incorrect order ID"}
    assert await panel.refusal("status", order="ord_none") == (400, "Incorrect order ID")
    assert await panel.refusal("status") == (400, "Missing required parameter: order")
    assert await panel.refusal("status", order=order, orders=order) == (400, "Provide exactly one of order, orders")
    many = ",".join(["ord_none"] * 101)
    assert await panel.refusal("status", orders=many) == (400, "Maximum 100 orders per request")
    assert panel.box.ledger()["requests"] == {"add": 1, "status": 5}


@with_settings(dialect="classic")
async def test_the_classic_dialect_speaks_like_a_stock_panel(panel: Panel) -> None:
    first = await panel.call("add", service=101, link=LINK, quantity=1000, request_id="same")
    second = await panel.call("add", service=101, link=LINK, quantity=1000, request_id="same")
    assert (first, second) == ({"order": 1}, {"order": 2})
    panel.box.clock.advance(HOUR / 2)
    row = await panel.call("status", order=1)
    assert (row["status"], row["charge"], row["remains"]) == ("In progress", 0.9, 517)
    assert await panel.call("status", order=99) == {"error": "Incorrect order ID"}
    assert await panel.call("cancel", orders="1,99") == [
        {"order": 1, "cancel": 1},
        {"order": 99, "cancel": {"error": "Incorrect order ID"}},
    ]


@with_settings(dialect="classic", idempotent=True)
async def test_a_classic_panel_can_be_told_to_honour_request_ids(panel: Panel) -> None:
    assert await panel.add(101, request_id="same") == await panel.add(101, request_id="same")


@with_settings(balance_cache=30.0)
async def test_a_cached_balance_lags_behind_like_the_documented_one(panel: Panel) -> None:
    await panel.balance()
    await panel.add(101)
    assert await panel.balance() == 1000
    panel.box.clock.advance(31)
    assert await panel.balance() == Decimal("999.10")
