"""Bad luck: each gets one clear sentence that says what to do, an exit code, and never a traceback."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import commands.halting
from activities.contracts import CAMPAIGNS_QUEUE, account_id
from commands.console import CommandError
from connection import connect
from embedded import embedded_temporal
from tests.system.cli_rig import ENDLESS, KEY, PATIENCE, PROGRAM, eventually, new_desk
from workflows import halting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from embedded import Embedded
    from sandbox.server import Sandbox
    from tests.system.cli_rig import Desk

NOBODY = "127.0.0.1:9"
NO_PANEL = f"http://{NOBODY}/api/v2"


@contextmanager
def _mute() -> Iterator[str]:
    """Something that listens and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture(scope="module")
def lonely(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """A Temporal server for which nobody ever works."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        log = tmp_path_factory.mktemp("lonely") / "temporal.log"
        yield runner.run(stack.enter_async_context(embedded_temporal(port=0, ui_port=0, log=log)))
        runner.run(stack.aclose())


def test_without_a_configuration_every_command_that_needs_one_says_where_it_should_be(tmp_path: Path) -> None:
    desk = new_desk(tmp_path, NO_PANEL, NOBODY)
    name = desk.write()
    (tmp_path / "campaigner.yaml").unlink()
    for command in (["plan", f"{name}.yaml"], ["balance"], ["dev"], ["worker"]):
        desk.run(*command).failed_with(2, "there is no configuration at campaigner.yaml", "CAMPAIGNER_CONFIG")


def test_without_a_key_the_variable_is_named(tmp_path: Path) -> None:
    desk = new_desk(tmp_path, NO_PANEL, NOBODY)
    desk.run("balance", PANEL_KEY=None).failed_with(2, "PANEL_KEY", "set it to your panel key")


def test_only_the_key_of_the_account_in_question_is_needed(tmp_path: Path, box: Sandbox) -> None:
    desk = new_desk(tmp_path, box.url, NOBODY)
    file = desk.folder / "campaigner.yaml"
    file.write_text(f"{file.read_text()}  other:\n    url: {box.url}\n    api_key: ${{OTHER_KEY:?ask Mary for it}}\n")
    campaign = f"{desk.write()}.yaml"
    for command in (["services", "--account", "main"], ["balance", "--account", "main"], ["plan", campaign]):
        desk.ok(*command)
    desk.run("start", campaign).failed_with(1, "no Temporal server answers")
    for command in (["services", "--account", "other"], ["balance", "--account", "other"]):
        desk.run(*command).failed_with(2, "OTHER_KEY", "ask Mary for it")
    desk.run("start", campaign, PANEL_KEY=None).failed_with(2, "PANEL_KEY")
    desk.run("worker").failed_with(2, "OTHER_KEY")
    main, other = desk.run("balance", "--json").failed_with(1, "OTHER_KEY").json
    assert main["balance"] is not None
    assert "OTHER_KEY is not set" in other["error"]


def test_a_wrong_key_is_refused_by_the_panel_and_never_shown(desk: Desk) -> None:
    name = desk.write()
    for command in (["balance"], ["services"], ["plan", f"{name}.yaml"], ["start", f"{name}.yaml"]):
        done = desk.run(*command, PANEL_KEY="wrong-key-1234")
        done.failed_with(1, "account main", "Invalid API key", "Check the API key")
        assert "check `url`" not in done.err
        assert "wrong-key-1234" not in done.out + done.err


def test_an_unreachable_panel_is_named_and_nothing_is_started(tmp_path: Path, desk_temporal: Embedded) -> None:
    desk = new_desk(tmp_path, NO_PANEL, desk_temporal.address)
    name = desk.write()
    for command in (["balance"], ["plan", f"{name}.yaml"], ["start", f"{name}.yaml"]):
        desk.run(*command).failed_with(1, NO_PANEL, "was not sent", "Check the panel's address")
    desk.run("status", name).failed_with(1, "there is no campaign")


@pytest.mark.parametrize("path", ["", "/api/v3", "/ledger.json"])
def test_a_wrong_path_of_the_right_host_points_at_the_url_of_the_configuration(
    tmp_path: Path, box: Sandbox, path: str
) -> None:
    desk = new_desk(tmp_path, f"{box.base_url}{path}", NOBODY)
    name = desk.write()
    for command in (["balance"], ["services"], ["plan", f"{name}.yaml"]):
        desk.run(*command).failed_with(1, "check `url` of account main in campaigner.yaml")


def test_an_unreachable_temporal_is_told_within_seconds(tmp_path: Path, box: Sandbox) -> None:
    desk = new_desk(tmp_path, box.url, NOBODY)
    name = desk.write()
    words = (f"no Temporal server answers at {NOBODY}", "campaigner dev", "TEMPORAL_ADDRESS")
    for command in (["list"], ["accounts"], ["start", f"{name}.yaml"], ["watch", name], ["worker"]):
        desk.run(*command).failed_with(1, *words)
    with _mute() as address:
        done = desk.run("list", TEMPORAL_ADDRESS=address).failed_with(1, f"no Temporal server answers at {address}")
        assert done.seconds < 30, "about five, and a busy machine's start"


def test_a_traceback_is_shown_only_when_it_is_asked_for(tmp_path: Path) -> None:
    desk = new_desk(tmp_path, NO_PANEL, NOBODY)
    done = desk.run("list", "--debug")
    assert done.code == 1
    assert "Traceback" in done.err
    assert f"no Temporal server answers at {NOBODY}" in done.err.splitlines()[-1]


def test_start_says_that_nobody_works_and_status_and_decisions_do_too(
    tmp_path: Path, box: Sandbox, lonely: Embedded
) -> None:
    desk = new_desk(tmp_path, box.url, lonely.address)
    name = desk.write(ENDLESS)
    started = desk.ok("start", f"{name}.yaml")
    for word in ("nothing is ordered yet", "queue campaigns", "queue panel-main", "campaigner worker"):
        assert word in started.err
    waits = (f"{name} waits: no worker polls the queue campaigns", "campaigner worker")
    assert desk.run("status", name, "--json").failed_with(1, *waits).json["error"]["kind"] == "no_worker"
    desk.run("pause", name).failed_with(1, "nothing was changed: no worker polls")
    watching = desk.begin("watch", name)
    watching.says("no worker polls")
    assert watching.stop() == 130
    asked = desk.ok("cancel", name)
    assert "asked Temporal to cancel" in asked.err
    worker = desk.begin("worker")
    worker.says("worker is up")
    told = eventually(lambda: _ended(desk, name))
    assert (told["state"], told["spent"]) == ("canceled", "0.00")
    assert worker.stop() == 0
    desk.close()


def test_an_account_that_the_running_workers_do_not_have_is_told_before_anything_is_started(
    tmp_path: Path, box: Sandbox, desk: Desk
) -> None:
    assert desk.processes[0].poll() is None, "its worker, which has the account main"
    newer = new_desk(tmp_path, box.url, desk.env["TEMPORAL_ADDRESS"])
    configuration = tmp_path / "campaigner.yaml"
    configuration.write_text((text := configuration.read_text()) + text.partition("\n")[2].replace("main:", "added:"))
    name, weekly = newer.write(), newer.write()
    for each in (name, weekly):
        file = tmp_path / f"{each}.yaml"
        file.write_text(file.read_text().replace("account: main", "account: added"))
    trap = ("no running worker has the account added", "panel-added", "restart that worker")
    refused = newer.run("start", f"{name}.yaml", "--json")
    refused.failed_with(1, "nothing was started", *trap)
    assert refused.json["error"]["kind"] == "no_worker"
    newer.run("status", name).failed_with(1, "there is no campaign")
    file = tmp_path / f"{weekly}.yaml"
    file.write_text(file.read_text() + 'schedule: {cron: "0 18 * * fri"}\n')
    applied = newer.ok("apply", str(file), "--yes", "--group", weekly)
    for word in trap:
        assert word in applied.err
    newer.run("trigger", weekly, "--json").failed_with(1, "nothing was started", *trap)
    assert weekly not in desk.ok("list").out
    file.write_text(file.read_text().replace("account: added", "account: main"))
    assert "no running worker" not in newer.ok("apply", str(file), "--yes", "--group", weekly).err
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / f"{name}.yaml").write_text((tmp_path / f"{name}.yaml").read_text())
    newer.ok("apply", str(empty), "--yes", "--prune", "--group", weekly)


def _ended(desk: Desk, name: str) -> Any:
    done = desk.run("status", name, "--json")
    return done.json if done.code == 0 and done.json["execution"] != "running" else None


async def test_an_account_that_nobody_can_ask_is_not_said_to_go_on(tmp_path: Path, box: Sandbox) -> None:
    # On a server of its own: of workers that went away Temporal tells for some minutes that they poll.
    async with embedded_temporal(port=0, ui_port=0) as server:
        desk = new_desk(tmp_path, box.url, server.address)
        await (await connect(server.address)).start_workflow(
            "Account", {"account": "main"}, id=account_id("main"), task_queue=CAMPAIGNS_QUEUE
        )
        done = await asyncio.to_thread(desk.run, "accounts", "--json")
        (row,) = done.failed_with(1, "account main cannot say how it stands", "campaigner worker").json
        assert (row["halted"], row["orders"], row["worker"]) == (None, None, False)
        assert "no worker polls the queue campaigns" in row["error"]
        assert "unknown" in (await asyncio.to_thread(desk.run, "accounts")).out


@pytest.mark.parametrize("word", ["halt", "release"])
async def test_a_worker_that_went_away_does_not_keep_a_halt_or_release_waiting(
    word: str,
    tmp_path: Path,
    lonely: Embedded,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Temporal lists it for a while yet, so that the command asks, and nobody answers."""
    desk = new_desk(tmp_path, NO_PANEL, lonely.address)
    for name, value in desk.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    async def none(_client: Any) -> list[str]:
        return []

    monkeypatch.setattr(commands.halting, "unattended", none)
    assert halting.PATIENCE.total_seconds() <= 60, "a person waits in front of it"
    monkeypatch.setattr(halting, "PATIENCE", timedelta(seconds=1))
    decide = commands.halting.halt_account if word == "halt" else commands.halting.release_account
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(CommandError, match=r"no worker answered within 1 s: account main may be .* ask again"):
            await decide("main", "", as_machine=False)
    gc.collect()
    assert "never retrieved" not in caplog.text, "asyncio tells no traceback beside it"
    client = await connect(lonely.address)
    await client.get_workflow_handle(account_id("main")).terminate("the test is over")


def test_a_name_that_nobody_gave_is_not_found(desk: Desk) -> None:
    for command in ("status", "watch", "pause", "resume", "cancel"):
        desk.run(command, "nobody").failed_with(1, "there is no campaign nobody", "campaigner list")
    desk.run("status", "account/main").failed_with(1, "campaign")


def test_a_state_that_does_not_exist_is_refused_with_those_that_do(desk: Desk) -> None:
    desk.run("list", "--state", "runing").failed_with(2, "runing is not a campaign's state", "needs_attention")


def test_a_reader_that_goes_away_is_no_error_to_speak_of(desk: Desk) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{PROGRAM} services --json | head -c 10"],
        cwd=desk.folder,
        env=desk.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_a_short_process_ends_with_its_own_exit_code_twenty_times_over(desk: Desk) -> None:
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda _: desk.run_program("list", "--json").code, range(20)))
    assert codes == [0] * 20


def test_the_sandbox_runs_until_it_is_stopped_and_says_where(tmp_path: Path) -> None:
    desk = new_desk(tmp_path, NO_PANEL, NOBODY)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        going = desk.begin("sandbox", "--port", str(taken), "--speed", "60", "--json")
        going.says(f"the port {taken} is taken")
    going.says("ledger.json")
    told = eventually(lambda: going.out)[0]
    url = told.split('"')[3]
    answer = httpx.post(url, data={"key": KEY, "action": "balance"})
    assert answer.json()["balance"] == "1000.00"
    assert going.stop() == 0
    desk.run("sandbox", "--balance", "much").failed_with(2, "much is not an amount")
    nowhere = tmp_path / "no" / "books.db"
    words = (f"the books cannot be kept in {nowhere}", "the folder must exist")
    assert desk.run("sandbox", "--port", "0", "--db", str(nowhere)).failed_with(1, *words).out == ""
    desk.run("sandbox", "--fault", "nonsense").failed_with(2, "the sandbox cannot start like this")
