"""Checks a campaign document, whole: every field by itself, and the rules between fields.

Pure and deterministic: the loader uses it for files, the workflow for the JSON of a programmatic start. It never
raises on any JSON value, and finds all problems at once, so the rules between fields read the raw document as far as it
is sane.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeGuard

from pydantic import ValidationError

from campaigns.definition import (
    MAX_LINK,
    MAX_ORDERS,
    MAX_RUNS,
    MAX_TARGETS,
    After,
    CancelPolicy,
    Defaults,
    Definition,
    Drip,
    Limits,
    Notify,
    Order,
    RefillPolicy,
    Schedule,
    Window,
)
from campaigns.explaining import Loc, Problem, Shape, describe, explain, unique, value_at
from campaigns.quantities import MAX_DURATION, format_duration, parse_duration
from campaigns.scheduling import schedule_problems
from campaigns.targets import BadLink, normalise
from campaigns.webhooks import webhook_fault
from campaigns.wording import did_you_mean, escaped, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_PROBLEMS", "SHAPE", "Checked", "Problem", "check", "describe"]

MAX_PROBLEMS = 100
"""Problems that are told one by one: enough to work on, and small enough for a workflow's failure."""
_REFILL_EVERY = format_duration(RefillPolicy.model_fields["every"].default)
_IN_A_CIRCLE = 6
"""Orders of a circle that are named."""
SHAPE = Shape(
    models={
        "": Definition,
        "limits": Limits,
        "defaults": Defaults,
        "orders": Order,
        "after": After,
        "drip": Drip,
        "window": Window,
        "cancel": CancelPolicy,
        "refill": RefillPolicy,
        "notify": Notify,
        "schedule": Schedule,
    },
)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found: a definition, or at least one problem."""

    definition: Definition | None
    problems: list[Problem] = field(default_factory=list)


def check(document: Any) -> Checked:
    """Check any JSON value as a campaign."""
    definition, problems = None, []
    try:
        definition = Definition.model_validate(document)
    except ValidationError as error:
        problems = explain(error, document, SHAPE, MAX_PROBLEMS + 1)
    if isinstance(document, dict):
        # A value that is wrong by itself is told once; a mapping may well have several things wrong.
        wrong = {problem.loc for problem in problems if not isinstance(value_at(problem.loc, document), dict)}
        broken = (problem for problem in _Rules(document).problems() if problem.loc not in wrong)
        problems += islice(broken, MAX_PROBLEMS + 1)
    problems = unique(problems)
    if len(problems) > MAX_PROBLEMS:
        problems = [*problems[:MAX_PROBLEMS], Problem((), "and more problems")]
    return Checked(None if problems else definition, problems)


class _Rules:
    """The rules between fields, over a raw document of which any part may be missing or of the wrong kind."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.targets = dict(islice(_mapping(document.get("targets")).items(), MAX_TARGETS))
        self.defaults = _mapping(document.get("defaults"))
        orders = document.get("orders")
        listed = orders[:MAX_ORDERS] if isinstance(orders, list) else []
        self.orders = {index: order for index, order in enumerate(listed) if isinstance(order, dict)}
        self.complete = {index: self._completed(order) for index, order in self.orders.items()}
        self.ids: dict[str, int] = {}
        for index, order in self.orders.items():
            if isinstance(order.get("id"), str):
                self.ids.setdefault(order["id"], index)

    def _completed(self, order: dict[str, Any]) -> dict[str, Any]:
        """Fill in the defaults as :meth:`Definition.complete_orders` does."""
        own_link = {"link", "target"} & order.keys()
        inherited = {k: v for k, v in self.defaults.items() if not (own_link and k in ("link", "target"))}
        return inherited | order

    def problems(self) -> Iterator[Problem]:
        yield from self._texts()
        for name, link in self.targets.items():
            yield from _link(("targets", name), link)
        for holder, fields in self._holders():
            yield from _link((*holder, "link"), fields.get("link"))
            yield from self._target(holder, fields)
            yield from _window(holder, fields)
            yield from _cancel(holder, fields)
            yield from _refill(holder, fields)
            yield from _drip(holder, fields)
            yield from self._after(holder, fields)
        yield from self._timezone()
        yield from _webhook(self.document)
        yield from self._identity()
        for index in self.orders:
            yield from self._order(index)
        yield from self._circles()
        yield from self._total_runs()

    def _holders(self) -> Iterator[tuple[Loc, dict[str, Any]]]:
        yield ("defaults",), self.defaults
        for index, order in self.orders.items():
            yield ("orders", index), order

    def _texts(self) -> Iterator[Problem]:
        places: list[tuple[Loc, Any]] = [(("description",), self.document.get("description"))]
        places += [((*holder, "coupon"), fields.get("coupon")) for holder, fields in self._holders()]
        for loc, text in places:
            allowed = "\n\t" if loc == ("description",) else ""
            if isinstance(text, str) and any(c != " " and c not in allowed and _is_control(c) for c in text):
                yield Problem(loc, "holds invisible control characters; remove them")

    def _identity(self) -> Iterator[Problem]:
        for index, order in self.orders.items():
            name = order.get("id")
            if isinstance(name, str) and self.ids[name] != index:
                yield Problem(("orders", index, "id"), f"{quoted(name)} is already the id of orders[{self.ids[name]}]")

    def _target(self, holder: Loc, fields: dict[str, Any]) -> Iterator[Problem]:
        target = fields.get("target")
        if target is not None and fields.get("link") is not None:
            yield Problem((*holder, "link"), "stands beside a target; keep one of the two")
        if isinstance(target, str) and target not in self.targets:
            message = f"{quoted(target)} is not one of the targets"
            yield Problem((*holder, "target"), message, did_you_mean(target, map(str, self.targets)))

    def _timezone(self) -> Iterator[Problem]:
        with_window = [holder for holder, fields in self._holders() if isinstance(fields.get("window"), dict)]
        if with_window and self.document.get("timezone") is None:
            message = "needs the campaign's timezone; add a line such as timezone: Europe/Istanbul"
            yield Problem((*with_window[0], "window"), message)
        yield from schedule_problems(self.document.get("schedule"), self.document.get("timezone"))

    def _after(self, holder: Loc, fields: dict[str, Any]) -> Iterator[Problem]:
        name, loc = _waits_for(fields.get("after")), (*holder, "after")
        if isinstance(fields.get("after"), dict):
            loc = (*loc, "order")
        if name is None:
            return
        if name not in self.ids:
            yield Problem(loc, f"{quoted(name)} is not the id of an order", did_you_mean(name, self.ids))
        elif name == fields.get("id"):
            yield Problem(loc, "an order cannot wait for itself")

    def _order(self, index: int) -> Iterator[Problem]:
        own, order, loc = self.orders[index], self.complete[index], ("orders", index)
        if order.get("service") is None:
            yield Problem(loc, "service is missing")
        if order.get("target") is None and order.get("link") is None:
            yield Problem(loc, "needs a target or a link")
        if "after" not in own and "id" in own and _waits_for(order.get("after")) == own["id"]:
            yield Problem(loc, "would wait for itself by the defaults; write after: null in it")
        drip, quantity = _mapping(order.get("drip")), order.get("quantity")
        runs = _runs(drip)
        if runs is None or not _is_int(quantity):
            return
        at = next(((*loc, name) for name in ("quantity", "drip") if name in own), loc)
        if quantity < runs:
            yield Problem(at, f"{quoted(quantity)} is fewer than the {runs} runs of its drip")
        elif drip.get("by") == "panel" and quantity % runs:
            near = quantity - quantity % runs
            hint = f"{near} or {near + runs} would do"
            yield Problem(at, f"{quoted(quantity)} cannot be divided by the {runs} runs of a drip by the panel", hint)

    def _circles(self) -> Iterator[Problem]:
        """Find orders that wait for each other: each waits for one at most, so a walk ends or comes round."""
        after = {
            name: waits
            for name, index in self.ids.items()
            if (waits := _waits_for(self.complete[index].get("after"))) in self.ids and waits != name
        }
        seen: set[str] = set()
        for start in after:
            walk: dict[str, None] = {}
            name: str | None = start
            while name is not None and name not in seen:
                seen.add(name)
                walk[name] = None
                name = after.get(name)
            if name in walk:
                circle = list(walk)[list(walk).index(name) :]
                first = min(range(len(circle)), key=lambda step: self.ids[circle[step]])
                circle = circle[first:] + circle[:first]
                index = self.ids[circle[0]]
                shown = [*circle[:_IN_A_CIRCLE], *(["…"] if len(circle) > _IN_A_CIRCLE else []), circle[0]]
                words = " → ".join(escaped(name[:64]) for name in shown)
                loc: Loc = ("orders", index, "after") if "after" in self.orders[index] else ("orders", index)
                yield Problem(loc, f"these orders wait for each other: {words}")

    def _total_runs(self) -> Iterator[Problem]:
        total = 0
        for order in self.complete.values():
            drip = _mapping(order.get("drip"))
            total += 1 if drip.get("by") == "panel" else _runs(drip) or 1
        if total > MAX_RUNS:
            message = f"come to {total:,} order runs; one campaign may have {MAX_RUNS:,}, so make several"
            yield Problem(("orders",), message)


def _link(loc: Loc, link: Any) -> Iterator[Problem]:
    if isinstance(link, str) and len(link) <= MAX_LINK:
        try:
            normalise(link)
        except BadLink as error:
            yield Problem(loc, str(error))


def _window(holder: Loc, fields: dict[str, Any]) -> Iterator[Problem]:
    window = fields.get("window")
    if not isinstance(window, dict):
        return
    opens, closes = window.get("from", "00:00"), window.get("to", "24:00")
    if opens == "24:00":
        yield Problem((*holder, "window", "from"), 'a window cannot open at 24:00; write "00:00"')
    elif isinstance(opens, str) and opens == closes:
        at_key: Loc = ("to",) if "to" in window else ("from",)
        message = f"{quoted(closes)} is when the window opens, too; leave both out for the whole day"
        yield Problem((*holder, "window", *at_key), message)


def _cancel(holder: Loc, fields: dict[str, Any]) -> Iterator[Problem]:
    policy = fields.get("cancel")
    if isinstance(policy, dict) and all(policy.get(name) is None for name in ("not_started_in", "stalled_for")):
        yield Problem((*holder, "cancel"), "says nothing; give not_started_in or stalled_for, or remove it")


def _refill(holder: Loc, fields: dict[str, Any]) -> Iterator[Problem]:
    refill = _mapping(fields.get("refill"))
    within, every = _duration(refill.get("within")), _duration(refill.get("every", _REFILL_EVERY))
    if within is None or every is None or every <= within:
        return
    if "every" in refill:
        message = f"{format_duration(every)} is longer than the guarantee of {format_duration(within)}"
        yield Problem((*holder, "refill", "every"), message)
    else:
        message = f"lasts {format_duration(within)}; give every, which is {_REFILL_EVERY} unless written"
        yield Problem((*holder, "refill"), message)


def _drip(holder: Loc, fields: dict[str, Any]) -> Iterator[Problem]:
    drip = _mapping(fields.get("drip"))
    runs, every = _runs(drip), _duration(drip.get("every"))
    if every is None:
        return
    if drip.get("by") == "panel" and every % timedelta(minutes=1):
        yield Problem((*holder, "drip", "every"), "must be whole minutes when the panel keeps the drip")
    if runs is not None and (runs - 1) * every > MAX_DURATION:
        message = (
            f"{runs} runs, one every {format_duration(every)}, would take longer than {format_duration(MAX_DURATION)}"
        )
        yield Problem((*holder, "drip"), message)


def _webhook(document: dict[str, Any]) -> Iterator[Problem]:
    webhook = _mapping(document.get("notify")).get("webhook")
    if isinstance(webhook, str) and (fault := webhook_fault(webhook)):
        yield Problem(("notify", "webhook"), fault)


def _waits_for(after: Any) -> str | None:
    name = after.get("order") if isinstance(after, dict) else after
    return name if isinstance(name, str) else None


def _runs(drip: dict[str, Any]) -> int | None:
    runs = drip.get("runs")
    return runs if _is_int(runs) and 1 < runs <= MAX_RUNS else None


def _duration(text: Any) -> timedelta | None:
    try:
        return parse_duration(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_int(value: Any) -> TypeGuard[int]:
    return type(value) is int


def _is_control(character: str) -> bool:
    return not character.isprintable()
