"""The API key leaves in the body of a request and in nothing else."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import httpx
import pytest

from panel import Ambiguous, OrderRequest, PanelClient, PanelError, Throttled
from tests.panel.conftest import KEY

if TYPE_CHECKING:
    from tests.panel.awkward import AwkwardPanel

ORDER = OrderRequest(service=101, request_id="req-1", link="https://example.com/", quantity=500)
FORMS = [KEY, quote(KEY), quote(KEY, safe=""), quote_plus(KEY), escape(KEY), KEY.replace("/", "\\/"), KEY.upper()]


def leaks(text: str) -> bool:
    return any(form.lower() in text.lower() for form in (*FORMS, json.dumps(KEY)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("body", ['{"error": "bad key %s for you"}', "<html>%s</html>", '{"%s": 1}', '{"order": "%s"}'])
async def test_a_key_echoed_in_any_form_is_stripped(
    awkward: AwkwardPanel, client: PanelClient, form: str, body: str
) -> None:
    awkward.say(body % form, 200)
    with pytest.raises(PanelError) as caught:
        await client.add(ORDER)
    assert not leaks(str(caught.value) + repr(caught.value) + caught.value.words)


async def test_a_key_escaped_letter_by_letter_is_stripped(awkward: AwkwardPanel, client: PanelClient) -> None:
    hidden = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
    awkward.say(f'{{"status": "{hidden}"}}')
    assert (await client.status("1")).raw == "<key>"


async def test_no_exception_carries_the_request_or_shows_the_key_in_its_frames(awkward: AwkwardPanel) -> None:
    awkward.hang_up(read_first=True)
    async with PanelClient(awkward.url, KEY) as client:
        with pytest.raises(Ambiguous) as caught:
            await client.add(ORDER)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert not leaks("".join(shown.format()))


async def test_logs_at_debug_never_show_the_key(
    awkward: AwkwardPanel, client: PanelClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    awkward.say({"order": 1}).hang_up(read_first=True)
    await client.add(ORDER)
    with pytest.raises(Ambiguous):
        await client.add(ORDER)
    assert caplog.records
    assert not leaks(caplog.text)


async def test_the_key_is_in_no_url_header_or_repr(awkward: AwkwardPanel, client: PanelClient) -> None:
    awkward.say({"balance": 1})
    await client.balance()
    (request,) = awkward.received
    assert not leaks(request.line + str(request.headers))
    assert not leaks(repr(client) + str(vars(client)))


async def test_a_short_key_is_masked_as_a_word_and_innocent_words_stay(awkward: AwkwardPanel) -> None:
    awkward.say({"error": "demo is no key, democracy is none either"}, 400)
    async with PanelClient(awkward.url, "demo") as client:
        with pytest.raises(PanelError) as caught:
            await client.balance()
    assert caught.value.words == "<key> is no key, democracy is none either"


async def test_words_are_one_printable_line_of_at_most_300_characters(
    awkward: AwkwardPanel, client: PanelClient
) -> None:
    awkward.say({"error": "a\x1b[31m\r\nb\u202ec\ud800d " + "e" * 5000}, 400)
    with pytest.raises(PanelError) as caught:
        await client.add(ORDER)
    words = caught.value.words
    assert words.startswith("a [31m b c d e")
    assert len(words) == 300
    assert words.isprintable()


async def test_errors_survive_pickling_with_all_they_know(awkward: AwkwardPanel, client: PanelClient) -> None:
    awkward.say({"error": "Rate limit exceeded"}, 429, {"X-RateLimit-DeniedBy": "ip"})
    with pytest.raises(Throttled) as caught:
        await client.add(ORDER)
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 -- our own bytes
    assert str(copy) == str(caught.value)
    assert copy.until == caught.value.until


async def test_the_caller_s_http_client_does_not_follow_redirects_for_us(awkward: AwkwardPanel) -> None:
    awkward.say("", 307, {"Location": awkward.url})
    async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as http:
        with pytest.raises(Ambiguous):
            await PanelClient(awkward.url, KEY, http=http).balance()
    assert awkward.connections == 1
