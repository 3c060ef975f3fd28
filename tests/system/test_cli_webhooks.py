"""`campaigner webhooks`: endpoints are listed, registered and removed, and a secret is shown once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.system.cli_rig import new_desk, practice_panel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.server import Sandbox
    from tests.system.cli_rig import Desk

URL = "https://hooks.example.com/main"
"""Nothing is ordered at this panel, so nothing is ever delivered there."""


@pytest.fixture
def panel() -> Iterator[Sandbox]:
    with practice_panel() as box:
        yield box


@pytest.fixture
def clerk(panel: Sandbox, tmp_path: Path) -> Desk:
    return new_desk(tmp_path, panel.url, None)


def test_an_endpoint_is_registered_shown_without_its_secret_and_removed(clerk: Desk) -> None:
    assert "delivers nowhere" in clerk.ok("webhooks").err
    added = clerk.ok("webhooks", "main", "--add", URL, "--event", "order.completed", "--event", "order.failed")
    (id_,) = (word for word in added.out.split() if word.startswith("whk_"))
    secret = added.out.splitlines()[1].removeprefix("secret ")
    assert secret.startswith("whsec_")
    for word in ("only time", "webhook_secret: ${NOTPANEL_WEBHOOK_SECRET}", "campaigner receiver"):
        assert word in added.err
    assert secret not in added.err
    assert "ends otherwise" not in added.err
    listed = clerk.ok("webhooks")
    assert all(word in listed.out for word in ("main", id_, URL, "order.completed, order.failed"))
    assert secret not in listed.out + listed.err
    assert "removed" in clerk.ok("webhooks", "main", "--remove", id_).out
    assert clerk.ok("webhooks", "--json").json == []


def test_programs_are_told_the_same(clerk: Desk) -> None:
    added = clerk.ok("webhooks", "--add", URL, "--json").json
    assert set(added) == {"account", "id", "url", "events", "secret"}
    row = {name: value for name, value in added.items() if name != "secret"}
    assert len(row["events"]) == 4
    assert clerk.ok("webhooks", "main", "--json").json == [row]
    removed = clerk.ok("webhooks", "main", "--remove", added["id"], "--json").json
    assert removed == {"account": "main", "id": added["id"], "removed": True}


def test_what_the_panel_refuses_or_nobody_can_mean_is_told(clerk: Desk) -> None:
    clerk.run("webhooks", "main", "--add", "http://127.0.0.1:1/").failed_with(1, "public https URL")
    clerk.run("webhooks", "main", "--remove", "whk_1").failed_with(1, "Webhook not found")
    clerk.run("webhooks", "main", "--add", URL, "--event", "order.eaten").failed_with(1, "Unknown event: order.eaten")
    for arguments, words in (
        (("--add", "ftp://example.com/"), "--add: "),
        (("--remove", "a b"), "--remove: "),
        (("--add", URL, "--remove", "x"), "either --add URL or --remove ID"),
        (("--event", "order.failed"), "--add"),
        (("--add", URL, "--event", "a,b"), "--event may stand several times"),
        (("mian",), 'did you mean "main"?'),
    ):
        given = arguments if arguments == ("mian",) else ("main", *arguments)
        clerk.run("webhooks", *given).failed_with(2, words)
    assert clerk.ok("webhooks", "--json").json == []


def test_a_lost_answer_says_that_the_secret_is_lost_with_it(clerk: Desk, panel: Sandbox) -> None:
    panel.arm("webhook.add:drop_after=1x1")
    lost = clerk.run("webhooks", "main", "--add", URL, "--json")
    lost.failed_with(1, "its secret is lost", "--remove ID", "add it again")
    assert lost.json["error"]["kind"] == "panel"
    assert len(clerk.ok("webhooks", "--json").json) == 1


def test_a_url_that_ends_otherwise_than_the_receivers_is_taken_and_said(clerk: Desk) -> None:
    added = clerk.ok("webhooks", "main", "--add", "https://hooks.example.com/panel")
    assert "takes them at /main, and this URL ends otherwise" in added.err


def test_of_several_accounts_one_that_does_not_answer_hides_no_other(clerk: Desk, panel: Sandbox) -> None:
    account = {"url": panel.url, "api_key": "${PANEL_KEY}"}
    accounts = {"main": account, "gone": {**account, "url": "http://127.0.0.1:9/api/v2"}}
    (clerk.folder / "campaigner.yaml").write_text(json.dumps({"accounts": accounts}))
    clerk.run("webhooks", "--add", URL).failed_with(2, "which account? name one of main, gone")
    clerk.ok("webhooks", "main", "--add", URL)
    listed = clerk.run("webhooks", "--json")
    assert listed.code == 1
    (first, second) = listed.json
    assert (first["account"], first["url"]) == ("main", URL)
    assert (second["account"], second["id"]) == ("gone", None)
    assert "account gone" in second["error"]
    assert URL in clerk.run("webhooks").failed_with(1, "account gone").out


def test_a_receiver_that_could_believe_nothing_does_not_start(clerk: Desk) -> None:
    told = clerk.run("receiver", "--port", "0", PANEL_KEY=None)
    told.failed_with(2, "has a webhook_secret", "`campaigner webhooks ACCOUNT --add URL`")
    path = clerk.folder / "campaigner.yaml"
    path.write_text(path.read_text() + "    webhook_secret: ${HOOK_SECRET:?the webhook's}\n")
    clerk.run("receiver", "--port", "0").failed_with(2, "HOOK_SECRET is not set: the webhook's")
    clerk.run("receiver", "--port", "0", HOOK_SECRET="x", TEMPORAL_ADDRESS="127.0.0.1:9").failed_with(
        1, "no Temporal server answers at 127.0.0.1:9"
    )


def test_a_sandbox_delivers_to_this_machine_when_it_may(clerk: Desk) -> None:
    going = clerk.begin("sandbox", "--port", "0", "--local-webhooks", "--json")
    url = json.loads(going.says('"url"'))["url"]
    path = clerk.folder / "campaigner.yaml"
    path.write_text(json.dumps({"accounts": {"main": {"url": url, "api_key": "${PANEL_KEY}"}}}))
    local = "http://127.0.0.1:8090/main"
    assert clerk.ok("webhooks", "main", "--add", local, "--json").json["url"] == local
    assert going.stop() == 0
    clerk.close()
