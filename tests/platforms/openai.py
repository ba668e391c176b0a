"""A local upstream with OpenAI's API, for tests of whatever calls a model, and for benches.

    async with Upstream() as upstream:
        upstream.script(say("Hel", "lo"), fail(429, retry_after=2), Answer(calls=(Call("f", '{"a": 1}'),)))
        client = AsyncOpenAI(base_url=upstream.base_url, api_key="k", max_retries=0)
        ...
        assert upstream.requests[0].body["model"] == "gpt-test"

Without a script it answers "You said: <last user text>". Serves chat completions, embeddings,
transcriptions and models.
As a process: `python -m tests.platforms.openai --port 0`, which prints its base URL on the first line.
"""

import argparse
import asyncio
import base64
import hashlib
import itertools
import signal
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self, cast

import msgspec
from aiohttp import web

from tests.patience import PATIENCE
from tests.platforms.script import Answer, Call, Failure, Request, Step, Usage, call, echo, fail, say

_SSE = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
_CREATED = 1_790_000_000


__all__ = [
    "Answer",
    "Call",
    "Failure",
    "Request",
    "Step",
    "Upstream",
    "Usage",
    "call",
    "cut",
    "echo",
    "fail",
    "say",
    "silence",
]


@dataclass
class Upstream:
    """The server, on a free port of the loopback unless told otherwise."""

    port: int = 0
    default: Callable[[Request], Step] = echo
    record: bool = True
    """Whether `requests` and `disconnects` keep what they saw; a bench turns it off, then they stay empty."""
    models: Sequence[str] = ("gpt-test",)
    hold: bool = False
    """Whether a chat completion waits for `admit` before it takes its answer."""
    requests: list[Request] = field(default_factory=list[Request], init=False)
    disconnects: list[Request] = field(default_factory=list[Request], init=False)
    """The requests whose client left before the end of its answer."""
    held: dict[Request, asyncio.Event] = field(default_factory=dict[Request, asyncio.Event], init=False)
    """The requests that wait to be admitted."""

    def __post_init__(self) -> None:
        self._steps: deque[Step | Callable[[Request], Step]] = deque()
        self._changed = asyncio.Event()
        self._ids = itertools.count(1)
        self._closing = False

    def routes(self) -> dict[tuple[str, str], Callable[[web.BaseRequest, Request], Awaitable[web.StreamResponse]]]:
        """What answers which method and path."""
        return {
            ("POST", "/v1/chat/completions"): self._chat,
            ("POST", "/v1/embeddings"): self._embeddings,
            ("POST", "/v1/audio/transcriptions"): self._transcription,
            ("GET", "/v1/models"): self._models,
        }

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        # A handler is cancelled when its client leaves: that is how a disconnect is noticed without a write.
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.05)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, backlog=4096).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        await self._runner.cleanup()

    def script(self, *steps: Step | Callable[[Request], Step]) -> None:
        """Queue answers for the next chat completions, in the order these arrive."""
        self._steps.extend(steps)

    def forget(self) -> None:
        """Begin anew: nothing recorded, nothing scripted."""
        self.requests.clear()
        self.disconnects.clear()
        self._steps.clear()

    def step(self, request: Request) -> Answer | Failure:
        """What comes next in the script."""
        step = self._steps.popleft() if self._steps else self.default
        if callable(step):
            step = step(request)
        return say(step) if isinstance(step, str) else step

    async def wait_request(self, count: int = 1, *, timeout: float = PATIENCE) -> Request:
        """The count-th request ever received, once it is there."""
        await self._wait(lambda: len(self.requests) >= count, timeout)
        return self.requests[count - 1]

    async def wait_disconnect(self, count: int = 1, *, timeout: float = PATIENCE) -> Request:
        """The count-th request whose client left, once it has."""
        await self._wait(lambda: len(self.disconnects) >= count, timeout)
        return self.disconnects[count - 1]

    async def wait_held(self, *, timeout: float = PATIENCE) -> Request:
        """The request that waits longest to be admitted, once there is one."""
        await self._wait(lambda: bool(self.held), timeout)
        return next(iter(self.held))

    def admit(self) -> None:
        """Let the request take its answer that waits longest."""
        self.held.pop(next(iter(self.held))).set()

    async def _admitted(self, request: Request) -> None:
        self.held[request] = admitted = asyncio.Event()
        self._changed.set()
        try:
            await admitted.wait()
        finally:
            self.held.pop(request, None)

    async def _wait(self, happened: Callable[[], bool], timeout: float) -> None:
        async with asyncio.timeout(timeout):
            while not happened():
                self._changed.clear()
                await self._changed.wait()

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        route = self.routes().get((http.method, http.path))
        if route is None:
            return _failure(fail(404, f"Unknown request URL: {http.method} {http.path}"))
        body = await _body(http)
        request = Request(
            method=http.method,
            path=http.path,
            headers={name.lower(): value for name, value in http.headers.items()} if self.record else {},
            body=body,
        )
        self._note(self.requests, request)
        try:
            return await route(http, request)
        except (asyncio.CancelledError, ConnectionError):
            if not self._closing:
                self._note(self.disconnects, request)
            raise

    def _note(self, where: list[Request], request: Request) -> None:
        if self.record:
            where.append(request)
            self._changed.set()

    async def _chat(self, http: web.BaseRequest, request: Request) -> web.StreamResponse:
        if self.hold:
            await self._admitted(request)
        answer = self.step(request)
        if isinstance(answer, Failure):
            return _failure(answer)
        stream = bool(request.body.get("stream"))
        if answer.end == "silence" and not (stream and _deltas(answer)):
            await silence()
        return await (self._stream(http, request, answer) if stream else self._whole(http, request, answer))

    async def _whole(self, http: web.BaseRequest, request: Request, answer: Answer) -> web.StreamResponse:
        if answer.gate:
            await answer.gate.wait()
        if answer.delay:
            await asyncio.sleep(answer.delay * max(0, len(_deltas(answer)) - 1))
        if isinstance(answer.end, Failure):
            return _failure(answer.end)
        if answer.end == "cut":
            return await cut(http, web.StreamResponse(headers={"Content-Length": "1000"}))
        completion = {
            "id": f"chatcmpl-up{next(self._ids)}",
            "object": "chat.completion",
            "created": _CREATED,
            "model": request.body.get("model"),
            "choices": [_choice(answer)],
        }
        if answer.usage != "never":
            completion["usage"] = _usage(request, answer)
        return _json(completion)

    async def _stream(self, http: web.BaseRequest, request: Request, answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(headers=_SSE)
        await response.prepare(http)
        async for frames in _paced(answer, self._frames(request, answer)):
            await response.write(frames)
        if answer.end == "silence":
            await silence()
        if answer.end == "cut":
            return await cut(http, response)
        await response.write_eof()
        return response

    def _frames(self, request: Request, answer: Answer) -> Iterator[tuple[bytes, bool]]:
        """The events of a stream, and whether each is one of the chunks that `delay` and `gate` count."""
        options: dict[str, Any] = request.body.get("stream_options") or {}
        asked = answer.usage != "never" and bool(options.get("include_usage"))
        head = b'data: {"id":"chatcmpl-up%d","object":"chat.completion.chunk","created":%d,"model":%s,"choices":[' % (
            next(self._ids),
            _CREATED,
            msgspec.json.encode(request.body.get("model")),
        )
        tail = b'],"usage":null}\n\n' if asked else b"]}\n\n"
        if answer.role_first:
            yield head + _ROLE + tail, False
        for delta in _deltas(answer):
            yield head + delta + tail, True
        if isinstance(answer.end, Failure):
            yield b"data: " + msgspec.json.encode(answer.end.body) + b"\n\n", False
        elif answer.end == "done":
            yield head + b'{"index":0,"delta":{},"finish_reason":"%s"}' % _finish(answer).encode() + tail, False
            if asked:
                yield head + b'],"usage":' + msgspec.json.encode(_usage(request, answer)) + b"}\n\n", False
            yield b"data: [DONE]\n\n", False

    async def _embeddings(self, http: web.BaseRequest, request: Request) -> web.StreamResponse:
        if self.hold:
            await self._admitted(request)
        if self._steps and isinstance(self._steps[0], Failure):
            return _failure(cast(Failure, self._steps.popleft()))
        asked: Any = request.body.get("input") or ""
        texts: list[Any] = [asked] if isinstance(asked, str) or isinstance(asked[0], int) else asked
        vectors = [_vector(str(text), request.body.get("dimensions") or 8) for text in texts]
        in_base64 = request.body.get("encoding_format") == "base64"
        words = sum(len(str(text).split()) for text in texts)
        data = [
            {"object": "embedding", "index": n, "embedding": _base64(vector) if in_base64 else vector}
            for n, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": words, "total_tokens": words}
        return _json({"object": "list", "data": data, "model": request.body.get("model"), "usage": usage})

    async def _transcription(self, http: web.BaseRequest, request: Request) -> web.StreamResponse:
        """A text that is sent as audio is what it says; without a script, else the script's text."""
        if self.hold:
            await self._admitted(request)
        step = self._steps.popleft() if self._steps else say(request.body["file"]["content"].decode(errors="replace"))
        if callable(step):
            step = step(request)
        if isinstance(step, Failure):
            return _failure(step)
        said = step if isinstance(step, str) else "".join(step.text)
        usage = {"type": "tokens", "input_tokens": 7, "output_tokens": len(said.split()), "total_tokens": 7}
        if request.body.get("response_format") == "verbose_json":
            segment = {"id": 0, "start": 0.0, "end": 1.5, "text": said}
            return _json({"task": "transcribe", "duration": 1.5, "language": "en", "text": said, "segments": [segment]})
        return _json({"text": said, "usage": usage})

    async def _models(self, http: web.BaseRequest, request: Request) -> web.StreamResponse:
        data = [{"id": name, "object": "model", "created": _CREATED, "owned_by": "tests"} for name in self.models]
        return _json({"object": "list", "data": data})


async def _body(http: web.BaseRequest) -> dict[str, Any]:
    """The body as JSON, or the fields of a form; a file is its name, type and content."""
    if not http.content_type.startswith("multipart/"):
        raw = await http.read()
        return msgspec.json.decode(raw, type=dict[str, Any]) if raw else {}
    fields: dict[str, Any] = {}
    for name, value in (await http.post()).items():
        if isinstance(value, web.FileField):
            value = {"name": value.filename, "type": value.content_type, "content": value.file.read()}  # noqa: PLW2901
        fields[name] = value
    return fields


async def _paced(answer: Answer, frames: Iterator[tuple[bytes, bool]]) -> AsyncIterator[bytes]:
    """Frames joined into as few writes as the answer's gate and delay allow."""
    ready: list[bytes] = []
    chunks = 0
    gate = answer.gate
    for number, (frame, is_chunk) in enumerate(frames):
        role = number == 0 and answer.role_first
        closed = gate if chunks == answer.gate_after and not role else None
        late = is_chunk and chunks and answer.delay
        if ready and (closed or late):
            yield b"".join(ready)
            ready.clear()
        if closed:
            await closed.wait()
            gate = None
        if late:
            await asyncio.sleep(answer.delay)
        ready.append(frame)
        chunks += is_chunk
    if ready:
        yield b"".join(ready)
    if gate and chunks == answer.gate_after:  # nothing follows the chunks, as before a cut
        await gate.wait()


async def silence() -> None:
    """Wait until the client leaves or the server closes: both cancel the handler."""
    await asyncio.Event().wait()


async def cut(http: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """Close the connection, what was written sent and the end of the body missing."""
    if not response.prepared:
        await response.prepare(http)
        await response.write(b'{"id":')
    if http.transport:
        http.transport.close()
    return response


_ROLE = b'{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}'


@lru_cache(maxsize=256)
def _encoded(reasoning: tuple[str, ...], text: tuple[str, ...], calls: tuple[Call, ...]) -> tuple[bytes, ...]:
    deltas: list[dict[str, Any]] = [{"reasoning_content": chunk} for chunk in reasoning]
    deltas += [{"content": chunk} for chunk in text]
    for index, tool in enumerate(calls):
        start = {"name": tool.name, "arguments": ""}
        deltas.append({"tool_calls": [{"index": index, "id": _id(tool, index), "type": "function", "function": start}]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": fragment}}]} for fragment in tool.fragments
        ]
    return tuple(msgspec.json.encode({"index": 0, "delta": delta, "finish_reason": None}) for delta in deltas)


def _deltas(answer: Answer) -> tuple[bytes, ...]:
    return _encoded(answer.reasoning, answer.text, answer.calls)


def _choice(answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(answer.text) if answer.text else None}
    if answer.reasoning:
        message["reasoning_content"] = "".join(answer.reasoning)
    if answer.calls:
        message["tool_calls"] = [
            {
                "id": _id(tool, index),
                "type": "function",
                "function": {"name": tool.name, "arguments": "".join(tool.fragments)},
            }
            for index, tool in enumerate(answer.calls)
        ]
    return {"index": 0, "message": message, "finish_reason": _finish(answer), "logprobs": None}


def _id(tool: Call, index: int) -> str:
    return tool.id or f"call_{index}"


def _finish(answer: Answer) -> str:
    return answer.finish or ("tool_calls" if answer.calls else "stop")


def _usage(request: Request, answer: Answer) -> dict[str, Any]:
    usage = answer.usage if isinstance(answer.usage, Usage) else _words(request, answer)
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def _words(request: Request, answer: Answer) -> Usage:
    contents = [message.get("content") for message in request.body.get("messages", ())]
    said = [content for content in contents if isinstance(content, str)]
    written = ["".join(answer.text), *("".join(tool.fragments) for tool in answer.calls)]
    thought = len("".join(answer.reasoning).split())
    return Usage(
        prompt=sum(len(text.split()) for text in said),
        completion=sum(len(text.split()) for text in written) + thought,
        reasoning=thought,
    )


def _vector(text: str, dimensions: int) -> list[float]:
    """The same text has the same vector, another text another one; each number fits a 32-bit float."""
    seed = hashlib.shake_128(text.encode("utf-8", "surrogatepass")).digest(dimensions)
    return [(byte - 128) / 128 for byte in seed]


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _failure(failure: Failure) -> web.Response:
    return _json(failure.body, failure.status, dict(failure.headers))


def _json(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, headers=headers, content_type="application/json")


async def _serve(port: int, default: Callable[[Request], Step]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Upstream(port=port, default=default, record=False) as upstream:
        print(upstream.base_url, flush=True)  # noqa: T201
        await stop.wait()


def _scripted(text: str | None, chunks: int | None, delay: float) -> Callable[[Request], Step]:
    if text is None and chunks is None:
        return lambda request: say("You said: ", request.last_text, delay=delay)
    answer = say(*([text or "word "] * (chunks or 1)), delay=delay)
    return lambda _: answer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.platforms.openai", description="A local OpenAI upstream.")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--text", help="the text of each chunk; default: echo, or 'word ' with --chunks")
    parser.add_argument("--chunks", type=int, help="how many chunks an answer has")
    parser.add_argument("--delay", type=float, default=0, help="seconds between chunks")
    options = parser.parse_args()
    asyncio.run(_serve(options.port, _scripted(options.text, options.chunks, options.delay)))


if __name__ == "__main__":
    main()
