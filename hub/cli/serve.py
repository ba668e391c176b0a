"""`bothub serve`: run the hub until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from shlex import quote
from urllib.parse import urlsplit

import click
import msgspec
import structlog
from rich.panel import Panel
from rich.text import Text

from hub import logs
from hub.accounts import KEY_VARIABLES
from hub.app import Started, serve
from hub.cli.call import Call
from hub.cli.output import console
from hub.config import Config, load
from hub.config.environment import with_dotenv

log = structlog.get_logger()
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what these mean, not a bind
BODY = '{"messages": [{"role": "user", "content": "count to 3"}]}'
INTERRUPTED = 130
"""What a shell calls a process that ended by Ctrl-C."""


def run(call: Call, log_level: str) -> None:
    """Serve until Ctrl-C or SIGTERM, a second one ends it at once; raises ConfigError, StoreUnavailable."""
    config = load(call.path, call.environ)
    logs.configure(log_level, terminal=sys.stderr.isatty() and not call.json)
    asyncio.run(_Run(call, config).serve(_variable(with_dotenv(call.path.parent, call.environ))))


def _variable(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The environment variable that gives the admin key, with its value."""
    return next(((name, environ[name]) for name in KEY_VARIABLES if environ.get(name)), None)


class _Run:
    """One hub from its start to its end."""

    def __init__(self, call: Call, config: Config) -> None:
        self._call = call
        self._config = config
        self._stop = asyncio.Event()
        self._hub: asyncio.Task[None] | None = None
        self._started = False

    async def serve(self, given: tuple[str, str] | None) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end)
        name, secret = given or (None, None)

        def greet(started: Started) -> None:
            self._started = True
            _greet(started, self._config.api.local_key, name, json=self._call.json)

        self._hub = asyncio.create_task(serve(self._config, secret, self._stop, greet))
        with suppress(asyncio.CancelledError):
            await self._hub
        _leave()

    def _end(self) -> None:
        if self._stop.is_set():
            os._exit(INTERRUPTED)
        log.info("stopping; a second Ctrl-C ends it at once")
        self._stop.set()
        if not self._started and self._hub is not None:
            self._hub.cancel()  # it may wait for a database that does not answer


def _leave() -> None:
    """End now if a platform's SDK is still being imported, or boto3 waits: everything else is closed."""
    if any(thread.name.startswith(("asyncio_", "AnyIO")) for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _greet(started: Started, local_key: str | None, variable: str | None, *, json: bool) -> None:
    """Say where the hub is, where its key is, and a line to paste."""
    if json:
        told = {"url": started.url, "key_file": started.key.path and str(started.key.path), "key_variable": variable}
        click.echo(msgspec.json.encode(told))
        return
    out = console()
    if started.url is None:
        out.print("bothub runs; the role api is not among its roles, so it listens nowhere")
        return
    url = _reachable(started.url)
    where = _where(started, url, variable)
    out.print(Panel(where, expand=False, border_style="cyan") if out.is_terminal else where)
    out.print("Try it in another terminal:\n", style="dim")
    out.print(curl(started, url, local_key, variable), soft_wrap=True, markup=False)
    out.print()


def _reachable(url: str) -> str:
    """The URL for programs on this machine."""
    parts = urlsplit(url)
    return f"http://{EVERYWHERE.get(parts.hostname or '', parts.netloc.rpartition(':')[0])}:{parts.port}"


def _where(started: Started, url: str, variable: str | None) -> Text:
    lines = Text(overflow="fold")
    lines.append("bothub listens on ", style="dim").append(url, style="bold cyan")
    if url != started.url:
        lines.append(" and on every other address of this machine", style="dim")
    lines.append("\npanel at ", style="dim").append(f"{url}/panel", style="bold cyan")
    if started.key.path is None:
        return lines.append("\nadmin key from ", style="dim").append(f"${variable}", style="bold")
    made = "made just now" if started.key.made else "as before"
    lines.append("\nadmin key in ", style="dim").append(str(started.key.path), style="bold")
    return lines.append(f" ({made})", style="dim")


def curl(started: Started, url: str, local_key: str | None, variable: str | None) -> str:
    """A line that works when it is pasted into a shell, from whatever folder."""
    key = f"${variable}"
    if started.key.path is not None:
        # One call that copes with the file however it is laid out.
        key = f"""$(sed -n 's/.*"apiKey" *: *"\\([^"]*\\)".*/\\1/p' {quote(str(started.key.path))})"""
    authorization = "" if local_key else f' -H "Authorization: Bearer {key}"'
    return f"curl -s {url}/v1/chat/completions{authorization} -H 'Content-Type: application/json' -d '{BODY}'"
