"""The ``Campaign`` workflow: the durable shell around the engine.

It asks the engine what to do, carries the commands out as activities, folds their outcomes back, and sleeps until the
next moment or the next event. Every rule is the engine's; what is here is Temporal's: tasks, timers, updates,
continue-as-new.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING, Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ConfigDict, Field

    from activities.contracts import STARTED_BY
    from campaigns import report
    from campaigns.definition import Definition
    from campaigns.engine import apply, begin, decide, finished, status_of
    from campaigns.messages import CancelRequested, Event, News, Recalled, Released
    from campaigns.state import CampaignState, RunState, State, is_packed
    from workflows import wishes
    from workflows.carrying import LAST_WORDS, Carrier, resets_of, tell_refusal
    from workflows.payloads import BadArgument, only, read
    from workflows.preparing import InvalidCampaign, checked_definition, prepare, reviewed
    from workflows.showing import Shown
    from workflows.waiting import Alarm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROWS_IN_RESULT = 1000
"""Order rows in the workflow's result: beyond it, the query `orders` gives them page by page."""
ROWS_IN_PAGE = 500
FIGURES_FOLLOW = "figures-follow"
"""A patch: campaigns from before it wrote their last figures only when something else happened."""
RECALLS = "recalls-at-the-end"
"""A patch: campaigns from before it ended without what a reset had made them forget."""
LOOKS_ONCE = "looks-once-for-cheaper"
"""A patch, asked where rates are bounded: campaigns from before it also read them at every look that had lapsed."""
TELLS_BLOCK_ONCE = "tells-a-block-once"
"""A patch, asked where somebody is told: campaigns from before it told every block, also the same one again."""
RETRIES_IN_PLACE = "retries-skipped-in-place"
"""A patch, asked where a skipped run is retried: before it another run was placed instead, as its history says."""
KEEPS_WHAT_IS_FOUND = "keeps-what-is-found"
"""A patch, asked where what a reset left in doubt is resolved: before it an order that was found was asked back."""
APPLIED = 500
"""Ids of updates that are remembered."""


class Page(BaseModel):
    """Which order rows a query wants."""

    model_config = ConfigDict(extra="forbid")

    offset: int = Field(default=0, ge=0)
    limit: int = Field(default=ROWS_IN_PAGE, ge=1, le=ROWS_IN_PAGE)


def _invalid(told: str) -> ApplicationError:
    return ApplicationError(told, type="InvalidCampaign", non_retryable=True)


async def _whatever_comes(is_true: Callable[[], bool]) -> None:
    """Wait, also through a cancellation that has been heard already."""
    while not is_true():
        with contextlib.suppress(asyncio.CancelledError):
            await workflow.wait_condition(is_true)


@workflow.defn(name="Campaign")
class Campaign:
    """Runs one campaign from its definition to its last settled order."""

    @workflow.init
    def __init__(self, *given: Any) -> None:
        # Here and not in run(): an update that comes with the first task must find the carried state.
        self._state: State | None = None
        if len(given) == 1 and is_packed(given[0]) and workflow.info().continued_run_id is not None:
            # What cannot be read was written by another version: the task fails, and a worker of that one goes on.
            self._state = State.unpack(given[0])
        self._inbox: deque[Event] = deque()
        self._carrier = Carrier(self._inbox)
        self._canceling = False
        self._refused = ""
        """Why there is no plan and never will be."""
        self._shown = Shown()
        self._alarm = Alarm()
        self._recalled = False
        self._last_words_until: datetime | None = None

    @workflow.run
    async def run(self, *given: Any) -> dict[str, Any]:
        """Run the campaign.

        Args:
            given: one argument, the definition, in the shape of the YAML file; or the state carried by
                continue-as-new. Anything else fails the workflow at once.

        Returns:
            The summary and the order rows (the first thousand), as ``campaigner status --json`` gives them.

        """
        if workflow.info().cron_schedule:
            raise _invalid(
                "cron_schedule would make every later run order nothing, because its keys are the first run's; "
                "use a Temporal Schedule"
            )
        try:
            state = await self._opened(given)
        except ApplicationError as error:
            self._refused = error.message
            self._shown.show_refusal()
            raise
        if state is None:
            return self._canceled_before_it_began()
        self._state = state
        return await self._run_engine(state)

    async def _opened(self, given: Sequence[Any]) -> State | None:
        """Take up the carried state, or plan; None when canceled before there was a plan."""
        if self._state is not None:
            return self._state
        try:
            document = only(given, "the campaign's definition as JSON")
        except BadArgument as error:
            raise _invalid(str(error)) from None
        if is_packed(document):
            raise _invalid("the argument is a carried state, which only a continued campaign can start from")
        definition: Definition | None = None
        try:
            definition = checked_definition(document)
            self._shown.show_planning(definition.name, definition.account)
            planning = asyncio.create_task(prepare(definition, reviewed()))
            try:
                await workflow.wait_condition(lambda: planning.done() or self._canceling)
            except asyncio.CancelledError:
                self._canceling = True
            if not planning.done() and not await self._bought_before():
                planning.cancel()
                return None
            await _whatever_comes(planning.done)
            plan = planning.result()
        except InvalidCampaign as error:
            if definition is not None:
                await tell_refusal(definition, str(error))
            raise _invalid(str(error)) from None
        # The root of every request id: the only id that survives resets and continue-as-new (measured).
        starter = workflow.memo_value(STARTED_BY, default="")
        by = starter if isinstance(starter, str) else ""
        return begin(plan, workflow.info().first_execution_run_id, workflow.now(), by)

    async def _run_engine(self, state: State) -> dict[str, Any]:
        if self._canceling:
            self._inbox.append(CancelRequested(by="Temporal", why="cancellation requested"))
        self._shown.figures_follow = workflow.patched(FIGURES_FOLLOW)
        self._alarm.look_back()
        if state.plan.max_rate_increase is not None:
            state.looks_once = workflow.patched(LOOKS_ONCE)
        if state.plan.notify is not None:
            state.tells_block_once = workflow.patched(TELLS_BLOCK_ONCE)
        while True:
            now = workflow.now()
            while self._inbox:
                apply(state, self._inbox.popleft(), now)
            if self._carrier.bug is not None:
                # Not an outcome: fail the workflow task, so that it shows and a fixed worker goes on from here.
                raise self._carrier.bug
            leaving = workflow.info().is_continue_as_new_suggested()
            look_again: datetime | None = None
            if not leaving:
                decision = decide(state, now)
                look_again = decision.look_again
                for command in decision.commands:
                    self._carrier.start(state, command)
            self._shown.show_state(state, now)
            if (
                (leaving or finished(state))
                and self._carrier.idle
                and not self._inbox
                and workflow.all_handlers_finished()
            ):
                if not self._has_last_words(now):
                    if finished(state) and self._recalls(state):
                        continue
                    if finished(state):
                        self._shown.write_figures(state, now)
                        return self._result(state)
                    state.resets = resets_of(state)
                    state.notices[:0] = self._carrier.untold
                    workflow.continue_as_new(state.pack())
                look_again = self._last_words_until
            elif self._shown.again_at is not None:
                # Lists show the figures: nothing else may happen for a day.
                look_again = min(filter(None, [look_again, self._shown.again_at]))
            await self._sleep(look_again)

    def _recalls(self, state: State) -> bool:
        """See at the end whether runs that a reset replaced bought what this one never came to.

        Asked by every campaign, reset or not: whether a run was reset must not change its commands, because what a
        reset keeps of a history was written by a run that was not.
        """
        if self._recalled or not workflow.patched(RECALLS):
            return False
        self._recalled = True
        self._carrier.recall(resets_of(state))
        return True

    async def _bought_before(self) -> bool:
        """Tell, when canceled before there is a plan, whether a replaced run had bought something already."""
        if not workflow.patched(RECALLS):
            return False
        self._carrier.recall(resets_of(None))
        await _whatever_comes(lambda: self._carrier.idle)
        found = [event for event in self._inbox if isinstance(event, Recalled)]
        for event in found:
            self._inbox.remove(event)  # taken in at the end, when there is a plan to take it into
        return bool(found)

    def _has_last_words(self, now: datetime) -> bool:
        """Tell whether notices are still on their way; a webhook that does not answer is not waited for any longer."""
        if not self._carrier.untold:
            return False
        self._last_words_until = self._last_words_until or now + LAST_WORDS
        return now < self._last_words_until

    async def _sleep(self, look_again: datetime | None) -> None:
        """Wait for an event, or for the engine's next moment."""
        changes = self._carrier.done
        try:
            await self._alarm.wait(
                look_again, self._shown.waiting_for or None, lambda: bool(self._inbox) or self._carrier.done != changes
            )
        except asyncio.CancelledError:
            self._inbox.append(CancelRequested(by="Temporal", why="cancellation requested"))

    # What people and programs say.

    @workflow.signal(description="Status readings, from the account's workflow.")
    def news(self, *given: Any) -> None:
        """Take what a round of status reads brought."""
        try:
            self._inbox.append(read(News, only(given, "news")))
        except BadArgument as error:
            workflow.logger.warning("news that cannot be read is dropped: %s", error)

    @workflow.signal(description="The account's halt is over, or its daily limit was raised: try again now.")
    def released(self, *_given: Any) -> None:
        """Take the account's word that orders may go on."""
        self._inbox.append(Released())

    @workflow.update(description=wishes.SAYS["pause"])
    def pause(self, wish: Any = None) -> str:
        """Pause: what is on its way is finished, nothing new is placed."""
        return self._fold(wishes.pause(wish))

    @pause.validator
    def _check_pause(self, wish: Any = None) -> None:
        self._check(wishes.pause(wish))

    @workflow.update(description=wishes.SAYS["resume"])
    def resume(self, wish: Any = None) -> str:
        """Resume: missed runs are caught up or skipped as their `late` says."""
        return self._fold(wishes.resume(wish))

    @resume.validator
    def _check_resume(self, wish: Any = None) -> None:
        self._check(wishes.resume(wish))

    @workflow.update(description=wishes.SAYS["cancel"])
    def cancel(self, wish: Any = None) -> str:
        """Cancel the campaign, or one order of it."""
        return self._fold(wishes.cancel(wish))

    @cancel.validator
    def _check_cancel(self, wish: Any = None) -> None:
        self._check(wishes.cancel(wish))

    @workflow.update(description=wishes.SAYS["approve"])
    def approve(self, wish: Any = None) -> str:
        """Approve what waits for approval."""
        return self._fold(wishes.approve(wish))

    @approve.validator
    def _check_approve(self, wish: Any = None) -> None:
        self._check(wishes.approve(wish))

    @workflow.update(description=wishes.SAYS["skip"])
    def skip(self, wish: Any = None) -> str:
        """Skip what is not placed yet."""
        return self._fold(wishes.skip(wish))

    @skip.validator
    def _check_skip(self, wish: Any = None) -> None:
        self._check(wishes.skip(wish))

    @workflow.update(description=wishes.SAYS["retry"])
    def retry(self, wish: Any = None) -> str:
        """Retry a run that ended short."""
        event = wishes.retry(wish)
        run = self._state.runs.get(event.key) if self._state is not None else None
        if self._state is not None and run is not None and run.state is RunState.SKIPPED:
            self._state.retries_in_place = workflow.patched(RETRIES_IN_PLACE)
        return self._fold(event)

    @retry.validator
    def _check_retry(self, wish: Any = None) -> None:
        self._check(wishes.retry(wish))

    @workflow.update(description=wishes.SAYS["raise_budget"])
    def raise_budget(self, wish: Any = None) -> str:
        """Raise the budget; what it held goes on."""
        return self._fold(wishes.raise_budget(wish))

    @raise_budget.validator
    def _check_raise_budget(self, wish: Any = None) -> None:
        self._check(wishes.raise_budget(wish))

    @workflow.update(description=wishes.SAYS["reschedule"])
    def reschedule(self, wish: Any = None) -> str:
        """Move what is not placed yet."""
        return self._fold(wishes.reschedule(wish))

    @reschedule.validator
    def _check_reschedule(self, wish: Any = None) -> None:
        self._check(wishes.reschedule(wish))

    @workflow.update(description=wishes.SAYS["resolve"])
    def resolve(self, wish: Any = None) -> str:
        """Settle an unknown order by a person's word."""
        event = wishes.resolve(wish)
        run = self._state.runs.get(event.key) if self._state is not None else None
        if self._state is not None and run is not None and run.left_over:
            self._state.keeps_what_is_found = workflow.patched(KEEPS_WHAT_IS_FOUND)
        return self._fold(event)

    @resolve.validator
    def _check_resolve(self, wish: Any = None) -> None:
        self._check(wishes.resolve(wish))

    def _check(self, event: Event) -> None:
        """Refuse a wish that cannot be carried out, before it leaves a trace; one that was is welcome again."""
        told = wishes.refusal(self._state, event, canceling=self._canceling)
        if told is not None and not self._is_applied():
            raise wishes.refused(told)

    def _is_applied(self) -> bool:
        """An update is known by the client's id, also after a continue-as-new made Temporal forget it."""
        update = workflow.current_update_info()
        return self._state is not None and update is not None and update.id in self._state.applied

    def _fold(self, event: Event) -> str:
        """Fold a person's wish at once, so that the answer shows its effect."""
        if isinstance(event, CancelRequested):
            self._canceling = True
        if self._state is None:
            self._inbox.append(event)
            return CampaignState.PLANNING.value
        if not self._is_applied():
            update = workflow.current_update_info()
            if update is not None:
                self._state.applied.append(update.id)
                del self._state.applied[:-APPLIED]
            apply(self._state, event, workflow.now())
            self._carrier.done += 1  # wakes the loop
        return status_of(self._state).value

    @workflow.query(description="State, money, counts, what it waits for, and who decided what.")
    def progress(self) -> dict[str, Any]:
        """Give the summary as JSON."""
        head = {"id": workflow.info().workflow_id, "run_id": workflow.info().run_id}
        if self._state is None and self._refused:
            return head | {"state": CampaignState.FAILED.value, "why": self._refused}
        if self._state is None:
            return head | {"state": CampaignState.PLANNING.value}
        return head | report.summary(self._state)

    @workflow.query(description='Order rows, 500 a page. Argument, optional: {"offset": 0, "limit": 500}.')
    def orders(self, page: Any = None) -> list[dict[str, Any]]:
        """Give a page of order rows as JSON."""
        if self._state is None:
            return []
        asked = wishes.read_wish(Page, page)
        return report.rows(self._state, asked.offset, asked.limit)

    def _result(self, state: State) -> dict[str, Any]:
        facts = self.progress()
        result = facts | {"orders": report.rows(state, 0, ROWS_IN_RESULT)}
        if len(result["orders"]) == ROWS_IN_RESULT:
            result["orders_cut_at"] = ROWS_IN_RESULT
        if status_of(state) is CampaignState.FAILED:
            told = f"aborted: {state.aborted}"
            raise ApplicationError(told, facts, type="CampaignAborted", non_retryable=True)
        return result

    def _canceled_before_it_began(self) -> dict[str, Any]:
        self._shown.write_word(CampaignState.CANCELED)
        head = {"id": workflow.info().workflow_id, "run_id": workflow.info().run_id}
        return head | {"state": CampaignState.CANCELED.value, "spent": "0.00", "reserved": "0.00", "orders": []}
