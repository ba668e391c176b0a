"""The hub as a real process: start it, kill it, start it again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import yaml

START_SECONDS = 60.0


class HubProcess:
    """`bothub serve` in a folder of its own; the port stays the same over restarts."""

    def __init__(self, folder: Path, config: dict[str, Any], environ: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.url = ""
        self.log: list[str] = []
        self._told = asyncio.Condition()
        self._config = config
        self._environ = environ or {}
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def key(self) -> str:
        """The admin key the hub made."""
        return msgspec.json.decode((self.folder / "data" / "api-key.json").read_bytes())["apiKey"]

    @property
    def store_url(self) -> str:
        return f"sqlite:///{self.folder / 'data' / 'bothub.db'}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start the process and wait until it listens; one without the role `api` has no URL then."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(self._config, sort_keys=False))
        environ = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200", **self._environ}
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hub", "--config", str(path), "serve"),
            cwd=self.folder,
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        listens = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read(listens))
        async with asyncio.timeout(START_SECONDS):
            self.url = await listens
        if self.url:
            port = int(self.url.rpartition(":")[2])
            self._config = {**self._config, "api": {**self._config.get("api", {}), "port": port}}

    async def logged(self, text: str, times: int = 1) -> None:
        """Wait until the process has said something so often, over all its starts."""
        async with asyncio.timeout(START_SECONDS), self._told:
            await self._told.wait_for(lambda: sum(text in line for line in self.log) >= times)

    async def _read(self, listens: asyncio.Future[str]) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            text = line.decode().rstrip()
            async with self._told:
                self.log.append(text)
                self._told.notify_all()
            if ("listens on " in text or "listens nowhere" in text) and not listens.done():
                listens.set_result(text.partition("listens on ")[2].partition(" ")[0])
        if not listens.done():
            listens.set_exception(AssertionError("the hub did not start:\n" + "\n".join(self.log[-30:])))

    async def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """End it as Ctrl-C does; returns the exit code."""
        return await self._end(signal.SIGINT)

    async def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        assert self._reading is not None
        if self._process.returncode is None:
            self._process.send_signal(number)
        code = await self._process.wait()
        await self._reading
        return code

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()
        if error is not None:
            error.add_note("the hub's last lines:\n" + "\n".join(self.log[-40:]))


def demo_config(**more: Any) -> dict[str, Any]:
    """The demo agent over HTTP and the web rooms, on a free port, with short leases."""
    return {
        "data_dir": "./data",
        "api": {"port": 0},
        "bus": {"lease": "600ms", "extend": "200ms"},
        "models": {"demo": {"provider": "demo"}},
        "agents": {"assistant": {"model": "demo", "tools": ["message"], "posts_to": ["*"]}},
        "channels": {"web": {"kind": "web", "agent": "assistant"}},
        **more,
    }


def telegram_channel(base_url: str, token: str, **more: Any) -> dict[str, Any]:
    """A Telegram channel on a local server, open to everybody."""
    return {
        "kind": "telegram",
        "token": token,
        "base_url": base_url,
        "agent": "assistant",
        "direct": "open",
        **more,
    }
