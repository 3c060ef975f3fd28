"""The configuration: found where it is looked for, told clearly when wrong, and silent about keys."""

from __future__ import annotations

import pickle
import traceback
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.receiving import endpoints_of
from configuration import (
    MINIMAL,
    Configuration,
    ConfigurationError,
    MissingKeyError,
    NoConfigurationError,
    UnknownAccountError,
    WebhookSignature,
    load_configuration,
    parse_configuration,
)
from panel import SignatureScheme

KEY = "sk_live_Tz81Qw"
ENV = {"NOTPANEL_API_KEY": KEY}
EXAMPLE = Path(__file__).parents[2] / "campaigner.example.yaml"
GOOD = """\
accounts:
  main:
    url: https://notpanel.com/api/v2
    api_key: ${NOTPANEL_API_KEY:?set it to your panel key}
    requests_per_minute: 60
    poll_every: 90s
    retry_window: 24h
    probe_every: 10m
    allowed_targets: ["https://example.com/brand/*"]
    currency: EUR
    idempotent: false
  other:
    url: http://127.0.0.1:8080/api/v2
    api_key: ${NOTPANEL_API_KEY}
"""


def read(text: str, *, keys: bool = True, **env: str) -> Configuration:
    return parse_configuration(text, "campaigner.yaml", env or ENV, keys=keys)


def refused(text: str, **env: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration(text, "campaigner.yaml", env or ENV)
    return caught.value


def test_an_account_is_what_the_file_says_and_otherwise_the_defaults() -> None:
    configuration = read(GOOD)
    main, other = configuration.account("main"), configuration.account("other")
    assert main.api_key.get_secret_value() == KEY
    assert main.requests_per_minute == 60
    assert (main.poll_every, main.retry_window) == (timedelta(seconds=90), timedelta(hours=24))
    assert (other.requests_per_minute, other.poll_every) == (100, timedelta(seconds=60))
    assert (other.retry_window, other.probe_every) == (timedelta(hours=12), timedelta(minutes=5))
    assert (other.currency, other.idempotent, other.allowed_targets) == ("USD", True, [])


def test_the_facts_of_an_account_hold_what_rules_need_and_no_secret() -> None:
    facts = read(GOOD).facts("main")
    assert (facts.name, facts.currency, facts.idempotent) == ("main", "EUR", False)
    assert facts.allowed_targets == ["https://example.com/brand/*"]
    assert (facts.poll_every, facts.retry_window) == (timedelta(seconds=90), timedelta(hours=24))
    assert facts.probe_every == timedelta(minutes=10)
    assert KEY not in facts.model_dump_json()


def test_the_example_beside_the_readme_is_a_valid_configuration() -> None:
    assert load_configuration(EXAMPLE, ENV).facts("main").allowed_targets == ["https://example.com/brand/*"]


def test_the_file_is_looked_for_in_the_argument_then_the_variable_then_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("argument", "variable", "campaigner"):
        (tmp_path / f"{name}.yaml").write_text(f"accounts: {{{name}: {{url: 'https://x.com/', api_key: '${{K}}'}}}}")
    monkeypatch.chdir(tmp_path)
    env = {"K": "k", "CAMPAIGNER_CONFIG": str(tmp_path / "variable.yaml")}
    assert list(load_configuration(tmp_path / "argument.yaml", env).accounts) == ["argument"]
    assert list(load_configuration(env=env).accounts) == ["variable"]
    assert list(load_configuration(env={"K": "k"}).accounts) == ["campaigner"]
    monkeypatch.setenv("K", "k")
    monkeypatch.delenv("CAMPAIGNER_CONFIG", raising=False)
    assert list(load_configuration().accounts) == ["campaigner"]


def test_a_missing_file_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoConfigurationError) as caught:
        load_configuration(env={})
    assert str(caught.value) == (
        "there is no configuration at campaigner.yaml; name yours in CAMPAIGNER_CONFIG, or write one there "
        "with at least\n\n"
        "    accounts:\n"
        "      main:\n"
        "        url: https://notpanel.com/api/v2\n"
        "        api_key: ${NOTPANEL_API_KEY}\n"
        '        allowed_targets: ["https://example.com/brand/*"]   # links of your own\n'
        "\n"
        "docs/configuration.md tells what else it may say"
    )
    (tmp_path / "campaigner.yaml").write_text(MINIMAL)
    assert list(load_configuration(env={"NOTPANEL_API_KEY": "k"}).accounts) == ["main"], "what it says to write works"
    (tmp_path / "campaigner.yaml").unlink()
    for path in (tmp_path, Path("a\0b")):
        with pytest.raises(NoConfigurationError, match="cannot be read"):
            load_configuration(path, env={})


def test_a_missing_key_is_told_with_its_own_words() -> None:
    error = refused(GOOD, OTHER="1")
    assert str(error).splitlines() == [
        "campaigner.yaml:4:14: accounts.main.api_key: NOTPANEL_API_KEY is not set: set it to your panel key",
        "campaigner.yaml:14:14: accounts.other.api_key: NOTPANEL_API_KEY is not set; set it in the environment",
    ]


def test_a_command_needs_only_the_keys_that_it_uses() -> None:
    text = GOOD.replace("${NOTPANEL_API_KEY}", "${OTHER_KEY:?of the other panel}")
    configuration = read(text, keys=False)
    assert configuration.key("main").get_secret_value() == KEY
    with pytest.raises(MissingKeyError) as caught:
        configuration.key("other")
    assert str(caught.value) == (
        "campaigner.yaml:14:14: accounts.other.api_key: OTHER_KEY is not set: of the other panel"
    )
    assert "14 |     api_key: ${OTHER_KEY:?of the other panel}" in caught.value.render()
    assert configuration.facts("other").currency == "USD", "no key is needed to know it"
    with pytest.raises(UnknownAccountError):
        configuration.key("mian")
    with pytest.raises(ConfigurationError, match="OTHER_KEY"):
        read(text)


def test_a_key_that_cannot_be_one_is_told_when_it_is_used() -> None:
    for value, words in (("", "is empty"), ("a b", "holds a space")):
        configuration = read(GOOD, keys=False, NOTPANEL_API_KEY=value)
        with pytest.raises(MissingKeyError, match=f"{words}.*; check the variable NOTPANEL_API_KEY"):
            configuration.key("other")


def test_a_key_in_the_file_is_refused_whether_it_is_used_or_not() -> None:
    with pytest.raises(ConfigurationError, match="must come from the environment"):
        read(GOOD.replace("${NOTPANEL_API_KEY}", KEY), keys=False)


def test_an_unknown_account_gets_the_nearest_name() -> None:
    with pytest.raises(UnknownAccountError) as caught:
        read(GOOD).facts("mian")
    assert str(caught.value) == '"mian" is not an account in campaigner.yaml; did you mean "main"?'
    assert caught.value.problem.loc == ("account",)
    with pytest.raises(UnknownAccountError, match="it names main, other"):
        read(GOOD).account("xyz")


def test_a_variable_holds_its_text_even_when_it_looks_like_a_number() -> None:
    for value in ("0123", "10_000", "true", "12345678901234567890"):
        assert read(GOOD, NOTPANEL_API_KEY=value).account("main").api_key.get_secret_value() == value


@pytest.mark.parametrize("value", ["", " ", "a b", "a\n", "ключ", "\udc80"])
def test_a_key_that_cannot_be_one_is_refused_without_showing_it(value: str) -> None:
    error = refused(GOOD.replace(":?set it to your panel key", ""), NOTPANEL_API_KEY=value)
    assert len(error.errors) == 2
    assert "check the variable NOTPANEL_API_KEY" in str(error)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("https://notpanel.com/api/v2", "http://notpanel.com/api/v2"),
         "3:5: accounts.main.url: must begin with https://, or the key could be read on its way"),
        (("https://notpanel.com/api/v2", "https://me:pw@notpanel.com/"),
         "3:5: accounts.main.url: holds a user name or password before the host; a link must not"),
        (("https://notpanel.com/api/v2", "https://notpanel.com/?a=b"),
         "3:5: accounts.main.url: must not hold ? or #; the key is sent in the request's body"),
        (("http://127.0.0.1:8080", "http://127.0.0.1.evil.com"),
         "13:5: accounts.other.url: must begin with https://, or the key could be read on its way"),
        (("24h", "25h"),
         "7:5: accounts.main.retry_window: 1d1h is longer than a panel remembers a request; at most 24h"),
        (("brand/*", "../*"),
         "9:23: accounts.main.allowed_targets[0]: holds a . or .. step in its path; write the path it leads to"),
        (("https://example.com/brand/*", "*"),
         "9:23: accounts.main.allowed_targets[0]: is not a full link; it must begin with https:// or http://"),
        (("poll_every", "pol_every"), '6:5: accounts.main.pol_every: is not a known field; did you mean "poll_every"?'),
        (("60\n", "0\n"), "5:5: accounts.main.requests_per_minute: 0 is below the minimum 1"),
        (("EUR", "eur"),
         '10:5: accounts.main.currency: "eur" is not a currency; write three capital letters, such as USD'),
        (("  other:", "  Other One:"),
         '12:3: accounts.Other One: "Other One" may hold only small letters, digits and hyphens, 1 to 64 of them'),
        (("accounts:", "acounts:"), None),
        (("    api_key: ${NOTPANEL_API_KEY}\n", ""), "12:3: accounts.other: api_key is missing"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_column(change: tuple[str, str], message: str | None) -> None:
    error = refused(GOOD.replace(*change))
    assert message is None or str(error) == f"campaigner.yaml:{message}"


def test_all_mistakes_are_told_at_once() -> None:
    error = refused("accounts:\n  a: {url: ftp://x, api_key: '${K}', foo: 1}\n  b: 5\n", K="k")
    assert [located.line for located in error.errors] == [2, 2, 3]


def test_plain_http_is_fine_on_this_machine_only() -> None:
    for host in ("localhost", "127.0.0.1:9", "127.1.2.3", "[::1]:80"):
        read(GOOD.replace("http://127.0.0.1:8080", f"http://{host}"))
    for host in ("10.0.0.1", "localhost.evil.com", "0.0.0.0", "[::2]"):  # noqa: S104 - an address to refuse
        refused(GOOD.replace("http://127.0.0.1:8080", f"http://{host}"))


HOOKED = """\
accounts:
  main:
    url: https://notpanel.com/api/v2
    api_key: ${NOTPANEL_API_KEY}
    webhook_secret: ${WEBHOOK_SECRET:?the webhook's}
    webhook_signature: {header: X-Signature, timestamp_header: X-Time, encoding: base64, tolerance: 10m}
"""


def test_a_webhook_secret_is_asked_for_by_the_receiver_only_and_the_key_by_the_others() -> None:
    received = parse_configuration(HOOKED, "c.yaml", {"WEBHOOK_SECRET": KEY}, keys=False, webhooks=True).account("main")
    assert received.webhook_secret is not None
    assert (received.webhook_secret.get_secret_value(), received.api_key.get_secret_value()) == (KEY, "")
    worked = parse_configuration(HOOKED, "c.yaml", ENV).account("main")
    assert worked.webhook_secret is not None
    assert (worked.webhook_secret.get_secret_value(), worked.api_key.get_secret_value()) == ("", KEY)
    assert read(GOOD).account("main").webhook_secret is None
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration(HOOKED, "c.yaml", ENV, webhooks=True)
    assert str(caught.value) == "c.yaml:5:21: accounts.main.webhook_secret: WEBHOOK_SECRET is not set: the webhook's"
    spaced = {**ENV, "WEBHOOK_SECRET": "a b"}
    with pytest.raises(ConfigurationError, match=r"webhook_secret: holds a space .*; check the variable WEBHOOK_SEC"):
        parse_configuration(HOOKED, "c.yaml", spaced, webhooks=True)


def test_how_deliveries_are_signed_is_what_the_client_knows_with_its_defaults() -> None:
    known = {field.name: field.default for field in fields(SignatureScheme)}
    assert {name: field.default for name, field in WebhookSignature.model_fields.items()} == known
    configuration = parse_configuration(HOOKED, "c.yaml", {"WEBHOOK_SECRET": KEY}, keys=False, webhooks=True)
    endpoint = endpoints_of(configuration)["main"]
    assert endpoint.secret.get_secret_value() == KEY
    assert endpoint.scheme == SignatureScheme(
        header="X-Signature", timestamp_header="X-Time", encoding="base64", tolerance=timedelta(minutes=10)
    )
    assert endpoints_of(read(GOOD)) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("header: X-Signature", "header: X Signature"),
         '6:25: accounts.main.webhook_signature.header: "X Signature" is not written in the right form'),
        (("encoding: base64", "encoding: base32"),
         "6:72: accounts.main.webhook_signature.encoding: \"base32\" is not known; write encoding: 'hex' or 'base64'"),
        (("tolerance", "tolerence"),
         '6:90: accounts.main.webhook_signature.tolerence: is not a known field; did you mean "tolerance"?'),
        (("${WEBHOOK_SECRET:?the webhook's}", "whsec_1"),
         ("5:5: accounts.main.webhook_secret: must come from the environment, not stand in the file; "
          "write webhook_secret: ${NOTPANEL_WEBHOOK_SECRET:?set it to the webhook's secret}")),
    ],
)  # fmt: skip
def test_a_mistake_about_webhooks_is_told_to_everybody(change: tuple[str, str], message: str) -> None:
    assert str(refused(HOOKED.replace(*change))) == f"campaigner.yaml:{message}"


LITERALS = [
    f"webhook_secret: {KEY}",
    f"webhook_secret: ${{NONE:-{KEY}}}",
    f"webhook_secret: ${{NOTPANEL_API_KEY}}{KEY}",
    f"webhook_secret: [{KEY}]",
    f"webhook_secret: |\n      {KEY}",
    f"webhook_secret: '{KEY}",
    f"webhook_secrets: {KEY}",
    f"webhook_signature: {KEY}",
    f"webhook_signature: {{secret: {KEY}}}",
    "webhook_signature: {encoding: '${NOTPANEL_API_KEY}'}",
    f"api_key: {KEY}",
    f"api_key: '{KEY}'",
    f"api_key: {KEY} # ${{NOTPANEL_API_KEY}}",
    f"api_key: ${{NONE:-{KEY}}}",
    f"api_key: ${{NONE-{KEY}}}",
    f"api_key: ${{NOTPANEL_API_KEY}}{KEY}",
    f"api_key: ${KEY}",
    f"api_key: [{KEY}]",
    f"api_key: {{a: {KEY}}}",
    f"api_key: !x {KEY}",
    f"api_key: |\n      {KEY}",
    f"api_key: '{KEY}",
    f"api_key: @{KEY}",
    f"api_key: *{KEY}",
    f'api_key: "\\x{KEY}"',
    f"apikey: {KEY}",
    f"api_key: ${{NOTPANEL_API_KEY}}\n    api_key: {KEY}",
    f"api_key: {KEY}\n    api_key: {KEY}\n   foo",
    "api_key: ${NOTPANEL_API_KEY}\n    currency: ${NOTPANEL_API_KEY}",
    "api_key: ${NOTPANEL_API_KEY}\n    poll_every: ${NOTPANEL_API_KEY}",
    "api_key: ${NOTPANEL_API_KEY}\n    allowed_targets: ['${NOTPANEL_API_KEY}']",
    "api_key: ${NOTPANEL_API_KEY}\n    url: ${NOTPANEL_API_KEY}",
]


@pytest.mark.parametrize("line", LITERALS)
def test_no_error_ever_shows_a_key(line: str) -> None:
    error = refused(f"accounts:\n  main:\n    url: https://notpanel.com/api/v2\n    {line}\n")
    shown = f"{error} {error!r} {error.render()} {error.errors!r} {''.join(traceback.format_exception(error))}"
    assert KEY not in shown


def test_a_configuration_never_shows_its_keys() -> None:
    configuration = read(GOOD)
    assert KEY not in f"{configuration} {configuration!r} {configuration.model_dump_json()} {configuration.accounts}"
    assert pickle.loads(pickle.dumps(configuration)).account("main").api_key.get_secret_value() == KEY  # noqa: S301


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_file_with_anything_put_in_it_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(GOOD)))
    end = data.draw(st.integers(start, min(len(GOOD), start + 12)))
    put = data.draw(
        st.text(max_size=4) | st.sampled_from(["[", "{", "- ", ": ", "\n", "'", "!", "&a ", "*a", "~", "null", "$"])
    )
    shown = ""
    try:
        read(GOOD[:start] + put + GOOD[end:])
    except ConfigurationError as error:
        shown = error.render()
    assert KEY not in shown
