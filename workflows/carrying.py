"""Carries the engine's commands out as activities and brings their outcomes back to the inbox."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities import contracts
    from activities.contracts import (
        CANCEL_ORDERS,
        FOLLOW_ORDERS,
        PLACE_ORDER,
        READ_BALANCE,
        READ_CATALOG,
        RECALL_ORDERS,
        REFILL_ORDERS,
        TELL,
        AskOrders,
        CancelOutcome,
        CatalogRead,
        FollowOrders,
        FollowRequest,
        OrdersRecalled,
        PlaceOrder,
        PlaceOutcome,
        ReadCatalog,
        RecallOrders,
        RefillOutcome,
        TellNotices,
        panel_queue,
    )
    from campaigns import report
    from campaigns.definition import Definition, NoticeKind, Notify
    from campaigns.engine import NOTICES
    from campaigns.messages import (
        BalanceRead,
        Cancel,
        CancelAnswered,
        Command,
        Event,
        Follow,
        Notice,
        Place,
        RatesRead,
        RatesUnread,
        ReadRates,
        Refill,
        RefillAnswered,
        Tell,
        Unanswered,
    )
    from campaigns.messages import ReadBalance as AskBalance
    from campaigns.notices import LONGEST_QUEUE
    from campaigns.state import State

ONE_REQUEST = timedelta(seconds=45)
"""One HTTP request and its answer: above the client's own limits, so that a live worker always reports first."""
QUICK_TRIES = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=20), maximum_attempts=5
)
"""Repeats of the same input right after a lost answer; the engine goes on from there, for hours."""
ONCE = RetryPolicy(maximum_attempts=1)
A_FEW_TIMES = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=15), maximum_attempts=6
)
TELLING = timedelta(minutes=10)
"""A whole batch of notices, one request each."""
LAST_WORDS = timedelta(seconds=15)
"""How long a campaign that ends, or continues as new, waits for the webhook of its notices."""
FOR_EVER = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))
PLACING, STEERING = 1, 2
"""Priorities in the panel's queue; status reads come after."""


class Carrier:
    """Runs activities beside the main loop; what comes of them lands in the inbox."""

    def __init__(self, inbox: deque[Event]) -> None:
        self._inbox = inbox
        self._tasks: set[asyncio.Task[None]] = set()
        self._teller: asyncio.Task[None] | None = None
        self.untold: list[Notice] = []
        """Notices handed out and not yet told: they go out one batch after another, and nothing waits for them."""
        self.done = 0
        """Grows with everything that ends, so that the loop notices."""
        self.bug: BaseException | None = None
        """What no command may raise: outcomes are events."""

    @property
    def idle(self) -> bool:
        """Nothing is on its way, notices aside."""
        return not self._tasks

    def start(self, state: State, command: Command) -> None:
        """Carry a command out; never waits."""
        if isinstance(command, Tell):
            self._say(state, command)
            return
        task = asyncio.create_task(self._carry(state, command, report.describe(state, command)))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _say(self, state: State, command: Tell) -> None:
        room = LONGEST_QUEUE - len(self.untold)
        self.untold += command.notices[:room]
        if self._teller is None or self._teller.done():
            self._teller = asyncio.create_task(self._tell_all(state))
            self._teller.add_done_callback(self._ended)

    def recall(self, resets: list[str]) -> None:
        """Bring what the runs that resets replaced have bought."""
        task = asyncio.create_task(self._recall(resets))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _recall(self, resets: list[str]) -> None:
        more, offset = True, 0
        while more:
            page: OrdersRecalled = await workflow.execute_activity(
                RECALL_ORDERS,
                RecallOrders(resets=resets, offset=offset),
                result_type=OrdersRecalled,
                start_to_close_timeout=timedelta(minutes=2),
                retry_policy=FOR_EVER,
                summary="look for orders from before a reset",
            )
            self._inbox.extend(page.orders)
            more, offset = page.more, offset + len(page.orders)

    async def _tell_all(self, state: State) -> None:
        while self.untold and state.plan.notify is not None:
            batch = Tell(notices=self.untold[:NOTICES])
            campaign, account = workflow.info().workflow_id, state.plan.account.name
            await tell(campaign, account, state.plan.notify, batch, report.describe(state, batch))
            del self.untold[: len(batch.notices)]

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.done += 1
        if not task.cancelled():
            self.bug = self.bug or task.exception()

    async def _carry(self, state: State, command: Command, summary: str) -> None:
        match command:
            case Place():
                self._inbox.append(await _place(state, command, summary))
            case Cancel():
                self._inbox.extend(await _cancel(state, command, summary))
            case Refill():
                self._inbox.extend(await _refill(state, command, summary))
            case Follow():
                await _follow(state, command, summary)
            case ReadRates():
                self._inbox.append(await _read_rates(state, command, summary))
            case AskBalance():
                self._inbox.append(await _read_balance(state, summary))
            case Tell():
                pass  # never comes here


def _on_panel(state: State, summary: str, priority: int) -> dict[str, Any]:
    return {
        "task_queue": panel_queue(state.plan.account.name),
        "start_to_close_timeout": ONE_REQUEST,
        "summary": summary,
        "priority": Priority(priority_key=priority, fairness_key=state.plan.name),
    }


def resets_of(state: State | None) -> list[str]:
    """Name the workflow runs of this chain that a reset made, this one included.

    For the arguments of activities only: a replay may know the run by another id.
    """
    info = workflow.info()
    before = [] if state is None else state.resets
    return [*before, info.run_id] if info.run_id != info.original_execution_run_id else list(before)


async def _place(state: State, command: Place, summary: str) -> Event:
    account = state.plan.account
    order = PlaceOrder(
        account=account.name,
        key=command.key,
        form=command.form,
        first=command.first,
        due=command.due,
        repeat_until=command.repeat_until,
        lost_at=command.lost_at,
        resets=resets_of(state),
        run_id=workflow.info().run_id,
        idempotent=account.idempotent,
        cost=state.runs[command.key].cost,
    )
    try:
        outcome: PlaceOutcome = await workflow.execute_activity(
            PLACE_ORDER,
            order,
            result_type=PlaceOutcome,
            retry_policy=QUICK_TRIES if account.idempotent else ONCE,
            **_on_panel(state, summary, PLACING),
        )
    except ActivityError as error:
        return Unanswered(key=command.key, words=_words(error))
    return outcome.event


async def _cancel(state: State, command: Cancel, summary: str) -> list[CancelAnswered]:
    asked = AskOrders(account=state.plan.account.name, orders=command.orders)
    try:
        outcome: CancelOutcome = await workflow.execute_activity(
            CANCEL_ORDERS,
            asked,
            result_type=CancelOutcome,
            retry_policy=QUICK_TRIES,
            **_on_panel(state, summary, STEERING),
        )
    except ActivityError as error:
        return [CancelAnswered(key=key, answer="unanswered", words=_words(error)) for key in command.orders]
    return outcome.answers


async def _refill(state: State, command: Refill, summary: str) -> list[RefillAnswered]:
    asked = AskOrders(account=state.plan.account.name, orders=command.orders)
    try:
        outcome: RefillOutcome = await workflow.execute_activity(
            REFILL_ORDERS,
            asked,
            result_type=RefillOutcome,
            retry_policy=QUICK_TRIES,
            **_on_panel(state, summary, STEERING),
        )
    except ActivityError as error:
        return [RefillAnswered(key=key, answer="unanswered", words=_words(error)) for key in command.orders]
    return outcome.answers


async def _follow(state: State, command: Follow, summary: str) -> None:
    account = state.plan.account
    request = FollowRequest(
        campaign=workflow.info().workflow_id,
        panel_orders=command.panel_orders,
        every=account.poll_every.total_seconds(),
        until=command.until,
    )
    await workflow.execute_activity(
        FOLLOW_ORDERS,
        FollowOrders(account=account.name, request=request),
        start_to_close_timeout=timedelta(seconds=15),
        retry_policy=FOR_EVER,
        summary=summary,
    )


async def _read_rates(state: State, command: ReadRates, summary: str) -> RatesRead | RatesUnread:
    try:
        catalog: CatalogRead = await workflow.execute_activity(
            READ_CATALOG,
            ReadCatalog(account=state.plan.account.name, services=command.services),
            result_type=CatalogRead,
            retry_policy=QUICK_TRIES,
            **_on_panel(state, summary, STEERING),
        )
    except ActivityError as error:
        return RatesUnread(words=_words(error))
    return RatesRead(asked=command.services, rates={service.service: service.rate for service in catalog.services})


async def _read_balance(state: State, summary: str) -> BalanceRead:
    try:
        answer: contracts.BalanceRead = await workflow.execute_activity(
            READ_BALANCE,
            contracts.ReadBalance(account=state.plan.account.name),
            result_type=contracts.BalanceRead,
            retry_policy=QUICK_TRIES,
            **_on_panel(state, summary, STEERING),
        )
    except ActivityError:
        return BalanceRead(balance=None)
    return BalanceRead(balance=answer.balance)


async def tell(campaign: str, account: str, notify: Notify, command: Tell, summary: str) -> None:
    """Send notices; nobody listening is no failure."""
    told = TellNotices(
        campaign=campaign, account=account, webhook=notify.webhook, format=notify.format, notices=command.notices
    )
    try:
        await workflow.execute_activity(
            TELL,
            told,
            start_to_close_timeout=TELLING,
            heartbeat_timeout=ONE_REQUEST,
            retry_policy=A_FEW_TIMES,
            summary=summary,
        )
    except ActivityError as error:
        workflow.logger.warning("notices were not taken: %s", _words(error))


async def tell_refusal(definition: Definition, why: str) -> None:
    """Tell that a campaign was refused before it ordered anything: a scheduled run has nobody who looks at it."""
    notify = definition.notify
    if notify is None or NoticeKind.FAILED not in notify.on:
        return
    root = uuid.UUID(workflow.info().first_execution_run_id)
    refusal = Notice(
        id=str(uuid.uuid5(root, "refused")),
        kind=NoticeKind.FAILED,
        at=workflow.now(),
        text=f"{definition.name}: refused, nothing was ordered: {why}",
    )
    telling = tell(
        workflow.info().workflow_id,
        definition.account,
        notify,
        Tell(notices=[refusal]),
        "tell: the campaign is refused",
    )
    try:
        await asyncio.wait_for(telling, LAST_WORDS.total_seconds())
    except TimeoutError:
        workflow.logger.warning("the refusal was not told: the webhook does not answer")


def _words(error: ActivityError) -> str:
    """Say why an activity gave no answer, without Temporal's wrapping."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return cause.message
    return "the worker that sent it did not report back" if cause is None else str(cause)
