"""The commands that need a campaign file and nothing else: ``validate`` and ``schema``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from campaigns.documents import MAX_TEXT
from campaigns.loading import Loaded, Located, load
from campaigns.owning import account_problems
from campaigns.schema import json_schema
from campaigns.wording import count
from commands.console import DONE, INVALID, CommandError, Kind, emit, plain, say, show
from configuration import (
    Configuration,
    ConfigurationError,
    NoConfigurationError,
    UnknownAccountError,
    load_configuration,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from campaigns.definition import Definition


class InvalidFileError(CommandError):
    """A campaign file is wrong, or the account or the catalog contradicts it; every problem is told at once."""

    def __init__(self, problems: list[Located]) -> None:
        words = "\n\n".join(problem.render() for problem in problems)
        super().__init__(words, INVALID, Kind.INVALID_FILE, problems=as_json(problems))
        self.problems = problems


def read_campaign(path: Path, configuration: Configuration | None = None) -> tuple[Loaded, Definition]:
    """Read and check a campaign file, also against its account if there is a configuration.

    Raises:
        InvalidFileError: it is wrong, its account is unknown, or a link is not allowed; all of it at once.
        CommandError: it cannot be read.

    """
    loaded = load(_bytes_of(path), path=str(path), env=os.environ)
    if isinstance(loaded.document, dict) and "accounts" in loaded.document and "orders" not in loaded.document:
        told = f"{plain(path)} is no campaign file: it has accounts, as a configuration does, and no orders"
        raise CommandError(told, INVALID, Kind.INVALID_FILE)
    against = [] if configuration is None else _account_problems(loaded, configuration)
    problems = sorted([*loaded.errors, *against], key=lambda one: one.line) if against else loaded.errors
    if loaded.definition is None or problems:
        raise InvalidFileError(problems)
    return loaded, loaded.definition


def _account_problems(loaded: Loaded, configuration: Configuration) -> list[Located]:
    name = loaded.document.get("account") if isinstance(loaded.document, dict) else None
    if not isinstance(name, str) or any(error.field == "account" for error in loaded.errors):
        return []  # the file's own check says so
    try:
        facts = configuration.facts(name)
    except UnknownAccountError as error:
        return loaded.locate([error.problem])
    return loaded.locate(account_problems(loaded.document, facts))


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_TEXT + 1)
    except FileNotFoundError:
        raise CommandError(f"there is no file {plain(path)}", INVALID, Kind.INVALID_FILE) from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not a valid path"
        raise CommandError(f"{plain(path)} cannot be read: {reason}", INVALID, Kind.INVALID_FILE) from None


def as_json(problems: Iterable[Located]) -> list[dict[str, Any]]:
    """Give located problems as JSON."""
    return [
        {
            "file": problem.path,
            "line": problem.line,
            "column": problem.column,
            "field": problem.field,
            "message": problem.problem.message,
            "hint": problem.problem.hint,
        }
        for problem in problems
    ]


def validate(paths: list[Path], *, as_machine: bool) -> int:
    """Check campaign files by themselves, and their links against ``allowed_targets`` if there is a configuration."""
    configuration, missing = known_configuration()
    rows: list[dict[str, Any]] = []
    for path in paths:
        row: dict[str, Any] = {"file": str(path), "valid": True, "problems": []}
        try:
            _, definition = read_campaign(path, configuration)
            row |= {"name": definition.name, "orders": len(definition.orders), "runs": _runs(definition)}
        except CommandError as error:
            row |= {"valid": False, "problems": as_json(error.problems) if isinstance(error, InvalidFileError) else []}
            row["problems"] = row["problems"] or [{"file": str(path), "message": str(error)}]
            if not as_machine:
                say(str(error), "red")
        rows.append(row)
        if not as_machine and row["valid"]:
            show(f"{plain(path)}: valid, {count(row['orders'], 'order')}, {count(row['runs'], 'order run')}")
    if missing and any(row["valid"] for row in rows):
        say(f"{missing}, so the links were not held against allowed_targets", "dim")
    if as_machine:
        emit({"valid": all(row["valid"] for row in rows), "links_checked": configuration is not None, "files": rows})
    return DONE if all(row["valid"] for row in rows) else INVALID


def known_configuration() -> tuple[Configuration | None, str]:
    """Give the configuration if there is one, and otherwise why not."""
    try:
        return load_configuration(keys=False), ""
    except NoConfigurationError as error:
        return None, str(error).partition(";")[0]
    except ConfigurationError as error:
        raise misconfigured(error) from None


def misconfigured(error: ConfigurationError) -> CommandError:
    """Give a wrong or missing configuration as the end of a command."""
    return CommandError(error.render(), INVALID, Kind.CONFIGURATION, problems=as_json(error.errors))


def _runs(definition: Definition) -> int:
    drips = (order.drip for order in definition.complete_orders())
    return sum(drip.runs if drip is not None and drip.by == "campaign" else 1 for drip in drips)


def schema() -> int:
    """Print the JSON Schema of a campaign file."""
    emit(json_schema())
    return DONE


def show_warnings(warnings: Iterable[Located]) -> None:
    """Tell what will happen otherwise than the file may lead one to think."""
    for warning in warnings:
        hint = f" ({warning.problem.hint})" if warning.problem.hint else ""
        say(f"warning: {warning}{hint}", "yellow")
