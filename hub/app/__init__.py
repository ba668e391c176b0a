"""The composition root: the only package that knows everything. Here is how a hub starts and ends."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass

from api.app import create_app
from api.serve import listen
from api.serve import serve as serve_http
from hub.accounts.audit import START, Act, By
from hub.accounts.bootstrap import Bootstrap, bootstrap, keep
from hub.accounts.ids import namespace
from hub.app.engine import GRACE, Engine
from hub.app.facade import facade
from hub.app.live import Live
from hub.app.models import make_model
from hub.config import Config
from hub.signals import Signals
from hub.signals.local import LocalSignals
from hub.store import Connection, Store, open_store
from hub.upgrade import upgrade

__all__ = ["Engine", "Live", "Started", "facade", "first_key", "make_model", "open_engine", "open_signals", "serve"]


async def open_engine(config: Config, stack: AsyncExitStack) -> Engine:
    """Open the store, bring it up to date and build the engine on it; the stack closes what was opened."""
    store = await open_store(config.store_url)
    stack.push_async_callback(store.close)
    await upgrade(store, config.store_url, config.data_dir)
    signals = await open_signals(config.signals_url)
    stack.push_async_callback(signals.close)
    return Engine(config, store, signals)


async def open_signals(url: str) -> Signals:
    """`local`, or a NATS server; a hub whose server is away starts all the same."""
    if url == "local":
        return LocalSignals()
    from hub.signals.nats import NatsSignals

    signals = NatsSignals(url)
    await signals.start()
    return signals


async def first_key(config: Config, store: Store, clock: Callable[[], float], given: str | None) -> Bootstrap:
    """The admin key, given by the operator or kept in a file, and the local key; both are in the store afterwards."""
    first = bootstrap(config.data_dir, given)

    def ensure(connection: Connection) -> None:
        act = Act(connection=connection, what="key.create", now=clock(), by=By(called=START))
        keep(act, first, config.api.local_key)

    await store.write(ensure)
    return first


@dataclass(frozen=True, kw_only=True)
class Started:
    """A hub that has just started: its URL (None without the role `api`) and its admin key."""

    url: str | None
    key: Bootstrap


async def serve(config: Config, given: str | None, stop: asyncio.Event, started: Callable[[Started], None]) -> None:
    """Run the hub until `stop` is set; what runs then has a moment to end, the rest waits for the next start."""
    async with AsyncExitStack() as stack:
        if config.otel.endpoint:
            from hub import otel

            stack.push_async_callback(otel.start(config.otel.endpoint).close)
        listener = listen(config.api.host, config.api.port) if "api" in config.roles else None
        if listener is not None:
            stack.enter_context(closing(listener))
        engine = await open_engine(config, stack)
        key = await first_key(config, engine.store, engine.clock, given)
        stack.push_async_callback(engine.close)
        live = Live(engine)
        await live.refresh()
        await engine.start()
        live.watch()
        stack.push_async_callback(live.close)
        if listener is None:
            started(Started(url=None, key=key))
            await stop.wait()
            return
        host, port = listener.getsockname()[:2]
        started(Started(url=f"http://{f'[{host}]' if ':' in host else host}:{port}", key=key))
        stop_listening = asyncio.create_task(_when(stop, engine.stop_listening))
        app = create_app(facade(live, await engine.store.write(namespace), key))
        _spare_the_collector()
        loading = asyncio.create_task(_load(engine), name="load models")
        await serve_http(app, listener, stop, grace=GRACE)
        loading.cancel()
        await stop_listening


async def _load(engine: Engine) -> None:
    await engine.models.load()
    _spare_the_collector()


def _spare_the_collector() -> None:
    """Keep Python's collector from pauses that every stream would feel.

    It walks through all objects each time those of another 200 streams have come: a quarter of a second for a dozen
    cycles. What is here by now stays, and half a million more may come before it looks at them all.
    """
    gc.freeze()
    gc.set_threshold(2000, 10, 25)


async def _when(event: asyncio.Event, action: Callable[[], None]) -> None:
    await event.wait()
    action()
