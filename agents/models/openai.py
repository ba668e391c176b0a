"""Models behind any server that speaks OpenAI's chat completions."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec
from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    FormData,
    TCPConnector,
)

from agents.models.events import Reader, embeddings, refusal, transcript, whole
from agents.models.patience import Patience
from agents.models.upstream import Timeouts, Upstream
from hub import tracing
from hub.errors import ModelError, ModelUnavailable
from hub.model import Chunk, Completion, Embeddable, Embeddings, Recording, Transcript
from hub.tokens import longest

_OPENAI = "https://api.openai.com/v1"
_DRAIN = 0.1
_JSON = {"Content-Type": "application/json"}
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
        self._made: ClientSession | None = None

    @property
    def _session(self) -> ClientSession:
        """What connections are kept in; it belongs to the loop that runs."""
        if self._made is None:
            self._made = ClientSession(
                connector=TCPConnector(limit=0),
                cookie_jar=DummyCookieJar(),
                headers={"Authorization": f"Bearer {self._key or 'none'}", "User-Agent": "bothub"},
                timeout=ClientTimeout(total=None, sock_connect=self.timeouts.connect),
                trust_env=_has_proxy(self._base_url),
            )
        return self._made

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
        if self._made is not None:
            await self._made.close()

    async def _whole(self, request: Completion) -> Chunk:
        async with asyncio.timeout(self.timeouts.whole):
            data = await self._read("/chat/completions", self._body(request))
        return whole(data, self.model, request)

    async def _embeddings(self, body: dict[str, Any], texts: Sequence[Embeddable]) -> Embeddings:
        async with asyncio.timeout(self.timeouts.whole):
            data = await self._read("/embeddings", body)
        return embeddings(data, self.model, texts)

    async def _transcript(self, recording: Recording) -> Transcript:
        form = FormData(quote_fields=False)  # servers know no names in percents
        form.add_field("model", self.model)
        name, kind = _in_a_line(_audio_name(recording)), _in_a_line(recording.media_type)
        form.add_field("file", recording.content, filename=name, content_type=kind)
        for name, hint in _hints(recording):
            form.add_field(name, hint)
        async with asyncio.timeout(self.timeouts.whole), await self._post("/audio/transcriptions", data=form) as said:
            data = await said.read()
        return transcript(data, self.model)

    async def _begin(self, request: Completion) -> _Answer:
        """An answer of which the first token is there."""
        async with AsyncExitStack() as opened, asyncio.timeout(self.timeouts.first):
            response = await opened.enter_async_context(await self._send("/chat/completions", self._body(request)))
            reader, first = Reader(self.model, request), list[Chunk]()
            while not reader.began and not reader.done and (data := await response.content.readany()):
                first += reader.feed(data)
            if not reader.began:
                reader.check()
            patience = Patience(self.timeouts.idle)
            return _Answer(reader=reader, first=first, response=response, patience=patience, opened=opened.pop_all())

    async def _read(self, path: str, body: dict[str, Any]) -> bytes:
        async with await self._send(path, body) as response:
            return await response.read()

    async def _send(self, path: str, body: dict[str, Any]) -> ClientResponse:
        return await self._post(path, data=msgspec.json.encode(body), headers=_JSON)

    async def _post(self, path: str, **what: Any) -> ClientResponse:
        """A good answer, of which only the head was read; raises what `refusal` makes of another."""
        if (here := tracing.traceparent()) is not None:
            what["headers"] = {**what.get("headers", {}), "traceparent": here}
        response = await self._session.post(self._base_url + path, **what)
        if response.ok:
            return response
        async with response:
            said = await response.read()
        raise refusal(self.model, response.status, _parsed(said), _retry_after(response.headers))

    def _body(self, request: Completion) -> dict[str, Any]:
        body = request.params | {"model": self.model, "messages": request.messages, "stream": request.stream}
        for name in ("max_completion_tokens", "max_tokens"):
            body.pop(name, None)
        if (limit := longest(request.params, self._max_output)) is not None:
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
        """Put aiohttp's errors into the hub's."""
        match error:
            case ModelError():
                return error
            case ClientConnectorError() | ConnectionTimeoutError():
                return ModelUnavailable(f"The server of the model '{self.model}' cannot be reached.")
            case TimeoutError():
                return ModelUnavailable(f"The model '{self.model}' did not answer in time.")
            case ClientError() | OSError():
                return ModelUnavailable(f"The connection to the model '{self.model}' failed.")
            case _:
                return None


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """A streamed answer that has begun."""

    reader: Reader
    first: list[Chunk]
    response: ClientResponse
    patience: Patience
    opened: AsyncExitStack

    async def read(self) -> bytes:
        """What came, nothing at the end."""
        return await self.patience.wait(self.response.content.readany())

    async def drain(self) -> None:
        """Read to the very end, should it be near: only then can the connection be used again."""
        async with asyncio.timeout(_DRAIN):
            while await self.response.content.readany():
                pass

    async def close(self) -> None:
        self.patience.stop()
        await self.opened.aclose()


def _has_proxy(url: str) -> bool:
    """Whether the environment names a proxy for a URL: aiohttp would look for it at each request, in a thread."""
    parts = urlsplit(url)
    return parts.scheme in getproxies() and not proxy_bypass(parts.hostname or "")


def _parsed(said: bytes) -> Any:
    """The body of an error: JSON, or a text."""
    try:
        return msgspec.json.decode(said)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return said.decode(errors="replace")


def _hints(recording: Recording) -> list[tuple[str, str]]:
    """What is said of a recording, as the fields of a form."""
    hints = {
        "language": recording.language,
        "prompt": recording.prompt,
        "temperature": None if recording.temperature is None else f"{recording.temperature:g}",
        "response_format": "verbose_json" if recording.detailed else None,
    }
    times = [("timestamp_granularities[]", each) for each in recording.granularities]
    return [*((name, hint) for name, hint in hints.items() if hint), *times]


def _audio_name(recording: Recording) -> str:
    """A name with an ending that servers know: they tell by it what is in the file."""
    stem, dot, ending = recording.name.rpartition(".")
    if dot and ending.lower() in _AUDIO:
        return recording.name
    kind = recording.media_type.partition(";")[0].removeprefix("audio/").removeprefix("x-").lower()
    return f"{stem or ending or 'recording'}.{_ENDINGS.get(kind, 'ogg')}"


def _in_a_line(text: str) -> str:
    """A text as it may stand in a header."""
    return "".join(filter(str.isprintable, text))


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
