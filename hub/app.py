"""The composition root: the only file that knows everything."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import structlog

import agents
import channels
from agents import tools
from agents.context import Window
from agents.documents import Documents, Remembered
from agents.mcp import Server
from agents.models.config import ModelSettings
from agents.models.fallback import Fallback
from agents.models.late import Late
from agents.models.tokens import estimate, most
from agents.runner import Limits, Runner
from agents.stateless import Stateless
from api.app import create_app
from api.ports import Hub, Named, Readiness
from api.serve import listen
from api.serve import serve as serve_http
from channels.config import ChannelSettings
from hub import schedules
from hub.access import Chat, Rules
from hub.accounts.bootstrap import Bootstrap, bootstrap
from hub.accounts.ids import agent_id, namespace
from hub.accounts.keys import ensure_bootstrap, ensure_local
from hub.agent import Agent
from hub.asks import Asks
from hub.bus import Bus
from hub.channel import Channel, State, Webhook
from hub.compaction import INBOX as COMPACTION
from hub.compaction import Compactor
from hub.completions import Completions, Target
from hub.config import AgentSettings, Config
from hub.config.routes import routing
from hub.errand import Desk
from hub.errors import StoreUnavailable
from hub.files import FileStore
from hub.ingress import Ingress
from hub.inlet import Door, Inlet
from hub.message import agent_inbox
from hub.model import Loads, Model, Transcriber
from hub.people import People
from hub.posts import Channels, Posts
from hub.rooms import StoredRooms
from hub.sessions import Sessions
from hub.signals import Signals
from hub.signals.local import LocalSignals
from hub.store import Connection, Store, open_store
from hub.store.migrate import HEAD, migrate, revision
from hub.supervise import RUN, Supervisor
from hub.turn import Persona
from hub.turns import TurnHandler
from hub.upkeep import Upkeep
from hub.uploads import Uploads
from hub.voices import Voices
from hub.worker import Timing, Worker

log = structlog.get_logger()
GRACE = 1.5
"""How long running turns, then running sends, may take to end when the hub stops, in seconds."""


class Engine:
    """Everything but the façade: what receives, answers and delivers."""

    def __init__(self, config: Config, store: Store, signals: Signals, clock: Callable[[], float] = time.time) -> None:
        bounds = config.bus
        self.config = config
        self.store = store
        self.signals = signals
        self.clock = clock
        self.timing = Timing(lease=bounds.lease, extend=bounds.extend, tries=bounds.tries)
        self.bus = Bus(store, signals, clock, lane_limit=bounds.lane_limit, inbox_limit=bounds.inbox_limit)
        self.files = FileStore(config.data_dir / "files")
        self.uploads = Uploads(store, clock, config.data_dir / "uploads")
        self.documents = Documents()
        self.rooms = StoredRooms(store, signals, clock)
        enabled = {name: channel for name, channel in config.channels.items() if channel.enabled}
        self.channels = Channels(
            kinds={name: channel.kind for name, channel in config.channels.items()},
            enabled=set(enabled),
            known_kinds=set(channels.names()),
        )
        self.posts = Posts(self.bus, self.channels)
        self.asks = Asks(self.bus, timeout=config.api.turn_timeout)
        self.ingress = Ingress(self.bus, {name: _rules(each) for name, each in enabled.items()}, routing(config))
        self.models = {name: make_model(model) for name, model in config.models.items() if model.enabled}
        self.agents = {name: agent for name, agent in config.agents.items() if agent.enabled}
        self.runners = {
            name: self.runner(name, each) for name, each in self.agents.items() if each.kind == agents.RUNNER
        }
        self.completions = Completions(
            store,
            clock,
            self._targets(),
            Desk(posts=self.posts, files=self.files, clock=clock),
            estimate=estimate,
            timeout=config.api.turn_timeout,
        )
        make = {name: partial(self._channel, name, channel) for name, channel in enabled.items()}
        self.webhooks = self._doors(enabled)
        plain = {name for name, channel in enabled.items() if not channel.preview}
        mute = {name for name, channel in enabled.items() if not channel.commands}
        self.supervisor = Supervisor(
            self.bus,
            self.ingress,
            self.files,
            make,
            timing=self.timing,
            grace=GRACE,
            plain=plain,
            mute=mute,
            others={schedules.LANE: schedules.Scheduler(self.bus).run},
        )
        parked = (set(config.channels) | set(channels.names())) - set(enabled)
        self.upkeep = Upkeep(self.bus, self.rooms, self.uploads, self.ingress.accept, sorted(parked))
        self._turns: list[Worker] = []
        self._compaction: Worker | None = None
        self._holder: Worker | None = None
        self._upkeep: asyncio.Task[None] | None = None

    def agent(self, name: str, settings: AgentSettings) -> Agent:
        """An agent as config describes it: the runner, or one of another package."""
        if settings.kind == agents.RUNNER:
            return self.runners[name]
        model = self._model_of(settings) if settings.model else None
        return agents.own(settings.kind)(name=name, settings=settings, model=model)

    def runner(self, name: str, agent: AgentSettings) -> Runner:
        """An agent as config describes it."""
        return Runner(
            name=name,
            model=self._model_of(agent),
            model_name=agent.model,
            system_prompt=agent.system_prompt,
            tools=[tools.make(tool) for tool in tools.each(agent.tools)],
            sources=[Server(server, settings) for server, settings in agent.mcp.items()],
            params=agent.params,
            limits=Limits(steps=agent.limits.steps, seconds=agent.limits.seconds, tokens=agent.limits.tokens),
            window=self._window(agent),
            clock=self.clock,
        )

    def _window(self, agent: AgentSettings) -> Window:
        """What every model that may answer for an agent takes, and what it is told of."""
        models = [self.config.models[name] for name in (agent.model, *agent.fallback)]
        outputs = [limit for model in models if (limit := most(agent.params, model.max_output)) is not None]
        return Window(
            budget=agent.context.budget or DEFAULT_BUDGET,
            context=min((model.context for model in models if model.context is not None), default=None),
            output=max(outputs, default=None),
            images=self.multiple(agent),
            one_system=any(model.one_system for model in models),
            facts=agent.context.facts,
        )

    def _model_of(self, agent: AgentSettings) -> Model:
        """An agent's model, with the others to ask when it fails."""
        names = dict.fromkeys((agent.model, *agent.fallback))
        return Fallback([(name, self.models[name]) for name in names]) if len(names) > 1 else self.models[agent.model]

    def _voices(self, agent: AgentSettings) -> Voices | None:
        model = self.models.get(agent.transcribe)
        return Voices(model, agent.transcribe, self.files) if isinstance(model, Transcriber) else None

    def multiple(self, agent: AgentSettings) -> bool:
        """Whether every model that may answer for an agent takes images and the like."""
        names = filter(None, (agent.model, *agent.fallback))
        return all(self.config.models[name].multiple for name in names)

    def _targets(self) -> Mapping[str, Target]:
        """What may be completed without memory: models, and agents."""
        targets = {name: Target(model=model, model_name=name) for name, model in self.models.items()}
        for name, runner in self.runners.items():
            stateless = Stateless(runner, one_system=self._window(self.agents[name]).one_system)
            targets[name] = Target(
                model=runner.model, model_name=runner.model_name, agent=name, answer=stateless.complete
            )
        return targets

    async def _channel(self, name: str, settings: ChannelSettings) -> Channel:
        kind = channels.kind(settings.kind)
        # A platform's SDK takes seconds to import; the loop goes on meanwhile.
        make = await asyncio.to_thread(channels.load, kind.channel)
        return make(name, settings, self.rooms) if settings.kind == "web" else make(name, settings)

    def _doors(self, enabled: Mapping[str, ChannelSettings]) -> dict[tuple[str, str], Door]:
        """Where platforms push, by kind and channel: the channels that ask for it with `mode: webhook`."""
        return {
            (settings.kind, name): Door(
                partial(_webhook, webhook, name, settings), Inlet(name, self.ingress, self.files)
            )
            for name, settings in enabled.items()
            if (webhook := channels.kind(settings.kind).webhook) and getattr(settings, "mode", None) == "webhook"
        }

    async def start(self) -> None:
        """Begin the work of this process's roles."""
        if "agents" in self.config.roles:
            handlers: dict[str, TurnHandler] = {}
            for name, agent in self.agents.items():
                persona = Persona(
                    name=name,
                    bus=self.bus,
                    posts=self.posts,
                    posts_to=agent.posts_to,
                    voices=self._voices(agent),
                    reader=self.documents.markdown,
                    files=self.files,
                    learns_from=agent.learns_from,
                    budget=agent.context.budget or DEFAULT_BUDGET,
                    busy=agent.busy,
                    debounce=agent.debounce,
                )
                handlers[name] = TurnHandler(persona, self.agent(name, agent))
                worker = Worker(self.bus, agent_inbox(name), handlers[name], timing=self.timing, concurrency=1024)
                worker.start()
                self._turns.append(worker)
            compactor = Compactor(self.bus, {name: handler.agent for name, handler in handlers.items()})
            self._compaction = Worker(self.bus, COMPACTION, compactor, timing=self.timing, concurrency=SUMMARIES)
            self._compaction.start()
        if "channels" in self.config.roles:
            await self.supervisor.announce()
            endless = Timing(lease=self.timing.lease, extend=self.timing.extend, tries=None)
            self._holder = Worker(self.bus, RUN, self.supervisor, timing=endless)
            self._holder.start()
        self._upkeep = asyncio.create_task(self.upkeep.run(), name="upkeep")

    async def load(self) -> None:
        """Import what models need, one after the other, so that no first answer waits for it."""
        for model in self.models.values():
            if isinstance(model, Loads):
                await model.load()
        _spare_the_collector()

    def stop_listening(self) -> None:
        """Take nothing in from the channels any more."""
        self.supervisor.stop_listening()

    async def close(self) -> None:
        """Let running turns end, then running sends; what is left stays in the inboxes."""
        self.stop_listening()
        beside = [] if self._compaction is None else [self._compaction.close(0.0)]
        await asyncio.gather(*(worker.close(GRACE) for worker in self._turns), *beside)
        self.supervisor.close()
        if self._holder is not None:
            await self._holder.close(2 * GRACE)
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.wait({self._upkeep})
        await self.asks.close()
        await asyncio.gather(*(runner.close() for runner in self.runners.values()))
        for model in self.models.values():
            await model.close()


SUMMARIES = 4
"""Conversations that are summed up at a time, beside the turns."""
DEFAULT_BUDGET = 32_000
"""Tokens of history that a model sees unless config says otherwise."""


async def _webhook(reference: str, name: str, settings: ChannelSettings) -> Webhook:
    """What reads a channel's pushes; it may need the platform's SDK."""
    return (await asyncio.to_thread(channels.load, reference))(name, settings)


def make_model(settings: ModelSettings) -> Model:
    """The model that config describes; a provider's SDK is imported later, off the loop."""
    shared: dict[str, Any] = {
        "model": settings.model,
        "base_url": settings.base_url,
        "max_output": settings.max_output,
    }
    match settings.provider:
        case "demo":
            from agents.models.demo import Demo

            return Demo(max_output=settings.max_output)
        case "openai":
            from agents.models.openai import OpenAI

            return OpenAI(**shared, api_key=settings.api_key.get_secret_value())
        case "anthropic":
            key = settings.api_key.get_secret_value()
            return Late("agents.models.anthropic:Anthropic", **shared, api_key=key)
        case "bedrock-converse":
            return Late(
                "agents.models.bedrock:Bedrock",
                **shared,
                region=settings.region or "",
                access_key_id=settings.access_key_id.get_secret_value(),
                secret_access_key=settings.secret_access_key.get_secret_value(),
            )
        case other:
            key = settings.api_key.get_secret_value()
            return Late("agents.models.other:Other", **shared, provider=other, api_key=key)


def _rules(channel: ChannelSettings) -> Rules:
    return Rules(
        agent=channel.agent,
        direct=channel.direct,
        groups=channel.groups,
        allow=frozenset(channel.allow),
        chats={id: Chat(groups=chat.groups, agent=chat.agent) for id, chat in channel.chats.items()},  # noqa: A001
        commands=channel.commands.who(),
        bots=channel.bots == "allow",
        per_minute=channel.rate.per_minute,
        per_day=channel.rate.per_day,
    )


async def open_engine(config: Config, stack: AsyncExitStack) -> Engine:
    """Open the store, bring it up to date and build the engine on it; the stack closes what was opened."""
    store = await open_store(config.store_url)
    stack.push_async_callback(store.close)
    await migrate(store)
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


def facade(engine: Engine, namespace: UUID) -> Hub:
    """What the HTTP façade is handed; the namespace gives ids to agents that have none of their own."""
    config, created = engine.config, int(engine.clock())
    names = [
        *(
            Named(
                name=name,
                kind="agent",
                created=created,
                history=agent.history,
                multiple=engine.multiple(agent),
                show_tools=agent.show_tools,
                id=str(agent.id or agent_id(namespace, name)) if agent.kind == agents.RUNNER else None,
            )
            for name, agent in engine.agents.items()
        ),
        *(
            Named(name=name, kind="model", created=created, multiple=config.models[name].multiple)
            for name in engine.models
        ),
    ]
    return Hub(
        store=engine.store,
        signals=engine.signals,
        clock=engine.clock,
        files=engine.files,
        turns=engine.asks,
        models=engine.completions,
        posts=engine.posts,
        people=People(engine.bus, engine.files, engine.uploads),
        uploads=engine.uploads,
        sessions=Sessions(engine.bus),
        names=lambda: names,
        accept=partial(engine.ingress.accept, tell_full=True),
        ready=partial(_ready, engine),
        read_document=Remembered(engine.documents.markdown),
        webhooks=engine.webhooks,
        channels=tuple(engine.supervisor.health),
        restart=engine.supervisor.restart,
        local_key=config.api.local_key,
        cors=config.api.cors,
    )


async def _ready(engine: Engine) -> Readiness:
    """Ready: the store answers and is at the newest revision; a channel that failed is told, and stops nobody else."""
    try:
        at = await engine.store.read(revision)
    except StoreUnavailable as error:
        return Readiness(ok=False, store=str(error), migrations="unknown", roles=engine.config.roles, channels={})
    migrations = "head" if at == HEAD else f"at {at}, not {HEAD}"
    states: dict[str, State] = {name: health.state for name, health in engine.supervisor.health.items()}
    return Readiness(ok=at == HEAD, store="ok", migrations=migrations, roles=engine.config.roles, channels=states)


async def first_key(config: Config, store: Store, clock: Callable[[], float], given: str | None) -> Bootstrap:
    """The admin key, given by the operator or kept in a file, and the local key; both are in the store afterwards."""
    first = bootstrap(config.data_dir, given)
    local = config.api.local_key

    def ensure(connection: Connection) -> None:
        ensure_bootstrap(connection, first.secret, clock(), only=first.path is None)
        if local is not None:
            ensure_local(connection, local, clock())

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
        listener = listen(config.api.host, config.api.port) if "api" in config.roles else None
        if listener is not None:
            stack.enter_context(closing(listener))
        engine = await open_engine(config, stack)
        key = await first_key(config, engine.store, engine.clock, given)
        stack.push_async_callback(engine.close)
        await engine.start()
        if listener is None:
            started(Started(url=None, key=key))
            await stop.wait()
            return
        host, port = listener.getsockname()[:2]
        started(Started(url=f"http://{f'[{host}]' if ':' in host else host}:{port}", key=key))
        stop_listening = asyncio.create_task(_when(stop, engine.stop_listening))
        app = create_app(facade(engine, await engine.store.write(namespace)))
        _spare_the_collector()
        loading = asyncio.create_task(engine.load(), name="load models")
        await serve_http(app, listener, stop, grace=GRACE)
        loading.cancel()
        await stop_listening


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
