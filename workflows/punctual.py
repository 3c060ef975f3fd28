"""A workflow runner that keeps queries from making a workflow run ahead of its history.

Measured with temporalio 1.35 (and the same with a workflow of ten lines): a worker that is asked a query, and does not
have the run in its cache, reads the whole history and executes also what has happened *since* the last workflow task,
at that task's time, because there is no later one yet. It keeps the run like that. When the task then comes, its
commands are those of the wrong moment; a later replay, which takes the task's own time, does not find them again, and
the campaign is stuck for good ("Nondeterminism error"). All it takes is a worker that dies, a person who asks
`campaigner status`, and a timer that fires before the next worker is up.

So such a question is refused: the core then forgets the run, the task replays it as it was, and who asks again is
answered. Take this away when the SDK does it itself: `tests/system/test_asked_while_dead.py` tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowRunner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio import workflow
    from temporalio.bridge.proto.workflow_activation import WorkflowActivation
    from temporalio.converter import SerializationContext
    from temporalio.worker import WorkflowInstanceDetails
    from temporalio.worker._command_aware_visitor import CommandInfo

ASK_AGAIN = "it moved on while it was asked; ask again"
"""What a refused query says."""


class PunctualRunner(WorkflowRunner):
    """Another runner, whose workflows never run ahead."""

    def __init__(self, runner: WorkflowRunner) -> None:
        self._runner = runner

    def prepare_workflow(self, defn: workflow._Definition) -> None:
        """Prepare it as the other runner does."""
        self._runner.prepare_workflow(defn)

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        """Set them for the other runner."""
        self._runner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Create the other runner's instance, watched."""
        return _Punctual(self._runner.create_instance(det))


class _Punctual(WorkflowInstance):
    def __init__(self, instance: WorkflowInstance) -> None:
        self._instance = instance
        self._length = self._time = 0
        self._ahead: int | None = None
        """The length of the history that was executed without a workflow task of its own."""

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Activate the workflow, unless it is a question to one that ran ahead."""
        if all(job.HasField("query_workflow") for job in act.jobs):
            return _refusal(act.run_id) if self._ahead == act.history_length else self._instance.activate(act)
        time = act.timestamp.ToNanoseconds()
        # Every workflow task has a later time than the one before; a replay has tasks of its own for all it executes.
        is_ahead = act.history_length > self._length and time <= self._time and not act.is_replaying
        self._length, self._time, self._ahead = act.history_length, time, act.history_length if is_ahead else None
        return self._instance.activate(act)

    def get_info(self) -> workflow.Info:
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        return self._instance.get_thread_id()

    # Neither our converter nor our codec asks whose payload it is, and nothing is stored outside Temporal. To tell it,
    # the other instance runs code in its sandbox for every payload: a sixth of a worker's time (measured).

    def get_serialization_context(self, command_info: CommandInfo | None) -> SerializationContext | None:  # noqa: ARG002
        return None

    def get_external_store_context(self, command_info: CommandInfo | None) -> StorageDriverStoreContext:  # noqa: ARG002
        return StorageDriverStoreContext(target=None)


def _refusal(run_id: str) -> WorkflowActivationCompletion:
    completion = WorkflowActivationCompletion(run_id=run_id)
    failure = Failure(message=ASK_AGAIN, application_failure_info=ApplicationFailureInfo(type="AskAgain"))
    completion.failed.failure.CopyFrom(failure)
    return completion
