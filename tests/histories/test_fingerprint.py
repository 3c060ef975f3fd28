"""What a replay depends on has not changed unnoticed; and the guard sees the changes that it is for."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING

import pytest

from tests.histories import fingerprint
from tests.histories.fingerprint import ADVICE, ROOT, SHELL, differences, recorded, take
from tests.histories.traces import traces

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_that_a_replay_depends_on_changed_unnoticed() -> None:
    changed = differences(recorded(), take())
    assert not changed, "\n".join([*changed, ADVICE])


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "workflows").mkdir()
    for name in SHELL:
        (tmp_path / name).write_text((ROOT / name).read_text())
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("workflows/carrying.py", "CANCEL_ORDERS,\n            asked", "REFILL_ORDERS,\n            asked"),
        (
            "workflows/account.py",
            "            await self._round(now)",
            "            await workflow.sleep(1)\n            await self._round(now)",
        ),
        ("workflows/account.py", "if now < planned:", "if now <= planned:"),
        ("workflows/account.py", 'handle.signal("news"', 'handle.signal("tidings"'),
        ("workflows/campaign.py", "if finished(state):", "if not state.open:"),
        ("workflows/campaign.py", "    def pause(self, wish", "    def halt(self, wish"),
        ("workflows/campaign.py", "(leaving or finished(state))", "(leaving or workflow.patched('x'))"),
        ("workflows/preparing.py", "    services = {", "    await workflow.sleep(1)\n    services = {"),
    ],
)
def test_a_change_of_the_commands_shows(edited: Path, name: str, old: str, new: str) -> None:
    before = take()
    source = (edited / name).read_text()
    assert old in source
    (edited / name).write_text(source.replace(old, new))
    assert differences(before, take())


def test_what_no_replay_depends_on_does_not_show(edited: Path) -> None:
    before = take()
    for name in SHELL:
        source = (edited / name).read_text()
        source = re.sub(r'summary=f?"[^"]*"', 'summary="other words"', source)
        source = source.replace("timedelta(seconds=45)", "timedelta(seconds=50)")
        (edited / name).write_text("# a comment\n" + source)
    assert differences(before, take()) == []


def test_a_field_may_come_with_a_default_but_not_go_or_change() -> None:
    before = take()
    name = "activities.contracts.PlaceOrder"
    for fields, differs in (
        ([*before["data"][name], "extra: str = …"], False),
        ([*before["data"][name], "extra: str"], True),
        (before["data"][name][1:], True),
        (["account: int", *before["data"][name][1:]], True),
    ):
        after = copy.deepcopy(before)
        after["data"][name] = fields
        assert bool(differences(before, after)) is differs
    after = copy.deepcopy(before)
    after["data"]["activities.contracts.New"] = ["x: int"]
    assert differences(before, after) == []


def test_the_engine_is_played_in_its_whole_breadth() -> None:
    told = " ".join(line for trace in take()["engine"].values() for line in trace)
    assert {"place", "cancel", "refill", "follow", "read_rates"} <= set(told.split())
    assert traces.__wrapped__() == take()["engine"]
