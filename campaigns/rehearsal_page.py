"""A rehearsal as one HTML file: nothing is loaded from anywhere, nothing runs, every foreign word is escaped."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from campaigns.calendar import local
from campaigns.quantities import money_text as money
from campaigns.rehearsal_chart import WIDTH, draw, shown
from campaigns.rehearsal_text import assumption, occasion, tally
from campaigns.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from campaigns.plan import PlannedOrder
    from campaigns.rehearsed import Ending, Rehearsal

_OPENED = 12
"""Order runs up to which every order's table is unfolded at first."""
_LEGEND = (
    ("completed", "completed"),
    ("partial", "partial"),
    ("canceled", "canceled"),
    ("failed", "failed"),
    ("open", "never ending"),
    ("none", "skipped or never placed"),
)
_CHIPS = {"never ending": "open", "never placed": "none", "skipped": "none", "unknown": "open"}
_TWO_DAYS = 48
_STYLE = (
    """
:root{color-scheme:light dark;--bg:#f5f6f8;--card:#fff;--ink:#1b2330;--soft:#667085;--line:#e3e7ed;--odd:#f8f9fb;
--window:#e7edf7;--accent:#2f6fde;--area:#2f6fde1f;--completed:#2e9e6b;--partial:#e0a11b;--canceled:#8b95a5;
--failed:#d6455d;--open:#7c5cd6;--warn:#fff6e0;--warnline:#ecc765;--warnink:#6b4a00}
@media(prefers-color-scheme:dark){:root{--bg:#10141b;--card:#181e28;--ink:#e7ebf2;--soft:#94a0b3;--line:#2a3342;
--odd:#1c232f;--window:#222d40;--accent:#6ea0ff;--area:#6ea0ff26;--completed:#45bd86;--partial:#efb73e;--canceled:#7d8899;
--failed:#f0667c;--open:#a48bf0;--warn:#2e2614;--warnline:#6f5820;--warnink:#f3d893}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1240px;margin:0 auto;padding:32px 24px 48px}h1{font-size:26px;margin:0;letter-spacing:-.01em}
h2{font-size:16px;margin:0 0 12px}.sub{color:var(--soft);margin:4px 0 20px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(210px,1fr));gap:14px;margin-bottom:18px}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:18px 20px;margin-bottom:18px}
.tiles .card{margin:0;padding:14px 18px}.tiles span{color:var(--soft);font-size:13px}
.tiles b{display:block;font-size:22px;font-weight:650;letter-spacing:-.01em}
.warn{background:var(--warn);border-color:var(--warnline);color:var(--warnink)}.warn ul{margin:0;padding-left:20px}
.warn li{margin:3px 0}.chart{padding:10px 0 14px;overflow-x:auto}
.legend{display:flex;flex-wrap:wrap;gap:6px 18px;padding:4px 20px 0;color:var(--soft);font-size:13px}
.legend i{display:inline-block;width:16px;height:9px;border-radius:2px;margin-right:6px}
.legend i.window{height:13px;vertical-align:-2px}
"""
    f"svg{{display:block;width:100%;min-width:860px;max-width:{WIDTH + 40}px;height:auto}}"
    """
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--ink)}
svg .name{font-weight:600;font-size:13px}svg .small,svg .tick,svg .scale{fill:var(--soft);font-size:11px}
svg .scale{text-anchor:end}svg .limit{text-anchor:end;fill:var(--failed);font-weight:600}
svg .odd{fill:var(--odd)}svg .window,.legend .window{fill:var(--window);background:var(--window)}
svg .grid{stroke:var(--line);stroke-width:1;fill:none}svg .line{stroke:var(--line);stroke-width:1;fill:none}
svg .area{fill:var(--area)}svg .curve{fill:none;stroke:var(--accent);stroke-width:2;stroke-linejoin:round}
svg .budget{stroke:var(--failed);stroke-width:1.5;stroke-dasharray:6 4;fill:none}
.completed{fill:var(--completed);background:var(--completed)}.partial{fill:var(--partial);background:var(--partial)}
.canceled,.refunded{fill:var(--canceled);background:var(--canceled)}.failed{fill:var(--failed);background:var(--failed)}
.open{fill:var(--open);background:var(--open)}
.none{fill:var(--soft);opacity:.45;background:var(--soft)}.legend i.none{width:3px}
details{border-top:1px solid var(--line)}details:first-of-type{border-top:0}
summary{display:grid;grid-template-columns:16px minmax(120px,1.2fr) minmax(160px,2fr) minmax(120px,1fr) 110px;gap:14px;
align-items:center;padding:10px 0;cursor:pointer;list-style:none}summary::-webkit-details-marker{display:none}
summary:before{content:"▸";color:var(--soft)}details[open]>summary:before{content:"▾"}
summary b{overflow-wrap:anywhere}summary small{display:block;color:var(--soft);font-size:12.5px;overflow-wrap:anywhere}
.right{text-align:right;font-variant-numeric:tabular-nums}
.bar{height:6px;border-radius:3px;background:var(--line);margin-top:5px;overflow:hidden}
.bar i{display:block;height:100%;background:var(--completed)}
.chip{display:inline-block;border-radius:99px;padding:1px 9px;margin:1px 5px 1px 0;font-size:12.5px;color:#fff}
.chip.partial{color:#2b1d00}.chip.none{background:none;opacity:1;color:var(--soft);border:1px solid var(--soft)}
.scroll{overflow-x:auto;margin:0 0 12px 30px}table{border-collapse:collapse;width:100%;font-size:13.5px}
th{color:var(--soft);font-weight:500;text-align:left}th,td{padding:4px 14px 4px 0;border-top:1px solid var(--line)}
tr:first-child th{border-top:0}td.right,th.right{text-align:right}td{white-space:nowrap}
td:last-child{white-space:normal}
.foot{color:var(--soft);font-size:13px}@media(prefers-color-scheme:dark){.chip{color:#0d1117}}
@media(max-width:720px){main{padding:20px 12px}summary{grid-template-columns:16px 1fr 110px}summary>.wide{display:none}}
@media print{body{background:#fff}.card{break-inside:avoid}}
"""
)


def render_page(rehearsal: Rehearsal) -> str:
    """Give the whole file."""
    plan = rehearsal.plan
    title = shown(f"Rehearsal of {plan.name}")
    body = "".join(
        (
            f'<h1>{title}</h1><p class="sub">{shown(_subtitle(rehearsal))}</p>',
            _tiles(rehearsal),
            _warnings(rehearsal),
            f'<section class="card chart">{draw(rehearsal)}{_legend(rehearsal)}</section>',
            f'<section class="card"><h2>How every order ends</h2>{"".join(_orders(rehearsal))}</section>',
            f'<p class="foot">{shown(_footing(rehearsal))}</p>',
        )
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )


def _subtitle(rehearsal: Rehearsal) -> str:
    start = rehearsal.start.astimezone(ZoneInfo(rehearsal.plan.timezone or "UTC"))
    began = f"{local(rehearsal.start, rehearsal.plan.timezone)}".replace(f" {start:%H:%M}", f" {start:%Y %H:%M}", 1)
    slot = f" ({occasion(rehearsal)})" if rehearsal.slot else ""
    return f"Account {rehearsal.plan.account.name}, starting {began}{slot}. Assumed: {assumption(rehearsal)}."


def _footing(rehearsal: Rehearsal) -> str:
    return (
        f"Seed {rehearsal.seed}, start {rehearsal.start:%Y-%m-%d %H:%M} UTC. Times are those of "
        f"{rehearsal.plan.timezone or 'UTC'}. The campaign's own engine was run against an imagined panel; nothing was "
        "ordered. What a panel really does, only the campaign shows."
    )


def _tiles(rehearsal: Rehearsal) -> str:
    plan = rehearsal.plan
    budget = f"of a budget of {money(plan.budget.amount)}" if plan.budget else "without a budget"
    percent = 100 * rehearsal.delivered / rehearsal.units if rehearsal.units else 0
    counts = ", ".join(f"{number:,} {word}" for word, number in tally(rehearsal.endings).items())
    over = "the last thing that happens: it does not end by itself"
    if rehearsal.finished:
        over = f"{rehearsal.state.value}, {_roughly(rehearsal.ends_at - rehearsal.start)} after the start"
    tiles = (
        (f"{money(rehearsal.spent)} {plan.account.currency}", f"spent {budget}, planned {money(plan.cost)}"),
        (f"{percent:.1f}%", f"delivered: {rehearsal.delivered:,} of {rehearsal.units:,} units"),
        (count(plan.runs, "order run"), counts),
        (_short(local(rehearsal.ends_at, plan.timezone)), over),
    )
    cards = (f'<div class="card"><b>{shown(value)}</b><span>{shown(words)}</span></div>' for value, words in tiles)
    return f'<div class="tiles">{"".join(cards)}</div>'


def _roughly(span: timedelta) -> str:
    hours = round(span / timedelta(hours=1))
    return f"{hours // 24} days" if hours > _TWO_DAYS else count(hours, "hour")


def _short(moment: str) -> str:
    """Leave the zone out of a moment; the page names it once."""
    return " ".join(moment.split(" ")[:4])


def _warnings(rehearsal: Rehearsal) -> str:
    if not rehearsal.warnings:
        return ""
    items = "".join(f"<li>{shown(warning)}</li>" for warning in rehearsal.warnings)
    return f'<section class="card warn"><h2>Worth knowing before the start</h2><ul>{items}</ul></section>'


def _legend(rehearsal: Rehearsal) -> str:
    entries = [f'<span><i class="{kind}"></i>{words}</span>' for kind, words in _LEGEND]
    if any(order.window is not None for order in rehearsal.plan.orders):
        entries.append('<span><i class="window"></i>window open</span>')
    return f'<div class="legend">{"".join(entries)}</div>'


def _orders(rehearsal: Rehearsal) -> Iterator[str]:
    by_order: defaultdict[str, list[Ending]] = defaultdict(list)
    for ending in rehearsal.endings:
        by_order[ending.order].append(ending)
    opened = " open" if len(rehearsal.endings) <= _OPENED else ""
    for order in rehearsal.plan.orders:
        own = by_order[order.id]
        yield f"<details{opened}>{_summary(order, own)}{_table(own, rehearsal.plan.timezone)}</details>"


def _summary(order: PlannedOrder, endings: Sequence[Ending]) -> str:
    chips = "".join(
        f'<span class="chip {_CHIPS.get(word, word)}">{number:,} {word}</span>'
        for word, number in tally(endings).items()
    )
    units = sum(ending.units for ending in endings if not ending.replaces)
    delivered = sum(ending.delivered for ending in endings)
    charged = sum((ending.charge or Decimal(0) for ending in endings), Decimal(0))
    percent = min(100 * delivered // units, 100) if units else 0
    return (
        f"<summary><span><b>{shown(order.id)}</b><small>{shown(order.service_name)} ({order.service})</small></span>"
        f'<span class="wide">{chips}</span>'
        f'<span class="wide"><small>{delivered:,} of {units:,}</small>'
        f'<div class="bar"><i style="width:{percent}%"></i></div></span>'
        f'<span class="right">{money(charged)}</span></summary>'
    )


def _table(endings: Sequence[Ending], zone: str | None) -> str:
    head = (
        "<tr><th>run</th><th>placed</th><th>ended</th><th>state</th>"
        '<th class="right">delivered</th><th class="right">of</th><th class="right">charged</th><th></th></tr>'
    )
    rows = []
    for ending in endings:
        placed = _short(local(ending.placed_at, zone)) if ending.placed_at else ""
        ended = _short(local(ending.settled_at, zone)) if ending.settled_at else ""
        charge = money(ending.charge) if ending.charge is not None else ""
        why = f"{ending.why}, {ending.refills} refilled" if ending.refills and ending.why else ending.why
        why = why or (f"refilled {ending.refills} times" if ending.refills > 1 else "refilled" * ending.refills)
        rows.append(
            f"<tr><td>{shown(ending.name)}</td><td>{placed}</td><td>{ended}</td>"
            f'<td>{shown(ending.state.replace("_", " "))}</td><td class="right">{ending.delivered:,}</td>'
            f'<td class="right">{ending.units:,}</td><td class="right">{charge}</td><td>{shown(why)}</td></tr>'
        )
    return f'<div class="scroll"><table>{head}{"".join(rows)}</table></div>'
