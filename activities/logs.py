"""How an activity's failure stands in a worker's log: one line in our words instead of a traceback.

A failure that an activity raises on purpose (an answer that was lost, a panel that is down) says all there is to say,
and comes with every attempt. Anything else keeps its traceback.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from temporalio.exceptions import ApplicationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class OneLine(logging.Filter):
    """Shortens what the SDK logs of failures that are raised on purpose."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Take the record, in short where that is enough."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, ApplicationError):
            about: Mapping[str, Any] = getattr(record, "temporal_activity", {})
            what = f"{about.get('activity_type', 'an activity')} of {about.get('workflow_id', 'a workflow')}"
            record.msg = f"{what}, attempt {about.get('attempt', '?')}: {error.message}"
            record.args, record.exc_info, record.exc_text = (), None, None
        return True


_ONE_LINE = OneLine()


def shorten() -> None:
    """Shorten them from now on; any number of times."""
    logging.getLogger("temporalio.activity").addFilter(_ONE_LINE)
