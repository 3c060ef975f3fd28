"""``worker.py`` on a box whose clock is wrong by $RIG_SKEW hours."""

from __future__ import annotations

import datetime as dt
import os
import sys

import worker
from activities import accounts, orders
from panel import client, errors

OFF = dt.timedelta(hours=float(os.environ["RIG_SKEW"]))


class Skewed(dt.datetime):
    """The time of day, as this box believes it is."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
        return dt.datetime.now(tz) + OFF


if __name__ == "__main__":
    for module in (accounts, orders, client, errors):
        assert hasattr(module, "datetime")
        module.datetime = Skewed  # type: ignore[attr-defined]
    sys.exit(worker.main())
