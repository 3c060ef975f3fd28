"""The ``Account`` workflow: reads the statuses of all open orders of one panel account, for all its campaigns.

One round reads every order that is due in pages of up to 100, one request a page, and tells each campaign once what
changed. It ends when nobody wants news any more, and continues as new when its history grows.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.contracts import (
        READ_STATUSES,
        FollowRequest,
        HintRequest,
        ReadStatuses,
        Reservation,
        Reserve,
        StatusesRead,
        panel_queue,
    )
    from campaigns import report
    from campaigns.guards import local_day
    from campaigns.messages import News, Reading
    from campaigns.wording import count
    from workflows.kept import AccountInput, Day, EarlyHints, Followed, Halted
    from workflows.payloads import BadArgument, only, read

ONE_REQUEST = timedelta(seconds=45)
"""As for every request (see :mod:`workflows.carrying`)."""
PAGE = 100
"""Statuses in one request (panel documentation)."""
SIGNAL_PAGE = 500
"""Readings in one signal: a payload well below 2 MiB."""
AT_ONCE = 10
"""Pages of a round that wait in the panel's queue together."""
GATHER = timedelta(seconds=2)
"""How long a first wish, or a first hint, waits for others before the round."""
UNANSWERED = timedelta(seconds=60)
"""How soon a hint that the panel could not be asked about is taken up again, where rounds are rarer."""
LINGER = timedelta(seconds=30)
"""How long an account without wishes stays, so that the next campaign finds it."""
OUTLIVES = "account-outlives-cancellation"
"""A patch: accounts from before it ended when somebody cancelled their workflow, and the halt with them."""
HINTED = "account-takes-hints"
"""A patch: before it a hint was no signal that an account knew, and its timers ran on."""


@workflow.defn(name="Account")
class Account:
    """Serves what the campaigns of one panel account share: the news, the halt, and the limit of the day."""

    @workflow.init
    def __init__(self, *given: Any) -> None:
        # Here and not in run(): an update that comes with the first task must find what was carried over.
        try:
            carried = read(AccountInput, only(given, 'such as {"account": "main"}')).unpacked()
        except BadArgument as error:
            carried, self._invalid = AccountInput(account="-"), str(error)
        else:
            self._invalid = ""
        self._account = carried.account
        self._followed = carried.followed
        self._next_round: datetime | None = carried.next_round
        self._planned_round: datetime | None = carried.planned_round
        """When it would be without a hint: no hint puts off what is read without one."""
        self._rounds = 0
        self._requests = 0
        self._halted = carried.halted
        self._day = carried.day
        self._changes = 0
        self._hints = 0
        """Followed orders that were hinted at."""
        self._early = EarlyHints()
        self._takes_hints = False
        """True from the first hint on, in histories that know them."""
        self._trouble = ""
        """Why the last request brought nothing."""

    @workflow.signal(description="Read these panel orders for a campaign, and tell it what changes.")
    def follow(self, *given: Any) -> None:
        """Take a campaign's wish; what it asks again is told again, changed or not."""
        try:
            wish = read(FollowRequest, only(given, "a wish for news"))
        except BadArgument as error:
            workflow.logger.warning("a wish that cannot be read is dropped: %s", error)
            return
        now = workflow.now()
        early = {order for order in wish.panel_orders if self._early.take(order, now)}
        for order in wish.panel_orders:
            known = self._followed.get(order)
            self._followed[order] = Followed(
                campaign=wish.campaign,
                every=wish.every,
                until=wish.until,
                read_at=known.read_at if known is not None else None,
                wanted_at=now,
                hinted_at=now if order in early else known.hinted_at if known is not None else None,
            )
        if self._next_round is None:
            self._next_round = now + min(GATHER, timedelta(seconds=wish.every))
        if early:
            self._bring_forward(GATHER)

    @workflow.signal(description='Read these panel orders now, such as ["ord_1"]: the panel says that they changed.')
    def hint(self, *given: Any) -> None:
        """Take the panel's word that something happened to some orders, for nothing but a reason to read them soon."""
        try:
            asked = only(given, 'panel orders, such as ["ord_1"]')
            hinted = read(HintRequest, {"panel_orders": asked if isinstance(asked, list) else [asked]})
        except BadArgument as error:
            workflow.logger.warning("a hint that cannot be read is dropped: %s", error)
            return
        if not workflow.patched(HINTED):
            return
        self._takes_hints = True
        now = workflow.now()
        for order in hinted.panel_orders:
            if (followed := self._followed.get(order)) is None:
                self._early.note(order, now)
                continue
            followed.hinted_at = now
            self._hints += 1
            self._bring_forward(GATHER)

    @workflow.update(description='Stop every placement of the account. Argument, optional: {"by", "why"}.')
    def halt(self, wish: Any = None) -> str:
        """Stop every placement of the account, in all campaigns and workers; what is placed is still looked after."""
        asked = _wish(wish)
        before = self._halted or Halted(at=workflow.now())
        self._halted = asked.model_copy(update={"at": before.at, "why": asked.why or before.why})
        self._changes += 1
        return "halted"

    @halt.validator
    def _check_halt(self, wish: Any = None) -> None:
        _wish(wish)

    @workflow.update(description='Let the account\'s placements go on. Argument, optional: {"by", "why"}.')
    def release(self, wish: Any = None) -> str:
        """Let placements go on; tell whether anything kept them."""
        _wish(wish)
        was = self._halted
        self._halted = None
        self._changes += 1
        return "released" if was is not None else "not halted"

    @release.validator
    def _check_release(self, wish: Any = None) -> None:
        _wish(wish)

    @workflow.update(description="Set aside the cost of a placement, against the account's limit of the day.")
    def reserve(self, wish: Any) -> Reservation:
        """Grant or refuse; the same request id is counted once."""
        asked = _reserve_wish(wish)
        day = self._today(asked.timezone)
        granted = day.grant(asked.request_id, asked.amount, asked.limit)
        self._changes += 1
        return Reservation(granted=granted, reserved=day.total, again_at=day.ends or workflow.now())

    @reserve.validator
    def _check_reserve(self, wish: Any) -> None:
        _reserve_wish(wish)

    @workflow.signal(description="Give back what was set aside for a placement that was refused.")
    def give_back(self, *given: Any) -> None:
        """Take a reservation off the day again."""
        if given:
            self._day.take_off(str(given[0]))

    def _today(self, timezone: str) -> Day:
        """Give the running day, a new one after its midnight, whatever timezone another worker believes in."""
        now = workflow.now()
        if self._day.ends is None or now >= self._day.ends:
            date, ends = local_day(now, timezone)
            self._day = Day(date=date, ends=ends, before=list(self._day.reserved))
        return self._day

    @workflow.query(description="Who halted the account, since when, and why; null when it is not halted.")
    def halted(self) -> dict[str, Any] | None:
        """Give the halt as JSON."""
        return None if self._halted is None else self._halted.model_dump(mode="json")

    @workflow.query(description="What is being read, how often, and for how many campaigns.")
    def progress(self) -> dict[str, Any]:
        """Give the account's figures as JSON."""
        return {
            "account": self._account,
            "orders": len(self._followed),
            "campaigns": len({followed.campaign for followed in self._followed.values()}),
            "next_round": self._next_round.isoformat() if self._next_round else None,
            "rounds": self._rounds,
            "requests": self._requests,
            "hints": self._hints,
            "halted": self.halted(),
            "reserved_today": str(self._day.total),
            "day_ends": self._day.ends.isoformat() if self._day.ends else None,
            "trouble": self._trouble,
        }

    @workflow.run
    async def run(self, *given: Any) -> None:  # noqa: ARG002 - taken in __init__
        """Read rounds until nobody wants news.

        Args:
            given: one argument, ``{"account": "<name>"}``; or what continue-as-new carries.

        """
        if self._invalid:
            raise ApplicationError(self._invalid, type="InvalidAccount", non_retryable=True)
        while True:
            self._tell()
            if self._is_long():
                workflow.continue_as_new(self._handed_over().packed_if_large())
            try:
                if await self._is_over():
                    return
            except asyncio.CancelledError:
                # Whoever ends an account's workflow must not end a halt, or give the day its money back, unawares.
                if not (workflow.patched(OUTLIVES) and (self._halted is not None or self._day.is_kept(workflow.now()))):
                    raise
                workflow.logger.warning("not ended: the account keeps a halt, or what was set aside today")

    async def _is_over(self) -> bool:
        """Go one step further; tell whether nobody wants anything any more."""
        if self._next_round is None:
            return await self._is_needed_no_more()
        now, planned = workflow.now(), self._next_round
        if now < planned:
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self._next_round != planned or self._is_full_of_hints(),
                    timeout=planned - now,
                    timeout_summary=f"next round: {count(len(self._followed), 'order')}",
                )
        else:
            await self._round(now)
        return False

    def _is_long(self) -> bool:
        return workflow.info().is_continue_as_new_suggested() and workflow.all_handlers_finished()

    def _is_full_of_hints(self) -> bool:
        """Tell whether hints made the history so long that it must not wait for a round, or a release, any longer."""
        return self._takes_hints and self._is_long()

    def _handed_over(self) -> AccountInput:
        return AccountInput(
            account=self._account,
            followed=self._followed,
            next_round=self._next_round,
            planned_round=self._planned_round,
            halted=self._halted,
            day=self._day,
        )

    async def _is_needed_no_more(self) -> bool:
        """Wait for a wish; tell whether the account may end: nothing to read, no halt, nothing set aside today."""
        now, changes = workflow.now(), self._changes
        kept: datetime | None = now + LINGER
        summary = "idle: ends soon"
        if self._halted is not None:
            kept, summary = None, "halted: waits for `campaigner release`"
        elif self._day.is_kept(now):
            kept, summary = self._day.ends, "keeps what was set aside today"
        try:
            await workflow.wait_condition(
                lambda: self._next_round is not None or self._changes != changes or self._is_full_of_hints(),
                timeout=None if kept is None else kept - now,
                timeout_summary=summary,
            )
        except TimeoutError:
            return self._halted is None and workflow.all_handlers_finished()
        return False

    async def _round(self, now: datetime) -> None:
        for order in [order for order, followed in self._followed.items() if followed.is_forgotten(now)]:
            del self._followed[order]
        shortest = min((followed.every for followed in self._followed.values()), default=0.0)
        due = [order for order, followed in self._followed.items() if followed.is_due(now, shortest)]
        for start in range(0, len(due), PAGE * AT_ONCE):
            batch = due[start : start + PAGE * AT_ONCE]
            pages = [batch[i : i + PAGE] for i in range(0, len(batch), PAGE)]
            await asyncio.gather(*(self._read(page, now) for page in pages))
        self._rounds += 1
        self._plan(now)

    def _plan(self, last: datetime) -> None:
        """Set the next round after the one that began at ``last``."""
        planned, self._next_round, self._planned_round = self._planned_round, None, None
        if not self._followed:
            return
        after = last + timedelta(seconds=min(followed.every for followed in self._followed.values()))
        if planned is not None and planned > last:
            after = min(after, planned)
        self._next_round = max(after, workflow.now())
        hints = [followed.hinted_at for followed in self._followed.values() if followed.hinted_at is not None]
        if hints:
            # One that came after the round had begun is news; any other could not be asked about.
            self._bring_forward(GATHER if max(hints) > last else UNANSWERED)

    def _bring_forward(self, wait: timedelta) -> None:
        """Have the next round after ``wait`` at the latest; the one that was planned comes all the same."""
        soon = workflow.now() + wait
        if self._next_round is None or soon < self._next_round:
            self._planned_round = self._planned_round or self._next_round
            self._next_round = soon

    async def _read(self, page: list[str], now: datetime) -> None:
        """Read one page and tell each campaign what changed in it."""
        self._requests += 1
        try:
            answer = await workflow.execute_activity(
                READ_STATUSES,
                ReadStatuses(account=self._account, panel_orders=page),
                task_queue=panel_queue(self._account),
                result_type=StatusesRead,
                start_to_close_timeout=ONE_REQUEST,
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(seconds=2), maximum_interval=timedelta(seconds=60), maximum_attempts=4
                ),
                summary=f"read {count(len(page), 'order')}",
                priority=Priority(priority_key=4, fairness_key=f"account/{self._account}"),
            )
        except ActivityError as error:
            self._trouble = error.cause.message if isinstance(error.cause, ApplicationError) else str(error.cause)
            workflow.logger.warning("no statuses this round: %s", self._trouble)
            return
        self._trouble = ""
        if answer.again_at is not None and answer.again_at > workflow.now():
            await workflow.sleep(answer.again_at - workflow.now(), summary="the panel asked for patience")
            return
        for order in page:
            self._followed_up(order, now)
        news: dict[str, list[Reading]] = {}
        for answered in answer.readings:
            followed = self._followed.get(answered.panel_order)
            if followed is None:
                continue
            # The workers' clocks may differ, or jump: what is judged by this moment is judged by the server's.
            reading = answered.model_copy(update={"observed_at": now})
            if followed.is_news(reading):
                news.setdefault(followed.campaign, []).append(reading)
            if followed.is_over(reading, now):
                del self._followed[answered.panel_order]
        for campaign, readings in news.items():
            for start in range(0, len(readings), SIGNAL_PAGE):
                await self._send(campaign, readings[start : start + SIGNAL_PAGE])

    def _followed_up(self, order: str, asked_at: datetime) -> None:
        followed = self._followed.get(order)
        if followed is not None and followed.hinted_at is not None and followed.hinted_at <= asked_at:
            followed.hinted_at = None

    async def _send(self, campaign: str, readings: list[Reading]) -> None:
        handle = workflow.get_external_workflow_handle(campaign)
        try:
            await handle.signal("news", News(readings=readings))
        except ApplicationError:
            # The campaign is gone (completed, terminated): nobody wants its news.
            for order in [order for order, followed in self._followed.items() if followed.campaign == campaign]:
                del self._followed[order]

    def _tell(self) -> None:
        campaigns = len({followed.campaign for followed in self._followed.values()})
        halted = f"**halted** by {self._halted.by or 'somebody'}: {self._halted.why}\n\n" if self._halted else ""
        trouble = f"> no answer to the last request: {report.plain(self._trouble)}\n\n" if self._trouble else ""
        watched = f"**{count(len(self._followed), 'open order')}** of **{count(campaigns, 'campaign')}**"
        asked = f"{count(self._requests, 'status request')} in {count(self._rounds, 'round')}"
        workflow.set_current_details(f"{halted}{trouble}{watched}; {asked} since the last continue-as-new")


def _wish(given: Any) -> Halted:
    if given is None:
        given = {}
    elif isinstance(given, str):
        given = {"why": given}
    try:
        return read(Halted, given)
    except BadArgument as error:
        raise ApplicationError(str(error), type="InvalidArgument", non_retryable=True) from None


def _reserve_wish(given: Any) -> Reserve:
    try:
        asked = read(Reserve, given)
        local_day(workflow.now(), asked.timezone)
    except BadArgument as error:
        raise ApplicationError(str(error), type="InvalidArgument", non_retryable=True) from None
    except (ValueError, OSError, KeyError):
        raise ApplicationError("timezone: is not known", type="InvalidArgument", non_retryable=True) from None
    return asked
