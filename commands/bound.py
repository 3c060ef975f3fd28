"""``start PLAN``: a plan that was reviewed is what is started, or nothing is."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from campaigns.binding import MAX_PLAN, Bound, NotAPlanError, check_plan, is_plan, read_plan
from campaigns.documents import MAX_TEXT, read_document
from campaigns.explaining import Problem
from campaigns.loading import Located, locate
from campaigns.plan import ServiceFacts
from campaigns.reviewed import Reviewed
from campaigns.wording import count
from commands.console import INVALID, CommandError, Kind, plain, say
from commands.files import read_campaign
from commands.panels import panel_of
from commands.planning import ContradictedError, Review
from configuration import UnknownAccountError, load_configuration

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def holds_plan(path: Path) -> bool:
    """Tell a plan file from a campaign file; a file that cannot be read is neither."""
    try:
        with path.open("rb") as file:
            return is_plan(file.read(256))
    except (OSError, ValueError):
        return False


async def review_plan(path: Path, against: Path | None) -> Review:
    """Hold a plan file against its digest, the campaign file, the catalog and the account.

    Raises:
        ContradictedError: something moved since the plan was made.
        CommandError: the file is no plan, was edited, or the panel cannot be read.

    """
    configuration = load_configuration(keys=False)
    try:
        text = _text_of(path)
        document = read_plan(text)
        against = against or _source(path, document)
        campaign = None if against is None else read_campaign(against)[1]
        name = str(document["account"])
        facts = configuration.facts(name)
        async with panel_of(configuration, name) as panel:
            catalog = await panel.services()
            left = await panel.balance()
        bound = check_plan(
            text,
            {service.service: ServiceFacts(**service.model_dump()) for service in catalog},
            facts,
            datetime.now(UTC),
            campaign=campaign,
            balance=left.balance,
            billed_currency=left.currency or facts.currency,
        )
    except (NotAPlanError, UnknownAccountError) as error:
        told = f"nothing was started: {plain(path)}: {error}"
        raise CommandError(told, INVALID, Kind.INVALID_FILE) from None
    warnings = _located(text, path, bound.warnings)
    if bound.problems:
        raise ContradictedError(_located(text, path, bound.problems), warnings)
    say(_introduced(bound), "dim")
    allowed = bound.definition.limits.max_rate_increase or Decimal(0)
    return Review(bound.definition, bound.now or bound.plan, warnings, left.balance, Reviewed.of(bound.plan, allowed))


def _source(path: Path, document: dict[str, Any]) -> Path | None:
    """Give the campaign file that a plan was made from, if it is still where it was."""
    named = document.get("source")
    source = path.parent / named if isinstance(named, str) and named else None
    return source if source is not None and source.is_file() else None


def _introduced(bound: Bound) -> str:
    made = f"{datetime.fromisoformat(bound.created).astimezone():%-d %b %Y %H:%M %Z}"
    return f"a plan of {made}, {count(bound.plan.runs, 'order run')}, {bound.digest[:19]}…: it holds"


def _text_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_PLAN + 1)
    except OSError as error:
        raise CommandError(f"{plain(path)} cannot be read: {error.strerror}", INVALID, Kind.INVALID_FILE) from None


def _located(text: bytes, path: Path, problems: Iterable[Problem]) -> list[Located]:
    """Show where a problem's field stands in the plan file; JSON is YAML too."""
    document = read_document(text[:MAX_TEXT], str(path), {})
    inner = [Problem(("definition", *problem.loc), problem.message, problem.hint) for problem in problems]
    return locate(inner, document)
