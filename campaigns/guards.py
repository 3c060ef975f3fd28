"""What may stand between a run and its ``add``: the budget, the day's limit, and a service that became dearer.

Each gives the words for the operator and arranges for the next look. All of them count what is reserved, not only
what was charged, so that placements on their way can never pass a limit together.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from campaigns import books
from campaigns.calendar import local, slots
from campaigns.definition import NoticeKind
from campaigns.notices import notice
from campaigns.plan import price
from campaigns.quantities import Money, money_text
from campaigns.state import UNPLACED, RunState, State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from campaigns.messages import BalanceRead, RatesRead
    from campaigns.state import Run

CHEAPER = "*cheaper"
"""The agenda's key for the next look at what became too dear."""
BALANCE = "*balance"
"""The agenda's key for the next look at the balance."""
RATES_FRESH = timedelta(minutes=1)
"""How old a rate may be when an order is placed by it."""
RATES_AGAIN = timedelta(minutes=30)
"""How often a service that became too dear is looked at again."""
RATES_UNREAD_AGAIN = timedelta(minutes=1)
"""How soon a catalog that could not be read is asked for again."""
BALANCE_EVERY = timedelta(hours=6)
BALANCE_UNREAD_AGAIN = timedelta(minutes=30)
BALANCE_AHEAD = timedelta(hours=24)


def what_stands_against(state: State, run: Run, now: datetime) -> str | None:
    """Say why a run may not be placed now, in words, and arrange for the next look; None when nothing does."""
    return _rate(state, run, now) or _budget(state, run) or _day(state, run, now)


def _rate(state: State, run: Run, now: datetime) -> str | None:
    """Compare the service's rate with the planned one, on a reading that is fresh."""
    allowed = state.plan.max_rate_increase
    if allowed is None:
        return None
    offer = state.offer_of(run)
    read_at = state.rates_read.get(offer.service)
    if read_at is None or now - read_at > RATES_FRESH:
        state.rate_queue.append(run.key)
        return run.why if run.key in state.dear_queue else "reads the current rate first"
    rate = state.rates.get(offer.service)
    if rate is None:
        words = f"service {offer.service} is not in the catalog now"
        _hold_as_dear(state, run, None, words, now)
        return words
    run.cost = price(rate, run.units)
    planned = state.plan.planned_rate(offer)
    ceiling = max(planned * (100 + allowed) / 100, state.approved_rates.get(offer.service, Decimal(0)))
    if rate <= ceiling:
        state.dear_told.pop(offer.service, None)
        return None
    words = (
        f"service {offer.service} went from {money_text(planned)} to {money_text(rate)} per 1,000, "
        f"more than {allowed:f}%"
    )
    _hold_as_dear(state, run, rate, words, now)
    return f"{words}: approve it, or wait until it is cheaper"


def _hold_as_dear(state: State, run: Run, rate: Decimal | None, words: str, now: datetime) -> None:
    """Hold a run until its service is cheaper; told once for each rate of a service, not at every look."""
    service = state.offer_of(run).service
    if service not in state.dear_told or state.dear_told[service] != rate:
        state.dear_told[service] = rate
        notice(state, NoticeKind.HELD, f"orders are held: {words}", now, run)
    first = not state.dear_queue
    if first:
        state.cheaper_at = None  # the appointment lapsed with the last that waited for it
    state.dear_queue.append(run.key)
    if first or state.looks_once:
        _arrange_cheaper(state, now + RATES_AGAIN, now)


def _arrange_cheaper(state: State, at: datetime, now: datetime) -> None:
    """Have the rates of what is too dear read again, once: also while some of it was asked for a moment ago."""
    if state.cheaper_at is None or not now < state.cheaper_at <= at or not state.looks_once:
        state.cheaper_at = at
        books.put_on_agenda(state, at, CHEAPER)


def _budget(state: State, run: Run) -> str | None:
    if state.budget is None or state.spent + state.reserved + run.cost <= state.budget.amount:
        return None
    state.budget_queue.append(run.key)
    return f"would pass the budget of {state.budget}"


def _day(state: State, run: Run, now: datetime) -> str | None:
    limit = state.plan.per_day
    if limit is None:
        return None
    today, midnight = local_day(now, state.plan.timezone or "UTC")
    if today > state.day:
        state.day, state.day_spent = today, Decimal(0)
        state.day_queue.clear()
    if state.day_spent + run.cost <= limit.amount:
        return None
    if run.cost > limit.amount:
        # A fallback or a risen rate may make it so: no day will ever have room for it, so somebody has to decide.
        state.beyond_day.append(run.key)
        return f"costs {money_text(run.cost)}, more than the day's limit of {limit} allows on any day; skip it"
    if run.key not in state.day_queue:
        state.day_queue.append(run.key)
    if state.day_told != today:
        state.day_told = today
        goes_on = local(midnight, state.plan.timezone)
        notice(
            state,
            NoticeKind.HELD,
            f"orders are held: the day's limit of {limit} is used up; on {goes_on} they go on",
            now,
        )
    books.look_at(state, run, midnight)
    return f"would pass the day's limit of {limit}"


def local_day(now: datetime, timezone: str) -> tuple[str, datetime]:
    """Give the local date and the first instant of the next one.

    Here and not in a workflow, whose sandbox lets no time zone be built (measured).

    Raises:
        ValueError, OSError, KeyError: the time zone is not known.

    """
    zone = ZoneInfo(timezone)
    today = now.astimezone(zone).date()
    midnight = datetime.combine(today + timedelta(days=1), time(0), tzinfo=zone)
    return today.isoformat(), midnight.astimezone(UTC)


def count_day(state: State, run: Run) -> None:
    """Count a placement that is handed out against the day at hand."""
    if state.plan.per_day is not None:
        state.day_spent += run.cost
        run.counted_day = state.day


def change_cost(state: State, run: Run, cost: Decimal) -> None:
    """Expect another cost of a run, also in the day that counts it."""
    if run.counted_day and run.counted_day == state.day:
        state.day_spent += cost - run.cost
    run.cost = cost


def uncount_day(state: State, run: Run, now: datetime) -> None:
    """Take a placement that was definitely refused off its day again; whoever that day had no room for looks again."""
    if run.counted_day and run.counted_day == state.day:
        state.day_spent -= run.cost
        wake(state, state.day_queue, now)
    run.counted_day = ""


def wants_rates(state: State) -> list[int]:
    """Name the services whose rates are to be read now; marks them as asked."""
    if state.rates_asked or not state.rate_queue:
        return []
    state.rates_asked = True
    return sorted({state.offer_of(state.runs[key]).service for key in state.rate_queue})


def on_rates(state: State, event: RatesRead, now: datetime) -> None:
    """Take the current rates; everybody who waited for them looks again, those held as too dear included."""
    state.rates_asked = False
    for service in event.asked:
        state.rates.pop(service, None)
        state.rates_read[service] = now
    state.rates |= event.rates
    wake(state, state.rate_queue, now)
    asked = set(event.asked)
    again = [key for key in state.dear_queue if state.offer_of(state.runs[key]).service in asked]
    for key in again:
        state.dear_queue.remove(key)
    wake(state, deque(again), now)


def on_no_rates(state: State, now: datetime) -> None:
    """The catalog could not be read: ask again in a while. What is held as too dear stays so."""
    state.rates_asked = False
    waiting = list(state.rate_queue)
    state.rate_queue.clear()
    again = now + RATES_UNREAD_AGAIN
    for key in waiting:
        if key not in state.dear_queue:
            books.look_at(state, state.runs[key], again)
    if state.dear_queue:
        _arrange_cheaper(state, again, now)


def wake(state: State, queue: books.Queue, now: datetime) -> None:
    """Look again at the held runs of a queue."""
    while queue:
        run = state.runs[queue.popleft()]
        if run.state is RunState.HELD:
            books.look_at(state, run, now)


def look_for_cheaper(state: State) -> None:
    """Ask for a fresh rate of what is held as too dear; it stays held until that is there."""
    state.cheaper_at = None
    waiting = set(state.rate_queue)
    state.rate_queue.extend(key for key in state.dear_queue if key not in waiting)


def approve_rates(state: State, now: datetime) -> str:
    """Accept the rates of what is held as too dear; give what was accepted, in words, or nothing."""
    accepted = approvable(state)
    if not accepted:
        return ""
    state.approved_rates |= {service: rate for service, (_, rate) in accepted.items()}
    wake(state, state.dear_queue, now)
    return "approve " + ", ".join(
        f"service {service} at {money_text(rate)} per 1,000 (planned {money_text(planned)})"
        for service, (planned, rate) in sorted(accepted.items())
    )


def approvable(state: State) -> dict[int, tuple[Decimal, Decimal]]:
    """Give the services that are held as too dear and have a rate to accept: service -> (planned, now)."""
    offers = {(offer := state.offer_of(state.runs[key])).service: offer for key in state.dear_queue}
    rate = state.plan.planned_rate
    return {service: (rate(offer), state.rates[service]) for service, offer in offers.items() if service in state.rates}


def wants_balance(state: State, now: datetime) -> bool:
    """Tell whether the balance is to be read now, and mark it as asked: every few hours, while there is a need."""
    if not _tells_of_balance(state) or state.balance_asked:
        return False
    if state.balance_due is not None and now < state.balance_due:
        return False
    if state.canceling or not _more_to_come(state):
        state.low_balance = False
        return False
    state.balance_asked = True
    return True


def _tells_of_balance(state: State) -> bool:
    return state.plan.notify is not None and NoticeKind.LOW_BALANCE in state.plan.notify.on


def _more_to_come(state: State) -> bool:
    return any(
        state.progress[order.id].unplaced or books.is_to_come(order, state.progress[order.id])
        for order in state.plan.orders
    )


def on_balance(state: State, event: BalanceRead, now: datetime) -> None:
    """Hold the balance against what the next 24 hours will cost, and look again even if nothing else happens."""
    state.balance_asked = False
    state.balance_due = now + (BALANCE_EVERY if event.balance is not None else BALANCE_UNREAD_AGAIN)
    if _more_to_come(state):
        books.put_on_agenda(state, state.balance_due, BALANCE)
    if event.balance is None:
        return
    state.balance = event.balance
    before, state.low_balance = state.low_balance, event.balance < cost_ahead(state, now + BALANCE_AHEAD)
    if state.low_balance and not before:
        notice(state, NoticeKind.LOW_BALANCE, low_balance_words(state), now)


def cost_ahead(state: State, until: datetime) -> Decimal:
    """Add up what is still to be placed until then, as far as the calendar knows it."""
    waiting = {progress.unplaced for progress in state.progress.values() if progress.unplaced}
    waiting = waiting.union(*books.queues(state))
    total = sum((state.runs[key].cost for key in waiting if state.runs[key].state in UNPLACED), Decimal(0))
    for order in state.plan.orders:
        progress = state.progress[order.id]
        if progress.next_slot is None or not books.is_to_come(order, progress):
            continue
        left = order.runs - progress.next_run + 1
        coming: Iterable[datetime] = [progress.next_slot]
        if order.every is not None:
            coming = slots(progress.next_slot, left, order.every, order.window, state.plan.timezone)
        for number, slot in enumerate(coming, start=progress.next_run):
            if slot > until:
                break
            total += order.cost_of(number) if number not in progress.skips else 0
    return total


def low_balance_words(state: State) -> str:
    """Say how much is there and how much the next day needs."""
    currency = state.plan.account.currency
    return (
        f"the balance of {Money(state.balance or Decimal(0), currency)} is below what the next 24 hours cost; "
        "top it up, or orders will wait"
    )
