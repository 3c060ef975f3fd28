"""The ledger as a page for a person: plain HTML that reloads itself, without a script. Everything is escaped."""

from __future__ import annotations

from html import escape
from typing import Any

NEWEST = 300
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_ENDED_BADLY = {"canceled", "refunded", "fail"}
_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--dim:#6a7483;--line:#e3e7ec;--page:#fff;--band:#f6f8fa;--bar:#3b7dd8;
--good:#1a7f4b;--warn:#9a6700;--bad:#b42318}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--dim:#98a2b1;--line:#2d3540;--page:#14181e;--band:#1b2129;
--bar:#5b9bf0;--good:#4cc38a;--warn:#e0b04a;--bad:#f2756a}}
*{box-sizing:border-box}body{margin:0;padding:24px 28px 60px;background:var(--page);color:var(--ink);
font:14px/1.45 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:20px;margin:0}h2{font-size:15px;margin:28px 0 8px}p{margin:2px 0 0}.dim{color:var(--dim)}
.tiles{display:flex;flex-wrap:wrap;gap:12px;margin:18px 0 4px}
.tile{border:1px solid var(--line);border-radius:8px;padding:10px 16px;min-width:120px;background:var(--band)}
.tile b{display:block;font-size:19px;font-variant-numeric:tabular-nums}.tile span{color:var(--dim);font-size:12px}
.tile.alarm b{color:var(--bad)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}
th{font-size:12px;font-weight:600;color:var(--dim);text-align:left;white-space:nowrap}
th,td{padding:6px 14px 6px 0;border-bottom:1px solid var(--line);vertical-align:top}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.nw{white-space:nowrap}
code{white-space:nowrap;font:12px/1.5 ui-monospace,"DejaVu Sans Mono",monospace}
.link{max-width:300px;overflow-wrap:anywhere}
.bar{width:90px;height:6px;border-radius:3px;background:var(--line);overflow:hidden;margin-top:4px}
.bar i{display:block;height:100%;background:var(--bar)}
.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}
"""


def page(ledger: dict[str, Any]) -> str:
    """The whole page; it reloads every two seconds."""
    currency = escape(ledger["currency"])
    rows = "".join(map(_row, ledger["orders"])) or '<tr><td colspan="8" class="dim">No order yet.</td></tr>'
    shown = len(ledger["orders"])
    more = f", the newest {shown} shown" if shown < ledger["count"] else ""
    requests = ", ".join(f"{escape(action)} {count}" for action, count in sorted(ledger["requests"].items()))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(ledger["balance"])} {currency} · sandbox panel</title><style>{_STYLE}</style></head><body>
<h1>Sandbox panel</h1>
<p class="dim">A panel to practise on: nothing here is real. Sandbox time {_when(ledger["now"])} UTC,
{ledger["speed"]:g} times as fast as yours. Reloads by itself. <a href="/ledger.json">JSON</a></p>
<div class="tiles">
{_tile("balance", f"{ledger['balance']} {currency}")}
{_tile("opening balance", f"{ledger['opening_balance']} {currency}")}
{_tile("topped up", f"{ledger['topped_up']} {currency}") if float(ledger["topped_up"]) else ""}
{_tile("orders", str(ledger["count"]))}
{_tile("violations", str(len(ledger["violations"])), alarm=bool(ledger["violations"]))}
{_tile("over the rate limit", str(ledger["throttled"]), alarm=bool(ledger["throttled"]))}
</div>
<p class="dim">Requests: {requests or "none yet"}{_faults(ledger["faults"])}</p>
{_violations(ledger["violations"])}
<h2>Orders <span class="dim">({ledger["count"]}{more})</span></h2>
<div class="scroll"><table><thead><tr><th>Placed</th><th>Order and request id</th><th>Service</th><th>Link</th>
<th class="n">Quantity</th><th>Status</th><th>Delivered</th><th class="n">Charge, {currency}</th></tr></thead>
<tbody>{rows}</tbody></table></div>
</body></html>"""


def _when(at: str) -> str:
    return escape(at.replace("T", " ")[:19])


def _tile(label: str, value: str, *, alarm: bool = False) -> str:
    return f'<div class="tile{" alarm" if alarm else ""}"><b>{escape(value)}</b><span>{escape(label)}</span></div>'


def _faults(fired: dict[str, int]) -> str:
    if not fired:
        return ""
    return ". Faults so far: " + ", ".join(f"{escape(name)} {count}" for name, count in sorted(fired.items()))


def _violations(violations: list[dict[str, Any]]) -> str:
    if not violations:
        return ""
    rows = "".join(
        f'<tr><td class="nw">{_when(found["at"])}</td><td class="bad nw">{escape(found["kind"])}</td>'
        f"<td><code>{escape(found['request_id'] or '')}</code></td><td>{escape(found['detail'])}</td></tr>"
        for found in reversed(violations[-50:])
    )
    return (
        '<h2 class="bad">Violations</h2><div class="scroll"><table><thead><tr><th>At</th><th>Kind</th>'
        f"<th>Request id</th><th>Detail</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(order: dict[str, Any]) -> str:
    total, delivered = order["total"], order["delivered"]
    percent = round(100 * delivered / total) if total else 0
    status = str(order["status"])
    plain = status.lower().replace(" ", "_")
    tone = "good" if plain == "completed" else "bad" if plain in _ENDED_BADLY else "warn" if plain == "partial" else ""
    notes = [f"{order['runs']} runs, every {order['interval']} min"] if order["runs"] > 1 else []
    notes += [f"coupon {order['coupon']}"] if order["coupon"] else []
    aside = "".join(f'<div class="dim">{escape(note)}</div>' for note in notes)
    events = ["cancel asked"] if order["cancel_requested_at"] and not order["ended_at"] else []
    events += [f"refills: {len(order['refills'])}"] if order["refills"] else []
    below = "".join(f'<div class="dim">{escape(event)}</div>' for event in events)
    refunded = f'<div class="dim">of {escape(order["charged"])}</div>' if order["charge"] != order["charged"] else ""
    ids = f"{escape(str(order['order']))}<br>"
    bar = f'<div class="bar"><i style="width:{max(0, min(percent, 100))}%"></i></div>'
    return (
        f'<tr><td class="nw">{_when(order["placed_at"])}</td>'
        f'<td><code>{ids}<span class="dim">{escape(order["request_id"] or "—")}</span></code></td>'
        f"<td>{order['service']} {escape(order['service_name'])}{aside}</td>"
        f'<td class="link">{escape(order["link"])}</td><td class="n">{total:,}</td>'
        f'<td class="nw {tone}">{escape(status.replace("_", " "))}{below}</td>'
        f'<td class="nw">{delivered:,} · {percent} %{bar}</td>'
        f'<td class="n">{escape(order["charge"])}{refunded}</td></tr>'
    )
