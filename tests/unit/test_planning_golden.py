"""Golden pairs: a campaign file in, its plan and calendar out.

Beside each ``golden/plans/*.yaml`` stands the ``*.txt`` it must give. Comments at the top of the file say when it is
planned and what the panel's ``balance`` answered. After a wanted change run ``UPDATE_GOLDEN=1 pytest tests/unit``, and
read the difference before committing it.
"""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from campaigns.accounts import AccountFacts
from campaigns.calendar import local
from campaigns.loading import Loaded, Located, load
from campaigns.plan import ServiceFacts
from campaigns.planning import Planned, calendar_of, make_plan

PLANS = Path(__file__).parent / "golden" / "plans"
FILES = sorted(PLANS.glob("*.yaml"))
CATALOG = {
    facts.service: facts for facts in map(ServiceFacts.model_validate, json.loads((PLANS / "catalog.json").read_text()))
}
ACCOUNT = AccountFacts(
    name="main", allowed_targets=["https://www.youtube.com/watch?v=*", "https://example.com/brand/*"]
)


def render(loaded: Loaded, planned: Planned, now: datetime) -> str:
    lines = [told("problem", located) for located in loaded.locate(planned.problems)]
    lines += [told("warning", located) for located in loaded.locate(planned.warnings)]
    if (plan := planned.plan) is not None:
        lines += ["", f"{plan.name}: {plan.runs} order runs for {plan.cost:f} {plan.account.currency}", ""]
        for order in plan.orders:
            feed = f", {order.panel_runs} times every {order.panel_interval}m by the panel" if order.panel_runs else ""
            lines.append(
                f"{order.id}: {order.service_name} ({order.service}) x {order.quantity} = {order.cost:f}{feed}"
            )
        lines.append("")
        for run in calendar_of(plan, now):
            when = f"{run.at:%Y-%m-%d %H:%M}Z  {local(run.at, plan.timezone)}"
            what = f"{run.order} {run.run}/{run.runs}: {run.quantity} = {run.cost:f}"
            waits = f"  after {run.waits_for}" if run.waits_for else ""
            lines.append(f"{' ' if run.exact else '>'} {when}  {what}{waits}")
    return "\n".join(lines).strip("\n") + "\n"


def told(kind: str, located: Located) -> str:
    return f"{kind}: {located}" + (f" ({located.problem.hint})" if located.problem.hint else "")


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_a_file_gives_the_plan_kept_beside_it(file: Path) -> None:
    text = file.read_text()
    given = dict(re.findall(r"^# (now|balance|billed_currency): (\S+)$", text, re.MULTILINE))
    now = datetime.fromisoformat(given["now"])
    loaded = load(text, path=file.name, env={})
    assert loaded.definition is not None, loaded.errors
    planned = make_plan(
        loaded.definition,
        ACCOUNT,
        CATALOG,
        now,
        balance=Decimal(given["balance"]) if "balance" in given else None,
        billed_currency=given.get("billed_currency"),
    )
    found, kept = render(loaded, planned, now), file.with_suffix(".txt")
    if os.environ.get("UPDATE_GOLDEN"):
        kept.write_text(found)
    assert found == kept.read_text()


def test_every_kept_plan_has_its_file() -> None:
    assert {kept.stem for kept in PLANS.glob("*.txt")} == {file.stem for file in FILES}
