"""A kept plan is started as it was reviewed, or not at all."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.accounts import AccountFacts
from campaigns.binding import FORMAT, MAX_PLAN, Bound, NotAPlanError, check_plan, is_plan, read_plan, write_plan
from campaigns.definition import Definition
from campaigns.plan import ServiceFacts
from campaigns.planning import make_plan

NOW = datetime(2026, 12, 4, 15, 0, tzinfo=UTC)
ACCOUNT = AccountFacts(name="main", allowed_targets=["https://example.com/brand/*"])


def service(number: int, rate: str, **facts: Any) -> ServiceFacts:
    plain: dict[str, Any] = {"name": f"Views {number} Ü", "type": "Default", "min": 100, "max": 50_000}
    return ServiceFacts.model_validate({"service": number, "rate": rate} | plain | facts)


CATALOG = {
    each.service: each
    for each in (
        service(101, "0.90"),
        service(205, "2.50"),
        service(309, "4.00"),
        service(301, "12.00", type="Package", min=1000, max=1000),
    )
}


def definition(**changes: Any) -> Definition:
    film = {"link": "https://example.com/brand/film"}
    document: dict[str, Any] = {
        "version": 1,
        "name": "launch",
        "account": "main",
        "limits": {"budget": "120.00 USD"},
        "orders": [
            {"id": "seed", "service": 101, "quantity": 500} | film,
            {"id": "rest", "service": 205, "quantity": 900, "on_shortfall": "reorder", "fallback": [309]} | film,
            {"id": "pack", "service": 301} | film,
        ],
    }
    return Definition.model_validate(document | changes)


def kept(campaign: Definition | None = None, *, balance: str | None = "50.00") -> str:
    campaign = campaign or definition()
    plan = make_plan(campaign, ACCOUNT, CATALOG, NOW).plan
    assert plan is not None
    return write_plan(campaign, plan, balance=None if balance is None else Decimal(balance), now=NOW)


TEXT = kept()


def check(text: str | bytes = TEXT, catalog: dict[int, ServiceFacts] | None = None, **more: Any) -> Bound:
    return check_plan(text, CATALOG if catalog is None else catalog, more.pop("account", ACCOUNT), NOW, **more)


def problems(bound: Bound) -> str:
    return "\n".join(str(problem) for problem in bound.problems)


def moved(number: int, **facts: Any) -> dict[int, ServiceFacts]:
    return CATALOG | {number: CATALOG[number].model_copy(update=facts)}


def test_an_untouched_plan_gives_back_what_was_planned() -> None:
    bound = check(campaign=definition())
    assert bound.problems == []
    assert bound.warnings == []
    assert bound.definition == definition()
    assert bound.plan.cost == Decimal("14.70")
    assert bound.balance == 50
    assert bound.created == "2026-12-04T15:00:00+00:00"


def test_the_file_tells_a_reviewer_what_it_is_about() -> None:
    document = json.loads(TEXT)
    assert document["format"] == FORMAT
    assert (document["cost"], document["currency"], document["balance"]) == ("14.70", "USD", "50.00")
    assert document["rates"]["309"] == {"name": "Views 309 Ü", "rate": "4.00"}
    assert document["digest"].startswith("sha256:")
    assert TEXT.isascii()
    assert is_plan(TEXT)
    assert not is_plan("version: 1\nname: launch\n")


def test_the_same_plan_is_the_same_text() -> None:
    assert kept() == TEXT


def test_a_plan_made_without_a_balance_is_as_good() -> None:
    assert check(kept(balance=None)).balance is None


@given(st.integers(min_value=0, max_value=len(TEXT) - 1), st.integers(min_value=0, max_value=255))
def test_any_changed_byte_is_refused(place: int, byte: int) -> None:
    raw = bytearray(TEXT.encode())
    if raw[place] == byte:
        byte = (byte + 1) % 256
    raw[place] = byte
    with pytest.raises(NotAPlanError):
        check(bytes(raw))


@given(st.integers(min_value=0, max_value=len(TEXT)), st.sampled_from([b" ", b"\n", b"0", b"\x00", b"\xff", b"{}"]))
def test_anything_put_in_is_refused(place: int, more: bytes) -> None:
    raw = TEXT.encode()
    with pytest.raises(NotAPlanError):
        check(raw[:place] + more + raw[place:])


@given(st.integers(min_value=0, max_value=len(TEXT) - 1))
def test_a_plan_cut_short_is_refused(length: int) -> None:
    with pytest.raises(NotAPlanError):
        check(TEXT[:length])


def test_a_plan_laid_out_anew_by_an_editor_is_refused_although_it_says_the_same() -> None:
    with pytest.raises(NotAPlanError, match="was changed after it was written"):
        check(json.dumps(json.loads(TEXT)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a plan file, or it was cut short"),
        ("[]", "not a plan file"),
        ("{}", "not a plan file"),
        ("null", "not a plan file"),
        ("version: 1\n", "not a plan file"),
        ("[" * 100_000, "not a plan file"),
        ('{"format": "campaigner-plan/1", "n": ' + "9" * 5000 + "}", "not a plan file"),
        ('{"format": "campaigner-plan/1"}', "was changed after it was written"),
        ('{"format": "campaigner-plan/1", "cost": NaN}', "was changed after it was written"),
        ('{"format": "campaigner-plan/2"}', "this version knows campaigner-plan/1"),
        (" " * (MAX_PLAN + 1), "larger than any plan file"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_no_plan_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(NotAPlanError, match=words):
        read_plan(text)


def forged(**changes: Any) -> str:
    """Give a plan whose digest was computed anew, as another version would write it."""
    from campaigns import binding  # noqa: PLC0415

    body = {name: value for name, value in json.loads(TEXT).items() if name != "digest"} | changes
    return binding._render(body | {"digest": binding._digest(body)})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"plan": {}}, "another version"),
        ({"plan": None}, "another version"),
        ({"definition": {"version": 2}}, "does not take its campaign: version"),
        ({"definition": definition(name="x").document() | {"orders": [{"id": "a"}]}}, "does not take its campaign"),
        ({"created": 5}, "another version"),
        ({"balance": "much"}, "another version"),
        ({"definition": definition(orders=[definition().document()["orders"][0]]).document()}, "not of its campaign"),
    ],
)
def test_a_plan_of_another_version_is_refused_and_never_half_read(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(NotAPlanError, match=words):
        check(forged(**changes))


def test_any_dearer_service_is_refused_when_no_increase_is_allowed() -> None:
    bound = check(catalog=moved(101, rate=Decimal("0.9001")))
    assert problems(bound) == (
        "orders[0].service: service 101 went from 0.90 to 0.9001 for 1,000 (+0.0%) since the plan was made, "
        "and no increase is allowed"
    )


def test_an_increase_up_to_what_is_allowed_is_told_and_taken() -> None:
    campaign = definition(limits={"max_rate_increase": "10%"})
    bound = check(kept(campaign), moved(101, rate=Decimal("0.99")))
    assert bound.problems == []
    assert "service 101 went from 0.90 to 0.99 for 1,000 (+10.0%)" in str(bound.warnings[0])
    above = check(kept(campaign), moved(101, rate=Decimal("0.990001")))
    assert "above the 10% allowed" in problems(above)


def test_the_caller_may_allow_more_or_less_than_the_file() -> None:
    dearer = moved(101, rate=Decimal("1.00"))
    assert check(catalog=dearer, max_rate_increase=Decimal(20)).problems == []
    assert check(kept(definition(limits={"max_rate_increase": "50%"})), dearer, max_rate_increase=Decimal(0)).problems


def test_a_cheaper_service_is_told_and_taken() -> None:
    bound = check(catalog=moved(205, rate=Decimal("2.00")))
    assert bound.problems == []
    assert "service 205 went from 2.50 to 2.00 for 1,000 (-20.0%)" in str(bound.warnings[0])
    assert bound.now is not None
    assert bound.now.cost < bound.plan.cost


def test_a_dearer_fallback_counts_too() -> None:
    assert "orders[1].fallback[0]: service 309 went from 4.00 to 5.00" in problems(
        check(catalog=moved(309, rate=Decimal(5)))
    )


def test_a_package_that_grew_costs_more_at_the_same_rate() -> None:
    bound = check(catalog=moved(301, min=1500, max=1500))
    assert "and its package from 1,000 to 1,500 (+50.0%)" in problems(bound)


def test_a_service_that_is_gone_is_refused() -> None:
    assert "service 101 is not in the catalog" in problems(check(catalog={205: CATALOG[205]}))


def test_narrower_limits_of_a_service_are_refused() -> None:
    assert "500 is below the minimum 600" in problems(check(catalog=moved(101, min=600)))


def test_a_link_that_is_no_longer_allowed_is_refused() -> None:
    elsewhere = ACCOUNT.model_copy(update={"allowed_targets": ["https://example.com/other/*"]})
    assert "is not in allowed_targets" in problems(check(account=elsewhere))


def test_another_currency_is_refused() -> None:
    euros = ACCOUNT.model_copy(update={"currency": "EUR"})
    assert "the plan is in USD, but account main is now in EUR" in problems(check(account=euros))


def test_a_balance_that_is_too_small_by_now_is_told() -> None:
    assert "holds 1.00 USD" in str(check(balance=Decimal(1)).warnings[0])


def test_every_field_that_changed_in_the_campaign_file_is_named() -> None:
    orders = definition().document()["orders"]
    orders[0] = orders[0] | {"quantity": 600}
    del orders[1]["on_shortfall"], orders[1]["fallback"]
    bound = check(campaign=definition(orders=orders, description="New"))
    assert problems(bound).splitlines() == [
        "orders[0].quantity: is 600 in the campaign file, and was 500 when the plan was made",
        'orders[1].on_shortfall: "reorder" was taken out of the campaign file',
        "orders[1].fallback: a list of 1 was taken out of the campaign file",
        'description: "New" was added to the campaign file',
    ]


def test_many_changes_are_counted() -> None:
    many = {f"t{number}": "https://example.com/brand/film" for number in range(30)}
    bound = check(kept(definition(targets=many)), campaign=definition(targets=dict.fromkeys(many, "https://a.example")))
    assert "10 more fields of the campaign file changed" in problems(bound)
