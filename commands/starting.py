"""``start``: from a file to a running campaign, unless anything stands against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns.quantities import money_text
from campaigns.wording import count
from commands.bound import holds_plan, review_plan
from commands.campaigns import who
from commands.console import DONE, FAILED, INVALID, CommandError, Kind, emit, money, plain, say, show
from commands.files import InvalidFileError, known_configuration, read_campaign, show_warnings
from commands.planning import review
from commands.temporal import connected, nobody_works, web_page, workers_missing
from commands.watching import to_the_end
from configuration import load_configuration
from workflows.starting import AlreadyStartedError, ScheduledError, start_campaign

if TYPE_CHECKING:
    from pathlib import Path

    from campaigns.definition import Definition


async def start(path: Path, against: Path | None, *, again: bool, wait: bool, as_machine: bool) -> int:
    """Start a campaign, unless anything stands against it; ``path`` is its file, or a plan kept of it."""
    bound = holds_plan(path)
    if against is not None and not bound:
        raise CommandError(f"--against goes with a plan, and {plain(path)} is none", INVALID)
    try:
        if not bound:
            # What is wrong with the file is told whether or not Temporal answers.
            definition = read_campaign(path, known_configuration()[0])[1]
            _only_unscheduled(definition)
            load_configuration(keys=False).key(definition.account)
        client = await connected()
        reviewed = await (review_plan(path, against) if bound else review(path))
    except InvalidFileError:
        say("nothing was started", "bold")
        raise
    _only_unscheduled(reviewed.definition)
    show_warnings(reviewed.warnings)
    account = reviewed.plan.account
    missing = await workers_missing(client, account.name)
    try:
        handle = await start_campaign(client, reviewed.definition, again=again, by=who(), reviewed=reviewed.reviewed)
    except AlreadyStartedError as error:
        raise CommandError(str(error), FAILED, Kind.ALREADY_STARTED) from None
    page = web_page(handle.id, client.namespace)
    name = reviewed.plan.name
    if not as_machine:
        cost = f"{money(reviewed.plan.cost)} {account.currency}"
        show(f"started {handle.id}: {count(reviewed.plan.runs, 'order run')}, planned cost {cost}")
        if not wait:
            say(f"watch it with `campaigner watch {name}`{f', or at {page}' if page else ''}")
    if missing:
        say(f"nothing is ordered yet: {nobody_works(missing)}", "yellow")
    if wait:
        return await to_the_end(client, handle.id, as_machine=as_machine, streaming=False)
    if as_machine:
        emit(
            {
                "id": handle.id,
                "run_id": handle.first_execution_run_id,
                "name": name,
                "runs": reviewed.plan.runs,
                "planned_cost": money_text(reviewed.plan.cost),
                "currency": account.currency,
                "web_page": page,
                "queues_without_worker": missing,
            }
        )
    return DONE


def _only_unscheduled(definition: Definition) -> None:
    """Refuse a campaign whose schedule starts it: the wrong command for it, as `plan --out` is."""
    if definition.schedule is not None:
        raise CommandError(str(ScheduledError(definition.name)), INVALID)
