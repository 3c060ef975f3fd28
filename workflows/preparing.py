"""From a document to a plan, inside the workflow: checked again, priced once, never recomputed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.contracts import (
        DESCRIBE_ACCOUNT,
        READ_CATALOG,
        REVIEWED,
        AccountDescribed,
        CatalogRead,
        DescribeAccount,
        ReadCatalog,
        campaign_id,
        is_run_of,
        panel_queue,
    )
    from campaigns.checking import Problem, check, describe
    from campaigns.definition import Definition
    from campaigns.plan import Plan
    from campaigns.planning import make_plan
    from campaigns.reviewed import Reviewed, bind
    from workflows.payloads import BadArgument, read

PATIENCE = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(seconds=60))
"""A panel that is down: the campaign waits, for as long as it takes."""
OWN_ID = "own-id"
"""A patch, asked under a foreign id only: campaigns from before it run on under whatever id they were started."""


class InvalidCampaign(Exception):  # noqa: N818 - named for its reader: it is a failure's type in the Web UI
    """The document is wrong, or the catalog contradicts it; the message names every field."""


def checked_definition(document: Any) -> Definition:
    """Validate a start's argument, every problem at once; and then the id it was started under.

    Raises:
        InvalidCampaign: names each field and what is wrong with it.

    """
    checked = check(document)
    if checked.definition is None or checked.problems:
        raise InvalidCampaign(_words(checked.problems) or "the argument is not a campaign definition")
    own = campaign_id(checked.definition.name)
    if not is_run_of(checked.definition.name, workflow.info().workflow_id) and workflow.patched(OWN_ID):
        # The id is what makes two starts of one campaign one: under another one it would be bought again.
        raise InvalidCampaign(f"the workflow id of this campaign is {own}; start it under that id, or change its name")
    return checked.definition


async def prepare(definition: Definition, reviewed: Reviewed | None = None) -> Plan:
    """Read the account and the catalog, once, and make the plan; hold it against what was reviewed before the start.

    Raises:
        InvalidCampaign: the account is unknown, or the catalog contradicts the definition.

    """
    try:
        described = await workflow.execute_activity(
            DESCRIBE_ACCOUNT,
            DescribeAccount(account=definition.account),
            result_type=AccountDescribed,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=PATIENCE,
            summary=f"look up account {definition.account}",
        )
    except ActivityError as error:
        if isinstance(error.cause, ApplicationError):
            raise InvalidCampaign(error.cause.message) from None
        raise
    orders = definition.complete_orders()
    services = {order.service for order in orders if order.service is not None}
    services = services.union(*(order.fallback for order in orders))
    catalog = await workflow.execute_activity(
        READ_CATALOG,
        ReadCatalog(account=definition.account, services=sorted(services)),
        task_queue=panel_queue(definition.account),
        result_type=CatalogRead,
        start_to_close_timeout=timedelta(seconds=45),
        retry_policy=PATIENCE,
        summary=f"read the catalog of account {definition.account}",
        priority=Priority(priority_key=2, fairness_key=definition.name),
    )
    known = {service.service: service for service in catalog.services}
    planned = make_plan(definition, described.facts, known, workflow.now())
    if planned.plan is None or planned.problems:
        raise InvalidCampaign(_words(planned.problems) or "the catalog contradicts the definition")
    if reviewed is None:
        return planned.plan
    plan, problems = bind(planned.plan, reviewed)
    if problems:
        raise InvalidCampaign(_words(problems))
    return plan


def _words(problems: list[Problem]) -> str:
    return "; ".join(f"{describe(problem.loc)}: {problem.message}".removeprefix(": ") for problem in problems)


def reviewed() -> Reviewed | None:
    """Give what was seen before the start, as whoever started the campaign noted it."""
    noted: Any = workflow.memo_value(REVIEWED, default=None)
    if noted is None:
        return None
    try:
        return read(Reviewed, noted)
    except BadArgument as error:
        raise InvalidCampaign(f"memo {REVIEWED}: {error}") from None
