"""``receiver``: takes the panel's webhooks, so that an order that ends is read at once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from commands.console import FAILED, INVALID, CommandError, Kind, plain, say
from commands.stopping import until_stopped
from commands.temporal import connected
from configuration import load_configuration
from panel import SignatureScheme
from receiver import Endpoint, Hints, serve
from serving import ListenError

if TYPE_CHECKING:
    from configuration import Configuration


def endpoints_of(configuration: Configuration) -> dict[str, Endpoint]:
    """Give the endpoint of every account that has a secret."""
    return {
        name: Endpoint(settings.webhook_secret, SignatureScheme(**dict(settings.webhook_signature)))
        for name, settings in configuration.accounts.items()
        if settings.webhook_secret is not None
    }


async def receive(port: int, host: str) -> int:
    """Serve the endpoint for webhooks until stopped.

    Raises:
        ConfigurationError: the configuration is missing or wrong, or a secret is not in the environment.
        TemporalError: the server cannot be reached.
        CommandError: no account has a secret, or the port is taken.

    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    configuration = load_configuration(keys=False, webhooks=True)
    endpoints = endpoints_of(configuration)
    if not endpoints:
        told = (
            f"no account in {plain(configuration.path)} has a webhook_secret, so no delivery could be believed; "
            "`campaigner webhooks ACCOUNT --add URL` registers an endpoint and tells its secret"
        )
        raise CommandError(told, INVALID, Kind.CONFIGURATION)
    hints = Hints(await connected())

    def introduce(url: str) -> None:
        for name in endpoints:
            say(f"deliveries of {name}  {url}/{name}", "bold")
        others = [name for name in configuration.accounts if name not in endpoints]
        if others:
            say(f"without a webhook_secret, and so without an endpoint: {', '.join(others)}", "dim")
        say("receiver is up; Ctrl-C stops", "green")

    try:
        return await until_stopped(serve(endpoints, hints.tell, introduce, host=host, port=port))
    except ListenError as error:
        raise CommandError(str(error), FAILED) from None
