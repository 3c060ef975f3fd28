"""What a campaign tells the outside, and when: each thing once, numbered, never in the way of the campaign."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from campaigns.definition import NoticeKind
from campaigns.messages import Notice
from campaigns.quantities import Money, money_text
from campaigns.state import CampaignState, RunState, State
from campaigns.wording import count

if TYPE_CHECKING:
    from datetime import datetime

    from campaigns.state import Block, Run

_CAUSES = {"funds": "no funds", "account": "the account is refused"}
"""Where the words are the panel's own."""
LONGEST_QUEUE = 1000
"""Notices that wait to be told; what comes beyond it while nothing can be told is dropped."""


def attention(state: State) -> str:
    """Say in words what holds the campaign, or nothing."""
    parts = []
    if state.aborted:
        parts.append(f"aborted: {state.aborted}")
    if state.block is not None:
        parts.append(_blocked(state.block, state.plan.account.name))
    if state.awaiting_approval:
        cost = Money(state.plan.cost, state.plan.account.currency)
        parts.append(f"the planned {cost} is above {state.plan.approval_over}: `campaigner approve`")
    if state.dear_queue:
        dear, why = len(state.dear_queue), state.runs[state.dear_queue[0]].why
        whose = "its" if dear == 1 else "their"
        parts.append(f"{count(dear, 'order')} held for {whose} rate ({why}): `campaigner approve`, or wait")
    if state.low_balance:
        parts.append("the balance is below what the next 24 hours cost")
    if state.unknown:
        parts.append(f"{count(state.unknown, 'order')} unknown: look at the panel, then `campaigner resolve`")
    if state.budget_queue:
        over = count(len(state.budget_queue), "order")
        parts.append(f"{over} would pass the budget of {state.budget}: `campaigner raise-budget`")
    if state.beyond_day:
        beyond = len(state.beyond_day)
        verb = "costs" if beyond == 1 else "cost"
        parts.append(f"{count(beyond, 'order')} {verb} more than any day allows: `campaigner skip`")
    if state.paused:
        pause = next((d for d in reversed(state.decisions) if d.what == "pause"), None)
        by = f" by {pause.by}" if pause and pause.by else ""
        why = f": {pause.why}" if pause and pause.why else ""
        parts.append(f"paused{by}{why}")
    return "; ".join(parts)


def _blocked(block: Block, account: str) -> str:
    match block.cause:
        case "halt":
            return f"{block.words}; `campaigner release {account}` lets it go on"
        case "daily_limit":
            return block.words
        case cause:
            return f'{_CAUSES[cause]} ("{block.words}"); one order tries again from time to time'


def notice(state: State, kind: NoticeKind, text: str, now: datetime, run: Run | None = None) -> None:
    """Put a notice in the queue, if the file asks for its kind."""
    wanted = state.plan.notify
    if wanted is None or kind not in wanted.on or len(state.notices) >= LONGEST_QUEUE:
        return
    state.noticed += 1
    currency = state.plan.account.currency
    data = {"spent": money_text(state.spent), "reserved": money_text(state.reserved), "currency": currency}
    if run is not None:
        data |= {"order_state": run.state.value, "delivered": str(run.delivered), "quantity": str(run.units)}
        if run.panel_order is not None:
            data["panel_order"] = run.panel_order
    state.notices.append(
        Notice(
            # After a reset the count goes back: what is told then must not pass for what was told before.
            id=str(uuid.uuid5(uuid.UUID(state.key_root), f"notice {state.noticed} {now.isoformat()} {kind} {text}")),
            kind=kind,
            at=now,
            text=f"{state.plan.name}: {text}",
            order=run.key if run is not None else None,
            data=data,
        )
    )


def settled(state: State, run: Run, now: datetime) -> None:
    """Tell of a run's end: failures by themselves, everything when asked for."""
    words = f"{run.key} {run.state.replace('_', ' ')}" + (f" ({run.why})" if run.why else "")
    if run.state is RunState.FAILED:
        notice(state, NoticeKind.FAILED, words, now, run)
    notice(state, NoticeKind.SETTLED, words, now, run)


def of_state(state: State, word: CampaignState, now: datetime) -> None:
    """Tell of a change of the campaign's state, once."""
    if state.plan.notify is None:
        return
    causes = _causes(state) if word is CampaignState.NEEDS_ATTENTION else {}
    told, state.told_causes = state.told_causes, causes
    grew = any(number > told.get(cause, 0) for cause, number in causes.items())
    if state.told == word.value and not grew:
        return
    state.told = word.value
    why = attention(state)
    match word:
        case CampaignState.NEEDS_ATTENTION:
            notice(state, NoticeKind.NEEDS_ATTENTION, f"needs attention: {why}", now)
        case CampaignState.AWAITING_APPROVAL:
            notice(state, NoticeKind.AWAITING_APPROVAL, f"waits for approval: {why}", now)
        case CampaignState.COMPLETED | CampaignState.CANCELED | CampaignState.FAILED:
            notice(state, NoticeKind.COMPLETED, f"{word.value}, spent {_spent(state)}", now)
        case _:
            pass


def _causes(state: State) -> dict[str, int]:
    """Count what a person has to look at: each unknown order is one more; the others are told once, while they last."""
    return {
        "unknown": state.unknown,
        "budget": int(bool(state.budget_queue)),
        "day": int(bool(state.beyond_day)),
        "rate": int(bool(state.dear_queue)),
        "account": int(state.block is not None and state.block.cause == "account"),
    }


def _spent(state: State) -> str:
    return f"{money_text(state.spent)} {state.plan.account.currency}"
