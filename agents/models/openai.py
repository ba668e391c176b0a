"""Models behind any server that speaks OpenAI's chat completions."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from agents.models.events import Reader, embeddings, refusal, whole
from agents.models.patience import Patience
from agents.models.tokens import most
from hub.errors import ModelError, ModelUnavailable
from hub.message import Value
from hub.model import Chunk, Completion, Embeddings, Recording, Transcript, Usage
from hub.retry import delay

if TYPE_CHECKING:  # the SDK is imported when a model is loaded or first asked: it costs half a second and 50 MB
    import httpx2
    import openai

_T = TypeVar("_T")
_OPENAI = "https://api.openai.com/v1"
_LONGEST_WAIT = 30.0
"""Seconds; whoever asks us to wait longer is not asked again."""
_DRAIN = 0.1
_CONNECTIONS = 10_000
_AUDIO = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")
_ENDINGS = {kind: kind for kind in _AUDIO} | {"mpeg": "mp3", "mp4": "m4a", "aac": "m4a", "opus": "ogg"}
"""Of the kinds of audio/..., as servers know them."""
_SHORTEST_KEY = 8
"""A key shorter than this is a placeholder, and may be a word of any sentence."""


class Timeouts(Value, frozen=True, kw_only=True):
    """Seconds to wait for a connection, the first chunk, each further one, and an answer that is not streamed."""

    connect: float = 10.0
    first: float = 60.0
    idle: float = 60.0
    whole: float = 300.0


class OpenAI:
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
        self.model = model
        self._key = api_key
        self._base_url = base_url or _OPENAI
        self._max_output = max_output
        self._timeouts = timeouts or Timeouts()
        self._retries = retries
        self._sleep = sleep
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
            timeout=openai.Timeout(None, connect=self._timeouts.connect),
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
            yield await self._persistently(lambda: self._whole(request), hurry=request.hurry)
            return
        answer = await self._persistently(lambda: self._begin(request), hurry=request.hurry)
        try:
            for chunk in answer.first:
                yield chunk
            with self._translated():
                while not answer.reader.done and (data := await answer.read()):
                    for chunk in answer.reader.feed(data):
                        yield chunk
                for chunk in answer.reader.feed(b""):
                    yield chunk
                last = answer.reader.last()
            yield last
            with suppress(ModelError), self._translated():
                await answer.drain()
        finally:
            await answer.close()

    async def embed(self, texts: Sequence[str], dimensions: int | None = None) -> Embeddings:
        """The vectors of some texts."""
        body = {"model": self.model, "input": texts, "encoding_format": "float"}
        body |= {} if dimensions is None else {"dimensions": dimensions}
        return await self._persistently(lambda: self._embeddings(body, texts))

    async def transcribe(self, recording: Recording) -> Transcript:
        """What is said in a recording."""
        return await self._persistently(lambda: self._transcript(recording))

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.close()

    async def _persistently(self, attempt: Callable[[], Awaitable[_T]], *, hurry: bool = False) -> _T:
        for number in count(1):
            try:
                with self._translated():
                    return await attempt()
            except ModelUnavailable as error:
                wait = error.retry_after
                if wait is None:
                    wait = delay(number, first=0.5, jitter=random.random())  # noqa: S311
                if hurry or number > self._retries or wait > _LONGEST_WAIT:
                    raise
            await self._sleep(wait)
        raise AssertionError

    async def _whole(self, request: Completion) -> Chunk:
        async with asyncio.timeout(self._timeouts.whole):
            return whole(await self._read("/chat/completions", self._body(request)), self.model, request)

    async def _embeddings(self, body: dict[str, Any], texts: Sequence[str]) -> Embeddings:
        async with asyncio.timeout(self._timeouts.whole):
            return embeddings(await self._read("/embeddings", body), self.model, texts)

    async def _transcript(self, recording: Recording) -> Transcript:
        hints = {"language": recording.language, "prompt": recording.prompt}
        async with asyncio.timeout(self._timeouts.whole):
            said = await (await self._connection()).audio.transcriptions.create(
                model=self.model,
                file=(_audio_name(recording), recording.content, recording.media_type),
                extra_body={name: hint for name, hint in hints.items() if hint},
            )
        used = said.usage
        if used is None or used.type != "tokens":
            return Transcript(text=said.text)
        return Transcript(text=said.text, usage=Usage(prompt=used.input_tokens, completion=used.output_tokens))

    async def _begin(self, request: Completion) -> _Answer:
        """An answer of which the first token is there."""
        async with AsyncExitStack() as opened, asyncio.timeout(self._timeouts.first):
            sent = await self._send("/chat/completions", self._body(request))
            response = await opened.enter_async_context(aclosing(sent))
            reader, reads, first = Reader(self.model, request), response.aiter_bytes(), list[Chunk]()
            while not reader.began and not reader.done and (data := await anext(reads, b"")):
                first += reader.feed(data)
            if not reader.began:
                reader.check()
            patience = Patience(self._timeouts.idle)
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

    @contextmanager
    def _translated(self) -> Generator[None]:
        """Whatever goes wrong on the way to the upstream and back leaves as a ModelError without our key."""
        try:
            yield
        except Exception as error:
            known = self._translate(error)
            if known is None:
                raise
            text = str(known)
            if len(self._key) >= _SHORTEST_KEY and self._key in text:
                text = text.replace(self._key, "***")
                raise type(known)(text, status=known.status, retry_after=known.retry_after) from None
            raise known from (error if error is not known else error.__cause__)

    def _translate(self, error: Exception) -> ModelError | None:
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
