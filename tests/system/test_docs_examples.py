"""The programmatic starts of docs/starting-from-code.md, run as they stand there on the real server and a sandbox."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.system.rig import PATIENCE, ROOT, ledger_agrees

if TYPE_CHECKING:
    from tests.system.rig import Rig

PAGE = (ROOT / "docs" / "starting-from-code.md").read_text()
PROGRAMS = Path(sys.executable).parent


def _block(language: str, heading: str = "") -> str:
    """Give the first block of a language, below a heading."""
    _, found, below = PAGE.partition(f"## {heading}\n") if heading else ("", "page", PAGE)
    assert found, f"there is no {heading}"
    match = re.search(rf"^```{language}\n(.*?)^```$", below, re.DOTALL | re.MULTILINE)
    assert match is not None, f"no {language} below {heading or 'the title'}"
    return match[1]


def _made_ours(text: str, rig: Rig, name: str) -> str:
    """Put a name and an account that only this test uses in the place of the page's."""
    return (
        text.replace("spring-launch", name)
        .replace("account: main", f"account: {rig.account}")
        .replace('"account": "main"', f'"account": "{rig.account}"')
    )


async def _run(rig: Rig, *command: str, code: int = 0) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("TEMPORAL_", "CAMPAIGNER_"))}
    environment |= {
        "TEMPORAL_ADDRESS": rig.server.address,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
    }
    process = await asyncio.create_subprocess_exec(
        *command, cwd=rig.folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == code, printed.decode()
    return printed.decode()


async def test_the_three_starts_of_the_page_each_buy_their_order_once(rig: Rig) -> None:
    box = await rig.sandbox()
    await rig.work(box.url)
    names = {what: rig.name(what) for what in ("helper", "sdk", "cli")}
    (rig.folder / "launch.yaml").write_text(_made_ours(_block("yaml"), rig, names["helper"]))
    (rig.folder / "launch.json").write_text(_made_ours(_block("json", "The Temporal CLI"), rig, names["cli"]))
    helper = _made_ours(_block("python", "Python, with the typed helper"), rig, names["helper"])
    sdk = _made_ours(_block("python", "Python, with nothing but the SDK"), rig, names["sdk"])
    cli = _made_ours(_block("bash", "The Temporal CLI"), rig, names["cli"])
    by_helper, by_sdk, by_cli = await asyncio.gather(
        _run(rig, sys.executable, "-c", helper),
        _run(rig, sys.executable, "-c", sdk),
        _run(rig, "bash", "-euo", "pipefail", "-c", cli),
    )
    assert re.search(r"^completed 0\.60 ord_\w+$", by_helper, re.MULTILINE), by_helper
    assert by_sdk.split()[-2:] == ["completed", "0.60"], by_sdk
    assert "COMPLETED" in by_cli, by_cli
    for program in (helper, sdk):
        again = await _run(rig, sys.executable, "-c", program, code=1)
        assert "was started before; nothing was started now" in again
        assert "Traceback" not in again
    reports = [await rig.client.get_workflow_handle(f"campaign/{name}").result() for name in names.values()]
    ledger_agrees(box.ledger(), *reports)
    assert len(box.ledger()["orders"]) == 3


async def test_the_failure_that_the_page_shows_is_what_comes(rig: Rig) -> None:
    box = await rig.sandbox()
    await rig.work(box.url)
    name = rig.name("wrong")
    program = _made_ours(_block("python", "Python, with nothing but the SDK"), rig, name)
    program = program.replace('"quantity": 500', '"quantity": 5')
    told = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        cwd=rig.folder,
        env=os.environ | {"TEMPORAL_ADDRESS": rig.server.address},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(told.communicate(), PATIENCE)
    assert told.returncode == 1
    (shown,) = re.findall(r"^    (orders\[0\]\.quantity: .*)$", PAGE, re.MULTILINE)
    assert said.decode().strip() == f"InvalidCampaign: {shown}"
    assert box.ledger()["orders"] == []
