"""What many would write first: one activity an order, Temporal's default retries, a fresh request id each attempt.

An honest program, and the comparison of docs/reliability.md: every attempt is a good request, and the retry policy is
the default. Only the rule is missing that a request id belongs to the order and not to the attempt.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from datetime import timedelta
from typing import Any

import httpx
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "plain"
URL_VARIABLE = "PLAIN_PANEL_URL"
Form = dict[str, Any]


@activity.defn
async def add(form: Form) -> str:
    """Place an order; any failure is raised, and Temporal tries again."""
    body = {"key": "sandbox-key", "action": "add", "request_id": str(uuid.uuid4()), **form}
    async with httpx.AsyncClient(timeout=20) as http:
        answer = await http.post(os.environ[URL_VARIABLE], data=body)
        answer.raise_for_status()
        return str(answer.json()["order"])


@workflow.defn
class Plain:
    """Places every order."""

    @workflow.run
    async def run(self, forms: list[Form]) -> list[str]:
        """Place them all at once; give the panel's ids."""
        return await asyncio.gather(
            *(workflow.execute_activity(add, form, start_to_close_timeout=timedelta(seconds=45)) for form in forms)
        )


async def _main() -> None:
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue=QUEUE, workflows=[Plain], activities=[add], workflow_runner=runner):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
