"""Agents as a configuration describes them, and the workers that have them answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

import structlog

import agents
from agents import tools
from agents.context import Window
from agents.documents import Documents
from agents.mcp import Server
from agents.models.fallback import Fallback
from agents.runner import Limits, Runner
from agents.stateless import Stateless
from hub.accounts.billing import Billing
from hub.accounts.money import Price, amount
from hub.accounts.payers import Payers
from hub.accounts.tariff import Rate, Tariff
from hub.agent import Agent
from hub.bus import Bus
from hub.completions import Target
from hub.config import AgentSettings, Config, ModelSettings
from hub.delivery.posts import Posts
from hub.files import FileStore
from hub.message import agent_inbox
from hub.model import Model, Transcriber
from hub.tokens import longest
from hub.turns.handler import TurnHandler
from hub.turns.persona import Persona
from hub.turns.voices import Voices
from hub.worker import Timing, Worker

log = structlog.get_logger()
DEFAULT_BUDGET = 32_000
"""Tokens of history that a model sees unless config says otherwise."""
LANES = 1024
"""Conversations of one agent that are answered at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cast:
    """The agents of one configuration, and how to make them of the models that there are; each is one of its own."""

    config: Config
    models: Mapping[str, Model]
    files: FileStore
    clock: Callable[[], float]

    @property
    def agents(self) -> Mapping[str, AgentSettings]:
        """Those that are enabled."""
        return {name: agent for name, agent in self.config.agents.items() if agent.enabled}

    def described(self, agent: AgentSettings) -> tuple[AgentSettings, tuple[ModelSettings | None, ...]]:
        """All that an agent is made of: the same again is the same agent."""
        names = (agent.model, *agent.fallback, agent.transcribe)
        return agent, tuple(self.config.models.get(name) for name in names)

    def other(self, name: str, settings: AgentSettings) -> Agent:
        """An agent of another package."""
        model = self.model(settings) if settings.model else None
        return agents.own(settings.kind)(name=name, settings=settings, model=model)

    def runner(self, name: str, agent: AgentSettings) -> Runner:
        """An agent of ours."""
        return Runner(
            name=name,
            model=self.model(agent),
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
        outputs = [limit for model in models if (limit := longest(agent.params, model.max_output)) is not None]
        return Window(
            budget=agent.context.budget or DEFAULT_BUDGET,
            context=min((model.context for model in models if model.context is not None), default=None),
            output=max(outputs, default=None),
            images=self.multiple(agent),
            one_system=any(model.one_system for model in models),
            facts=agent.context.facts,
        )

    def model(self, agent: AgentSettings) -> Model:
        """An agent's model, with the others to ask when it fails."""
        names = dict.fromkeys((agent.model, *agent.fallback))
        return Fallback([(name, self.models[name]) for name in names]) if len(names) > 1 else self.models[agent.model]

    def voices(self, agent: AgentSettings) -> Voices | None:
        """What writes down the voice messages that an agent gets."""
        model, tariff = self.models.get(agent.transcribe), self.tariff(agent.transcribe)
        return Voices(model, agent.transcribe, self.files, tariff) if isinstance(model, Transcriber) else None

    def tariff(self, *names: str) -> Tariff:
        """What these models cost."""
        known = {name: self.config.models[name] for name in names if name in self.config.models}
        return Tariff(rates={name: _rate(name, model) for name, model in known.items()})

    def tariff_of(self, agent: AgentSettings) -> Tariff:
        """What the models cost that may answer for an agent."""
        return self.tariff(agent.model, *agent.fallback)

    def multiple(self, agent: AgentSettings) -> bool:
        """Whether every model that may answer for an agent takes images and the like."""
        names = filter(None, (agent.model, *agent.fallback))
        return all(self.config.models[name].multiple for name in names)

    def target(self, name: str, runner: Runner) -> Target:
        """An agent as who keeps the history themselves calls it."""
        stateless = Stateless(runner, one_system=self._window(self.agents[name]).one_system)
        tariff = self.tariff_of(self.agents[name])
        return Target(
            model=runner.model, model_name=runner.model_name, agent=name, tariff=tariff, answer=stateless.complete
        )


def _rate(name: str, model: ModelSettings) -> Rate:
    key, cached = f"models.{name}", model.price_cached
    price = Price(
        input=amount(model.price_in, f"{key}.price_in"),
        output=amount(model.price_out, f"{key}.price_out"),
        cached=None if cached is None else amount(cached, f"{key}.price_cached"),
    )
    return Rate(price=price, output=model.max_output, image=model.image_tokens)


class Runners:
    """Agents of ours by name, made anew when what they are made of changes; whatever roles a process has."""

    def __init__(self) -> None:
        self.live: dict[str, Runner] = {}
        self._made: dict[str, object] = {}
        self._replaced: list[Runner] = []

    def apply(self, cast: Cast) -> None:
        """Have the runners of these agents and no others; those that are made of the same stay as they are."""
        ours = {name: agent for name, agent in cast.agents.items() if agent.kind == agents.RUNNER}
        wanted = {name: cast.described(agent) for name, agent in ours.items()}
        for name in [name for name, made in self._made.items() if wanted.get(name) != made]:
            self._replaced.append(self.live.pop(name))
            del self._made[name]
        for name in [name for name in wanted if name not in self._made]:
            self.live[name] = cast.runner(name, ours[name])
            self._made[name] = wanted[name]

    async def tools(self, agent: str) -> Collection[str]:
        """The names of the tools that an agent of ours has itself."""
        runner = self.live.get(agent)
        return () if runner is None else await runner.toolbox.offered()

    async def close(self) -> None:
        """Let go of what their tools hold."""
        await asyncio.gather(*(runner.close() for runner in (*self.live.values(), *self._replaced)))


@dataclass(frozen=True, kw_only=True)
class Member:
    """One agent at work."""

    described: object
    agent: Agent
    worker: Worker

    async def retire(self, grace: float) -> None:
        """Take no turn any more, and go when those that run are over, or after `grace` seconds."""
        await self.worker.close(grace)
        if isinstance(self.agent, Runner):
            await self.agent.close()


class Crew:
    """The agents that answer in this process, each with the worker of its inbox."""

    def __init__(
        self, bus: Bus, posts: Posts, documents: Documents, timing: Timing, billing: Billing, payers: Payers
    ) -> None:
        self._bus = bus
        self._billing = billing
        self._payers = payers
        self._posts = posts
        self._timing = timing
        self._documents = documents
        self._members: dict[str, Member] = {}
        self._leaving: dict[asyncio.Task[None], Member] = {}
        self.agents: dict[str, Agent] = {}
        """Those at work, by name; the same mapping always."""

    def apply(self, cast: Cast, runners: Mapping[str, Runner]) -> None:
        """Have these agents at work and no others; the turns of those that are replaced end as they began."""
        wanted = {name: cast.described(agent) for name, agent in cast.agents.items()}
        for name in [name for name, member in self._members.items() if wanted.get(name) != member.described]:
            self._replace(self._members.pop(name), cast.config.agents.get(name))
        for name in [name for name in wanted if name not in self._members]:
            self._members[name] = self._begin(name, wanted[name][0], cast, runners)
        self.agents.clear()
        self.agents.update({name: member.agent for name, member in self._members.items()})

    def _begin(self, name: str, settings: AgentSettings, cast: Cast, runners: Mapping[str, Runner]) -> Member:
        persona = Persona(
            name=name,
            bus=self._bus,
            posts=self._posts,
            posts_to=settings.posts_to,
            voices=cast.voices(settings),
            reader=self._documents.markdown,
            files=cast.files,
            learns_from=settings.learns_from,
            budget=settings.context.budget or DEFAULT_BUDGET,
            busy=settings.busy,
            debounce=settings.debounce,
            tariff=cast.tariff_of(settings),
            billing=self._billing,
            payer=partial(self._payers.of, name),
        )
        agent = runners.get(name) or cast.other(name, settings)
        worker = Worker(
            self._bus, agent_inbox(name), TurnHandler(persona, agent), timing=self._timing, concurrency=LANES
        )
        worker.start()
        return Member(described=cast.described(settings), agent=agent, worker=worker)

    def _replace(self, member: Member, settings: AgentSettings | None) -> None:
        grace = AgentSettings().limits.seconds if settings is None else settings.limits.seconds
        task = asyncio.create_task(member.retire(grace))
        self._leaving[task] = member
        task.add_done_callback(self._leaving.pop)

    async def close(self, grace: float) -> None:
        """Give running turns `grace` seconds to end."""
        leaving = {**self._leaving}
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        await asyncio.gather(*(member.retire(grace) for member in (*self._members.values(), *leaving.values())))
