"""``codec-server``: what the Web UI asks to read encrypted campaigns."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from codec import CodecKeysError, EncryptionCodec
from codec.server import ORIGINS, TOKEN_VARIABLE, CodecServerError, serve
from commands.console import FAILED, INVALID, CommandError, plain, say
from commands.stopping import until_stopped
from dev_files import DevFiles

if TYPE_CHECKING:
    from collections.abc import Sequence


def here() -> list[str]:
    """Give the Web UI of this folder's ``campaigner dev`` under both of its names; the usual one when none runs."""
    running = DevFiles().running()
    if running is None:
        return list(ORIGINS)
    return [running.ui.replace("//127.0.0.1:", "//localhost:"), running.ui]


async def codec_server(port: int, host: str, origins: Sequence[str]) -> int:
    """Serve the codec endpoint until stopped."""
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        codec = EncryptionCodec.from_environment()
    except CodecKeysError as error:
        raise CommandError(str(error), INVALID) from None
    allowed = [origin.rstrip("/") for origin in origins] or here()

    def introduce(url: str) -> None:
        say(f"codec endpoint  {url}   (Web UI: the glasses at the top right; CLI: --codec-endpoint {url})", "bold")
        say(f"keys            {', '.join(codec.key_ids)}")
        say(f"for pages of    {plain(', '.join(allowed))}")
        say("a bearer token is wanted" if os.environ.get(TOKEN_VARIABLE) else "no bearer token is wanted", "dim")

    try:
        return await until_stopped(serve(port, allowed, introduce, host=host, codec=codec))
    except CodecServerError as error:
        raise CommandError(str(error), FAILED) from None
