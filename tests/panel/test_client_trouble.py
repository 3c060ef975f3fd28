"""What the client makes of panels and networks that misbehave: which error, and never a second request."""

from __future__ import annotations

import asyncio
import gzip
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from panel import (
    AccountBlocked,
    Ambiguous,
    BusyLink,
    InsufficientFunds,
    OrderRequest,
    PanelClient,
    PanelError,
    Rejected,
    Throttled,
    Unreachable,
)
from tests.panel.awkward import AwkwardPanel
from tests.panel.conftest import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

ORDER = OrderRequest(service=101, request_id="req-1", link="https://example.com/", quantity=500)


async def outcome(awkward: AwkwardPanel, client: PanelClient) -> PanelError:
    """Return the error of one `add`, after checking that it was one request."""
    with pytest.raises(PanelError) as caught:
        await client.add(ORDER)
    assert awkward.connections == 1
    assert str(caught.value).startswith("add ")
    return caught.value


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"error": "Missing required parameter: request_id"}, 400, Rejected),
        ({"error": "Service not found"}, 400, Rejected),
        ({"error": "Something new"}, 422, Rejected),
        ({"error": "Something new"}, 200, Rejected),
        ({"error": ["Something", "new"]}, 400, Rejected),
        ({"error": {"message": "Something new", "code": 7}}, 400, Rejected),
        ({"error": True, "message": "Something new"}, 400, Rejected),
        ({"status": "error", "message": "Something new"}, 422, Rejected),
        ({"error": "Insufficient balance"}, 400, InsufficientFunds),
        ({"error": "Not enough funds on balance"}, 200, InsufficientFunds),
        ({"error": "neworder.error.not_enough_funds"}, 200, InsufficientFunds),
        ({"error": "pay first"}, 402, InsufficientFunds),
        ({"error": "You have active order with this link. Please wait until order being completed."}, 200, BusyLink),
        ({"error": "neworder.error.link_duplicate"}, 200, BusyLink),
        ({"error": "Invalid API key"}, 401, AccountBlocked),
        ({"error": "INCORRECT API KEY"}, 200, AccountBlocked),
        ({"error": "Account suspended"}, 403, AccountBlocked),
        ({"error": "who are you"}, 401, AccountBlocked),
    ],
)
async def test_a_json_error_below_500_is_definite_and_its_words_win_over_the_status(
    awkward: AwkwardPanel, client: PanelClient, body: Any, status: int, kind: type[PanelError]
) -> None:
    awkward.say(body, status)
    error = await outcome(awkward, client)
    assert type(error) is kind
    assert error.http_status == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": "Insufficient balance"}, 500),
        ({"error": "Internal error"}, 500),
        ({"order": "ord_1"}, 502),
        ({"error": "a request with this request_id is in progress"}, 400),
        ({"error": "Duplicate request_id"}, 400),
        ({"error": "request_id was already used with a different body"}, 400),
        ({"error": "try later"}, 409),
        ({"error": "too slow"}, 408),
        ({"order": "ord_1", "error": "Something new"}, 200),
        ({"order": "ord_1"}, 404),
        ({"order": None}, 200),
        ({"order": 0}, 200),
        ({"order": ""}, 200),
        ({"order": True}, 200),
        ({"order": -4}, 200),
        ({"order": {"error": "?"}}, 200),
        ({"error": ""}, 400),
        ({}, 200),
        ([], 200),
        (None, 200),
        ("null", 200),
        ("", 200),
        ("", 204),
        ("", 404),
        ("<html><title>Just a moment...</title></html>", 200),
        ("<html><title>403 Forbidden</title></html>", 403),
        ("<html><title>502 Bad Gateway</title></html>", 502),
        ('{"order": "ord_', 200),
        ("[" * 100_000, 200),
        ('{"order": ' + "9" * 100_000 + "}", 200),
        ('{"order": 1e999999999}', 200),
        (b"\xff\xfe\x00garbage", 200),
    ],
)
async def test_an_answer_that_does_not_say_is_ambiguous_whatever_it_looks_like(
    awkward: AwkwardPanel, client: PanelClient, body: Any, status: int
) -> None:
    awkward.say(body, status)
    error = await outcome(awkward, client)
    assert type(error) is Ambiguous
    assert "same request_id" in str(error)
    assert len(str(error)) < 600


@pytest.mark.parametrize("read_first", [True, False])
async def test_a_dropped_connection_is_ambiguous(awkward: AwkwardPanel, client: PanelClient, read_first: bool) -> None:  # noqa: FBT001
    awkward.hang_up(read_first=read_first)
    assert type(await outcome(awkward, client)) is Ambiguous


@pytest.mark.parametrize(
    "raw",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"order": "ord_1"}',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"ord',
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"not even http\r\n\r\n",
    ],
)
async def test_an_answer_cut_or_garbled_on_the_way_is_ambiguous(
    awkward: AwkwardPanel, client: PanelClient, raw: bytes
) -> None:
    awkward.raw(raw)
    assert type(await outcome(awkward, client)) is Ambiguous


async def test_a_slow_answer_is_ambiguous_after_the_read_timeout(awkward: AwkwardPanel) -> None:
    awkward.say({"order": 1}, delay=0.5)
    async with PanelClient(awkward.url, KEY, timeout=httpx.Timeout(0.05)) as client:
        assert type(await outcome(awkward, client)) is Ambiguous


async def test_an_answer_that_trickles_is_ambiguous_after_the_deadline(awkward: AwkwardPanel) -> None:
    awkward.raw(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 1000, drip=True)
    async with PanelClient(awkward.url, KEY, deadline=0.2) as client:
        error = await outcome(awkward, client)
    assert type(error) is Ambiguous
    assert "0.2 s" in error.words


async def test_without_a_connection_nothing_was_sent_and_the_error_says_so() -> None:
    with socket.socket() as held:  # bound but not listening: the port is ours and refuses
        held.bind(("127.0.0.1", 0))
        async with PanelClient(f"http://127.0.0.1:{held.getsockname()[1]}/", KEY) as client:
            with pytest.raises(Unreachable, match="sending again is safe"):
                await client.add(ORDER)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_ambiguous_and_the_key_does_not_travel(
    awkward: AwkwardPanel, client: PanelClient, status: int
) -> None:
    async with AwkwardPanel() as other:
        other.say({"order": "stolen"})
        awkward.say("", status, {"Location": f"{other.url}?{KEY}"})
        error = await outcome(awkward, client)
        assert type(error) is Ambiguous
        assert "redirects to 127.0.0.1" in error.words
        assert not other.connections


async def test_a_body_above_10_mib_is_cut_and_ambiguous(awkward: AwkwardPanel, client: PanelClient) -> None:
    awkward.say(b'{"order": "' + b"1" * (11 * 1024 * 1024) + b'"}')
    error = await outcome(awkward, client)
    assert type(error) is Ambiguous
    assert "too large" in error.words


async def test_a_body_that_unpacks_above_10_mib_is_cut_too(awkward: AwkwardPanel, client: PanelClient) -> None:
    awkward.say(gzip.compress(b" " * (11 * 1024 * 1024)), headers={"Content-Encoding": "gzip"})
    assert "too large" in (await outcome(awkward, client)).words


async def test_a_body_packed_twice_is_not_unpacked_at_all(awkward: AwkwardPanel, client: PanelClient) -> None:
    awkward.say(gzip.compress(gzip.compress(b"{}")), headers={"Content-Encoding": "gzip, gzip"})
    assert "encoding" in (await outcome(awkward, client)).words


async def test_a_packed_answer_is_read(awkward: AwkwardPanel, client: PanelClient) -> None:
    awkward.say(gzip.compress(b'\xef\xbb\xbf{"order": 5}'), headers={"Content-Encoding": "gzip"})
    assert await client.add(ORDER) == "5"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": "Rate limit exceeded"}, 429),
        ("<html>slow down</html>", 429),
        ({"error": "Rate limit exceeded"}, 200),
        ({"error": "Too many requests, slow down"}, 403),
        ("Too Many Requests", 403),
    ],
)
async def test_a_rate_limit_is_throttled_however_it_is_said(
    awkward: AwkwardPanel, client: PanelClient, body: Any, status: int
) -> None:
    awkward.say(body, status)
    error = await outcome(awkward, client)
    assert isinstance(error, Throttled)
    assert timedelta(seconds=50) < error.until - datetime.now(UTC) <= timedelta(seconds=60)


class Clock:
    """A clock to be moved by hand."""

    def __init__(self) -> None:
        self.time = datetime(2027, 1, 1, tzinfo=UTC)
        self.ticks = 1000.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.ticks


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"X-RateLimit-Reset": "1798761630"}, 30),
        ({"X-RateLimit-Reset": "1798761630000"}, 30),
        ({"X-RateLimit-Reset": "1798761630", "Retry-After": "7"}, 30),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "Fri, 01 Jan 2027 00:02:00 GMT"}, 120),
        ({"Retry-After": "soon"}, 60),
        ({"X-RateLimit-Reset": "nan"}, 60),
        ({}, 60),
        ({"X-RateLimit-Reset": "5"}, 1),
        ({"X-RateLimit-Reset": "99999999999999"}, 3600),
        ({"Retry-After": "99999999"}, 3600),
    ],
)
async def test_a_429_says_until_when_by_reset_then_retry_after_then_a_minute(
    awkward: AwkwardPanel, clock: Clock, headers: dict[str, str], seconds: int
) -> None:
    awkward.say({"error": "Rate limit exceeded"}, 429, headers)
    async with PanelClient(awkward.url, KEY, now=clock.now, monotonic=clock.monotonic) as client:
        with pytest.raises(Throttled) as caught:
            await client.balance()
    assert caught.value.until == clock.time + timedelta(seconds=seconds)


async def test_after_a_429_nothing_is_sent_until_the_reset_even_if_the_wall_clock_jumps(
    awkward: AwkwardPanel, clock: Clock
) -> None:
    headers = {"X-RateLimit-Reset": "1798761630", "X-RateLimit-DeniedBy": "tier", "X-RateLimit-Limit": "100"}
    awkward.say({"error": "Rate limit exceeded"}, 429, headers).say({"balance": "1", "currency": "USD"})
    async with PanelClient(awkward.url, KEY, now=clock.now, monotonic=clock.monotonic) as client:
        with pytest.raises(Throttled) as first:
            await client.balance()
        clock.time += timedelta(days=1)
        clock.ticks += 29
        with pytest.raises(Throttled) as second:
            await client.add(ORDER)
        assert awkward.connections == 1
        assert (first.value.denied_by, first.value.limit, first.value.http_status) == ("tier", 100, 429)
        assert (second.value.denied_by, second.value.action, second.value.http_status) == ("tier", "add", None)
        assert second.value.until == client.throttled_until == clock.time + timedelta(seconds=1)
        clock.ticks += 1
        assert client.throttled_until is None
        await client.balance()
    assert awkward.connections == 2


async def test_reading_trusts_the_known_words_of_a_500_where_placing_does_not(
    awkward: AwkwardPanel, client: PanelClient
) -> None:
    awkward.say({"error": "Account suspended"}, 500)
    with pytest.raises(AccountBlocked):
        await client.balance()
    with pytest.raises(Ambiguous):
        await client.add(ORDER)


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.services(),
        lambda client: client.status("1"),
        lambda client: client.refill("1"),
        lambda client: client.cancel("1"),
        lambda client: client.balance(),
        lambda client: client.webhook_add("https://a.example/hook"),
        lambda client: client.webhook_list(),
    ],
)
async def test_a_200_without_the_expected_field_is_ambiguous_and_its_values_are_not_quoted(
    awkward: AwkwardPanel, client: PanelClient, call: Callable[[PanelClient], Any]
) -> None:
    awkward.say({"signing_key_2": "whsec_hidden"})
    with pytest.raises(Ambiguous) as caught:
        await call(client)
    assert "whsec_hidden" not in str(caught.value)


async def test_of_two_429_in_flight_the_later_reset_counts(awkward: AwkwardPanel, clock: Clock) -> None:
    awkward.say("", 429, {"Retry-After": "30"}, delay=0.05).say("", 429, {"Retry-After": "5"}, delay=0.15)
    async with PanelClient(awkward.url, KEY, now=clock.now, monotonic=clock.monotonic) as client:
        await asyncio.gather(client.balance(), client.balance(), return_exceptions=True)
        assert client.throttled_until == clock.time + timedelta(seconds=30)
    assert awkward.connections == 2
