"""The documentation against the code: nothing left out, nothing that is not there, nothing that cannot be read."""

from __future__ import annotations

import ast
import json
import re
from datetime import time, timedelta
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
import typer
from temporalio.workflow import _Definition

import worker
from activities.contracts import (
    CAMPAIGNS_QUEUE,
    REVIEWED,
    STARTED_BY,
    TellNotices,
    account_id,
    campaign_id,
    panel_queue,
)
from activities.telling import NOTICE_ID, SIGNATURE, body_of
from campaigns import definition as d
from campaigns.loading import load
from campaigns.messages import Notice
from campaigns.quantities import format_duration
from campaigns.state import SETTLED, CampaignState, RunState
from cli import app
from commands.console import DONE, FAILED, INTERRUPTED, INVALID
from configuration import AccountSettings, WebhookSignature, parse_configuration
from connection import _KINDS
from tests.unit.test_rooms import ROOT
from workflows import attributes
from workflows.account import Account
from workflows.campaign import Campaign

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pydantic import BaseModel

DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.glob("*.md")])
COMMANDS = (DOCS / "commands.md").read_text()
STATES = (DOCS / "states-and-messages.md").read_text()
FILE = (DOCS / "campaign-file.md").read_text()
CONFIGURATION = (DOCS / "configuration.md").read_text()

_PARTS: dict[str, type[BaseModel]] = {
    "The file": d.Definition,
    "`orders` and `defaults`": d.Order,
    "`after`": d.After,
    "`drip`": d.Drip,
    "`window`": d.Window,
    "`cancel`": d.CancelPolicy,
    "`refill`": d.RefillPolicy,
    "`limits`": d.Limits,
    "`schedule`": d.Schedule,
    "`notify`": d.Notify,
}
_WITHOUT_A_WORD = {
    (d.Window, "days"): "every day",
    (d.Notify, "on"): "all but `settled`",
}
"""Defaults that are said in words."""


def _section(text: str, heading: str, level: int = 2) -> str:
    """Give what stands below a heading, up to the next one of its level or above."""
    match = re.search(
        rf"^{'#' * level} {re.escape(heading)}\n(.*?)(?=^#{{1,{level}}} |\Z)", text, re.DOTALL | re.MULTILINE
    )
    assert match is not None, f"there is no section {heading}"
    return match[1]


def _rows(text: str) -> list[list[str]]:
    """Give the cells of all table rows that begin with a name in backticks."""
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in text.splitlines()
        if line.startswith("| `")
    ]


def _names(text: str) -> list[str]:
    return list(chain.from_iterable(re.findall(r"`([^`]+)`", row[0]) for row in _rows(text)))


def _default(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    if (model, name) in _WITHOUT_A_WORD:
        return _WITHOUT_A_WORD[model, name]
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "none" if value is None else f"`{_written(value)}`"


def _written(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case Enum():
            return str(value.value)
        case timedelta():
            return format_duration(value)
        case time():
            return '"24:00"' if value == time.max else f'"{value:%H:%M}"'
        case "":
            return '""'
        case str() | int():
            return str(value)
        case list():
            return "[]"
        case _:
            return "{}"


@pytest.mark.parametrize("heading", _PARTS)
def test_every_key_of_a_campaign_file_is_told_with_its_default(heading: str) -> None:
    model = _PARTS[heading]
    told = {row[0].strip("`"): row[2] for row in _rows(_section(FILE, heading))}
    assert told == {field.alias or name: _default(model, name) for name, field in model.model_fields.items()}


def test_no_part_of_a_campaign_file_is_left_out() -> None:
    parts = {each for each in vars(d).values() if isinstance(each, type) and issubclass(each, d._Part)}
    assert parts - {d._Part, d.OrderFields, d.Defaults} == set(_PARTS.values())
    assert d.Defaults.model_fields.keys() | {"id"} == d.Order.model_fields.keys()


_BASE = """\
version: 1
name: base
account: main
timezone: Europe/Istanbul
targets: {film: "https://example.com/brand/film"}
orders: [{id: base, service: 101, target: film, quantity: 500}]
"""


def test_every_key_of_a_campaign_file_has_an_example_that_is_valid() -> None:
    shown: set[str] = set()
    for block in re.findall(r"```yaml\n(.*?)```", FILE, re.DOTALL):
        own = set(re.findall(r"^(\w+):", block, re.MULTILINE))
        kept = (
            ""
            if "version" in own
            else "".join(line for line in _BASE.splitlines(keepends=True) if line.partition(":")[0] not in own)
        )
        loaded = load(kept + block, path="campaign-file.md", env={})
        assert loaded.errors == [], "\n".join(error.render() for error in loaded.errors)
        shown |= set(re.findall(r"(?:^|[\s{])(\w+):(?= |$)", block, re.MULTILINE))
    keys = {field.alias or name for model in _PARTS.values() for name, field in model.model_fields.items()}
    assert keys - shown == set()


def test_every_word_that_a_key_takes_is_told() -> None:
    enums = [each for each in vars(d).values() if isinstance(each, type) and issubclass(each, Enum)]
    words = {member.value for each in enums for member in each}
    told = set(
        re.findall(r"[a-z_]+", " ".join(chain.from_iterable(re.findall(r"`([^`]+)`", row[1]) for row in _rows(FILE))))
    )
    assert words - told == set()


def test_every_key_of_an_account_is_told_with_its_default() -> None:
    signatures = _section(CONFIGURATION, "Webhook signatures")
    accounts = CONFIGURATION.partition("## Webhook signatures")[0]
    for model, table in ((AccountSettings, accounts), (WebhookSignature, signatures)):
        told = {row[0].strip("`"): row[2] for row in _rows(table)}
        assert told == {name: _default(model, name) for name in model.model_fields}


def test_every_environment_variable_of_ours_is_told() -> None:
    sources = chain(ROOT.glob("*.py"), *((ROOT / room).glob("*.py") for room in _rooms()))
    named = set(chain.from_iterable(re.findall(r"\bCAMPAIGNER_[A-Z_]*[A-Z]\b", each.read_text()) for each in sources))
    named |= {worker.NAME_VARIABLE, worker.BUILD_VARIABLE}
    told = {name for name in _names(_section(CONFIGURATION, "Environment variables")) if re.fullmatch("[A-Z_]+", name)}
    temporal = {
        "TEMPORAL_ADDRESS",
        "TEMPORAL_NAMESPACE",
        "TEMPORAL_API_KEY",
        "TEMPORAL_PROFILE",
        "TEMPORAL_CONFIG_FILE",
    }
    assert told - temporal == named - {"CAMPAIGNER_FAULTPOINT"}  # for tests only


def _rooms() -> tuple[str, ...]:
    return ("activities", "campaigns", "codec", "commands", "panel", "receiver", "sandbox", "schedules", "workflows")


def _commands() -> Iterator[tuple[str, Any]]:
    """Give every command of the command line, those below another one as ``above below``."""

    def below(prefix: str, command: Any) -> Iterator[tuple[str, Any]]:
        for name, each in command.commands.items():
            yield f"{prefix}{name}", each
            if hasattr(each, "commands"):
                yield from below(f"{prefix}{name} ", each)

    yield from below("", typer.main.get_command(app))


def _options(command: Any) -> set[str]:
    return {name for each in command.params if each.param_type_name == "option" for name in each.opts} - {
        "--help",
        "-h",
    }


def test_every_command_is_told_and_no_other() -> None:
    told = re.findall(r"^### `(.+)`$", COMMANDS, re.MULTILINE)
    assert sorted(told) == sorted(name for name, _ in _commands())


@pytest.mark.parametrize(("name", "command"), [pytest.param(*each, id=each[0]) for each in _commands()])
def test_every_option_of_a_command_is_told_and_no_other(name: str, command: Any) -> None:
    listed = [line for line in _section(COMMANDS, f"`{name}`", 3).splitlines() if line.startswith("- `")]
    told = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", " ".join(line.partition(": ")[0] for line in listed)))
    assert told == _options(command)
    usage = _section(COMMANDS, f"`{name}`", 3).splitlines()[1]
    assert usage.startswith(f"    campaigner {name}")


def test_every_option_that_any_page_gives_a_command_exists() -> None:
    known = dict(_commands())
    everywhere = {"--debug", "--help", "-h"}
    for page in PAGES:
        for line in re.findall(r"campaigner ([a-z][^`\n]*)", page.read_text()):
            words = re.split(r"\s{2,}#|[|>;&]", line)[0].split()
            name = next((n for n in (" ".join(words[:2]), words[0]) if n in known), None)
            given = {word.partition("=")[0] for word in words if re.fullmatch(r"--[a-z][a-z-]*(=.*)?", word)}
            if name is None:
                assert not given, f"{page.name}: there is no command `campaigner {line}`"
                continue
            assert given <= _options(known[name]) | everywhere, f"{page.name}: campaigner {line}"


def test_every_exit_code_is_told() -> None:
    told = re.findall(r"^\| (\d+) \|", COMMANDS, re.MULTILINE)
    assert told == [str(code) for code in (DONE, FAILED, INVALID, INTERRUPTED)]


def test_every_state_is_told_and_no_other() -> None:
    assert _names(_section(STATES, "Campaign states")) == list(CampaignState)
    rows = _rows(_section(STATES, "Order run states"))
    assert {row[0].strip("`"): row[1] for row in rows} == {
        state.value: "yes" if state in SETTLED else "no" for state in RunState
    }


def test_every_search_attribute_is_told_with_its_type() -> None:
    told = {row[0].strip("`"): row[1] for row in _rows(_section(STATES, "Search attributes"))}
    assert told == {key.name: _KINDS[key.indexed_value_type] for key in attributes.ALL}  # type: ignore[index]


@pytest.mark.parametrize("kind", ["Queries", "Updates", "Signals"])
def test_every_message_is_told_and_no_other(kind: str) -> None:
    told = {(row[0].strip("`"), row[1].strip("`")) for row in _rows(_section(STATES, kind))}
    there = {(type_.__name__, str(name)) for type_ in (Campaign, Account) for name in _messages(type_, kind)}
    assert told == there


def _messages(workflow: type, kind: str) -> Iterable[str | None]:
    known = _Definition.must_from_class(workflow)
    return {"Queries": known.queries, "Updates": known.updates, "Signals": known.signals}[kind]


def test_the_names_of_workflows_and_queues_are_right() -> None:
    section = _section(STATES, "Workflow types, ids and task queues")
    named = {_Definition.must_from_class(each).name for each in (Campaign, Account)}
    named |= {CAMPAIGNS_QUEUE, panel_queue("<account>"), STARTED_BY, REVIEWED}
    assert set(_names(section)) == named
    assert f"`{campaign_id('<name>')}`" in section
    assert f"`{account_id('<account>')}`" in section


def test_every_type_of_failure_of_a_workflow_is_told() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "workflows").glob("*.py"))
    raised = set(re.findall(r'type="(\w+)"', sources))
    assert set(_names(_section(STATES, "Failures"))) == raised


def test_the_shape_of_a_notice_is_the_one_that_is_sent() -> None:
    section = _section(STATES, "Notices")
    shown = json.loads(re.findall(r"```json\n(.*?)```", section, re.DOTALL)[0])
    assert f"`{SIGNATURE}`" in section
    assert f"`{NOTICE_ID}`" in section
    notice = Notice.model_validate({name: shown[name] for name in Notice.model_fields})
    told = TellNotices(
        campaign=shown["campaign"], account=shown["account"], webhook="", format=d.NoticeFormat.JSON, notices=[notice]
    )
    assert body_of(notice, told) == shown


def _anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path) if path else page
        assert there.exists(), f"{page.name} links to {target}, which is not there"
        if anchor:
            assert anchor in _anchors(there), f"{page.name} links to {target}, which has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_code_can_be_read(page: Path) -> None:
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE):
        match language:
            case "json":
                json.loads(code)
            case "python":
                compile(code, page.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            case "yaml" if re.search(r"^accounts:", code, re.MULTILINE):
                keys = dict.fromkeys(re.findall(r"\$\{([A-Z_]+)", code), "a-key")
                assert parse_configuration(code, page.name, keys).accounts
            case "yaml" if re.search(r"^version:", code, re.MULTILINE):
                loaded = load(code, path=page.name, env={})
                assert loaded.errors == [], "\n".join(error.render() for error in loaded.errors)


def test_every_make_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = set(
        chain.from_iterable(re.findall(r"(?:`|^)make ([a-z]+)", page.read_text(), re.MULTILINE) for page in PAGES)
    )
    assert {"demo", "test"} <= told
    assert told <= targets


def test_every_room_is_in_the_architecture() -> None:
    told = set(re.findall(r"`([a-z]+)/`", _section((DOCS / "architecture.md").read_text(), "The rooms")))
    there = {path.parent.name for path in ROOT.glob("[a-z]*/*.py")} | {"tests"}
    assert told == there


def test_the_index_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", (DOCS / "index.md").read_text()))
    assert linked == {page.name for page in DOCS.glob("*.md")} - {"index.md"}


def test_pictures_are_small_enough_to_load() -> None:
    pictures = list((DOCS / "images").glob("*"))
    assert pictures
    assert all(picture.suffix == ".png" and picture.stat().st_size <= 250_000 for picture in pictures)
    shown = set(chain.from_iterable(re.findall(r"\((?:docs/)?images/([\w.-]+)\)", page.read_text()) for page in PAGES))
    assert {picture.name for picture in pictures} == shown


def test_the_responsibility_of_the_operator_is_said_plainly() -> None:
    said = " ".join(_section((ROOT / "README.md").read_text(), "Responsibility").split())
    for words in ("unlawful", "16 CFR 465.8", "terms", "allow-list", "answer"):
        assert words in said
