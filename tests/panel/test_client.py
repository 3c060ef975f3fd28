"""What the client sends, and what it makes of answers as documented and as other panels write them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import SecretStr

from panel import (
    AccountBlocked,
    AlreadyRequested,
    Missing,
    OrderNotFound,
    OrderRequest,
    OrderStatus,
    PanelClient,
    Refused,
    Rejected,
    StatusWord,
)
from tests.panel.conftest import KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.panel.awkward import AwkwardPanel

ORDER = OrderRequest(service=101, request_id="req-1", link="https://example.com/?a=1&b=ü", quantity=500)


async def test_add_sends_key_action_and_the_request_s_fields_in_one_form(
    awkward: AwkwardPanel, client: PanelClient
) -> None:
    awkward.say({"order": "ord_01HG9X7KJP4N"})
    assert await client.add(ORDER) == "ord_01HG9X7KJP4N"
    (request,) = awkward.received
    assert request.line == "POST /api/v2 HTTP/1.1"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.form == [("key", KEY), ("action", "add"), *ORDER.form()]


async def test_the_same_order_request_is_sent_as_the_same_bytes(awkward: AwkwardPanel, client: PanelClient) -> None:
    awkward.say({"order": 1})
    await client.add(ORDER)
    await client.add(OrderRequest.model_validate_json(ORDER.model_dump_json()))
    assert awkward.received[0].body == awkward.received[1].body


@pytest.mark.parametrize(
    ("answer", "order"),
    [
        ({"order": 23501}, "23501"),
        ({"order": "23501", "charge": 1, "error": None}, "23501"),
        ([{"order": 23501.0}], "23501"),
        ({"data": {"order": "ord_1"}}, "ord_1"),
    ],
)
async def test_order_ids_are_text_however_the_panel_writes_them(
    awkward: AwkwardPanel, client: PanelClient, answer: Any, order: str
) -> None:
    awkward.say(answer)
    assert await client.add(ORDER) == order


async def test_services_reads_a_catalog_and_reports_the_rows_it_cannot_read(
    awkward: AwkwardPanel, client: PanelClient
) -> None:
    good = {
        "service": "1",
        "name": "Views",
        "type": "Default",
        "category": "YT",
        "rate": "0.90",
        "min": "50",
        "max": 10000,
    }
    awkward.say([good, {"service": 2, "rate": None}, {"service": 1, "rate": "5"}, "?", {"service": 3, "rate": 1.25}])
    catalog = await client.services()
    assert [service.service for service in catalog] == [1, 3]
    assert len(catalog) == 2
    assert 1 in catalog
    assert catalog[1].rate == Decimal("0.90")
    assert (catalog[1].min, catalog[1].max, catalog[1].refill) == (50, 10_000, False)
    assert catalog[3].rate == Decimal("1.25")
    assert catalog.get(2) is None
    assert [(row.row, row.service) for row in catalog.unreadable] == [(1, "2"), (2, "1"), (3, None)]


async def test_a_status_is_read_from_strings_and_from_title_case_with_numbers(
    awkward: AwkwardPanel, client: PanelClient
) -> None:
    awkward.say({"status": "in_progress", "charge": "0.50", "start_count": "1234", "remains": "10", "currency": "USD"})
    documented = await client.status("ord_1")
    assert documented == OrderStatus(
        order="ord_1",
        status=StatusWord.IN_PROGRESS,
        raw="in_progress",
        charge=Decimal("0.50"),
        start_count=1234,
        remains=10,
        currency="USD",
    )
    assert awkward.received[0].form[1:] == [("action", "status"), ("order", "ord_1")]


@pytest.mark.parametrize(
    "answer",
    [
        {"status": "Partial", "charge": 0.27819, "start_count": None, "remains": -5, "currency": "usd"},
        {"7": {"status": "PARTIAL", "charge": "0.27819", "start_count": "N/A", "remains": "", "currency": "USD"}},
        [{"order": 7, "status": "partial", "charge": "0.27819", "remains": 0}],
    ],
)
async def test_a_status_is_read_from_every_shape_seen(awkward: AwkwardPanel, client: PanelClient, answer: Any) -> None:
    awkward.say(answer)
    status = await client.status("7")
    assert (status.order, status.status, status.charge) == ("7", StatusWord.PARTIAL, Decimal("0.27819"))
    assert status.remains in {0, None}


async def test_a_batch_of_statuses_is_one_request_and_answers_every_id(
    awkward: AwkwardPanel, client: PanelClient
) -> None:
    awkward.say(
        {
            "1": {"status": "Completed", "charge": "1"},
            "2": {"error": "Incorrect order ID"},
            "3": None,
            "5": {"status": None},
        }
    )
    rows = await client.statuses(["1", "2", "3", "4", "5", "1"])
    assert awkward.received[0].form[1:] == [("action", "status"), ("orders", "1,2,3,4,5")]
    assert list(rows) == ["1", "2", "3", "4", "5"]
    assert isinstance(rows["1"], OrderStatus)
    assert isinstance(rows["2"], OrderNotFound)
    assert {type(rows[order]) for order in ("3", "4", "5")} == {Missing}


async def test_a_batch_of_statuses_in_a_list_is_matched_by_id_never_by_place(
    awkward: AwkwardPanel, client: PanelClient
) -> None:
    awkward.say([{"order": 2, "status": "Pending"}, {"order": 1, "status": "Completed"}])
    rows = await client.statuses(["1", "2"])
    assert [row.status for row in rows.values() if isinstance(row, OrderStatus)] == ["completed", "pending"]
    awkward.say([{"status": "Pending"}, {"status": "Completed"}])
    await client.statuses(["1", "2"])
    assert {type(row) for row in (await client.statuses(["1", "2"])).values()} == {Missing}


async def test_statuses_of_one_order_uses_the_flat_form_and_keeps_its_refusal_in_the_row(
    awkward: AwkwardPanel, client: PanelClient
) -> None:
    awkward.say({"status": "Pending"}).say({"error": "Incorrect order ID"}, 404).say({}).say(
        {"error": "Invalid API key"}
    )
    assert isinstance((await client.statuses(["1"]))["1"], OrderStatus)
    assert isinstance((await client.statuses(["1"]))["1"], OrderNotFound)
    assert isinstance((await client.statuses(["1"]))["1"], Missing)
    with pytest.raises(AccountBlocked):
        await client.statuses(["1"])
    assert awkward.received[0].form[2:] == [("order", "1")]


@pytest.mark.parametrize(
    "answer", [{"refill": "ref_1"}, {"refill": "ref_1", "order": 7}, [{"order": 7, "refill": "ref_1"}]]
)
async def test_refill_gives_the_refill_s_id(awkward: AwkwardPanel, client: PanelClient, answer: Any) -> None:
    awkward.say(answer)
    assert await client.refill("7") == "ref_1"


@pytest.mark.parametrize(
    "answer",
    [
        [{"order": "1", "refill": "9"}, {"order": "2", "error": "Refill days are over"}],
        [{"order": 1, "refill": 9}, {"order": 2, "refill": {"error": "Refill days are over"}}],
        [9, {"error": "Refill days are over"}],
        {"1": {"refill": 9}, "2": {"error": "Refill days are over"}},
        {"1": 9, "2": {"error": "Refill days are over"}},
    ],
)
async def test_a_batch_of_refills_gives_an_id_or_an_error_for_each(
    awkward: AwkwardPanel, client: PanelClient, answer: Any
) -> None:
    awkward.say(answer)
    rows = await client.refills(["1", "2"])
    assert rows["1"] == "9"
    assert isinstance(rows["2"], Rejected)
    assert rows["2"].words == "Refill days are over"


@pytest.mark.parametrize("answer", [{"cancel": "7"}, {"cancel": 1}, {"cancel": True}, [{"order": 7, "cancel": 1}]])
async def test_cancel_returns_when_the_panel_took_the_request(
    awkward: AwkwardPanel, client: PanelClient, answer: Any
) -> None:
    awkward.say(answer)
    assert (await client.cancels(["7"])) == {"7": None}


async def test_cancel_raises_the_refusal_nested_in_the_answer(awkward: AwkwardPanel, client: PanelClient) -> None:
    awkward.say([{"order": 7, "cancel": {"error": "Cancel already requested"}}])
    with pytest.raises(AlreadyRequested):
        await client.cancel("7")


async def test_a_batch_of_cancels_gives_none_or_an_error_for_each(awkward: AwkwardPanel, client: PanelClient) -> None:
    awkward.say([{"order": 1, "cancel": 1}, {"order": 2, "cancel": {"error": "This order cannot be canceled"}}, {}])
    rows = await client.cancels(["1", "2", "3"])
    assert rows["1"] is None
    assert isinstance(rows["2"], Refused)
    assert isinstance(rows["3"], Missing)


async def test_balance_is_exact(awkward: AwkwardPanel, client: PanelClient) -> None:
    awkward.say('{"balance": 100.10, "currency": "usd"}')
    balance = await client.balance()
    assert (str(balance.balance), balance.currency) == ("100.10", "USD")


async def test_webhooks_can_be_added_listed_and_removed_and_their_secret_stays_secret(
    awkward: AwkwardPanel, client: PanelClient
) -> None:
    awkward.say({"id": "whk_1", "url": "https://me.example/hook", "events": ["order.failed"], "secret": "whsec_1"})
    awkward.say([{"id": "whk_1", "url": "https://me.example/hook", "events": "order.failed,balance.low"}])
    awkward.say({"removed": "whk_1"})
    added = await client.webhook_add("https://me.example/hook", ["order.failed"])
    assert isinstance(added.secret, SecretStr)
    assert added.secret.get_secret_value() == "whsec_1"
    assert "whsec_1" not in repr(added)
    (listed,) = await client.webhook_list()
    assert (listed.id, listed.events, listed.secret) == ("whk_1", ("order.failed", "balance.low"), None)
    await client.webhook_remove(listed.id)
    assert [request.form[1:] for request in awkward.received] == [
        [("action", "webhook.add"), ("url", "https://me.example/hook"), ("events", "order.failed")],
        [("action", "webhook.list")],
        [("action", "webhook.remove"), ("id", "whk_1")],
    ]


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.status(""),
        lambda client: client.status("1,2"),
        lambda client: client.statuses([]),
        lambda client: client.statuses([str(n) for n in range(1, 102)]),
        lambda client: client.refills(["a b"]),
        lambda client: client.cancels(["\n"]),
        lambda client: client.webhook_add("ftp://example.com"),
    ],
)
async def test_what_no_panel_could_take_is_refused_before_sending(
    awkward: AwkwardPanel, client: PanelClient, call: Callable[[PanelClient], Awaitable[object]]
) -> None:
    with pytest.raises(ValueError, match=r"."):
        await call(client)
    assert not awkward.connections


async def test_one_string_is_not_taken_for_a_list_of_ids(client: PanelClient) -> None:
    with pytest.raises(TypeError, match="list of ids"):
        await client.statuses("123")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://panel.example.com/api/v2", "https://"),
        ("http://8.8.8.8/api/v2", "https://"),
        ("https://user:pw@panel.example.com/api/v2", "no user"),
        (f"https://panel.example.com/{'secretkey'}", "no user"),
        ("panel.example.com", "http"),
    ],
)
def test_a_url_that_would_give_the_key_away_is_refused(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        PanelClient(url, "secretkey")


@pytest.mark.parametrize(
    "url", ["http://localhost:1/x", "http://10.0.0.1/x", "http://sandbox:80/x", "https://a.example/x"]
)
def test_plain_http_is_for_private_hosts_only(url: str) -> None:
    assert repr(PanelClient(url, "secretkey")) == f"PanelClient('{url}')"


@pytest.mark.parametrize("key", ["", "  ", "two words", "new\nline"])
def test_a_key_that_cannot_be_one_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="dashboard") as caught:
        PanelClient("https://panel.example.com", key)
    assert "words" not in str(caught.value)
    assert "line" not in str(caught.value)


async def test_a_client_of_the_caller_s_is_used_and_left_open(awkward: AwkwardPanel) -> None:
    awkward.say({"balance": "1", "currency": "USD"})
    async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as http:
        async with PanelClient(awkward.url, KEY, http=http) as client:
            await client.balance()
        assert not http.is_closed
