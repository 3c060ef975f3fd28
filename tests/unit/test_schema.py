"""The published schema says what the model says, and the examples beside it keep to both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from campaigns.loading import load
from campaigns.schema import json_schema

FOLDER = Path(__file__).parents[2] / "campaigns"
EXAMPLES = sorted(FOLDER.glob("*.yaml"))
VALIDATOR = Draft202012Validator(json_schema())


def test_the_published_schema_is_the_models_own() -> None:
    published = (FOLDER / "campaign.schema.json").read_text()
    assert json.loads(published) == json_schema(), "run: campaigner schema > campaigns/campaign.schema.json"


def test_the_schema_is_a_valid_schema_with_words_for_every_field() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    for name, part in {"Definition": schema, **schema["$defs"]}.items():
        assert part["description"], name
        if part.get("type") == "object":
            assert part["additionalProperties"] is False, name
        for field, value in part.get("properties", {}).items():
            assert value["title"] == field
            assert value.get("description") or "$ref" in value, f"{name}.{field}"


def test_every_example_in_the_schema_and_every_default_keeps_to_it() -> None:
    schema = json_schema()
    for name, part in schema["$defs"].items():
        for field, value in part.get("properties", {}).items():
            rules = Draft202012Validator({**value, "$defs": schema["$defs"]})
            for example in [*value.get("examples", []), *([value["default"]] if "default" in value else [])]:
                assert rules.is_valid(example), f"{name}.{field}: {example}"


@pytest.mark.parametrize("file", EXAMPLES, ids=[file.stem for file in EXAMPLES])
def test_an_example_is_right_for_the_loader_and_for_an_editor(file: Path) -> None:
    text = file.read_text()
    assert text.startswith("# yaml-language-server: $schema=./campaign.schema.json\n")
    loaded = load(text, path=file.name, env={})
    assert loaded.errors == []
    VALIDATOR.validate(loaded.document)
    # ruamel reads a date as one, which the core schema of YAML 1.2, and so an editor, does not.
    VALIDATOR.validate(json.loads(json.dumps(YAML(typ="safe", pure=True).load(text), default=str)))
    assert loaded.definition is not None
    VALIDATOR.validate(loaded.definition.document())


def order(**fields: Any) -> dict[str, Any]:
    return {"version": 1, "name": "a", "account": "b", "orders": [{"id": "a", "service": 1, **fields}]}


@pytest.mark.parametrize(
    "fields",
    [{"quantity": 500}, {"quantity": "10_000"}, {"quantity": "${QTY}"}, {"after": "b"}, {"refill": None},
     {"after": {"order": "b", "delay": "1h30m"}}, {"late": "${LATE:-skip}"}, {"concurrent": "${BOTH}"},
     {"window": {"from": "22:00", "to": "24:00", "days": ["mon", "${DAY}"]}}],
)  # fmt: skip
def test_an_editor_accepts_what_the_loader_may(fields: dict[str, Any]) -> None:
    VALIDATOR.validate(order(**fields))


@pytest.mark.parametrize(
    "fields",
    [{"quantity": 0}, {"quantity": "500"}, {"quantity": "1_0"}, {"after": "no spaces"}, {"after": {"delay": "1h"}},
     {"late": "later"}, {"window": {"from": "9:00"}}, {"drip": {"runs": 1, "every": "1h"}}, {"quantiy": 5},
     {"drip": {"runs": 3, "every": "1 hour"}}, {"on_shortfall": "buy"}],
)  # fmt: skip
def test_an_editor_refuses_what_the_loader_would(fields: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(order(**fields))
