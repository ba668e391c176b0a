"""Where a command works: the store and a bus on it, whether a hub runs or not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import channels
from hub.accounts.audit import Act
from hub.accounts.definitions import version
from hub.bus import Bus
from hub.cli.call import Call
from hub.cli.output import Failed
from hub.config import Config, load
from hub.delivery.posts import Channels, Posts
from hub.errors import Conflict, NotFound
from hub.signals.local import LocalSignals
from hub.store import Connection, Store, open_store
from hub.store.migrate import HEAD, behind, migrate, revision

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A configuration with its store; a hub that runs notices what the bus does within a second."""

    config: Config
    """What a hub goes by: `declared` in config.yaml, or saved while one ran."""
    declared: Config
    store: Store
    bus: Bus
    posts: Posts

    @property
    def now(self) -> float:
        return self.bus.clock()

    def acting(self, what: str, unit: Callable[[Act], T]) -> Callable[[Connection], T]:
        """The unit that does something from the command line, called `what` in the audit."""
        now = self.now
        return lambda connection: unit(Act(connection=connection, what=what, now=now))

    async def change(self, what: str, unit: Callable[[Act], T]) -> T:
        """Do it in one transaction; the unit notes what it changes (`Act.note`)."""
        return await self.store.write(self.acting(what, unit))


def work(call: Call, task: Callable[[Desk], Awaitable[T]]) -> T:
    """Do something with the store of a configuration; raises ConfigError, StoreUnavailable."""
    return asyncio.run(_work(load(call.path, call.environ), task))


def act(call: Call, what: str, unit: Callable[[Act], T]) -> T:
    """Change something in one transaction, called `what` in the audit; raises Failed for what is not there or taken."""

    async def task(desk: Desk) -> T:
        with failing():
            return await desk.change(what, unit)

    return work(call, task)


@contextmanager
def failing() -> Generator[None]:
    """What is not there or taken is Failed: the command was called rightly."""
    try:
        yield
    except (NotFound, Conflict) as error:
        raise Failed(str(error)) from None


async def _work(declared: Config, task: Callable[[Desk], Awaitable[T]]) -> T:
    async with AsyncExitStack() as stack:
        store = await open_store(declared.store_url)
        stack.push_async_callback(store.close)
        await _prepare(store)
        config = await _with_saved(declared, store)
        bus = Bus(store, LocalSignals(), time.time)
        posts = Posts(bus, channels_of(config))
        return await task(Desk(config=config, declared=declared, store=store, bus=bus, posts=posts))


async def _with_saved(config: Config, store: Store) -> Config:
    """The configuration that a hub goes by: with what was saved while one ran."""
    if not await store.read(version):
        return config
    # The composition root takes a second to import; who saved nothing does not pay for it.
    from hub.accounts.vault import Vault
    from hub.app.saved import read

    vault = Vault(config.data_dir, config.secret_key.get_secret_value())
    return (await read(store, config, vault, time.time())).merged[0]


async def _prepare(store: Store) -> None:
    """Make the tables of a new database; never change those of one that a hub may run on."""
    at = await store.read(revision)
    if at is None:
        await migrate(store)
    elif at != HEAD:
        raise Failed(behind(at))


def channels_of(config: Config) -> Channels:
    """The channels that a post may name."""
    return Channels(
        kinds={name: channel.kind for name, channel in config.channels.items()},
        enabled={name for name, channel in config.channels.items() if channel.enabled},
        known_kinds=set(channels.names()),
    )
