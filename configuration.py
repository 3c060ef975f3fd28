"""The configuration file: which panel accounts there are, how fast they are asked, and which links are the operator's.

Read from the path given, from ``$CAMPAIGNER_CONFIG``, or from ``campaigner.yaml`` in the working directory. API keys
and webhook secrets come from the environment only: one written into the file is refused, and no error ever shows one, a
value that might be one, or a line of the file that might hold one.

The errors::

    ConfigurationError
    ├── NoConfigurationError     there is no file to read
    ├── UnknownAccountError      an account that the file does not name
    └── MissingKeyError          an account whose key is not in the environment, or cannot be one
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError

from campaigns.accounts import RETRY_WINDOW, AccountFacts
from campaigns.definition import Name, Whole
from campaigns.documents import MAX_TEXT, Document, read_document
from campaigns.explaining import Loc, Problem, Shape, explain
from campaigns.loading import Located, locate_all
from campaigns.quantities import Amount, Duration, format_duration, parse_duration, parse_money
from campaigns.targets import BadLink, check_pattern, normalise
from campaigns.wording import did_you_mean, escaped, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT_PATH = Path("campaigner.yaml")
PATH_VARIABLE = "CAMPAIGNER_CONFIG"
MINIMAL = """\
accounts:
  main:
    url: https://notpanel.com/api/v2
    api_key: ${NOTPANEL_API_KEY}
    allowed_targets: ["https://example.com/brand/*"]   # links of your own
"""
"""The least that a configuration says; shown to whoever has none."""
LONGEST_RETRY_WINDOW = timedelta(hours=24)
"""How long a panel is assumed to remember a request_id at all (an open point of its documentation)."""

_HEADER = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"
_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(?::?\?[^}]*)?\}")
_SHOWN_LINE = re.compile(
    r"""\s*(?:(?:accounts|url|requests_per_minute|poll_every|retry_window|probe_every|allowed_targets|currency|idempotent
    |per_day|timezone|second_person)
    \s*:.*|-\s*["']?https?://.*|(?:api_key|webhook_secret)\s*:\s*["']?\$\{[A-Za-z_][A-Za-z0-9_]*(?::?\?[^}]*)?\}["']?\s*)""",
    re.VERBOSE,
)


class ConfigurationError(Exception):
    """The configuration cannot be used; ``str()`` says why and what to do, one line for each thing wrong."""

    def __init__(self, message: str, errors: tuple[Located, ...] = ()) -> None:
        super().__init__(message)
        self.errors = errors

    def render(self) -> str:
        """Give the errors with their source lines, where these can be shown."""
        return "\n\n".join(error.render() for error in self.errors) or str(self)


class NoConfigurationError(ConfigurationError):
    """There is no configuration file, or it cannot be read."""


class UnknownAccountError(ConfigurationError):
    """An account that the configuration does not name."""

    def __init__(self, name: str, known: list[str], where: str) -> None:
        hint = did_you_mean(name, known) or f"it names {', '.join(known)}"
        message = f"{quoted(name)} is not an account in {escaped(where)}"
        super().__init__(f"{message}; {hint}")
        self.problem = Problem(("account",), message, hint)
        """The same as a problem of the campaign file that names the account."""


class MissingKeyError(ConfigurationError):
    """An account whose key is not in the environment, or cannot be one."""


class WebhookSignature(BaseModel):
    """How the panel signs its deliveries: the fields and the defaults of :class:`panel.SignatureScheme`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    header: Annotated[str, StringConstraints(pattern=_HEADER)] = "X-NotPanel-Signature"
    """The header that holds the signature; by default beside its time, as ``t=<unix>,v1=<signature>``."""
    timestamp_header: Annotated[str, StringConstraints(pattern=_HEADER)] | None = None
    """A header of its own for the time: ``header`` then holds the signature alone."""
    timestamp_field: str = "t"
    signature_field: str = "v1"
    prefix: str = ""
    """What stands before the signature, such as ``sha256=``."""
    encoding: Literal["hex", "base64"] = "hex"
    separator: str = "."
    """What stands between the time and the body in what is signed."""
    tolerance: Duration = timedelta(minutes=5)
    """How old a delivery may be."""


class AccountSettings(BaseModel):
    """One panel account."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str = Field(min_length=1)
    """The panel's API, https (plain http only to this machine)."""
    api_key: SecretStr
    requests_per_minute: Whole = Field(default=100, ge=1, le=100_000)
    poll_every: Duration = timedelta(seconds=60)
    """How often an open order's status is read."""
    retry_window: Duration = RETRY_WINDOW
    """How long an unanswered request is repeated with its own key; at most 24h."""
    probe_every: Duration = timedelta(minutes=5)
    """How often one order probes an account without funds, and a busy link is tried again."""
    allowed_targets: list[str] = Field(default_factory=list)
    """Links the operator owns, exact or with ``*``; nothing else is ever ordered for."""
    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")] = "USD"
    per_day: Amount | None = None
    """What all campaigns together may order on one day of ``timezone``."""
    timezone: str = "UTC"
    """Whose midnight ends the day of ``per_day``."""
    second_person: bool = Field(default=False, strict=True)
    """True: a campaign above its ``approval_over`` is approved by somebody else than who started it."""
    idempotent: bool = Field(default=True, strict=True)
    """False for a panel that ignores ``request_id``."""
    webhook_secret: SecretStr | None = None
    """What the panel signs its deliveries with; None when it delivers none."""
    webhook_signature: WebhookSignature = Field(default_factory=WebhookSignature)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    accounts: dict[Name, AccountSettings] = Field(min_length=1)


class Configuration(BaseModel):
    """What the configuration file says."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    path: str
    accounts: dict[str, AccountSettings]
    keyless: dict[str, MissingKeyError] = Field(default_factory=dict, exclude=True, repr=False)
    """Accounts without a usable key, and what is wrong with it; none where every key was asked for at once."""

    def key(self, name: str) -> SecretStr:
        """Give an account's API key.

        Raises:
            UnknownAccountError: the file does not name it.
            MissingKeyError: its key is not in the environment, or cannot be one.

        """
        key = self.account(name).api_key
        if name in self.keyless:
            raise self.keyless[name]
        return key

    def account(self, name: str) -> AccountSettings:
        """Give an account's settings.

        Raises:
            UnknownAccountError: the file does not name it.

        """
        if name not in self.accounts:
            raise UnknownAccountError(name, list(self.accounts), self.path)
        return self.accounts[name]

    def facts(self, name: str) -> AccountFacts:
        """Give what the domain needs to know of an account: no URL and no key.

        Raises:
            UnknownAccountError: the file does not name it.

        """
        settings = self.account(name)
        return AccountFacts(
            name=name,
            currency=settings.currency,
            allowed_targets=settings.allowed_targets,
            poll_every=settings.poll_every,
            retry_window=settings.retry_window,
            probe_every=settings.probe_every,
            second_person=settings.second_person,
            guarded=settings.per_day is not None,
            per_day=settings.per_day,
            idempotent=settings.idempotent,
        )


_SHAPE = Shape(models={"": _File, "accounts": AccountSettings, "webhook_signature": WebhookSignature})
_SECRETS = {
    "api_key": "write api_key: ${NOTPANEL_API_KEY:?set it to your panel key}",
    "webhook_secret": "write webhook_secret: ${NOTPANEL_WEBHOOK_SECRET:?set it to the webhook's secret}",
}
"""The fields that come from the environment only, and how to write them."""


def load_configuration(
    path: Path | None = None, env: Mapping[str, str] = os.environ, *, keys: bool = True, webhooks: bool = False
) -> Configuration:
    """Read the configuration.

    ``keys=False`` is for commands, which ask the panels of few accounts or of none: a key that is missing is told when
    it is used, by :meth:`Configuration.key`. A worker uses them all. Only ``webhooks=True`` asks for the webhooks'
    secrets, which nobody but their receiver needs.

    Raises:
        NoConfigurationError: there is no file, or it cannot be read.
        ConfigurationError: something in it is wrong; all of it is told at once.

    """
    path = path or Path(env.get(PATH_VARIABLE) or DEFAULT_PATH)
    return parse_configuration(_read(path), str(path), env, keys=keys, webhooks=webhooks)


def parse_configuration(
    text: str | bytes, path: str, env: Mapping[str, str], *, keys: bool = True, webhooks: bool = False
) -> Configuration:
    """Read a configuration from its text, as :func:`load_configuration` does; ``path`` is only shown.

    Raises:
        ConfigurationError: something in it is wrong; all of it is told at once.

    """
    document = read_document(text, path, env)
    secrets, problems = _take_secrets(document, webhooks=webhooks)
    accounts: dict[str, AccountSettings] = {}
    if document.root is not None:
        try:
            accounts = _File.model_validate(document.data).accounts
        except ValidationError as error:
            problems += [_masked(problem, document) for problem in explain(error, document.data, _SHAPE)]
        told = {problem.loc for problem in problems}
        problems += [problem for problem in _rules(document.data) if problem.loc not in told]
    errors = [_without_secrets(error) for error in locate_all(problems, document)]
    later = (
        {}
        if keys
        else {
            name: [e for e in errors if e.problem.loc == _key_of(name)]
            for name in secrets
            if "api_key" in secrets[name]
        }
    )
    if at_once := [error for error in errors if not any(error in of_key for of_key in later.values())]:
        raise ConfigurationError(_told(at_once), tuple(at_once))
    complete = {name: settings.model_copy(update=secrets[name]) for name, settings in accounts.items()}
    keyless = {name: MissingKeyError(_told(of_key), tuple(of_key)) for name, of_key in later.items() if of_key}
    return Configuration(path=path, accounts=complete, keyless=keyless)


def _told(errors: list[Located]) -> str:
    return "\n".join(f"{error}{'; ' + error.problem.hint if error.problem.hint else ''}" for error in errors)


def _key_of(name: str) -> Loc:
    return ("accounts", name, "api_key")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_TEXT + 1)
    except FileNotFoundError:
        raise NoConfigurationError(
            f"there is no configuration at {escaped(str(path))}; name yours in {PATH_VARIABLE}, or write one there "
            f"with at least\n\n{indent(MINIMAL, '    ')}\ndocs/configuration.md tells what else it may say"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a valid path"
        message = f"the configuration {escaped(str(path))} cannot be read: {reason}"
        raise NoConfigurationError(message) from None


def _take_secrets(document: Document, *, webhooks: bool) -> tuple[dict[str, dict[str, SecretStr]], list[Problem]]:
    """Take the secrets out of the document, before anything else can see and repeat them.

    Gives those that come from the environment, by account, also the missing ones; and what is wrong with them all.
    Without ``webhooks`` their secrets are empty, and nothing is wrong with them.
    """
    secrets: dict[str, dict[str, SecretStr]] = {}
    problems: list[Problem] = []
    for name, account in _accounts(document.data):
        secrets[name] = {}
        for field, advice in _SECRETS.items():
            loc: Loc = ("accounts", name, field)
            node = document.node(loc)
            if node is None:
                continue
            account[field] = "***"
            if node.kind != "scalar" or not _VARIABLE.fullmatch(node.text):
                problems.append(Problem(loc, "must come from the environment, not stand in the file", advice))
                # Whatever else is wrong with it would repeat it.
                document.faults = [fault for fault in document.faults if fault.problem.loc[: len(loc)] != loc]
                document.unfilled.discard(loc)
                continue
            if field == "webhook_secret" and not webhooks:
                document.faults = [fault for fault in document.faults if fault.problem.loc != loc]
                secrets[name][field] = SecretStr("")
                continue
            if node.filled is not None and not re.fullmatch(r"[!-~]+", node.filled):
                message = "holds a space or a sign that no key has" if node.filled else "is empty"
                variable = node.text[2:].split("}")[0].split(":")[0]
                problems.append(Problem(loc, f"{message}; check the variable {variable}"))
            secrets[name][field] = SecretStr(node.filled or "")
    return secrets, problems


def _accounts(data: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    accounts = data.get("accounts") if isinstance(data, dict) else None
    for name, account in accounts.items() if isinstance(accounts, dict) else ():
        if isinstance(account, dict):
            yield name, account


def _rules(data: Any) -> Iterator[Problem]:
    for name, account in _accounts(data):
        loc: Loc = ("accounts", name)
        if isinstance(url := account.get("url"), str) and (fault := _fault_of_url(url)):
            yield Problem((*loc, "url"), fault)
        patterns = account.get("allowed_targets")
        for index, pattern in enumerate(patterns if isinstance(patterns, list) else ()):
            try:
                if isinstance(pattern, str):
                    check_pattern(pattern)
            except BadLink as error:
                yield Problem((*loc, "allowed_targets", index), str(error))
        yield from _rules_of_the_day(loc, account)
        try:
            window = parse_duration(str(account.get("retry_window", "1s")))
        except ValueError:
            continue
        if window > LONGEST_RETRY_WINDOW:
            message = f"{format_duration(window)} is longer than a panel remembers a request; at most 24h"
            yield Problem((*loc, "retry_window"), message)


def _rules_of_the_day(loc: Loc, account: dict[str, Any]) -> Iterator[Problem]:
    zone, limit = account.get("timezone", "UTC"), account.get("per_day")
    try:
        if isinstance(zone, str):
            ZoneInfo(zone)
    except (ValueError, OSError, KeyError):
        yield Problem((*loc, "timezone"), "is not a known IANA time zone, such as Europe/Istanbul")
    try:
        per_day = parse_money(limit) if isinstance(limit, str) else None
    except ValueError:
        return
    currency = account.get("currency", "USD")
    if per_day is not None and isinstance(currency, str) and per_day.currency != currency:
        yield Problem((*loc, "per_day"), f"is in {per_day.currency}, but the account is billed in {quoted(currency)}")


def _fault_of_url(url: str) -> str | None:
    try:
        parts = urlsplit(normalise(url))
    except BadLink as error:
        return str(error)
    if parts.query or parts.fragment:
        return "must not hold ? or #; the key is sent in the request's body"
    if parts.scheme == "https" or parts.hostname == "localhost":
        return None
    try:
        loopback = ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        loopback = False
    return None if loopback else "must begin with https://, or the key could be read on its way"


def _masked(problem: Problem, document: Document) -> Problem:
    """Keep a value that came from the environment, where the keys are, out of a message."""
    node = document.node(problem.loc)
    from_env = node is not None and node.kind == "scalar" and node.filled != node.text
    return replace(problem, message="the variable's value does not fit here", hint="") if from_env else problem


def _without_secrets(error: Located) -> Located:
    """Show a source line only when it surely holds no key."""
    if error.source is not None and _SHOWN_LINE.fullmatch(error.source):
        named = error.source.partition(":")[0].strip()
        if named in _SECRETS or "key" not in error.source.lower():
            return error
    return replace(error, source=None)
