"""`campaigner dev`: Temporal and a worker in one folder, found from other terminals, and carrying on after a stop."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import httpx

from embedded import embedded_temporal
from tests.system.cli_rig import ENDLESS, PATIENCE, ROOT, eventually, new_desk, practice_panel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.cli_rig import Desk, Going

TWO = """\
  - {id: first, service: 102, target: film, quantity: 500}
  - {id: second, service: 102, target: film, quantity: 600, after: {order: first, when: completed, delay: 8s}}"""


def _dev(desk: Desk, *options: str) -> Going:
    going = desk.begin("dev", *(options or ("--port", "0", "--ui-port", "0")))
    going.says("a worker is up")
    return going


def test_dev_is_found_by_other_terminals_stops_cleanly_and_carries_on(tmp_path: Path) -> None:
    with practice_panel() as box:
        desk = new_desk(tmp_path, box.url, address=None)
        name = desk.write(TWO)
        going = _dev(desk)
        ui = re.search(r"http://\S+", going.says("Web UI"))
        assert ui
        assert httpx.get(ui[0]).status_code == 200
        desk.run("dev").failed_with(1, "already runs in this folder", ui[0])
        beside = desk.begin("worker")
        beside.says("worker is up")
        assert beside.stop(signal.SIGTERM) == 0

        started = desk.ok("start", f"{name}.yaml")
        assert f"{ui[0]}/namespaces/default/workflows/campaign%2F{name}" in started.err
        eventually(lambda: _state(desk, name, "first") == "completed")
        assert going.stop(signal.SIGINT) == 0
        assert not (tmp_path / ".campaigner" / "dev.json").exists()
        _nothing_goes_elsewhere(desk, name)

        going = _dev(desk)
        going.says("continued")
        assert desk.ok("watch", name, "--json").json_lines[-1]["state"] == "completed"
        assert going.stop(signal.SIGTERM) == 0
        assert [order["total"] for order in box.ledger()["orders"]] == [600, 500], "each once"
        _closed_campaign_without_worker(desk, name)
        desk.close()


def _nothing_goes_elsewhere(desk: Desk, name: str) -> None:
    """While it is stopped, commands and workers of its folder go where they are told, and never by themselves."""
    for command in (["start", f"{name}.yaml"], ["status", name], ["list"], ["worker"]):
        done = desk.run(*command).failed_with(1, "the `campaigner dev` of this folder does not run", "TEMPORAL_ADDRESS")
        assert len(done.err.strip().splitlines()) == 1
    told = subprocess.run(
        [sys.executable, ROOT / "worker.py"],
        cwd=desk.folder,
        env=desk.env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert told.returncode == 1
    assert "start `campaigner dev` here, or set TEMPORAL_ADDRESS" in told.stderr
    desk.run("list", TEMPORAL_ADDRESS="127.0.0.1:9").failed_with(1, "no Temporal server answers at 127.0.0.1:9")
    profile = desk.folder / "temporal.toml"
    profile.write_text('[profile.default]\naddress = "127.0.0.1:9"\n')
    told_so = desk.run("list", TEMPORAL_CONFIG_FILE=str(profile))
    told_so.failed_with(1, "no Temporal server answers at 127.0.0.1:9")


def _closed_campaign_without_worker(desk: Desk, name: str) -> None:
    """An ended campaign is told from its result although nobody works."""

    async def ask() -> Any:
        async with AsyncExitStack() as stack:
            database = desk.folder / ".campaigner" / "temporal.db"
            server = await stack.enter_async_context(embedded_temporal(database=database, port=0, ui_port=0))
            return await asyncio.to_thread(desk.ok, "status", name, "--json", TEMPORAL_ADDRESS=server.address)

    told = asyncio.run(ask()).json
    assert (told["state"], len(told["orders"])) == ("completed", 2)


def _state(desk: Desk, name: str, order: str) -> str:
    rows = desk.ok("status", name, "--json").json["orders"]
    return next((str(row["state"]) for row in rows if row["order"] == order), "")


def test_dev_takes_other_ports_and_survives_a_kill(tmp_path: Path) -> None:
    with practice_panel() as box, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = str(other.getsockname()[1])
        desk = new_desk(tmp_path, box.url, address=None)
        name = desk.write(ENDLESS)
        going = _dev(desk, "--port", taken, "--ui-port", taken)
        going.says(f"the port {taken} is taken")
        going.says(f"the Web UI's port {taken} is taken")
        desk.ok("start", f"{name}.yaml")
        eventually(lambda: _state(desk, name, "stuck") == "pending")
        going.process.kill()
        going.wait()
        going = _dev(desk)
        assert _state(desk, name, "stuck") == "pending"
        assert box.ledger()["count"] == 1
        assert going.stop() == 0
        desk.close()
