"""The JSON Schema of a campaign file, for editors and for programs that start campaigns.

Made from the model, so that the two cannot part; ``campaign.schema.json`` beside the examples is kept equal by a test.
An editor sees a file before its variables are filled in, so every value may also be a text that holds ``${…}``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from campaigns.definition import Definition, RefillPolicy, Schedule, Window

SCHEMA_ID = "campaign.schema.json"
_VARIABLE = {"$ref": "#/$defs/Variable"}
_GROUPED = {"type": "string", "pattern": r"^[1-9][0-9]{0,2}(_[0-9]{3})+$"}
"""``10_000``, which campaigner reads as a number and an editor as text."""
_EXAMPLES: dict[str, dict[str, list[Any]]] = {
    "Definition": {
        "name": ["spring-launch"],
        "account": ["main"],
        "timezone": ["Europe/Istanbul"],
        "targets": [{"teaser": "https://example.com/brand/teaser"}],
    },
    "Limits": {"budget": ["120.00 USD"]},
    "Order": {
        "id": ["views"],
        "service": [101],
        "target": ["teaser"],
        "link": ["https://example.com/brand/teaser"],
        "quantity": [500, "10_000"],
        "after": ["seed", {"order": "seed", "when": "completed", "delay": "2h"}],
        "drip": [{"runs": 10, "every": "90m", "by": "campaign"}],
        "window": [{"days": ["mon", "fri"], "from": "09:00", "to": "22:00"}],
        "coupon": ["SPRING"],
        "cancel": [{"not_started_in": "6h", "stalled_for": "24h"}],
        "refill": [{"within": "30d", "every": "7d", "max": 3}],
    },
    "Drip": {"runs": [10], "every": ["90m"]},
    "After": {"order": ["seed"], "delay": ["2h"]},
    "Window": {"days": [["mon", "tue", "wed", "thu", "fri"]], "from": ["09:00"], "to": ["22:00"]},
    "CancelPolicy": {"not_started_in": ["6h"], "stalled_for": ["24h"]},
    "Schedule": {
        "at": ["2026-12-04 18:00", ["2026-12-04 18:00", "2026-12-11T18:00+03:00"]],
        "every": ["2d"],
        "cron": ["0 18 * * fri"],
        "start": ["2026-12-04"],
        "end": ["2027-01-31"],
        "catchup": ["1h"],
    },
    "RefillPolicy": {"within": ["30d"], "every": ["7d"], "max": [3]},
}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "Window": Window().model_dump(mode="json", by_alias=True),
    "RefillPolicy": RefillPolicy(within=timedelta(days=30)).model_dump(mode="json"),
    "Schedule": Schedule().model_dump(mode="json"),
}
"""Defaults in the file's own form; pydantic would write times and durations as ISO 8601."""
_EXAMPLES["Defaults"] = {name: values for name, values in _EXAMPLES["Order"].items() if name != "id"}


def json_schema() -> dict[str, Any]:
    """Give the schema, draft 2020-12."""
    schema = Definition.model_json_schema(by_alias=True, mode="validation")
    parts: dict[str, dict[str, Any]] = schema.pop("$defs")
    parts["Definition"] = schema
    for name, part in parts.items():
        part.pop("title", None)
        part["description"] = part["description"].replace("``", "`")
        for field, value in part.get("properties", {}).items():
            if "default" in value:
                value["default"] = _DEFAULTS.get(name, {}).get(field, value["default"])
            examples = _EXAMPLES.get(name, {}).get(field)
            part["properties"][field] = _field(field, value) | ({"examples": examples} if examples else {})
        if "enum" in part:
            words = {"type": part.pop("type"), "enum": part.pop("enum")}
            parts[name] = part | _tolerant(words)
    del parts["Definition"]
    parts["Variable"] = {
        "type": "string",
        "pattern": r"\$\{",
        "description": "A value from the environment: ${NAME}, ${NAME:-default} or ${NAME:?message}.",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Campaign",
        **schema,
        "$defs": dict(sorted(parts.items())),
    }


def _field(name: str, value: dict[str, Any]) -> dict[str, Any]:
    """Title a field by its name as written, and let its value be a variable."""
    kept: dict[str, Any] = {key: value[key] for key in ("description", "default") if value.get(key) not in (None, "")}
    rest = {key: content for key, content in value.items() if key not in ("title", "description", "default")}
    return {"title": name, **kept, **_tolerant(rest)}


def _tolerant(value: dict[str, Any]) -> dict[str, Any]:
    """Let every scalar in a schema also be a variable, and every whole number a grouped one."""
    if "anyOf" in value:
        alternatives = [branch for option in value["anyOf"] for branch in _tolerant(option).get("anyOf", [option])]
        return {**value, "anyOf": [branch for i, branch in enumerate(alternatives) if branch not in alternatives[:i]]}
    kind = value.get("type")
    if kind == "array":
        return {**value, "items": _tolerant(value["items"])}
    if kind == "object" and isinstance(value.get("additionalProperties"), dict):
        return {**value, "additionalProperties": _tolerant(value["additionalProperties"])}
    if kind == "object" and "patternProperties" in value:
        return {**value, "additionalProperties": False}
    if kind == "integer" and "const" not in value:
        return {"anyOf": [value, _GROUPED, _VARIABLE]}
    if kind == "boolean" or "const" in value or (kind == "string" and ("pattern" in value or "enum" in value)):
        return {"anyOf": [value, _VARIABLE]}
    return value
