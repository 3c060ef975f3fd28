"""The runner that refuses to answer for a workflow which ran ahead of its history."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowRunner

from workflows.punctual import ASK_AGAIN, PunctualRunner

Step = tuple[int, int, bool, str]
"""Length of the history, time in seconds, whether it is replayed, and what is to be done."""


class Obedient(WorkflowInstance):
    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        return WorkflowActivationCompletion(run_id=act.run_id)

    def get_info(self) -> Any: ...
    def get_thread_id(self) -> int | None: ...
    def get_serialization_context(self, command_info: Any) -> Any: ...
    def get_external_store_context(self, command_info: Any) -> Any: ...


class Runner(WorkflowRunner):
    def prepare_workflow(self, defn: Any) -> None: ...

    def create_instance(self, det: Any) -> WorkflowInstance:  # noqa: ARG002 - the interface
        return Obedient()


def refused(*steps: Step) -> list[str]:
    instance = PunctualRunner(Runner()).create_instance(None)  # type: ignore[arg-type]
    said = []
    for length, seconds, replaying, job in steps:
        act = WorkflowActivation(run_id="r", history_length=length, is_replaying=replaying)
        act.timestamp.FromSeconds(seconds)
        getattr(act.jobs.add(), job).SetInParent()
        said.append(instance.activate(act).failed.failure.message)
    assert set(said) <= {"", ASK_AGAIN}
    return [job for (_, _, _, job), words in zip(steps, said, strict=True) if words]


LIVE = [(3, 10, False, "initialize_workflow"), (9, 11, False, "resolve_activity")]
REPLAYED = [(3, 10, True, "initialize_workflow"), (9, 11, True, "resolve_activity")]
ASKED = "query_workflow"


@pytest.mark.parametrize(
    "steps",
    [
        [*LIVE, (9, 11, True, ASKED), (9, 11, True, ASKED), (17, 12, False, "fire_timer"), (17, 12, True, ASKED)],
        [*REPLAYED, (11, 11, True, ASKED), (17, 12, False, "fire_timer"), (17, 12, True, ASKED)],
        # One task may activate more than once.
        [*LIVE, (9, 11, False, "resolve_activity"), (9, 11, True, ASKED)],
        # The server's clock was set back: a replay shows that these were tasks of their own.
        [*REPLAYED, (17, 11, True, "fire_timer"), (19, 11, True, ASKED)],
    ],
)
def test_a_question_to_a_workflow_that_is_where_its_history_is_is_answered(steps: list[Step]) -> None:
    assert refused(*steps) == []


def test_a_question_to_a_workflow_that_executed_what_no_task_covers_is_refused() -> None:
    assert refused(*REPLAYED, (14, 11, False, "fire_timer"), (14, 11, True, ASKED)) == [ASKED]
