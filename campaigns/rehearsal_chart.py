"""The drawing of a rehearsal: a row for each order, its runs as bars in time, and the spending below, in one SVG.

Everything is placed by arithmetic alone and coloured by the classes of the page that holds it.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from html import escape
from itertools import count, islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from campaigns.calendar import local, openings
from campaigns.quantities import Money
from campaigns.quantities import money_text as money
from campaigns.state import SETTLED
from campaigns.wording import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaigns.definition import Window
    from campaigns.plan import PlannedOrder
    from campaigns.rehearsed import Ending, Rehearsal

WIDTH, LEFT, RIGHT = 1160, 150, 24
_AXIS, _BAR, _GAP, _PAD, _LANES = 40, 9, 3, 8, 6
"""Heights: of the axis, of a bar, between two bars and around them; and how many bars of an order lie side by side."""
_MONEY = 180
_BELOW = 26
_LABELS = 15
_WINDOWS = 400
"""Openings of one window that are shaded; of more nothing would be seen."""
_FAR = 4
"""A budget so many times above the spending is told, not drawn."""
_NAME = 20
_HOURS = (1, 2, 3, 6, 12)
_STEPS = 4
_YEARLY = 91
_DAYS = (1, 2, 3, 7, 14, 28, 56, 91, 182, 364)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


def draw(rehearsal: Rehearsal) -> str:
    """Give the SVG element."""
    return _Drawing(rehearsal).svg()


def shown(text: str) -> str:
    """Make any text harmless in HTML: markup, control and invisible characters, lone surrogates."""
    return escape(escaped(text))


class _Drawing:
    def __init__(self, rehearsal: Rehearsal) -> None:
        self.rehearsal = rehearsal
        self.plan = rehearsal.plan
        self.zone = ZoneInfo(self.plan.timezone or "UTC")
        self.first = rehearsal.start
        span = max(rehearsal.ends_at - rehearsal.start, _HOUR)
        self.last = rehearsal.start + span * 1.015
        self.parts: list[str] = []
        self.shades: dict[str, str] = {}

    def svg(self) -> str:
        """Draw from top to bottom."""
        by_order: defaultdict[str, list[Ending]] = defaultdict(list)
        for ending in self.rehearsal.endings:
            by_order[ending.order].append(ending)
        top, rows = _AXIS, []
        for order in self.plan.orders:
            lanes = _lanes(by_order[order.id], self.last)
            height = 2 * _PAD + max(len(lanes), 2) * (_BAR + _GAP) - _GAP
            rows.append((order, lanes, top, height))
            top += height
        bottom = top + _BELOW + _MONEY
        for index, (order, _, at, height) in enumerate(rows):
            self._row(order, at, height, odd=bool(index % 2))
        self._grid(top, bottom)
        for _, lanes, at, height in rows:
            self._bars(lanes, at + (height - len(lanes) * (_BAR + _GAP) + _GAP) / 2)
        self._spending(top + _BELOW, bottom)
        total = bottom + 10
        name = shown(f"Calendar and spending of {self.plan.name}")
        return (
            f'<svg viewBox="0 0 {WIDTH} {total}" role="img" aria-label="{name}" xmlns="http://www.w3.org/2000/svg">'
            f"{''.join(self.parts)}</svg>"
        )

    def x(self, moment: datetime) -> float:
        """Give the place of a moment."""
        part = (moment - self.first) / (self.last - self.first)
        return round(LEFT + (WIDTH - LEFT - RIGHT) * min(max(part, 0.0), 1.0), 1)

    def _row(self, order: PlannedOrder, top: int, height: int, *, odd: bool) -> None:
        if odd:
            self.parts.append(f'<rect class="odd" x="0" y="{top}" width="{WIDTH}" height="{height}"/>')
        if order.window is not None and (shade := self._shade(order.window)):
            self.parts.append(f'<path class="window" transform="translate(0 {top}) scale(1 {height})" d="{shade}"/>')
        runs = f"{order.runs:,} runs" if order.runs > 1 else "1 run"
        middle = top + height / 2
        self.parts.append(
            f'<text class="name" x="12" y="{middle - 1:g}">{_cut(order.id)}<title>{shown(order.id)}</title></text>'
            f'<text class="small" x="12" y="{middle + 12:g}">{runs} · service {order.service}</text>'
        )

    def _shade(self, window: Window) -> str:
        """Draw the openings of a window, one unit high."""
        key = window.model_dump_json()
        if key not in self.shades:
            shown = list(islice(openings(self.first, self.last, window, self.plan.timezone), _WINDOWS + 1))
            paths = [f"M{self.x(opening):g} 0H{self.x(closing):g}V1H{self.x(opening):g}Z" for opening, closing in shown]
            self.shades[key] = "".join(paths) if len(paths) <= _WINDOWS else ""
        return self.shades[key]

    def _bars(self, lanes: list[list[Ending]], top: float) -> None:
        for lane, endings in enumerate(lanes):
            y = top + lane * (_BAR + _GAP)
            for ending in endings:
                self.parts.append(self._bar(ending, y))

    def _bar(self, ending: Ending, y: float) -> str:
        title = f"<title>{_told(ending, self.plan.timezone)}</title>"
        begins = ending.placed_at or ending.slot
        if begins is None:
            return ""
        left = self.x(begins)
        if ending.placed_at is None:
            return f'<rect class="none" x="{left:g}" y="{y:g}" width="2" height="{_BAR}">{title}</rect>'
        settled = ending.settled_at if ending.state in SETTLED else None
        width = max(self.x(settled or self.last) - left, 3)
        kind = ending.state.value if settled else "open"
        return f'<rect class="{kind}" x="{left:g}" y="{y:g}" width="{width:.4g}" height="{_BAR}" rx="2">{title}</rect>'

    def _grid(self, top: int, bottom: int) -> None:
        for moment, label in _ticks(self.first, self.last, self.zone):
            x = self.x(moment)
            self.parts.append(f'<path class="grid" d="M{x:g} {_AXIS - 6}V{bottom}"/>')
            if x < WIDTH - RIGHT - 20:
                self.parts.append(f'<text class="tick" x="{x + 4:g}" y="{_AXIS - 14}">{shown(label)}</text>')
        self.parts.append(f'<path class="line" d="M0 {_AXIS}H{WIDTH}M0 {top}H{WIDTH}"/>')

    def _spending(self, top: int, bottom: int) -> None:
        rehearsal, budget = self.rehearsal, self.plan.budget
        peak = max(*(point.spent for point in rehearsal.spending), Decimal("0.000001"))
        drawn = budget is not None and 0 < budget.amount <= peak * _FAR
        steps, scale = _scale(max(peak, budget.amount) if drawn and budget is not None else peak)

        def y(amount: Decimal) -> float:
            return round(bottom - (_MONEY - 34) * float(amount / scale), 1)

        currency = self.plan.account.currency
        self.parts.append(f'<text class="name" x="12" y="{top + 12}">Spent, {shown(currency)}</text>')
        for amount in steps:
            at = y(amount)
            self.parts.append(
                f'<path class="grid" d="M{LEFT} {at:g}H{WIDTH - RIGHT}"/>'
                f'<text class="scale" x="{LEFT - 8}" y="{at + 4:g}">{money(amount)}</text>'
            )
        path = f"M{self.x(self.first):g} {y(Decimal(0)):g}" + "".join(
            f"H{self.x(point.at):g}V{y(point.spent):g}" for point in rehearsal.spending
        )
        path += f"H{self.x(self.last):g}"
        self.parts.append(
            f'<path class="area" d="{path}V{bottom}H{self.x(self.first):g}Z"/><path class="curve" d="{path}"/>'
        )
        if budget is not None:
            told = shown(f"budget {Money(budget.amount, budget.currency)}")
            at = y(budget.amount) if drawn else top + 17
            if drawn:
                self.parts.append(f'<path class="budget" d="M{LEFT} {at:g}H{WIDTH - RIGHT}"/>')
            else:
                told += ", far above"
            self.parts.append(f'<text class="limit" x="{WIDTH - RIGHT}" y="{at - 5:g}">{told}</text>')


def _told(ending: Ending, zone: str | None) -> str:
    """Say in words what a mark stands for, as HTML."""
    parts = [f"{ending.name}: {ending.state.replace('_', ' ')}"]
    if ending.placed_at is not None:
        parts.append(f"placed {local(ending.placed_at, zone)}")
        if ending.settled_at is not None:
            parts.append(f"ended {local(ending.settled_at, zone)}")
        parts.append(f"{ending.delivered:,} of {ending.units:,} delivered")
    if ending.charge is not None:
        parts.append(f"charged {money(ending.charge)}")
    if ending.why:
        parts.append(ending.why)
    return "\n".join(shown(part) for part in parts)


def _lanes(endings: list[Ending], last: datetime) -> list[list[Ending]]:
    """Put runs that are open together side by side."""
    lanes: list[list[Ending]] = []
    free: list[datetime] = []
    placed = [ending for ending in endings if ending.placed_at or ending.slot]
    for ending in sorted(placed, key=lambda ending: ending.placed_at or ending.slot or last):
        begins = ending.placed_at or ending.slot or last
        ends = (ending.settled_at or last) if ending.placed_at else begins
        fitting = next((lane for lane, until in enumerate(free) if until <= begins), None)
        if fitting is None and len(lanes) < _LANES:
            fitting = len(lanes)
            lanes.append([])
            free.append(begins)
        lane = min(range(len(free)), key=free.__getitem__) if fitting is None else fitting
        lanes[lane].append(ending)
        free[lane] = max(free[lane], ends)
    return lanes


def _ticks(first: datetime, last: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, str]]:
    """Give marks on the local clock's own hours and midnights, at most about fifteen."""
    hours = next((step for step in _HOURS if (last - first) / (step * _HOUR) <= _LABELS), None)
    today = first.astimezone(zone).date()
    if hours is not None:
        for number in count():
            day = today + timedelta(days=number)
            for hour in range(0, 24, hours):
                moment = datetime.combine(day, time(hour), tzinfo=zone)
                at = moment.astimezone(UTC)
                if at >= last:
                    return
                if at >= first:
                    yield at, f"{moment:%a} {moment.day} {moment:%b}" if hour == 0 else f"{moment:%H:%M}"
    days = next((step for step in _DAYS if (last - first) / (step * _DAY) <= _LABELS), _DAYS[-1])
    offset = -today.weekday() if days % 7 == 0 else 0
    for number in count(1 if not offset else 0):
        day = today + timedelta(days=offset + number * days)
        moment = datetime.combine(day, time(0), tzinfo=zone)
        at = moment.astimezone(UTC)
        if at >= last:
            return
        if at >= first:
            yield at, f"{moment:%a} {moment.day} {moment:%b}" if days < _YEARLY else f"{moment.day} {moment:%b %Y}"


def _scale(highest: Decimal) -> tuple[list[Decimal], Decimal]:
    """Give round amounts up to the highest, and the height of the scale."""
    unit = Decimal(10) ** (highest.adjusted() - 1)
    step = next(unit * factor for factor in (1, 2, 5, 10, 20, 25, 50, 100) if highest / (unit * factor) <= _STEPS)
    steps = [step * number for number in range(int(highest / step) + 1)]
    return steps, max(highest, steps[-1]) * Decimal("1.04")


def _cut(text: str) -> str:
    return shown(text if len(text) <= _NAME else f"{text[: _NAME - 1]}…")
