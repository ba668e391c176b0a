"""Models behind Amazon Bedrock's Converse API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import boto3  # pyright: ignore[reportMissingTypeStubs]
from anyio.to_thread import current_default_thread_limiter
from botocore.config import Config  # pyright: ignore[reportMissingTypeStubs]
from botocore.exceptions import BotoCoreError  # pyright: ignore[reportMissingTypeStubs]
from pydantic_ai.models.bedrock import BedrockConverseModel, BedrockModelSettings
from pydantic_ai.providers.bedrock import BedrockProvider

from agents.models.provided import Provided
from agents.models.upstream import Timeouts
from hub.model import Chunk, Completion

_THREADS = 500
"""Answers that may be waited for at once: boto3 blocks a thread for each."""


class Bedrock(Provided):
    """A model of Bedrock; without keys of its own, the ones this machine has (environment, profile, role)."""

    def __init__(
        self,
        *,
        model: str,
        region: str,
        access_key_id: str = "",
        secret_access_key: str = "",
        base_url: str | None = None,
        max_output: int | None = None,
        timeouts: Timeouts | None = None,
        **upstream: Any,
    ) -> None:
        timeouts = timeouts or Timeouts()
        session: Any = boto3.Session(
            aws_access_key_id=access_key_id or None,
            aws_secret_access_key=secret_access_key or None,
            region_name=region,
        )
        client = session.client(
            "bedrock-runtime",
            endpoint_url=base_url,
            config=Config(
                connect_timeout=timeouts.connect,
                read_timeout=timeouts.whole + 1.0,  # ends a thread that nobody waits for any more
                retries={"total_max_attempts": 1},
                max_pool_connections=_THREADS,
                # Keys of our own: a token of the environment does not replace them.
                signature_version="v4" if access_key_id else None,
            ),
        )
        super().__init__(
            BedrockConverseModel(model, provider=BedrockProvider(bedrock_client=client)),
            budget=lambda thinking: BedrockModelSettings(
                bedrock_additional_model_requests_fields={"thinking": thinking}
            ),
            max_output=max_output,
            foreign=(BotoCoreError,),
            close=lambda: asyncio.to_thread(client.close),
            model=model,
            secrets=[access_key_id, secret_access_key],
            timeouts=timeouts,
            **upstream,
        )

    async def complete(self, request: Completion) -> AsyncGenerator[Chunk]:
        """As `Provided.complete`, with room for every answer to wait in a thread of its own."""
        limiter = current_default_thread_limiter()
        limiter.total_tokens = max(limiter.total_tokens, _THREADS)
        async with aclosing(super().complete(request)) as chunks:
            async for chunk in chunks:
                yield chunk
