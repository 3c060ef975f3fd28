"""``worker.py`` with less patience: what a killed worker had on the wire is given up after seconds, not after 45."""

from __future__ import annotations

import sys
from datetime import timedelta

import worker
from workflows import account, carrying

GIVEN_UP_AFTER = 5.0

if __name__ == "__main__":
    worker.REQUEST_DEADLINE = GIVEN_UP_AFTER - 1
    carrying.ONE_REQUEST = timedelta(seconds=GIVEN_UP_AFTER)
    account.ONE_REQUEST = timedelta(seconds=GIVEN_UP_AFTER)
    sys.exit(worker.main())
