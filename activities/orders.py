"""The activities of a panel's task queue: each makes exactly one HTTP request and returns a typed outcome.

Because one activity is one request, the queue's own rate limit is the account's request limit, whatever the number of
workers. Outcomes that are certain are returned; an answer that was lost is raised, so that Temporal repeats the very
same input, and with it the same request id and the same body.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.accounts import PanelAccount, account_named, failure
from activities.contracts import (
    CANCEL_ORDERS,
    PLACE_ORDER,
    READ_BALANCE,
    READ_CATALOG,
    READ_STATUSES,
    REFILL_ORDERS,
    AskOrders,
    BalanceRead,
    CancelOutcome,
    CatalogRead,
    PlaceOrder,
    PlaceOutcome,
    ReadBalance,
    ReadCatalog,
    ReadStatuses,
    RefillOutcome,
    StatusesRead,
)
from activities.faultpoints import reached
from activities.gating import NoWordError
from activities.readings import reading_of, unreadable
from activities.sending import Doubt, refusal, send
from campaigns.messages import (
    CancelAnswered,
    Expired,
    NotTaken,
    Placed,
    RefillAnswered,
    Unanswered,
)
from campaigns.plan import ServiceFacts
from campaigns.remembering import answered, body_of
from campaigns.targets import is_allowed
from panel import (
    AlreadyRequested,
    Missing,
    NotYet,
    PanelError,
    Refused,
    Throttled,
)
from panel.reading import identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from activities.gating import Gate
    from activities.recalling import Memory
    from campaigns.remembering import Sent


class PanelActivities:
    """What a worker does at the panels of its accounts."""

    def __init__(self, accounts: Mapping[str, PanelAccount], memory: Memory, gate: Gate) -> None:
        self._accounts = accounts
        self._memory = memory
        self._gate = gate

    @property
    def all(self) -> Sequence[Callable[..., Any]]:
        """Every activity of a panel's task queue."""
        return [
            self.read_catalog,
            self.read_balance,
            self.place_order,
            self.cancel_orders,
            self.refill_orders,
            self.read_statuses,
        ]

    @activity.defn(name=READ_CATALOG)
    async def read_catalog(self, asked: ReadCatalog) -> CatalogRead:
        """Read the catalog and give the asked services; one that is missing is not active."""
        client = account_named(self._accounts, asked.account).client
        try:
            catalog = await client.services()
        except PanelError as error:
            raise failure(error) from None
        found = (catalog.get(service) for service in asked.services)
        return CatalogRead(services=[ServiceFacts(**service.model_dump()) for service in found if service is not None])

    @activity.defn(name=PLACE_ORDER)
    async def place_order(self, order: PlaceOrder) -> PlaceOutcome:
        """Send one ``add``, unless the panel may have forgotten its id since it was first sent.

        Raises:
            ApplicationError: no definite answer; Temporal sends the same request again.

        """
        account = account_named(self._accounts, order.account)
        attempt = activity.info().attempt
        now = datetime.now(UTC)
        last = order.repeat_until if attempt > 1 or not order.first else None
        sent: Sent | None = None
        if resets := _resets(order):
            workflow_id, run_id = activity.info().workflow_id or "", activity.info().workflow_run_id or ""
            sent, complete = await self._memory.recall(workflow_id, run_id, resets, order.form.request_id, order.key)
            settled = answered(order.key, sent, now, complete=complete, idempotent=order.idempotent)
            if settled is not None:
                return PlaceOutcome(event=settled)
            earliest = sent.at if sent is not None else None if complete else order.due
            if earliest is not None:
                last = min(last or order.repeat_until, earliest + account.facts.retry_window)
            order = order.model_copy(update={"form": body_of(order.form, sent)})
        doubt = Doubt()
        if last is not None and order.idempotent:  # without ids, what may be there was not sent again
            unheard_of = attempt > 1 or order.first
            # An attempt before this one ended just now; so, perhaps, did what a reset cut off.
            just_now = attempt > 1 or (order.first and not (sent is not None and sent.is_certain))
            losses = (order.lost_at, sent.lost_at if sent is not None else None)
            last_sent = now if just_now else max((each for each in losses if each is not None), default=None)
            # The window may have been another one when it was planned: the first was not sent after the last.
            first_sent = min(last - account.facts.retry_window, last_sent or now)
            doubt = Doubt(first_sent, last_sent, unheard_of=unheard_of)
        if not is_allowed(order.form.link, account.facts.allowed_targets):
            words = f"the link is not in allowed_targets of account {order.account}: {order.form.link}"
            return PlaceOutcome(event=refusal(order, words, doubt))
        if last is not None and now > last:
            words = "it may have been sent longer ago than the panel remembers a request id; resolve it by hand"
            return PlaceOutcome(event=Expired(key=order.key, words=words))
        try:
            blocked = await self._gate.ask(order, account.limit)
        except NoWordError as error:
            if doubt.unheard_of:
                raise ApplicationError(str(error), type="NoWord") from None
            return PlaceOutcome(event=NotTaken(key=order.key, words=str(error)))
        if blocked is not None:
            if doubt.unheard_of:
                # The campaign must not take it for never sent, nor a person.
                words = f"{blocked.words}; it may be at the panel already: it is asked for again when orders go on"
                raise ApplicationError(words, type="Held")
            return PlaceOutcome(event=blocked)
        event = await send(account.client, order, doubt)
        may_be_there = isinstance(event, Unanswered | Expired) or (isinstance(event, NotTaken) and doubt.may_be_there)
        if account.limit is not None and not isinstance(event, Placed) and not may_be_there:
            await self._gate.give_back(order)
        reached("before_report")
        return PlaceOutcome(event=event)

    @activity.defn(name=READ_BALANCE)
    async def read_balance(self, asked: ReadBalance) -> BalanceRead:
        """Read what is left on the account."""
        client = account_named(self._accounts, asked.account).client
        try:
            answer = await client.balance()
        except PanelError as error:
            raise failure(error) from None
        return BalanceRead(balance=answer.balance)

    @activity.defn(name=CANCEL_ORDERS)
    async def cancel_orders(self, asked: AskOrders) -> CancelOutcome:
        """Ask the panel to cancel up to 100 orders; only a later status tells whether it did."""
        client = account_named(self._accounts, asked.account).client
        try:
            answers = await client.cancels(list(asked.orders.values()))
        except PanelError as error:
            raise failure(error) from None
        return CancelOutcome(answers=[_canceled(key, answers[order]) for key, order in asked.orders.items()])

    @activity.defn(name=REFILL_ORDERS)
    async def refill_orders(self, asked: AskOrders) -> RefillOutcome:
        """Ask the panel to refill up to 100 orders."""
        client = account_named(self._accounts, asked.account).client
        try:
            answers = await client.refills(list(asked.orders.values()))
        except PanelError as error:
            raise failure(error) from None
        return RefillOutcome(answers=[_refilled(key, answers[order]) for key, order in asked.orders.items()])

    @activity.defn(name=READ_STATUSES)
    async def read_statuses(self, asked: ReadStatuses) -> StatusesRead:
        """Read up to 100 statuses with one request; an order the panel says nothing about is left out."""
        client = account_named(self._accounts, asked.account).client
        now = datetime.now(UTC)
        # One id that no request can carry must not cost the others their news.
        readable = [order for order in asked.panel_orders if identifier(order) == order]
        nonsense = [unreadable(order, now) for order in asked.panel_orders if identifier(order) != order]
        if not readable:
            return StatusesRead(readings=nonsense)
        try:
            answers = await client.statuses(readable)
        except Throttled as error:
            return StatusesRead(readings=[], again_at=error.until)
        except PanelError as error:
            raise failure(error) from None
        now = datetime.now(UTC)
        readings = [
            reading_of(order, answer, now) for order, answer in answers.items() if not isinstance(answer, Missing)
        ]
        return StatusesRead(readings=readings + nonsense)


def _resets(order: PlaceOrder) -> list[str]:
    """Name the workflow runs of the chain that a reset made.

    What was on its way at a reset is handed out once more, as it was, by a run that the input does not know.
    """
    run_id = activity.info().workflow_run_id or ""
    unknown = order.run_id and run_id not in (order.run_id, *order.resets)
    return [*order.resets, run_id] if unknown else order.resets


def _canceled(key: str, answer: Refused | Missing | None) -> CancelAnswered:
    match answer:
        case None | AlreadyRequested():
            return CancelAnswered(key=key, answer="asked")
        case Missing():
            return CancelAnswered(key=key, answer="unanswered", words=answer.words)
        case _:
            return CancelAnswered(key=key, answer="refused", words=answer.words)


def _refilled(key: str, answer: str | Refused | Missing) -> RefillAnswered:
    match answer:
        case str():
            return RefillAnswered(key=key, answer="accepted", refill=answer)
        case AlreadyRequested():
            # One refill of the order is under way: very likely ours, whose answer was lost.
            return RefillAnswered(key=key, answer="accepted", words=answer.words)
        case NotYet():
            return RefillAnswered(key=key, answer="not_yet", words=answer.words)
        case Missing():
            return RefillAnswered(key=key, answer="unanswered", words=answer.words)
        case _:
            return RefillAnswered(key=key, answer="never", words=answer.words)
