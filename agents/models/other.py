"""Models of the other providers that pydantic-ai knows by name; what we do not test ourselves."""

from __future__ import annotations

import inspect
from typing import Any

import httpx2
from pydantic_ai.models import infer_model
from pydantic_ai.providers import Provider, infer_provider_class
from pydantic_ai.settings import ModelSettings

from agents.models.provided import Provided
from agents.models.upstream import Timeouts
from hub.errors import ConfigError


class Other(Provided):
    """A model of a provider that is named as pydantic-ai names it; raises ConfigError for a URL that it cannot have."""

    def __init__(
        self,
        *,
        provider: str,
        model: str,
        api_key: str,
        base_url: str | None = None,
        max_output: int | None = None,
        timeouts: Timeouts | None = None,
        **upstream: Any,
    ) -> None:
        made = infer_provider_class(provider)
        timeouts = timeouts or Timeouts()
        client = httpx2.AsyncClient(timeout=httpx2.Timeout(timeouts.whole, connect=timeouts.connect))
        takes = inspect.signature(made).parameters
        if base_url is not None and "base_url" not in takes:
            raise ConfigError([f"models: the provider '{provider}' has one place only: leave out base_url."])
        wanted = {"api_key": api_key, "http_client": client, "base_url": base_url}
        given = {name: value for name, value in wanted.items() if value is not None and name in takes}

        def by_name(_name: str) -> Provider[Any]:
            return made(**given)

        super().__init__(
            infer_model(f"{provider}:{model}", provider_factory=by_name),
            budget=lambda _thinking: ModelSettings(),
            max_output=max_output,
            foreign=(),
            close=client.aclose,
            model=model,
            secrets=[api_key],
            timeouts=timeouts,
            **upstream,
        )
