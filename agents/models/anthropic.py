"""Models behind Anthropic's Messages API."""

from __future__ import annotations

from typing import Any, cast

import httpx2
from anthropic import AnthropicError, AsyncAnthropic
from anthropic.types.beta import BetaThinkingConfigParam
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.providers.anthropic import AnthropicProvider

from agents.models.provided import Provided
from agents.models.upstream import Timeouts

_ANTHROPIC = "https://api.anthropic.com"
_CONNECTIONS = 10_000


class Anthropic(Provided):
    """A model of Anthropic, or of a server that speaks as they do."""

    def __init__(
        self,
        *,
        model: str,
        api_key: str,
        base_url: str | None = None,
        max_output: int | None = None,
        timeouts: Timeouts | None = None,
        **upstream: Any,
    ) -> None:
        timeouts = timeouts or Timeouts()
        limits = httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
        timeout = httpx2.Timeout(timeouts.whole, connect=timeouts.connect)
        # A key that is given keeps the SDK from sending one of the environment to any server.
        client = AsyncAnthropic(
            api_key=api_key,
            base_url=base_url or _ANTHROPIC,
            max_retries=0,
            timeout=timeout,
            http_client=httpx2.AsyncClient(limits=limits, timeout=timeout),
        )
        super().__init__(
            AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client)),
            budget=lambda thinking: AnthropicModelSettings(
                anthropic_thinking=cast("BetaThinkingConfigParam", thinking)
            ),
            max_output=max_output,
            foreign=(AnthropicError,),
            close=client.close,
            model=model,
            secrets=[api_key],
            timeouts=timeouts,
            **upstream,
        )
