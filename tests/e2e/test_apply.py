"""A hub that is told of other models, agents and channels while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openai import NotFoundError

from hub.config import AgentSettings, Config, ModelSettings
from tests.e2e.here import Here, running_hub
from tests.hub.engine import soon

CONFIG: dict[str, Any] = {
    "models": {"demo": {"provider": "demo"}},
    "agents": {"bot": {"model": "demo", "system_prompt": "first"}},
    "channels": {"web": {"kind": "web"}},
}


def with_agents(config: Config, **agents: AgentSettings) -> Config:
    return config.model_copy(update={"agents": {**config.agents, **agents}})


async def ask(here: Here, agent: str, text: str) -> str:
    async with here.openai() as client:
        answer = await client.chat.completions.create(model=agent, messages=[{"role": "user", "content": text}])
    return answer.choices[0].message.content or ""


async def test_an_agent_answers_from_the_moment_it_is_there(tmp_path: Path) -> None:
    async with running_hub(tmp_path, CONFIG) as here:
        with pytest.raises(NotFoundError):
            await ask(here, "second", "hello")
        await here.engine.apply(
            with_agents(here.engine.config, second=AgentSettings(model="demo", system_prompt="another"))
        )
        assert (await ask(here, "second", "system")).startswith("another")
        await here.engine.apply(with_agents(here.engine.config, second=AgentSettings(model="demo", enabled=False)))
        with pytest.raises(NotFoundError):
            await ask(here, "second", "hello")
        assert (await ask(here, "bot", "system")).startswith("first")


async def test_a_turn_that_runs_ends_as_it_began_and_the_next_is_the_new_agents(tmp_path: Path) -> None:
    async with running_hub(tmp_path, CONFIG) as here, here.openai() as client:
        stream = await client.chat.completions.create(
            model="bot", messages=[{"role": "user", "content": "slowly 1 one two three"}], stream=True
        )
        said = [(await soon(anext(stream))).choices[0].delta.content]
        await here.engine.apply(with_agents(here.engine.config, bot=AgentSettings(model="demo", system_prompt="new")))
        said += [chunk.choices[0].delta.content async for chunk in stream]
        assert "".join(filter(None, said)) == "one two three"
        assert await ask(here, "bot", "what did I say") == "- slowly 1 one two three\n- what did I say"
        assert (await ask(here, "bot", "system")).startswith("new")


async def test_the_rest_of_the_crew_is_left_alone(tmp_path: Path) -> None:
    async with running_hub(tmp_path, CONFIG) as here:
        before = here.engine.crew.agents["bot"]
        await here.engine.apply(with_agents(here.engine.config, second=AgentSettings(model="demo")))
        assert here.engine.crew.agents["bot"] is before
        changed = {"demo": ModelSettings(provider="demo", max_output=7)}
        await here.engine.apply(here.engine.config.model_copy(update={"models": changed}))
        assert here.engine.crew.agents["bot"] is not before


async def test_a_channel_comes_goes_and_comes_again(tmp_path: Path) -> None:
    async with running_hub(tmp_path, CONFIG) as here:
        web = here.engine.config.channels["web"]
        lobby = here.engine.config.model_copy(update={"channels": {"web": web, "lobby": web}})
        without = here.engine.config

        async def is_up(name: str) -> bool:
            health = here.engine.supervisor.health.get(name)
            return health is not None and health.state == "up"

        for _ in range(2):
            await here.engine.apply(lobby)
            await here.store.until(lambda: is_up("lobby"))
            await here.engine.apply(without)
            assert set(here.engine.supervisor.health) == {"web"}
            await here.store.until(lambda: is_up("web"))
