"""The socket and the server below the app."""

from __future__ import annotations

import asyncio
import logging
import socket

from hypercorn.asyncio import serve as _serve  # pyright: ignore[reportUnknownVariableType] - its WSGI half
from hypercorn.config import Config
from quart import Quart

from api.connection import requests
from hub.errors import ConfigError

BACKLOG = 1024
CUT_SECONDS = 2.0
"""How long a cancelled request may take to end."""
KEEP_ALIVE_SECONDS = 75.0
"""How long an idle connection stays: longer than clients keep theirs in a pool, so that they close first."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, on a free port when `port` is 0; `getsockname()` tells which. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        # create_server adds the address to the system's sentence.
        why = (error.strerror or str(error)).partition(" (while")[0]
        raise ConfigError([f"api.host, api.port: cannot listen on {host}:{port}: {why}"]) from error


async def serve(app: Quart, listener: socket.socket, stop: asyncio.Event, *, grace: float = 3.0) -> None:
    """Serve until `stop` is set; open requests then have `grace` seconds to end before they are cancelled."""
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.backlog = BACKLOG
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    # Hypercorn would cancel its connections; a request that is cancelled first ends its connection in order.
    config.graceful_timeout = grace + CUT_SECONDS
    cut = asyncio.create_task(_cut(app, stop, grace))
    try:
        await _serve(app, config, shutdown_trigger=stop.wait)
    finally:
        cut.cancel()


async def _cut(app: Quart, stop: asyncio.Event, grace: float) -> None:
    await stop.wait()
    await asyncio.sleep(grace)
    for request in requests(app):
        request.cancel()
