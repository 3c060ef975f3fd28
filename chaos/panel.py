"""The sandbox in a process of its own, without limits: ``python -m chaos.panel '{"speed": 3600}'``.

Says where it is in its first line, and then twice a second how many orders are in its books.
"""

from __future__ import annotations

import asyncio
import json
import sys

from sandbox.limits import Limits
from sandbox.server import running
from sandbox.settings import SandboxSettings

TELLS_EVERY = 0.5


async def _main(settings: SandboxSettings) -> None:
    async with running(settings) as box:
        print(json.dumps({"url": box.url, "base_url": box.base_url}), flush=True)
        while True:
            await asyncio.sleep(TELLS_EVERY)
            print(json.dumps({"orders": box.front.desk.books.count_orders()}), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(SandboxSettings(limits=Limits.off(), control=True, **json.loads(sys.argv[1]))))
