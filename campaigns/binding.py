"""A plan that binds: written to a file, and held against the world again before it is started.

    text  = write_plan(plan, definition, planned_at…)      `campaigner plan FILE --out PLAN`
    bound = check_plan(text, catalog, account, now)        `campaigner start PLAN`

The file is JSON: the definition, the plan with every rate seen, the balance, and a SHA-256 digest of all of it. A file
is taken only as it was written, to the byte: whoever reviewed it reviewed what is started. The digest guards against
slips and quiet edits, not against somebody who computes a new one; keep plans where reviews are kept.

Pure: the catalog, the account and the clock come as arguments.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from campaigns.checking import check
from campaigns.explaining import Problem
from campaigns.plan import Plan
from campaigns.planning import make_plan
from campaigns.quantities import money_text as money
from campaigns.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from campaigns.accounts import AccountFacts
    from campaigns.definition import Definition
    from campaigns.plan import Offer, PlannedOrder, ServiceFacts

FORMAT = "campaigner-plan/1"
MAX_PLAN = 16 * 1024 * 1024
"""Bytes of a plan file that are read at most; the largest campaign needs about one million."""
_SHOWN = 20
"""Differences between a plan and its campaign file that are told one by one."""
_MISSING = object()


class NotAPlanError(Exception):
    """The text is no plan file, or not as it was written; ``str()`` says which."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What a plan file holds, and what stands against starting it."""

    definition: Definition
    plan: Plan
    """As it was planned then."""
    now: Plan | None
    """As it would be planned now; None when it cannot be."""
    created: str
    digest: str
    balance: Decimal | None
    """What the account held then."""
    problems: list[Problem]
    """Non-empty: it must not be started."""
    warnings: list[Problem]


def write_plan(definition: Definition, plan: Plan, *, balance: Decimal | None, now: datetime, source: str = "") -> str:
    """Give the text of a plan file; the same arguments give the same bytes.

    Args:
        definition: the campaign file it was made from, as it was read: with variables filled in.
        plan: as :func:`campaigns.planning.make_plan` gave it.
        balance: what the account held, if it was asked.
        now: when it was made, aware.
        source: where the campaign file is, seen from the plan file; it must still say the same at the start.

    """
    body = {
        "format": FORMAT,
        "created": now.isoformat(),
        "name": plan.name,
        "account": plan.account.name,
        "currency": plan.account.currency,
        "cost": money(plan.cost),
        "balance": None if balance is None else money(balance),
        "source": source,
        "rates": {
            str(offer.service): {"name": offer.service_name, "rate": str(offer.rate)}
            for offer in sorted(_offers(plan), key=lambda offer: offer.service)
        },
        "definition": definition.document(),
        "plan": plan.model_dump(mode="json", by_alias=True),
    }
    return _render(body | {"digest": _digest(body)})


def _offers(plan: Plan) -> Iterator[Offer]:
    for order in plan.orders:
        yield order.offer(0)
        yield from order.fallback


def _digest(body: Mapping[str, Any]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def _render(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def is_plan(text: str | bytes) -> bool:
    """Tell a plan file from a campaign file, by how it begins; says nothing of whether it holds."""
    start = text[:64].decode(errors="replace") if isinstance(text, bytes) else text[:64]
    return start.lstrip("\ufeff \t\r\n").startswith("{") and "campaigner-plan" in start


def check_plan(
    text: str | bytes,
    catalog: Mapping[int, ServiceFacts],
    account: AccountFacts,
    now: datetime,
    *,
    max_rate_increase: Decimal | None = None,
    campaign: Definition | None = None,
    balance: Decimal | None = None,
    billed_currency: str | None = None,
) -> Bound:
    """Hold a plan file against its digest, the catalog, the account and the file it was made from.

    Args:
        text: the plan file.
        catalog: the services as they are now.
        account: the facts of the plan's account as they are now.
        now: aware.
        max_rate_increase: in percent; when absent, what the campaign's ``limits`` say, or nothing at all.
        campaign: the campaign file as it reads now, if it is at hand.
        balance: what the account holds now, if it was asked.
        billed_currency: what the panel bills in, if it was asked.

    Raises:
        NotAPlanError: it cannot be read, was edited, or is of another format.

    """
    document = read_plan(text)
    definition, plan = _parts(document)
    allowed = max_rate_increase
    if allowed is None:
        allowed = definition.limits.max_rate_increase or Decimal(0)
    planned = make_plan(definition, account, catalog, now, balance=balance, billed_currency=billed_currency)
    problems = [*_changed(definition, campaign), *planned.problems]
    warnings = list(planned.warnings)
    if plan.account.currency != account.currency:
        told = f"the plan is in {plan.account.currency}, but account {account.name} is now in {account.currency}"
        problems.append(Problem(("account",), told))
    else:
        for index, order in enumerate(plan.orders):
            for position in range(len(order.fallback) + 1):
                service = catalog.get(order.offer(position).service)
                if service is None or not service.rate.is_finite():
                    continue  # planning says so itself
                within, found = _rate_change(order, position, service, index, allowed)
                (warnings if within else problems).extend(found)
    known = document["balance"]
    return Bound(
        definition=definition,
        plan=plan,
        now=planned.plan,
        created=document["created"],
        digest=document["digest"],
        balance=None if known is None else Decimal(known),
        problems=list(dict.fromkeys(problems)),
        warnings=list(dict.fromkeys(warnings)),
    )


def read_plan(text: str | bytes) -> dict[str, Any]:
    """Read a plan file that is exactly as it was written.

    Raises:
        NotAPlanError: it is not, or it is of a format that this version does not know.

    """
    if len(text) > MAX_PLAN:
        raise NotAPlanError(f"it is larger than any plan file ({MAX_PLAN // 1024 // 1024} MiB)")
    try:
        raw = text.decode() if isinstance(text, bytes) else text
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise NotAPlanError(
            "it is not a plan file, or it was cut short; make one with `campaigner plan --out`"
        ) from None
    if not isinstance(document, dict) or not str(document.get("format", "")).startswith("campaigner-plan/"):
        raise NotAPlanError("it is not a plan file; make one with `campaigner plan --out`")
    if document["format"] != FORMAT:
        raise NotAPlanError(f"its format is {quoted(document['format'])}; this version knows {FORMAT}: plan again")
    body = {name: value for name, value in document.items() if name != "digest"}
    try:
        intact = document.get("digest") == _digest(body) and raw == _render(document)
    except (ValueError, RecursionError):
        intact = False
    if not intact:
        raise NotAPlanError("it was changed after it was written (its digest does not match); plan again")
    return document


def _parts(document: dict[str, Any]) -> tuple[Definition, Plan]:
    """Give the definition and the plan; only another version, or a forger, writes what this one cannot read."""
    try:
        checked = check(document["definition"])
        plan = Plan.model_validate(document["plan"])
        Decimal(document["balance"] or 0)
        str.strip(document["created"])
    except (KeyError, TypeError, ArithmeticError, ValidationError):
        raise NotAPlanError("it was written by another version of campaigner; plan again") from None
    if checked.definition is None:
        first = "; ".join(str(problem) for problem in checked.problems[:3])
        raise NotAPlanError(f"this version of campaigner does not take its campaign: {first}; plan again")
    ids = [order.id for order in checked.definition.orders]
    if [order.id for order in plan.orders] != ids:
        raise NotAPlanError("its plan is not of its campaign; plan again")
    return checked.definition, plan


def _rate_change(
    order: PlannedOrder, position: int, service: ServiceFacts, index: int, allowed: Decimal
) -> tuple[bool, list[Problem]]:
    """Tell whether the price of an order, or of its fallback, is within what is allowed, and how it changed."""
    offer, package = order.offer(position), order.package and not position
    then = order.quantity if package else 1000
    now = service.min if package else 1000
    before, after = offer.rate * then, service.rate * now
    if after == before:
        return True, []
    loc = ("orders", index, "fallback", position - 1) if position else ("orders", index, "service")
    change = f"service {offer.service} went from {money(offer.rate)} to {money(service.rate)} for 1,000"
    if now != then:
        change += f", and its package from {then:,} to {now:,}"
    change += f" ({_percent(before, after)}) since the plan was made"
    if after <= before * (1 + allowed / 100):
        return True, [Problem(loc, change)]
    limit = f"above the {allowed.normalize():f}% allowed" if allowed else "and no increase is allowed"
    hint = "plan again and have it reviewed" if allowed else "plan again, or set limits.max_rate_increase"
    return False, [Problem(loc, f"{change}, {limit}", hint)]


def _percent(before: Decimal, after: Decimal) -> str:
    if not before:
        return "from nothing"
    return f"{(after - before) / before * 100:+.1f}%"


def _changed(then: Definition, now: Definition | None) -> list[Problem]:
    """Say where the campaign file says something else than the plan; comments and layout do not count."""
    if now is None:
        return []
    found = list(_differences((), then.document(), now.document()))
    problems = [Problem(loc, message, "plan again") for loc, message in found[:_SHOWN]]
    if len(found) > _SHOWN:
        problems.append(Problem((), f"{len(found) - _SHOWN:,} more fields of the campaign file changed", "plan again"))
    return problems


def _differences(loc: tuple[str | int, ...], old: Any, new: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in old | new:
            yield from _differences((*loc, name), old.get(name, _MISSING), new.get(name, _MISSING))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences((*loc, index), one, other)
    elif old is _MISSING:
        yield loc, f"{_said(new)} was added to the campaign file"
    elif new is _MISSING:
        yield loc, f"{_said(old)} was taken out of the campaign file"
    elif old != new:
        yield loc, f"is {_said(new)} in the campaign file, and was {_said(old)} when the plan was made"


def _said(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value):,}"
    return quoted(value)
