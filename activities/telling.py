"""The activity that tells the outside: one POST a notice, signed, never in the way of a campaign."""

from __future__ import annotations

import json
import logging
import os
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.contracts import TELL, TellNotices
from campaigns.definition import NoticeFormat
from campaigns.webhooks import address_of
from campaigns.wording import count
from panel import sign

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from campaigns.messages import Notice

SECRET_VARIABLE = "CAMPAIGNER_NOTIFY_SECRET"  # noqa: S105 - the variable's name
"""Signs every notice, when it is set: ``X-Campaigner-Signature: t=<unix>,v1=<hex>`` over ``<t>.<body>``."""
SIGNATURE, NOTICE_ID = "X-Campaigner-Signature", "X-Campaigner-Notice"
_TIMEOUT = httpx.Timeout(10.0)
LONGEST_TEXT = 1900
"""Characters that every chat takes (Discord 2,000)."""
_PASSING = (404, 408, 409, 425, 429)
"""Client errors that may pass: a receiver that is just being set up answers 404."""


_telling: ContextVar[bool] = ContextVar("telling", default=False)


def _names_no_webhook(_record: logging.LogRecord) -> bool:
    """Keep httpx from logging the address of a notice, which may hold a secret."""
    return not _telling.get()


logging.getLogger("httpx").addFilter(_names_no_webhook)


class TellingActivities:
    """What a worker tells the outside."""

    def __init__(self, http: httpx.AsyncClient, env: Mapping[str, str] = os.environ) -> None:
        self._http = http
        self._env = env

    @property
    def all(self) -> Sequence[Callable[..., Any]]:
        """The activities of this class."""
        return [self.tell]

    @activity.defn(name=TELL)
    async def tell(self, told: TellNotices) -> None:
        """Post each notice once; after a failure, go on with the one that was not taken.

        Raises:
            ApplicationError: a notice was not taken; the address is not named, it may hold a secret.

        """
        try:
            address = address_of(told.webhook, self._env)
        except ValueError as error:
            raise ApplicationError(f"notify.webhook: {error}", type="NoWebhook", non_retryable=True) from None
        details = activity.info().heartbeat_details
        first, refused = (int(details[0]), int(details[1])) if details else (0, 0)
        for position, notice in enumerate(told.notices[first:], start=first):
            refused += not await self._post(address, notice, told)
            activity.heartbeat(position + 1, refused)
        if refused:
            words = f"the webhook refused {refused} of {count(len(told.notices), 'notice')}"
            raise ApplicationError(words, type="NoticesRefused", non_retryable=True)

    async def _post(self, address: str, notice: Notice, told: TellNotices) -> bool:
        """Post a notice; tell whether it was taken. One that is refused for good must not stop the others."""
        body = json.dumps(body_of(notice, told), ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", NOTICE_ID: notice.id}
        secret = self._env.get(SECRET_VARIABLE, "")
        if secret:
            headers[SIGNATURE] = sign(secret, int(datetime.now(UTC).timestamp()), body)
        token = _telling.set(True)
        try:
            answer = await self._http.post(address, content=body, headers=headers, timeout=_TIMEOUT)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise ApplicationError(f"the webhook cannot be reached: {type(error).__name__}", type="NotTold") from None
        finally:
            _telling.reset(token)
        if answer.is_success:
            return True
        if answer.is_client_error and answer.status_code not in _PASSING:
            return False
        raise ApplicationError(f"the webhook answered HTTP {answer.status_code}", type="NotTold")


def body_of(notice: Notice, told: TellNotices) -> dict[str, Any]:
    """Give the body of a notice: our own stable shape, or the text that chat webhooks take."""
    if told.format is NoticeFormat.TEXT:
        # "text" is Slack's, Mattermost's, Google Chat's and Teams' word for it, "content" Discord's.
        return {"text": notice.text[:LONGEST_TEXT], "content": notice.text[:LONGEST_TEXT]}
    return {
        "id": notice.id,
        "kind": notice.kind.value,
        "at": notice.at.isoformat().replace("+00:00", "Z"),
        "campaign": told.campaign,
        "account": told.account,
        "order": notice.order,
        "text": notice.text,
        "data": notice.data,
    }
