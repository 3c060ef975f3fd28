"""``worker.py`` with every logger at debug, those of the HTTP library and of the SDK included."""

from __future__ import annotations

import logging
import sys

import worker

if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    # What the worker quietens stays loud.
    setattr(logging.getLogger("httpx"), "setLevel", lambda _level: None)  # noqa: B010 - mypy knows better
    for name in ("httpcore", "temporalio", "campaigner", "asyncio"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    sys.exit(worker.main())
