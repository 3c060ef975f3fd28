"""What an operator is shown of a rehearsal: the text, golden; the page, whole, harmless and asking for nothing.

Beside each ``golden/rehearsals/*.yaml`` stands the ``*.txt`` it must give; comments at its top say what is assumed.
After a wanted change run ``UPDATE_GOLDEN=1 pytest tests/unit``, and read the difference before committing it.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.accounts import AccountFacts
from campaigns.definition import OnFailure, Window
from campaigns.loading import load
from campaigns.outlook import Mood, Outlook
from campaigns.plan import Plan, ServiceFacts
from campaigns.planning import make_plan
from campaigns.quantities import money_text, parse_duration, parse_percent
from campaigns.recurrence import Slot
from campaigns.rehearsal import Rehearsal, rehearse
from campaigns.rehearsal_page import render_page
from campaigns.rehearsal_text import aligned, ranges, render
from sandbox.catalog import CATALOG as SANDBOX
from tests.unit.plans import order, plan, random_plan

START = datetime(2026, 12, 4, 15, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
FOLDER = Path(__file__).parent / "golden" / "rehearsals"
FILES = sorted(FOLDER.glob("*.yaml"))
ACCOUNT = AccountFacts(name="main", allowed_targets=["https://example.com/brand/*"])
CATALOG = {
    each.id: ServiceFacts(
        service=each.id,
        name=each.name,
        type=each.type,
        rate=each.rate,
        min=each.min,
        max=each.max,
        dripfeed=each.dripfeed,
        refill=each.refill,
        cancel=each.cancel,
    )
    for each in SANDBOX.values()
}
VOID = {"meta", "rect", "path"}
"""Elements that close themselves, in HTML or in SVG."""


def rehearsed(file: Path) -> Rehearsal:
    text = file.read_text()
    given = dict(re.findall(r"^# (outlook|start|seed|balance): (.+)$", text, re.MULTILINE))
    loaded = load(text, path=file.name, env={})
    assert loaded.definition is not None, loaded.errors
    start = datetime.fromisoformat(given["start"])
    made = make_plan(loaded.definition, ACCOUNT, CATALOG, start)
    assert made.plan is not None, made.problems
    mood, share, takes = given["outlook"].split()
    outlook = Outlook(Mood(mood), share=parse_percent(share), takes=parse_duration(takes))
    balance = Decimal(given["balance"]) if "balance" in given else None
    return rehearse(made.plan, start, outlook, seed=int(given.get("seed", 0)), balance=balance)


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_a_file_gives_the_rehearsal_kept_beside_it(file: Path) -> None:
    found, kept = render(rehearsed(file)), file.with_suffix(".txt")
    if os.environ.get("UPDATE_GOLDEN"):
        kept.write_text(found)
    assert found == kept.read_text()


def test_every_kept_rehearsal_has_its_file() -> None:
    assert {kept.stem for kept in FOLDER.glob("*.txt")} == {file.stem for file in FILES}


class Page(HTMLParser):
    """Holds that every element is closed, in order, and notes what a browser would fetch or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asked: list[str] = []
        self.texts: list[str] = []
        self.titles = 0
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} {names}"
        self.asked += [f"{tag} {name}" for name in names if name in ("src", "href", "srcset") or name.startswith("on")]
        if tag in ("script", "link", "img", "iframe", "object", "base", "form"):
            self.asked.append(tag)
        if tag == "title":
            self.titles += 1
        if tag not in VOID or not self._closes_itself():
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def _closes_itself(self) -> bool:
        text = self.get_starttag_text() or ""
        return text.endswith("/>") or text.startswith("<meta")

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_the_page_is_whole_and_asks_for_nothing(file: Path) -> None:
    rehearsal = rehearsed(file)
    text = render_page(rehearsal)
    page = Page(text)
    assert page.asked == []
    assert "url(" not in text
    assert "@import" not in text
    assert text.replace("http://www.w3.org/2000/svg", "").count("://") == 0
    assert "default-src 'none'" in text
    assert page.titles == 1 + len(rehearsal.plan.orders) + sum(
        ending.placed_at is not None or ending.slot is not None for ending in rehearsal.endings
    )


def test_the_page_says_what_the_rehearsal_found() -> None:
    rehearsal = rehearsed(FOLDER / "launch.yaml")
    shown = " ".join(Page(render_page(rehearsal)).texts)
    for words in ("Rehearsal of launch", "9.75 USD", "85.4%", "14 order runs", "Views, steady (101)", "views 5/10"):
        assert words in shown
    for warning in rehearsal.warnings:
        assert warning in shown


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_the_page_and_the_text_say_the_same_sum(file: Path) -> None:
    rehearsal = rehearsed(file)
    spent = money_text(rehearsal.spent)
    assert f"  spends     {spent} " in render(rehearsal)
    assert f"{spent} {rehearsal.plan.account.currency}" in Page(render_page(rehearsal)).texts


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_a_terminal_has_no_word_to_break(file: Path, width: int) -> None:
    folded, whole = render(rehearsed(file), width), render(rehearsed(file))
    words = [word for word in whole.split() if word != "!"]
    assert sorted(word for word in folded.split() if word != "!") == sorted(words)
    table = [line for line in folded.splitlines() if line.startswith("all ")]
    assert len(table) == 1
    # A table of many long names may need more; nothing else does.
    assert all(len(line) <= max(width, len(table[0])) for line in folded.splitlines())
    assert len(table[0]) <= max(width, 80)


def test_the_slot_that_starts_it_is_named_everywhere() -> None:
    slot = Slot(START, "the clock skips 18:00")
    rehearsal = rehearse(plan(order()), START, slot=slot)
    words = "the slot 2026-12-04T15:00:00Z of its schedule: the clock skips 18:00"
    assert words in render(rehearsal)
    assert words in render_page(rehearsal)
    assert rehearsal.document()["slot"] == slot.document("UTC")
    without = rehearse(plan(order()), START)
    assert "schedule" not in render(without) + render_page(without)
    assert without.document()["slot"] is None


HOSTILE = [
    '"><script>alert(1)</script>',
    "</svg></style></title><img src=x onerror=alert(1)>",
    "<!-- & &amp; ' \" -->",
    "\x00\x1b[31m\u202ereversed\ud800",
    "]]><![CDATA[",
]


@pytest.mark.parametrize("words", HOSTILE)
def test_a_hostile_name_stays_text_on_the_page_and_in_the_terminal(words: str) -> None:
    made = hostile(plan(order(on_failure=OnFailure.PAUSE), order("b", runs=3, every=HOUR, quantity=300)), words)
    for mood in Mood:
        rehearsal = rehearse(made, START, Outlook(mood, share=Decimal(100)))
        text = render_page(rehearsal)
        assert Page(text).asked == []
        assert "<script" not in text
        assert "<img" not in text
        assert "\x1b" not in text + render(rehearsal)
        text.encode()
        render(rehearsal).encode()


def hostile(made: Plan, words: str) -> Plan:
    """Put words where a panel or a person may write: names, accounts, currencies."""
    orders = [each.model_copy(update={"service_name": words}) for each in made.orders]
    account = made.account.model_copy(update={"name": words, "currency": words})
    return made.model_copy(update={"name": words, "orders": orders, "account": account})


@settings(deadline=None, max_examples=40)
@given(
    st.integers(min_value=0, max_value=2**32),
    st.sampled_from(Mood),
    st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=900)),
)
def test_any_rehearsal_can_be_shown(seed: int, mood: Mood, takes: timedelta) -> None:
    rehearsal = rehearse(random_plan(seed), START, Outlook(mood, takes=takes), seed=seed)
    Page(render_page(rehearsal))
    assert "NaN" not in render_page(rehearsal)
    assert render(rehearsal).endswith("\n")


def test_a_window_of_many_years_is_not_shaded_day_by_day() -> None:
    window = Window.model_validate({"from": "09:00", "to": "10:00"})
    years = rehearse(plan(order(quantity=900, runs=9, every=timedelta(days=300), window=window)), START)
    assert len(render_page(years)) < 40_000


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([3], "3"), ([1, 2, 3, 7], "1-3 7"), ([5, 1, 2, 2], "1-2 5"), ([1, 3, 5], "1 3 5")]
)
def test_numbers_are_written_as_ranges(numbers: list[int], text: str) -> None:
    assert ranges(numbers) == text


def test_amounts_stand_below_one_another() -> None:
    assert aligned([Decimal("1.5"), Decimal("12.125"), Decimal(0)]) == [" 1.50 ", "12.125", " 0.00 "]
