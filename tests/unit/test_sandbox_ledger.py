"""The sandbox's money adds up after any sequence of actions, and its small parts keep their word."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.catalog import CATALOG
from sandbox.clock import SandboxClock
from sandbox.desk import Desk
from sandbox.dialects import PanelError, money
from sandbox.faults import ACTIONS, BadFaultError, Fault, Faults
from sandbox.ledger import ledger
from sandbox.limits import Limiter, Limits
from sandbox.settings import SandboxSettings
from sandbox.webhooks import public_https

STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("add"),
            st.sampled_from(sorted(CATALOG)),
            st.integers(1, 30_000),
            st.sampled_from(["", "SPRING", "ONCE"]),
            st.integers(1, 4),
        ),
        st.tuples(st.sampled_from(["cancel", "refill", "status", "again"]), st.integers(0, 30)),
        st.tuples(st.just("wait"), st.integers(0, 3 * 86400)),
        st.tuples(st.just("top_up"), st.decimals("0.00001", 50, places=5)),
    ),
    max_size=40,
)


def act(desk: Desk, step: tuple[Any, ...], placed: list[tuple[str, dict[str, str]]]) -> None:
    match step:
        case ("add", service, quantity, coupon, runs):
            body = {"key": "k", "service": str(service), "request_id": f"r{len(placed)}", "link": "https://example.com/a",
                    "quantity": str(quantity), "coupon": coupon, "comments": "one\ntwo"}  # fmt: skip
            body |= {"runs": str(runs), "interval": "30"} if runs > 1 else {}
            placed.append((desk.answer("add", body)["order"], body))
        case ("again", place) if place < len(placed):
            order, body = placed[place]
            assert desk.answer("add", body) == {"order": order}
        case ("cancel" | "refill" | "status" as action, place) if place < len(placed):
            desk.answer(action, {"key": "k", "order": placed[place][0]})
        case ("wait", seconds):
            desk.clock.advance(seconds)
        case ("top_up", amount):
            desk.top_up(amount)


@settings(deadline=None, max_examples=100)
@given(STEPS)
def test_what_left_the_account_is_always_the_sum_of_the_charges(steps: list[tuple[Any, ...]]) -> None:
    desk = Desk(SandboxSettings(speed=0, opening_balance="60.00", key_memory=1e12))
    placed: list[tuple[str, dict[str, str]]] = []
    try:
        for step in steps:
            with contextlib.suppress(PanelError):
                act(desk, step, placed)
            book = ledger(desk, Faults())
            spent = Decimal(book["opening_balance"]) + Decimal(book["topped_up"]) - Decimal(book["balance"])
            assert spent == sum((Decimal(row["charge"]) for row in book["orders"]), Decimal(0))
            assert Decimal(book["balance"]) >= 0
            for row in book["orders"]:
                assert 0 <= row["delivered"] <= row["total"]
                assert 0 <= Decimal(row["charge"]) <= Decimal(row["charged"])
        assert ledger(desk, Faults())["count"] == len(placed)
        assert not desk.books.violations()
    finally:
        desk.close()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 20_000), min_size=1, max_size=12), st.sampled_from([101, 103, 105, 106, 107, 112, 115]))
def test_looking_more_often_changes_nothing(waits: list[int], service: int) -> None:
    desks = [Desk(SandboxSettings(speed=0)) for _ in range(2)]
    start = desks[0].clock.now()
    body = {"key": "k", "service": str(service), "request_id": "r", "link": "https://example.com/a", "quantity": "999"}
    try:
        for desk in desks:
            desk.clock = SandboxClock(0, start=start)
            desk.answer("add", body)
        for wait in waits:
            desks[0].clock.advance(wait)
            desks[0].settle()
        desks[1].clock.advance(sum(waits))
        often, once = (ledger(desk, Faults()) for desk in desks)
        assert often["balance"] == once["balance"]
        assert [row | {"order": ""} for row in often["orders"]] == [row | {"order": ""} for row in once["orders"]]
    finally:
        for desk in desks:
            desk.close()


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0.5", "0.50"),
        ("47.32", "47.32"),
        ("0.00045", "0.00045"),
        ("1000", "1000.00"),
        ("1.230", "1.23"),
        ("0", "0.00"),
    ],
)
def test_money_is_written_with_two_to_five_decimals(amount: str, text: str) -> None:
    assert money(Decimal(amount)) == text


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("add:drop_after=0.1", Fault(action="add", kind="drop_after", probability=0.1)),
        ("*:slow:2.5=.5", Fault(action="*", kind="slow", probability=0.5, seconds=2.5)),
        ("webhook.add:html_502x3", Fault(action="webhook.add", kind="html_502", times=3)),
        ("add:throttle:5=1x2", Fault(action="add", kind="throttle", seconds=5, times=2)),
    ],
)
def test_a_fault_is_read_from_its_spec(spec: str, fault: Fault) -> None:
    assert Fault.parse(spec) == fault


@pytest.mark.parametrize("spec", ["", "add", "add:explode", "add:drop_after=2", "add:drop_after=often", "add:slow:-1"])
def test_a_spec_nobody_can_read_is_refused(spec: str) -> None:
    with pytest.raises(BadFaultError):
        Fault.parse(spec)


def test_a_fault_strikes_no_more_often_than_told() -> None:
    faults = Faults()
    faults.arm(["add:drop_afterx2"])
    assert [faults.draw("add") is not None for _ in range(4)] == [True, True, False, False]


def test_the_clock_runs_faster_jumps_and_never_goes_back() -> None:
    real = 0.0
    clock = SandboxClock(60, start=1000.0, elapsed=lambda: real)
    real = 2.0
    assert clock.now() == 1120.0
    clock.speed = 1
    clock.advance(10)
    real = 3.0
    assert clock.now() == 1131.0
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)


def test_a_speed_does_not_age_keys_but_a_jump_does() -> None:
    real = 0.0
    clock = SandboxClock(3600, elapsed=lambda: real)
    before = clock.wall()
    real = 1.0
    clock.advance(5)
    assert clock.wall() - before == pytest.approx(6)


def test_a_denied_request_uses_no_limit_up_and_the_tier_says_so() -> None:
    limiter = Limiter(Limits(per_ip=None, per_key=5, per_tier=1, window=60), clock=lambda: 1000.0)
    assert limiter.admit_key("a").denied_by is None
    for _ in range(3):
        denied = limiter.admit_key("a")
        assert denied.denied_by == "tier"
        assert denied.headers == {
            "X-RateLimit-Limit": "1", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1060",
            "X-RateLimit-Tier-Remaining": "0", "X-RateLimit-DeniedBy": "tier",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://example.com/hook", True),
        ("https://8.8.8.8/", True),
        ("http://example.com/hook", False),
        ("https://192.168.1.4/", False),
        ("https://169.254.169.254/latest", False),
        ("https://[fd00::1]/", False),
        ("https://[::ffff:127.0.0.1]/", False),
        ("https://panel.internal/", False),
        ("https://localhost.:8443/", False),
        ("https://127.1/", False),
        ("https://intranet/", False),
        ("https://[", False),
    ],
)
def test_only_public_https_urls_are_webhooks(url: str, public: bool) -> None:  # noqa: FBT001
    assert public_https(url) is public


@pytest.mark.parametrize("wrong", [{"opening_balance": "-1"}, {"speed": -1}, {"dialect": "odd"}, {"faults": ["add:x"]}])
def test_wrong_settings_are_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        SandboxSettings(**wrong)


def test_a_fault_can_be_armed_for_every_action_there_is_and_for_no_other() -> None:
    desk = Desk(SandboxSettings())
    assert all(desk.knows(action) for action in ACTIONS)
    assert {Fault.parse(f"{action}:slow").action for action in ACTIONS} == set(ACTIONS)
    with pytest.raises(BadFaultError, match="unknown action 'foo'; one of services, add"):
        Fault.parse("foo:drop_after")
    desk.close()
