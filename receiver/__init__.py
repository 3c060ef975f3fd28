"""Receives the panel's webhooks: each believed delivery makes its account read that order now."""

from receiver.hints import Hints, UnheardError
from receiver.server import HOST, MAX_BODY, PORT, Endpoint, app, serve

__all__ = ["HOST", "MAX_BODY", "PORT", "Endpoint", "Hints", "UnheardError", "app", "serve"]
