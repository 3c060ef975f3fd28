"""Variables in values, as in Compose, and stricter where a silent blank could cost money."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.interpolation import InterpolationError, interpolate

ENV = {"FILM": "launch", "EMPTY": "", "QTY": "500", "DOLLAR": "${FILM}"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain } text", "plain } text"),
        ("${FILM}", "launch"),
        ("https://example.com/${FILM}?n=${QTY}", "https://example.com/launch?n=500"),
        ("${NONE:-default}", "default"),
        ("${NONE-default}", "default"),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY-default}", ""),
        ("${EMPTY}", ""),
        ("${FILM:-default}", "launch"),
        ("${FILM:?say which}", "launch"),
        ("${EMPTY?say which}", ""),
        ("${FILM:+given}${NONE:+given}${EMPTY:+given}${EMPTY+set}", "givenset"),
        ("${NONE:-}", ""),
        ("${NONE:-${ALSO:-${QTY}}}", "500"),
        ("${FILM:-${NOT_NEEDED}}", "launch"),
        ("$$", "$"),
        ("$${FILM}", "${FILM}"),
        ("$$$${FILM}$$", "$${FILM}$"),
        ("${DOLLAR}", "${FILM}"),
        ("${NONE:-a $$ b}", "a $ b"),
    ],
)
def test_a_variable_is_filled_in_once_by_the_rules_of_compose(text: str, filled: str) -> None:
    assert interpolate(text, ENV) == filled


@pytest.mark.parametrize(
    ("text", "message", "at", "fragment"),
    [
        ("a ${NONE}", "NONE is not set", 2, "${NONE"),
        ("${NONE:?set it to your key}", "NONE is not set: set it to your key", 0, "${NONE:?"),
        ("${EMPTY:?}", "EMPTY is not set", 0, "${EMPTY:?"),
        ("${NONE:?a\x1bb}", "NONE is not set: a\\x1bb", 0, "${NONE:?"),
        ("a $FILM", "a lone $ has no meaning", 2, "$"),
        ("$${X} costs 5$", "a lone $ has no meaning", 13, "$"),
        ("${FILM", "a variable is not written properly", 0, "${"),
        ("${FILM:-a", "${ is not closed by }", 0, "${FILM:-"),
        ("${FILM:?a", "${ is not closed by }", 0, "${"),
        ("${1A}", "a variable is not written properly", 0, "${"),
        ("${}", "a variable is not written properly", 0, "${"),
        ("${FILM:=x}", "a variable is not written properly", 0, "${"),
        ("${A:-" * 11 + "}" * 11, "more than 10 defaults within each other", 50, "${A:-"),
    ],
)
def test_a_variable_that_cannot_be_filled_in_says_why_and_where(
    text: str, message: str, at: int, fragment: str
) -> None:
    with pytest.raises(InterpolationError) as caught:
        interpolate(text, ENV)
    assert (str(caught.value), caught.value.at, caught.value.fragment) == (message, at, fragment)


def test_a_misspelt_variable_gets_the_nearest_name_and_never_a_value() -> None:
    with pytest.raises(InterpolationError) as caught:
        interpolate("${NOTPANEL_APIKEY}", {"NOTPANEL_API_KEY": "sk_secret"})
    assert caught.value.hint == 'did you mean "NOTPANEL_API_KEY"?'


def test_a_value_never_grows_beyond_the_size_of_a_file() -> None:
    with pytest.raises(InterpolationError, match="longer than a file"):
        interpolate("${BIG}" * 100, {"BIG": "x" * 100_000})


@given(st.text(alphabet="ab$${}:-?+_ ", max_size=40))
def test_no_text_upsets_the_reading_of_variables(text: str) -> None:
    told = None
    try:
        interpolate(text, {"a": "1", "b": ""})
    except InterpolationError as error:
        told = error
    assert told is None or text.startswith(told.fragment, told.at)


@given(st.text(max_size=40))
def test_a_text_with_every_dollar_doubled_is_itself(text: str) -> None:
    assert interpolate(text.replace("$", "$$"), {}) == text
