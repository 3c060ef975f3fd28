"""The commands about campaigns and the panel, each as a person or a script uses it."""

from __future__ import annotations

import json
import signal
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from temporalio.client import Client

from tests.system.cli_rig import ENDLESS, KEY, eventually

if TYPE_CHECKING:
    from embedded import Embedded
    from sandbox.server import Sandbox
    from tests.system.cli_rig import Desk

ROW = {
    "order", "run", "service", "link", "quantity", "request_id", "panel_order", "state", "delivered", "charge", "due",
    "placed_at", "settled_at", "why",
}  # fmt: skip
LONG = "  - {id: views, service: 101, target: film, quantity: 120_000, drip: {runs: 600, every: 2h}}"


def _orders(box: Sandbox) -> int:
    return int(box.ledger()["count"])


def test_a_plan_shows_every_run_and_what_it_costs_and_orders_nothing(desk: Desk, box: Sandbox) -> None:
    before = _orders(box)
    name = desk.write(
        "  - {id: seed, service: 102, target: film, quantity: 500}\n"
        "  - {id: views, service: 101, target: film, after: seed, quantity: 3_000, drip: {runs: 3, every: 90m}}"
    )
    shown = desk.ok("plan", f"{name}.yaml").out
    assert "Europe/Istanbul" in shown
    assert "views 3/3" in shown
    assert "leaves 46.70" in shown
    told = desk.ok("plan", f"{name}.yaml", "--json").json
    assert (told["cost"], told["budget"], told["problems"]) == ("3.30", "50.00 USD", [])
    assert [(run["order"], run["run"], run["quantity"], run["exact"]) for run in told["runs"]] == [
        ("seed", 1, 500, True), ("views", 1, 1000, False), ("views", 2, 1000, False), ("views", 3, 1000, False),
    ]  # fmt: skip
    assert told["runs"][0]["at"].endswith("Z")
    assert told["runs"][0]["at_local"].endswith("+03:00")
    assert _orders(box) == before


def test_a_long_drip_is_abbreviated_unless_all_is_asked_for(desk: Desk) -> None:
    name = desk.write(LONG.replace("120_000", "60_000"))
    file = desk.folder / f"{name}.yaml"
    file.write_text(file.read_text().replace("50.00 USD", "900.00 USD"))
    brief, full = desk.ok("plan", file.name).out, desk.ok("plan", file.name, "--all").out
    assert "597 more" in brief
    assert "views 600/600" in brief
    assert len(brief.splitlines()) < 20
    assert full.count("/600  ") == 600


def test_what_the_catalog_contradicts_is_shown_in_the_file_and_nothing_is_started(desk: Desk, box: Sandbox) -> None:
    before = _orders(box)
    name = desk.write(
        "  - {id: few, service: 101, target: film, quantity: 50}\n"
        "  - {id: gone, service: 114, target: film, quantity: 500}\n"
        "  - {id: dear, service: 106, target: film, quantity: 1_000, drip: {runs: 10, every: 1h}}\n"
        "  - {id: dearer, service: 104, target: film, quantity: 10_000, drip: {runs: 2, every: 1h}}\n"
        "  - {id: dearest, service: 105, target: film, quantity: 10_000, drip: {runs: 2, every: 1h}}"
    )
    words = ("8:43: orders[0].quantity", "below the minimum 100", "9:16: orders[1].service", "above the budget", "^")
    desk.run("plan", f"{name}.yaml").failed_with(2, *words)
    problems = desk.run("plan", f"{name}.yaml", "--json").failed_with(2).json["problems"]
    assert [problem["field"] for problem in problems] == ["limits.budget", "orders[0].quantity", "orders[1].service"]
    desk.run("start", f"{name}.yaml").failed_with(2, "nothing was started", *words)
    desk.run("status", name).failed_with(1, f"there is no campaign {name}")
    assert _orders(box) == before


def test_a_link_outside_allowed_targets_is_refused_at_plan_and_start(desk: Desk) -> None:
    name = desk.write("  - {id: seed, service: 102, link: 'https://example.org/x', quantity: 500}")
    desk.run("plan", f"{name}.yaml").failed_with(2, "allowed_targets")
    desk.run("start", f"{name}.yaml").failed_with(2, "allowed_targets", "nothing was started")


def test_a_campaign_is_started_once_followed_to_its_end_and_told_by_the_contract(desk: Desk, box: Sandbox) -> None:
    name = desk.write()
    done = desk.ok("start", f"{name}.yaml", "--wait", "--json")
    told = done.json
    assert {"id", "run_id", "state", "budget", "spent", "reserved", "orders"} <= told.keys()
    assert (told["id"], told["state"], told["spent"]) == (f"campaign/{name}", "completed", "0.60")
    (row,) = told["orders"]
    assert row.keys() >= ROW
    booked = {order["order"]: order for order in box.ledger()["orders"]}[row["panel_order"]]
    assert (booked["request_id"], Decimal(booked["charge"])) == (row["request_id"], Decimal(row["charge"]))
    assert desk.ok("status", name, "--json").json == told, "closed campaigns are told alike"
    assert desk.ok("status", f"campaign/{name}", "--json").json == told
    assert "✓ completed" in desk.ok("status", name).out
    again = desk.run("start", f"{name}.yaml").failed_with(1, "was started before; nothing was started now", "--again")
    assert again.out == ""
    bought_again = desk.ok("start", f"{name}.yaml", "--again", "--json").json
    assert bought_again["run_id"] != told["run_id"]
    desk.ok("watch", name)


def test_start_says_where_to_watch_and_the_status_of_a_running_campaign_is_asked_of_it(desk: Desk) -> None:
    name = desk.write(ENDLESS)
    started = desk.ok("start", f"{name}.yaml")
    assert f"started campaign/{name}: 1 order run, planned cost 0.35 USD" in started.out
    assert f"campaigner watch {name}" in started.err
    open_order = eventually(lambda: _pending(desk, name))
    assert (open_order["state"], open_order["spent"]) == ("running", "0.35")
    listed = eventually(lambda: _listed(desk, name, "--state", "running", "--account", "main"))
    assert {"id", "run_id", "name", "state", "spent", "open", "started"} <= listed.keys()
    assert listed["state"] == "running"
    assert not _listed(desk, name, "--state", "completed")
    assert name in desk.ok("list").out


def _pending(desk: Desk, name: str) -> Any:
    told = desk.ok("status", name, "--json").json
    ready = told["orders"] and told["orders"][0]["state"] == "pending" and told["spent"] != "0.00"
    return told if ready else None


def _listed(desk: Desk, name: str, *options: str) -> Any:
    return next((row for row in desk.ok("list", "--json", *options).json if row["name"] == name), None)


def test_a_person_pauses_resumes_and_cancels_and_the_campaign_remembers_who_and_why(desk: Desk, box: Sandbox) -> None:
    name = desk.write(ENDLESS)
    desk.ok("start", f"{name}.yaml")
    assert eventually(lambda: _pending(desk, name))
    assert desk.ok("pause", name, "--why", "the film is late", "--json").json["state"] == "paused"
    shown = desk.ok("status", name).out
    assert "paused by ada: the film is late" in shown
    assert " Europe/Istanbul  pause by ada: the film is late" in shown, "as `next:` tells moments"
    desk.run("resolve", name, "stuck/1", "--not-placed").failed_with(1, "stuck/1 is pending, not unknown")
    desk.run("resolve", name, "stuck/1", "--placed", "ord_1").failed_with(1, "does not know the order ord_1")
    assert "goes on" in desk.ok("resume", name).out
    assert "being canceled" in desk.ok("cancel", name, "--why", "enough").out
    told = desk.run("watch", name, "--json").failed_with(1)
    last = json.loads(told.out.splitlines()[-1])
    assert (last["state"], last["spent"], last["orders"][0]["state"]) == ("canceled", "0.00", "canceled")
    assert [(decision["what"], decision["by"], decision["why"]) for decision in last["decisions"]] == [
        ("pause", "ada", "the film is late"), ("resume", "ada", ""), ("cancel", "ada", "enough"),
    ]  # fmt: skip
    desk.run("pause", name).failed_with(1, f"{name} has ended (canceled); there is nothing to pause")
    assert box.ledger()["violations"] == []


def test_start_wait_fails_when_the_campaign_does_not_complete(desk: Desk) -> None:
    name = desk.write(ENDLESS)
    waiting = desk.begin("start", f"{name}.yaml", "--wait")
    waiting.says("pending")
    desk.ok("cancel", name)
    assert waiting.wait() == 1
    assert any("canceled" in line for line in waiting.out)


def test_ctrl_c_stops_the_watching_only(desk: Desk) -> None:
    name = desk.write(ENDLESS)
    desk.ok("start", f"{name}.yaml")
    watching = desk.begin("watch", name)
    watching.says("pending")
    assert watching.stop(signal.SIGINT) == 130
    assert f"stopped watching; {name} goes on" in watching.err
    assert desk.ok("status", name, "--json").json["state"] == "running"
    desk.ok("cancel", name)


async def test_every_page_of_order_rows_is_fetched_and_a_terminated_campaign_is_told_as_failed(
    desk: Desk, desk_temporal: Embedded
) -> None:
    name = desk.write(LONG)
    file = desk.folder / f"{name}.yaml"
    file.write_text(file.read_text().replace("50.00 USD", "900.00 USD"))
    desk.ok("start", file.name)
    told = eventually(lambda: _rows(desk, name))
    assert [row["run"] for row in told["orders"]] == list(range(1, 601))
    shown = desk.ok("status", name).out
    assert "540 more" in shown
    assert desk.ok("status", name, "--all").out.count("/600  ") == 600
    client = await Client.connect(desk_temporal.address)
    await client.get_workflow_handle(f"campaign/{name}").terminate(reason="a mistake")
    told = desk.ok("status", name, "--json").json
    assert (told["state"], told["execution"], len(told["orders"])) == ("failed", "terminated", 600)
    assert "a mistake" in told["why"]
    assert eventually(lambda: _listed(desk, name, "--state", "failed"))["execution"] == "terminated"


def _rows(desk: Desk, name: str) -> Any:
    told = desk.ok("status", name, "--json").json
    return told if told["orders"] else None


async def test_a_campaign_that_failed_at_its_start_is_told_with_the_reason(desk: Desk, desk_temporal: Embedded) -> None:
    client = await Client.connect(desk_temporal.address)
    document = {"version": 1, "name": "raw-json", "account": "main", "orders": [{"id": "a", "service": 101}]}
    await client.start_workflow("Campaign", document, id="campaign/raw-json", task_queue="campaigns")
    desk.run("watch", "raw-json").failed_with(1)
    told = desk.ok("status", "raw-json", "--json").json
    assert (told["state"], told["orders"]) == ("failed", [])
    assert "needs a target or a link" in told["why"]


def test_the_catalog_can_be_searched(desk: Desk) -> None:
    found = desk.ok("services", "--search", "VIEWS fast", "--json").json
    assert [(service["service"], service["rate"], service["max"]) for service in found] == [(102, "1.20", 1_000_000)]
    shown = desk.ok("services").out
    assert "1,000,000" in shown
    assert KEY not in shown
    assert "no service with" in desk.ok("services", "--search", "nonsense").err


def test_the_balance_is_the_panels(desk: Desk, box: Sandbox) -> None:
    (row,) = desk.ok("balance", "--json").json
    assert (row["account"], row["currency"]) == ("main", "USD")
    assert Decimal(row["balance"]) <= Decimal(box.ledger()["opening_balance"])
    assert " USD" in desk.ok("balance").out
    desk.run("balance", "--account", "other").failed_with(2, "other", "main")
