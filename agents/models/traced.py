"""Models whose calls are spans, named and described as OpenTelemetry's conventions for generative AI say."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from agents.models.config import ModelSettings
from hub import tracing
from hub.model import (
    Chunk,
    Completion,
    Embeddable,
    Embedder,
    Embeddings,
    Loads,
    Model,
    Recording,
    Transcriber,
    Transcript,
    Usage,
    answering,
)

_PROVIDERS = {"bedrock-converse": "aws.bedrock"}
"""Where the conventions call a provider something else."""
_PARAMS = {"temperature": "temperature", "top_p": "top_p", "max_tokens": "max_tokens"}


def traced(model: Model, name: str, settings: ModelSettings) -> Model:
    """The same model, with a span for each call; it can do what it could before, and no more."""
    able: list[type[Any]] = []
    for ability, adds in ((Embedder, _Embeds), (Transcriber, _Transcribes), (Loads, _Loads)):
        if isinstance(model, ability):
            able.append(adds)
    kind: Any = type("Traced", (*able, Traced), {})
    return kind(model, name, settings)


class Traced:
    """A model whose answers are spans."""

    def __init__(self, model: Any, name: str, settings: ModelSettings) -> None:
        self._model = model
        self._name = name
        self._told = {
            "gen_ai.provider.name": _PROVIDERS.get(settings.provider, settings.provider),
            "gen_ai.request.model": settings.model or name,
            "bothub.model": name,
        }

    def _of(self, operation: str, **more: float) -> dict[str, Any]:
        return {"gen_ai.operation.name": operation, **self._told, **more}

    async def complete(self, request: Completion) -> AsyncGenerator[Chunk]:
        """Answer in chunks; the request to the upstream carries the span."""
        params = {
            f"gen_ai.request.{told}": value
            for name, told in _PARAMS.items()
            if isinstance(value := request.params.get(name), int | float)
        }
        span = tracing.begin(f"chat {self._name}", self._of("chat") | params, kind="client")
        usage, finish, error = Usage(), None, None
        try:
            async with answering(self._model, request) as chunks:
                with tracing.under(span):  # the upstream is asked before its first word
                    chunk = await anext(chunks, None)
                while chunk is not None:
                    usage, finish = chunk.usage or usage, chunk.finish or finish
                    yield chunk
                    chunk = await anext(chunks, None)
        except Exception as failure:
            error = failure
            raise
        finally:
            span.set(_used(usage) | ({"gen_ai.response.finish_reasons": [finish]} if finish else {}))
            span.end(error)

    async def close(self) -> None:
        """Let go of connections."""
        await self._model.close()


class _Embeds(Traced):
    async def embed(self, texts: Sequence[Embeddable], dimensions: int | None = None) -> Embeddings:
        """Embed some texts."""
        with tracing.span(f"embeddings {self._name}", self._of("embeddings"), kind="client") as span:
            found: Embeddings = await self._model.embed(texts, dimensions)
            span.set(_used(found.usage))
        return found


class _Transcribes(Traced):
    async def transcribe(self, recording: Recording) -> Transcript:
        """Write down a recording."""
        with tracing.span(f"transcribe {self._name}", self._of("transcribe"), kind="client") as span:
            found: Transcript = await self._model.transcribe(recording)
            span.set(_used(found.usage))
        return found


class _Loads(Traced):
    async def load(self) -> None:
        """Import what the model needs."""
        await self._model.load()


def _used(usage: Usage) -> dict[str, Any]:
    return {
        "gen_ai.usage.input_tokens": usage.prompt,
        "gen_ai.usage.output_tokens": usage.completion,
        **({"gen_ai.usage.cache_read.input_tokens": usage.cached} if usage.cached else {}),
    }
