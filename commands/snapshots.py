"""How a campaign stands: asked of its workflow, or read from its result once it has ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowQueryFailedError
from temporalio.exceptions import ApplicationError, FailureError, TerminatedError
from temporalio.service import RPCError, RPCStatusCode

from campaigns.state import CampaignState
from commands.console import FAILED, CommandError, Kind, plain
from commands.temporal import PATIENCE, is_open, nobody_works, unattended
from workflows.punctual import ASK_AGAIN

if TYPE_CHECKING:
    from temporalio.client import Client, WorkflowExecutionDescription, WorkflowHandle

PAGE = 500
"""Order rows that the query `orders` gives at most (see :mod:`workflows.campaign`)."""
_ASKED_AGAIN = 2
ENDED = frozenset({CampaignState.COMPLETED.value, CampaignState.CANCELED.value, CampaignState.FAILED.value})
_NOTHING: dict[str, Any] = {"state": "planning", "why": "", "budget": None, "spent": "0.00", "reserved": "0.00"}
SILENT = (
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.UNAVAILABLE,
)


class SilentError(CommandError):
    """Nobody answered for the campaign: no worker polls, or it did not answer in time."""

    def __init__(self, message: str) -> None:
        super().__init__(message, FAILED, Kind.NO_WORKER)


@dataclass(frozen=True)
class Snapshot:
    """A campaign at one moment: the totals as the workflow gives them, and its order rows."""

    facts: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""
    """What a reader should know of where this comes from."""

    @property
    def state(self) -> str:
        """The campaign's state."""
        return str(self.facts["state"])

    @property
    def ended(self) -> bool:
        """Whether the workflow has ended."""
        return bool(self.facts["execution"] != "running")

    def document(self) -> dict[str, Any]:
        """Give all of it as JSON: the contract of ``status --json``."""
        return {**self.facts, "orders": self.rows}


async def take(client: Client, found: WorkflowExecutionDescription) -> Snapshot:
    """Learn how a campaign stands, with all its order rows.

    Raises:
        SilentError: it is running, and nobody answers for it.

    """
    handle = client.get_workflow_handle(found.id, run_id=found.run_id)
    if is_open(found):
        return await ask(client, handle)
    execution = _word(found)
    result, why = await _outcome(handle)
    if result is not None and "orders_cut_at" not in result:
        return _snapshot(found, execution, result)
    try:
        answered = await ask(client, handle)
    except SilentError:
        if result is not None:
            note = f"no worker answers, so only the first {result['orders_cut_at']:,} order runs are shown"
            return _snapshot(found, execution, result, note=note)
        known = why.details if isinstance(why, ApplicationError) else ()
        facts = next((detail for detail in known if isinstance(detail, dict)), {})
        note = "no worker answers, so no order runs are shown"
        return _snapshot(found, execution, {"why": _words(why), **facts, "orders": []}, note=note)
    if execution == "completed":
        return _snapshot(found, execution, answered.document())
    # The workflow was stopped in the middle of what it last knew.
    state = CampaignState.CANCELED if execution == "canceled" else CampaignState.FAILED
    told = {"state": state.value, "why": answered.facts.get("why") or _words(why)}
    return _snapshot(found, execution, answered.document() | told)


async def ask(client: Client, handle: WorkflowHandle[Any, Any], *, rows: bool = True) -> Snapshot:
    """Ask the workflow itself.

    Raises:
        SilentError: nobody answers.

    """
    try:
        facts: dict[str, Any] = await query(handle, "progress")
        listed: list[dict[str, Any]] = []
        while rows and facts.get("runs"):
            page = {"offset": len(listed), "limit": PAGE}
            more: list[dict[str, Any]] = await query(handle, "orders", page)
            listed += more
            if len(more) < PAGE:
                break
    except WorkflowQueryFailedError as error:
        raise CommandError(f"the campaign cannot say how it stands: {plain(error.message)}") from None
    except RPCError as error:
        if error.status not in SILENT:
            raise
        raise SilentError(await _why_silent(client, handle.id)) from None
    return Snapshot(_NOTHING | facts | {"execution": "running"}, listed)


async def query(handle: WorkflowHandle[Any, Any], name: str, *arguments: Any) -> Any:
    """Ask, and ask again when the workflow moved on meanwhile: then the next answer is of now."""
    for _ in range(_ASKED_AGAIN):
        try:
            return await handle.query(name, args=arguments, rpc_timeout=PATIENCE)
        except WorkflowQueryFailedError as error:
            if error.message != ASK_AGAIN:
                raise
    return await handle.query(name, args=arguments, rpc_timeout=PATIENCE)


async def _why_silent(client: Client, workflow_id: str) -> str:
    name = plain(workflow_id.removeprefix("campaign/"))
    if missing := await unattended(client):
        return f"{name} waits: {nobody_works(missing)}"
    return f"no worker answered for {name} within {PATIENCE.seconds} s; look at the worker's log, or try again"


async def _outcome(handle: WorkflowHandle[Any, Any]) -> tuple[dict[str, Any] | None, BaseException | None]:
    try:
        result = await handle.result(rpc_timeout=PATIENCE)
    except WorkflowFailureError as error:
        return None, error.cause
    return (result, None) if isinstance(result, dict) else ({"orders": []}, None)


def failure_words(error: WorkflowFailureError) -> str:
    """Say why a workflow failed."""
    return _words(error.cause)


def _words(cause: BaseException | None) -> str:
    if isinstance(cause, TerminatedError):
        return f"terminated in Temporal: {plain(cause.message)}" if cause.message else "terminated in Temporal"
    return plain(cause.message) if isinstance(cause, FailureError) else plain(cause or "")


def _word(found: WorkflowExecutionDescription) -> str:
    return found.status.name.lower() if found.status is not None else "running"


_STATES = {
    WorkflowExecutionStatus.COMPLETED: CampaignState.COMPLETED,
    WorkflowExecutionStatus.CANCELED: CampaignState.CANCELED,
}


def _snapshot(
    found: WorkflowExecutionDescription, execution: str, document: dict[str, Any], *, note: str = ""
) -> Snapshot:
    state = _STATES.get(found.status, CampaignState.FAILED) if found.status else CampaignState.FAILED
    head = {"id": found.id, "run_id": found.run_id}
    facts = head | _NOTHING | {"state": state.value} | document | {"execution": execution}
    return Snapshot(facts, facts.pop("orders", []), note)
