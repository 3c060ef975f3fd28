"""A link is ordered for only when it is the operator's, whatever is done to its spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.definition import MAX_LINK
from campaigns.targets import BadLink, check_pattern, is_allowed, normalise

FILM = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
BRAND = "https://example.com/brand/*"


@pytest.mark.parametrize(
    ("link", "same"),
    [
        ("HTTPS://Example.COM", "https://example.com/"),
        ("https://example.com:443/a", "https://example.com/a"),
        ("http://example.com:80/a", "http://example.com/a"),
        ("http://example.com:0443/a", "http://example.com:443/a"),
        ("https://example.com/%7Ea%2fb%C3%bc", "https://example.com/~a%2Fb%C3%BC"),
        ("https://example.com/ü?q=ü#ü", "https://example.com/%C3%BC?q=%C3%BC#%C3%BC"),
        ("https://ŞIRKET.com.tr/a", "https://xn--irket-idb.com.tr/a"),
        ("https://[2001:DB8:0::1]/", "https://[2001:db8::1]/"),
        ("https://example.com?a", "https://example.com/?a"),
    ],
)
def test_two_spellings_of_one_link_have_one_normal_form(link: str, same: str) -> None:
    assert normalise(link) == normalise(same) == same


@pytest.mark.parametrize(
    "link",
    [
        "",
        "example.com/a",
        "//example.com/a",
        "ftp://example.com/a",
        "https:example.com",
        "https:///a",
        "https://",
        "https://user@example.com/a",
        "https://user:pw@example.com/a",
        "https://example.com\\@evil.com/",
        "https://example.com/\\..\\a",
        "https://example.com/a b",
        "https://example.com/a\tb",
        "https://example.com/a\u202eb",
        "https://example.com/a\x00",
        "https://example.com/\ud800",
        " https://example.com/a",
        "https://example.com/a\n",
        "https://example.com/../a",
        "https://example.com/a/.",
        "https://example.com/a/%2e%2E/b",
        "https://example.com/a/.%2e/b",
        "https://example.com/a/%252e%252e/b",
        "https://example.com/a/..%2fb",
        "https://example.com/a/..;x=1/b",
        "https://example.com/a%5c..%5cb",
        "https://example.com/a%00",
        "https://example.com/a?b=%0d%0aX",
        "https://example.com/a%zz",
        "https://example.com/%",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:abc/",
        "https://example.com:/",
        "https://exa%6dple.com/",
        "https://exa mple.com/",
        "https://-a.example.com/",
        "https://example..com/",
        "https://example.com./",
        "https://*.example.com/",
        "https://fa\u00df.de/",
        "https://\uff45xample.com/",
        "https://example。com/",
        "https://[::1/",
        "https://[example.com]/",
        "https://" + "a" * 64 + ".com/",
        "https://example.com/" + "a" * 1000,
    ],
)
def test_a_link_that_can_be_read_in_two_ways_is_not_a_link_at_all(link: str) -> None:
    with pytest.raises(BadLink):
        normalise(link)
    assert not is_allowed(link, ["https://example.com/*", "https://*.example.com/*", link])


@pytest.mark.parametrize(
    ("pattern", "link", "allowed"),
    [
        (FILM, FILM, True),
        (FILM, "https://WWW.youtube.com:443/%77atch?v=dQw4w9WgXcQ", True),
        (FILM, FILM + "&t=1", False),
        (FILM, FILM + "#t=1", False),
        (FILM, "http://www.youtube.com/watch?v=dQw4w9WgXcQ", False),
        (FILM, "https://www.youtube.com/watch?v=dqw4w9wgxcq", False),
        (BRAND, "https://example.com/brand/", True),
        (BRAND, "https://example.com/brand/a/b?c=d#e", True),
        (BRAND, "https://example.com/brand", False),
        (BRAND, "https://example.com/brandy/a", False),
        (BRAND, "https://example.com/Brand/a", False),
        (BRAND, "https://example.com/x/brand/a", False),
        (BRAND, "https://example.com/brand/../x", False),
        (BRAND, "https://example.com/brand/%2e%2e/x", False),
        (BRAND, "https://example.com.evil.com/brand/a", False),
        (BRAND, "https://evilexample.com/brand/a", False),
        (BRAND, "https://example.com:8443/brand/a", False),
        (BRAND, "https://evil.com/?https://example.com/brand/a", False),
        ("https://*.example.com/*", "https://shop.example.com/a", True),
        ("https://*.example.com/*", "https://example.com/a", False),
        ("https://*.example.com/*", "https://evilexample.com/a", False),
        ("https://*.example.com/*", "https://a.b.example.com/a", False),
        ("https://*.example.com/*", "https://a.example.com.evil.com/a", False),
        ("https://example.com/*/film", "https://example.com/spring/film", True),
        ("https://example.com/*/film", "https://example.com/a/b/film", False),
        ("https://example.com/*/film", "https://example.com/other?x=/film", False),
        ("https://example.com/*/film", "https://example.com/other#/film", False),
        ("https://example.com/*/film", "https://example.com/spring/film?x", False),
        ("https://example.com/a*b*c", "https://example.com/a1b2b3c", True),
        ("https://example.com/a*b*c", "https://example.com/acb", False),
        ("https://www.youtube.com/watch?v=*", "https://www.youtube.com/watch?v=abc&t=1", True),
        ("https://www.youtube.com/watch?v=*", "https://www.youtube.com/embed?v=abc", False),
        ("https://example.com/", "https://example.com", True),
        ("https://example.com/(a+)+", "https://example.com/aaa", False),
    ],
)  # fmt: skip
def test_a_pattern_matches_what_it_says_and_no_more(pattern: str, link: str, *, allowed: bool) -> None:
    check_pattern(pattern)
    assert is_allowed(link, [pattern]) is allowed


@pytest.mark.parametrize(
    "pattern",
    ["*", "", "https://*", "https://*/a", "https://*.com/", "https://a.*.com/", "https://ex*mple.com/",
     "https://example.com*", "*://example.com/", "https://example.com:*/", "https://**.example.com/",
     "https://user@example.com/*", "https://example.com/../*", "example.com/*"],
)  # fmt: skip
def test_a_pattern_that_reaches_too_far_or_nowhere_is_refused(pattern: str) -> None:
    with pytest.raises(BadLink):
        check_pattern(pattern)
    assert not is_allowed("https://example.com/a", [pattern])


def test_nothing_is_allowed_where_no_target_is_named() -> None:
    assert not is_allowed(FILM, [])


def test_a_pattern_with_many_stars_is_still_quick() -> None:
    assert not is_allowed("https://example.com/" + "a" * 900, ["https://example.com/" + "*a" * 200 + "*b"])


PIECES = st.sampled_from(
    ["https://", "http://", "example.com", "evil.com", "@", ":", "/", "\\", "?", "#", "..", ".", "%2e", "%2F", "%5c",
     "%00", "brand", "*", ";", "//", ":443", "\t", "\u202e", "ß", "é", "[", "]", "%", "%25"],
)  # fmt: skip
LINKS = (
    st.text(max_size=40)
    | st.lists(PIECES, max_size=12).map("".join)
    | st.lists(PIECES, max_size=8).map(lambda pieces: "https://example.com/brand/" + "".join(pieces))
)


def normal_form(link: str) -> str | None:
    try:
        return normalise(link)
    except BadLink:
        return None


@given(LINKS)
def test_a_normal_form_is_its_own_normal_form(link: str) -> None:
    normal = normal_form(link)
    if normal is not None and len(normal) <= MAX_LINK:
        assert normal.isascii()
        assert normalise(normal) == normal


@given(LINKS)
def test_a_link_is_allowed_by_a_pattern_of_a_site_only_when_it_leads_there(link: str) -> None:
    if is_allowed(link, [BRAND]):
        normal = normalise(link)
        assert normal.startswith("https://example.com/brand/")
        assert not {".", ".."} & set(normal.split("?")[0].split("#")[0].split("/"))


@given(LINKS, LINKS)
def test_neither_link_nor_pattern_upsets_the_comparison(link: str, pattern: str) -> None:
    is_allowed(link, [pattern])


@given(LINKS)
def test_every_valid_link_without_a_star_allows_itself_and_nothing_longer(link: str) -> None:
    if "*" not in link and normal_form(link) is not None:
        assert is_allowed(link, [link])
        assert not is_allowed(link + "x", [link])
