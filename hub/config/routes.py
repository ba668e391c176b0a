"""Which agents people reach, and how, as config says."""

from __future__ import annotations

from hub.config.settings import Config
from hub.routing import DEFAULT, Route, Routing


def routing(config: Config) -> Routing:
    """The routes to the agents that run, and which of these people may choose."""
    running = {name: agent for name, agent in config.agents.items() if agent.enabled}
    return Routing(
        routes=tuple(Route(agent=name, **one.model_dump()) for name, agent in running.items() for one in agent.routes),
        agents=tuple(running),
        public=tuple(name for name, agent in running.items() if agent.public and agent.active and name != DEFAULT),
    )
