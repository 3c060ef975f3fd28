"""Where a folder's commands and workers connect to: never by themselves to a server that is not the folder's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import dev_files
from connection import TemporalError
from dev_files import DevFiles, DevServer, connect_here

if TYPE_CHECKING:
    from pathlib import Path

SERVER = DevServer(address="127.0.0.1:1", ui="http://127.0.0.1:2", pid=3)


@pytest.fixture(autouse=True)
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Be in an empty folder with an empty environment; give where connections were asked for."""
    asked: list[str] = []

    async def connect(address: str = "as the environment says", metrics: str | None = None) -> None:
        asked.append(f"{address}, metrics {metrics}")

    monkeypatch.chdir(tmp_path)
    for variable in ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "temporal.toml"))
    (tmp_path / "temporal.toml").touch()
    monkeypatch.setattr(dev_files, "connect", connect)
    monkeypatch.setattr(dev_files, "connect_embedded", connect)
    return asked


async def test_a_folder_without_a_dev_server_connects_as_the_environment_says(asked: list[str]) -> None:
    await connect_here("m")
    assert asked == ["as the environment says, metrics m"]


async def test_a_running_dev_server_is_found_and_one_that_comes_up_is_not_passed_by(asked: list[str]) -> None:
    files = DevFiles()
    with files.held():
        with pytest.raises(TemporalError, match="try again in a moment"):
            await connect_here()
        files.tell(SERVER)
        await connect_here("m")
    assert asked == ["127.0.0.1:1, metrics m"]


@pytest.mark.parametrize("killed", [False, True])
async def test_a_stopped_dev_server_is_not_replaced_by_whoever_listens_on_the_default_port(
    asked: list[str], *, killed: bool
) -> None:
    files = DevFiles()
    with files.held():
        files.database.touch()
    if killed:  # what it told is still there
        files.tell(SERVER)
    with pytest.raises(TemporalError, match="start `campaigner dev` here, or set TEMPORAL_ADDRESS"):
        await connect_here()
    assert asked == []


@pytest.mark.parametrize("how", ["variable", "profile", "unreadable profile"])
async def test_whoever_names_a_server_gets_that_one(
    asked: list[str], how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = DevFiles()
    with files.held():
        files.database.touch()
    if how == "variable":
        monkeypatch.setenv("TEMPORAL_ADDRESS", "there:7233")
    else:
        written = '[profile.default]\naddress = "there:7233"\n' if how == "profile" else "nonsense ["
        (tmp_path / "temporal.toml").write_text(written)
    await connect_here()
    assert asked == ["as the environment says, metrics None"]
