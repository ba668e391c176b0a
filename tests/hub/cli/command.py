"""`bothub` on a real store in a folder of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml
from click.testing import CliRunner, Result

from hub.bus import Bus, Outcome, Publish, Settle
from hub.cli import main
from hub.message import Address, Author, Delivery, Message, Text, agent_inbox, channel_inbox
from hub.signals.local import LocalSignals
from hub.store import open_store
from hub.store.migrate import migrate

T = TypeVar("T")
CONFIG: dict[str, Any] = {
    "models": {"demo": {"provider": "demo"}},
    "agents": {"assistant": {"model": "demo"}},
    "channels": {
        "web": {"kind": "web", "agent": "assistant"},
        "support": {"enabled": False, "kind": "telegram", "token": "${TELEGRAM_TOKEN}"},
    },
}


class Bothub:
    """The command in a folder with a space in its name; the config is replaced by `configure`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.config = folder / "config.yaml"
        self.configure(CONFIG)

    @property
    def store_url(self) -> str:
        return f"sqlite:///{self.config.parent}/data/bothub.db"

    def configure(self, config: dict[str, Any]) -> None:
        self.config.write_text(yaml.safe_dump(config, sort_keys=False))

    def __call__(self, *words: str, environ: dict[str, str] | None = None) -> Result:
        result = CliRunner().invoke(main, ["--config", str(self.config), *words], env=environ)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *words: str, code: int = 0) -> Any:
        """What a command answers with --json."""
        result = self(*words, "--json")
        assert result.exit_code == code, result.output
        return msgspec.json.decode(result.stdout)

    def work(self, task: Callable[[Bus], Awaitable[T]], clock: Callable[[], float] = time.time) -> T:
        """Do something on the bus, as a hub would."""

        async def run() -> T:
            store = await open_store(self.store_url)
            try:
                await migrate(store)
                return await task(Bus(store, LocalSignals(), clock))
            finally:
                await store.close()

        return asyncio.run(run())


def delivery(id: str, address: str, *texts: str, expires_at: float | None = None) -> Publish:
    """A delivery as it stands in its channel's inbox."""
    to = Address.parse(address)
    made = Delivery(
        id=id,
        address=to,
        parts=tuple(Text(text=text) for text in texts or ("hello",)),
        author=Author(id="assistant", name="assistant", kind="agent"),
        expires_at=expires_at,
    )
    return Publish(inbox=channel_inbox(to.channel), lane=address, id=id, body=msgspec.json.encode(made))


def message(id: str, address: str, text: str, agent: str = "assistant") -> Publish:
    """A message as it stands in its agent's inbox."""
    said = Message(
        id=id, address=Address.parse(address), author=Author(id="u", name="U"), parts=(Text(text=text),), at=0.0
    )
    return Publish(inbox=agent_inbox(agent), lane=address, id=id, body=msgspec.json.encode(said))


async def settle(
    bus: Bus, entry: Publish, outcome: Outcome = "dead", reason: str | None = "failed", error: str | None = None
) -> None:
    """Publish a message and settle it."""
    await bus.commit(entry)
    [lease] = await bus.claim(entry.inbox, 1, 8.0)
    await bus.commit(Settle(lease=lease, outcome=outcome, reason=reason, error=error))
