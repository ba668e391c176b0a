"""Models behind any server that speaks OpenAI's chat completions."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from agents.models.events import Reader, embeddings, refusal, transcript, whole
from agents.models.patience import Patience
from agents.models.tokens import most
from agents.models.upstream import Timeouts, Upstream
from hub.errors import ModelError, ModelUnavailable
from hub.model import Chunk, Completion, Embeddable, Embeddings, Recording, Transcript

if TYPE_CHECKING:  # the SDK is imported when a model is loaded or first asked: it costs half a second and 50 MB
    import httpx2
    import openai

_OPENAI = "https://api.openai.com/v1"
_DRAIN = 0.1
_CONNECTIONS = 10_000
_AUDIO = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")
_ENDINGS = {kind: kind for kind in _AUDIO} | {"mpeg": "mp3", "mp4": "m4a", "aac": "m4a", "opus": "ogg"}
"""Of the kinds of audio/..., as servers know them."""


class OpenAI(Upstream):
    """One model of one server; connections are kept for its further requests."""

    def __init__(
        self,
        *,
        model: str,
        api_key: str = "",
        base_url: str | None = None,
        max_output: int | None = None,
        timeouts: Timeouts | None = None,
        retries: int = 2,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(model=model, secrets=[api_key], timeouts=timeouts, retries=retries, sleep=sleep)
        self._key = api_key
        self._base_url = base_url or _OPENAI
        self._max_output = max_output
        # OpenAI itself refuses the old name for its newer models, other servers do not know the new one.
        self._max_name = "max_tokens" if base_url and not base_url.startswith(_OPENAI) else "max_completion_tokens"
        self._client: openai.AsyncOpenAI | None = None

    async def load(self) -> None:
        """Import the SDK and make its client, off the loop: it takes half a second."""
        if self._client is None:
            client = await asyncio.to_thread(self._make_client)
            self._client = self._client or client  # somebody else may have been quicker

    def _make_client(self) -> openai.AsyncOpenAI:
        import httpx2
        import openai

        limits = httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
        return openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=self._base_url,
            max_retries=0,
            timeout=openai.Timeout(None, connect=self.timeouts.connect),
            # The SDK would take these from the environment and send them to any server.
            default_headers={"OpenAI-Organization": openai.Omit(), "OpenAI-Project": openai.Omit()},  # pyright: ignore[reportArgumentType]
            http_client=openai.DefaultAioHttpClient(limits=limits),
        )

    async def _connection(self) -> openai.AsyncOpenAI:
        await self.load()
        assert self._client is not None
        return self._client

    async def complete(self, request: Completion) -> AsyncGenerator[Chunk]:
        """Answer in the upstream's own chunks; until the first one came, a failure is tried again."""
        if not request.stream:
            yield await self.persistently(lambda: self._whole(request), hurry=request.hurry)
            return
        answer = await self.persistently(lambda: self._begin(request), hurry=request.hurry)
        try:
            for chunk in answer.first:
                yield chunk
            with self.translated():
                while not answer.reader.done and (data := await answer.read()):
                    for chunk in answer.reader.feed(data):
                        yield chunk
                for chunk in answer.reader.feed(b""):
                    yield chunk
                last = answer.reader.last()
            yield last
            with suppress(ModelError), self.translated():
                await answer.drain()
        finally:
            await answer.close()

    async def embed(self, texts: Sequence[Embeddable], dimensions: int | None = None) -> Embeddings:
        """The vectors of some texts, or of their tokens."""
        body = {"model": self.model, "input": texts, "encoding_format": "float"}
        body |= {} if dimensions is None else {"dimensions": dimensions}
        return await self.persistently(lambda: self._embeddings(body, texts))

    async def transcribe(self, recording: Recording) -> Transcript:
        """What is said in a recording."""
        return await self.persistently(lambda: self._transcript(recording))

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.close()

    async def _whole(self, request: Completion) -> Chunk:
        async with asyncio.timeout(self.timeouts.whole):
            return whole(await self._read("/chat/completions", self._body(request)), self.model, request)

    async def _embeddings(self, body: dict[str, Any], texts: Sequence[Embeddable]) -> Embeddings:
        async with asyncio.timeout(self.timeouts.whole):
            return embeddings(await self._read("/embeddings", body), self.model, texts)

    async def _transcript(self, recording: Recording) -> Transcript:
        hints = {
            "language": recording.language,
            "prompt": recording.prompt,
            "temperature": None if recording.temperature is None else f"{recording.temperature:g}",
            "response_format": "verbose_json" if recording.detailed else None,
            "timestamp_granularities": list(recording.granularities),
        }
        async with asyncio.timeout(self.timeouts.whole):
            said = await (await self._connection()).audio.transcriptions.with_raw_response.create(
                model=self.model,
                file=(_audio_name(recording), recording.content, recording.media_type),
                extra_body={name: hint for name, hint in hints.items() if hint},
            )
        return transcript(said.http_response.content, self.model)

    async def _begin(self, request: Completion) -> _Answer:
        """An answer of which the first token is there."""
        async with AsyncExitStack() as opened, asyncio.timeout(self.timeouts.first):
            sent = await self._send("/chat/completions", self._body(request))
            response = await opened.enter_async_context(aclosing(sent))
            reader, reads, first = Reader(self.model, request), response.aiter_bytes(), list[Chunk]()
            while not reader.began and not reader.done and (data := await anext(reads, b"")):
                first += reader.feed(data)
            if not reader.began:
                reader.check()
            patience = Patience(self.timeouts.idle)
            return _Answer(reader=reader, first=first, reads=reads, patience=patience, opened=opened.pop_all())

    async def _read(self, path: str, body: dict[str, Any]) -> bytes:
        async with aclosing(await self._send(path, body)) as response:
            return await response.aread()

    async def _send(self, path: str, body: dict[str, Any]) -> httpx2.Response:
        """The answer, of which only the head was read."""
        # `chat.completions.create` would walk through the request first, and that costs more than to send it.
        content = msgspec.json.encode(body)
        client = self._client or await self._connection()
        stream = await client.post(path, cast_to=object, content=content, stream=True, stream_cls=_stream_class())
        return stream.response

    def _body(self, request: Completion) -> dict[str, Any]:
        body = request.params | {"model": self.model, "messages": request.messages, "stream": request.stream}
        for name in ("max_completion_tokens", "max_tokens"):
            body.pop(name, None)
        if (limit := most(request.params, self._max_output)) is not None:
            body[self._max_name] = limit
        if request.stream:
            body["stream_options"] = {"include_usage": True}
        if request.tools:
            body["tools"] = request.tools
        else:  # servers refuse these without tools
            body.pop("tool_choice", None)
            body.pop("parallel_tool_calls", None)
        return body

    def translate(self, error: Exception) -> ModelError | None:
        """Put the SDK's errors into the hub's."""
        import aiohttp
        import httpx2
        import openai

        match error:
            case ModelError():
                return error
            case openai.APIStatusError():
                return refusal(self.model, error.status_code, error.body, _retry_after(error.response.headers))
            case openai.APIConnectionError(__cause__=httpx2.ConnectError() | httpx2.ConnectTimeout()):
                return ModelUnavailable(f"The server of the model '{self.model}' cannot be reached.")
            case TimeoutError() | openai.APITimeoutError() | httpx2.TimeoutException():
                return ModelUnavailable(f"The model '{self.model}' did not answer in time.")
            case openai.APIConnectionError() | httpx2.HTTPError() | aiohttp.ClientError() | OSError():
                return ModelUnavailable(f"The connection to the model '{self.model}' failed.")
            case _:
                return None


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """A streamed answer that has begun."""

    reader: Reader
    first: list[Chunk]
    reads: AsyncIterator[bytes]
    patience: Patience
    opened: AsyncExitStack

    async def read(self) -> bytes:
        """What came, nothing at the end."""
        return await self.patience.wait(anext(self.reads, b""))

    async def drain(self) -> None:
        """Read to the very end, should it be near: only then can the connection be used again."""
        async with asyncio.timeout(_DRAIN):
            while await anext(self.reads, b""):
                pass

    async def close(self) -> None:
        self.patience.stop()
        await self.opened.aclose()


@cache
def _stream_class() -> type[openai.AsyncStream[Any]]:
    import openai

    return openai.AsyncStream[Any]


def _audio_name(recording: Recording) -> str:
    """A name with an ending that servers know: they tell by it what is in the file."""
    stem, dot, ending = recording.name.rpartition(".")
    if dot and ending.lower() in _AUDIO:
        return recording.name
    kind = recording.media_type.partition(";")[0].removeprefix("audio/").removeprefix("x-").lower()
    return f"{stem or ending or 'recording'}.{_ENDINGS.get(kind, 'ogg')}"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from the header in any of its forms."""
    given = headers.get("retry-after", "")
    readings: list[Callable[[], float]] = [
        lambda: float(headers["retry-after-ms"]) / 1000.0,
        lambda: float(given),
        lambda: parsedate_to_datetime(given).timestamp() - time.time(),
    ]
    for reading in readings:
        with suppress(KeyError, ValueError):
            if math.isfinite(seconds := reading()):
                return max(seconds, 0.0)
    return None
