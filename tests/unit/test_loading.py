"""YAML to data: values stay what was written, places are right, and no text at all can upset or delay the loader."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.documents import MAX_TEXT, read_document
from campaigns.explaining import Problem
from campaigns.loading import load, render

CAMPAIGN = """\
version: 1
name: spring
account: main
orders:
  - id: views
    service: 101
    link: https://example.com/brand/film
    quantity: 50
    window: {days: [mon,
      tue]}
"""


def data(text: str, **env: str) -> Any:
    document = read_document(text, "x.yaml", env)
    assert document.faults == []
    return document.data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10_000", 10_000),
        ("1_000_000", 1_000_000),
        ("-5", -5),
        ("0", 0),
        ("1_00", "1_00"),
        ("0777", "0777"),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("1:30", "1:30"),
        ("09:00", "09:00"),
        ("190:20:30", "190:20:30"),
        ("120.10", "120.10"),
        ("1e3", "1e3"),
        (".inf", ".inf"),
        ("2026-12-04", "2026-12-04"),
        ("yes", "yes"),
        ("on", "on"),
        ("No", "No"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ('""', ""),
        ('"5"', "5"),
        ("'true'", "true"),
        ("120.00 USD", "120.00 USD"),
        ("9" * 30, "9" * 30),
        ("|\n  5\n", "5\n"),
        (">-\n  a\n  b\n", "a b"),
        ("[a, {b: 1}]", ["a", {"b": 1}]),
    ],
)
def test_a_value_is_what_yaml_1_2_says_or_else_the_text_as_written(text: str, value: Any) -> None:
    assert data(f"a: {text}") == {"a": value}


def test_a_name_is_always_the_text_as_written() -> None:
    assert data("1: a\ntrue: b\nnull: c\non: d") == {"1": "a", "true": "b", "null": "c", "on": "d"}


def test_a_variable_is_resolved_like_a_value_unless_it_stands_in_quotes() -> None:
    text = 'a: ${QTY}\nb: "${QTY}"\nc: ${QTY}0\nd: ${NONE:-true}\ne: ${YAML}\nf: ${EMPTY}'
    assert data(text, QTY="500", YAML="{a: [1]}\nb: 2", EMPTY="") == {
        "a": 500, "b": "500", "c": 5000, "d": True, "e": "{a: [1]}\nb: 2", "f": None,
    }  # fmt: skip


@pytest.mark.parametrize("variable", ["${QTY}", "${QTY:-500}", "${QTY:?how many}"])
@pytest.mark.parametrize("written", ["{a: 1, b: @}", "[{a: @, b: 1}]", "[1, @]", "{a: x@/y}", "{a: @", "{@: 1}"])
def test_a_variable_in_brackets_is_told_to_stand_in_quotes(written: str, variable: str) -> None:
    text = f"version: 1\norders: {written.replace('@', variable)}\n"
    (error,) = load(text, path="c.yaml", env={"QTY": "5"}).errors
    assert (error.line, error.column) == (2, text.splitlines()[1].index("$") + 1)
    assert "must stand in quotes" in error.problem.message
    assert f'"{variable}"' in error.problem.hint
    assert "^" * len(variable) in error.render()


def test_a_variable_in_quotes_in_brackets_is_filled_in_and_a_bracket_elsewhere_is_told_as_ever() -> None:
    assert data('a: {b: "${QTY}"}', QTY="5") == {"a": {"b": "5"}}
    (error,) = load("a: [1, {b: 2]", path="c.yaml", env={}).errors
    assert "lacks a comma" in error.problem.message


def test_a_name_is_never_filled_in() -> None:
    assert data("${A}: 1", A="b") == {"${A}": 1}


def test_an_alias_stands_for_its_value_each_time_anew() -> None:
    found = data("a: &x {b: [1]}\nc: *x\nd: [*x, *x]")
    assert found == {"a": {"b": [1]}, "c": {"b": [1]}, "d": [{"b": [1]}, {"b": [1]}]}
    found["a"]["b"].append(2)
    assert found["c"] == {"b": [1]}


def test_line_ends_tabs_between_values_and_a_byte_order_mark_do_not_matter() -> None:
    plain = load(CAMPAIGN, path="x", env={})
    for text in (CAMPAIGN.replace("\n", "\r\n"), "\ufeff" + CAMPAIGN, CAMPAIGN.replace(": ", ":\t"), CAMPAIGN.encode(),
                 CAMPAIGN.replace("\n", "\t\n\t\n \t \n\t# c\n"), CAMPAIGN.replace("- ", "-\t")):  # fmt: skip
        assert load(text, path="x", env={}).document == plain.document


@pytest.mark.parametrize(
    ("loc", "position"),
    [
        ((), (1, 1)),
        (("name",), (2, 1)),
        (("orders",), (4, 1)),
        (("orders", 0), (5, 5)),
        (("orders", 0, "quantity"), (8, 5)),
        (("orders", 0, "window", "days"), (9, 14)),
        (("orders", 0, "window", "days", 0), (9, 21)),
        (("orders", 0, "window", "days", 1), (10, 7)),
        (("orders", 0, "drip", "runs"), (5, 5)),
        (("orders", 7), (4, 1)),
        (("nothing", 5, "like", "this"), (1, 1)),
    ],
)
def test_a_later_problem_finds_its_place_or_the_nearest_around_it(loc: Any, position: tuple[int, int]) -> None:
    for text in (CAMPAIGN, CAMPAIGN.replace("\n", "\r\n"), CAMPAIGN.replace("\n", "\r"), "\ufeff" + CAMPAIGN):
        (located,) = load(text, path="x", env={}).locate([Problem(loc, "is wrong")])
        assert (located.line, located.column) == position


def test_an_error_is_one_line_then_the_source_then_a_caret() -> None:
    loaded = load(CAMPAIGN, path="campaigns/launch.yaml", env={})
    problem = Problem(("orders", 0, "quantity"), "50 is below the minimum 100 of service 101", "write 100 or more")
    assert render(loaded.locate([problem])) == (
        "campaigns/launch.yaml:8:5: orders[0].quantity: 50 is below the minimum 100 of service 101\n"
        "    8 |     quantity: 50\n"
        "      |     ^^^^^^^^ write 100 or more"
    )


def test_errors_come_in_the_order_of_the_file() -> None:
    text = CAMPAIGN.replace("spring", "Spring").replace("101", "x").replace("version: 1", "version: 2")
    assert [error.line for error in load(text, path="x", env={}).errors] == [1, 2, 6, 9]


def test_an_error_shows_nothing_invisible() -> None:
    text = CAMPAIGN.replace("name: spring", 'name: "a\u202eb" # \u2066')
    shown = render(load(text, path="a\u202eb.yaml", env={}).errors)
    assert "\u202e" not in shown
    assert "\u2066" not in shown
    assert '   2 | name: "a\\u202eb" # \\u2066' in shown


def test_a_caret_stands_under_its_place_in_a_terminal() -> None:
    for before, columns in (("日本", 4), ("e\u0301", 1), ("שלום", 4), ("\u202e", 6), ("🙂", 2), ("\t", 1)):
        (located,) = load(f"{{'{before}': 1, x: 2}}", path="x", env={}).locate([Problem(("x",), "is wrong")])
        assert located.render().splitlines()[-1] == "      | " + " " * (columns + 8) + "^"


def test_a_value_whose_variable_is_missing_is_told_once() -> None:
    text = CAMPAIGN.replace("101", "${SERVICE}").replace("50", "${QTY:?how many}").replace("days", "from: 9, days")
    loaded = load(text, path="x", env={})
    assert [str(error) for error in loaded.errors] == [
        "x:6:14: orders[0].service: SERVICE is not set",
        "x:8:15: orders[0].quantity: QTY is not set: how many",
        "x:9:5: orders[0].window: needs the campaign's timezone; add a line such as timezone: Europe/Istanbul",
        'x:9:14: orders[0].window.from: 9 is not a time of day; write it as "09:00"',
    ]


def test_a_fault_of_the_text_is_told_beside_the_faults_of_its_data() -> None:
    loaded = load(CAMPAIGN + "name: again\nfoo: 1\n", path="x", env={})
    assert loaded.definition is None
    assert len(loaded.errors) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: the file is empty"),
        ("# only a comment\n", "1:1: the file is empty"),
        ("---\n...\n", "1:1: the file is empty"),
        (b"a: \xff", "1:4: this is not UTF-8; save the file as UTF-8"),
        ("a: 1\n".encode("utf-16"), "1:1: the file is UTF-16; save it as UTF-8"),
        ("a: \x00", '1:4: the character "\\x00" is not allowed in a YAML file'),
        ("x" * (MAX_TEXT + 1), "1:1: the file is larger than 1 MiB"),
        ("a: &a [*a]", "1:8: refers to itself"),
        ("a: *b", "1:4: refers to an anchor that is not defined above it"),
        ("a: 1\n--- b", "2:1: a second document begins here; one file holds one document"),
        ("%YAML 1.1\n---\na: 1", "1:1: the file asks for another YAML version; remove the %YAML line"),
        ("[" * 60, "1:52: values are nested more than 50 deep"),
        ('"\\UFFFFFFFF"', "1:1: this is not valid YAML from here on"),
    ],
)
def test_a_text_that_is_no_document_says_so_in_one_error(text: str | bytes, message: str) -> None:
    loaded = load(text, path="x", env={})
    assert [str(error) for error in loaded.errors] == [f"x:{message}"]
    assert loaded.document is None


LAUGHS = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 20)
)
LONG_ALIASES = f"- &a {'x' * 500_000}\n" + "- *a\n" * 50_000


@pytest.mark.parametrize(
    "text",
    [LAUGHS, LONG_ALIASES, "[" * 500_000, "- " * 250_000, "{a: " * 100_000, "a: 1\n" * 50_000, "${A:-" * 100_000,
     "a: '" + "\n" * 500_000, "? " * 100_000, "!a " * 100_000, "&a " * 100_000, "- ${X}\n" * 50_000, "\t" * 100_000,
     "{" + "a: $, " * 20_000 + "}"],
    ids=range(14),
)  # fmt: skip
def test_a_hostile_file_is_refused_in_seconds(text: str) -> None:
    started = time.process_time()
    loaded = load(text, path="x", env={})
    assert loaded.errors
    assert len(render(loaded.errors)) < 100_000
    assert time.process_time() - started < 30


FRAGMENTS = st.sampled_from(
    [
        "version: 1\n", "name: a\n", "orders:\n", "  - ", "id: a\n", "    service: 1\n", "- ", "{", "}", "[",
        "]", ",", ": ", "\n", "'", '"', "&a ", "*a ", "!x ", "!!int ", "|\n", ">\n  ", "? ", "%YAML 1.2\n",
        "---\n", "...\n", "# c\n", "\t", "${A}", "${B:-x}", "$", "\\", "\\x", "<<: *a\n", "\u202e", "é", "日",
        "\ufeff", "\x85", "\u2028", "\r", "\r\n", "@", "`", "%", "\ud800", "\x00", "  ", "0", "10_000", "~",
        "a",
    ],
)  # fmt: skip
TEXTS = st.text(max_size=60) | st.lists(FRAGMENTS, max_size=25).map("".join) | st.binary(max_size=40)


@settings(max_examples=500, deadline=None)
@given(TEXTS)
def test_no_text_upsets_the_loader(text: str | bytes) -> None:
    loaded = load(text, path="x.yaml", env={"A": "1"})
    assert (loaded.definition is None) == bool(loaded.errors)
    for error in loaded.errors:
        assert error.line >= 1
        assert error.column >= 1
        assert all(line.isprintable() for line in error.render().split("\n"))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_campaign_file_with_something_cut_out_or_put_in_never_upsets_the_loader(draw: st.DataObject) -> None:
    start = draw.draw(st.integers(0, len(CAMPAIGN)))
    end = draw.draw(st.integers(start, min(len(CAMPAIGN), start + 20)))
    text = CAMPAIGN[:start] + draw.draw(FRAGMENTS) + CAMPAIGN[end:]
    loaded = load(text, path="x.yaml", env={})
    assert (loaded.definition is None) == bool(loaded.errors)
    render(loaded.errors)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("ab_- ", min_size=1, max_size=5), inner, max_size=4)
    ),
    max_leaves=15,
)


@settings(max_examples=300, deadline=None)
@given(JSON.filter(lambda value: value is not None))
def test_json_is_read_as_the_json_it_is(value: Any) -> None:
    text = json.dumps(value).replace("$", "$$")
    assert data(text) == value
