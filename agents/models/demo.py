"""A model that answers offline, by script: the whole hub can be tried without a token."""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, cast
from uuid import uuid4

import msgspec

from hub.errors import ModelRefused, ModelUnavailable, RequestError
from hub.message import Address
from hub.model import Chunk, Completion, Embeddable, Embeddings, Recording, ToolCall, Transcript, Usage
from hub.tokens import longest

_MOST = 100_000
_BREATH = 100
"""Pieces that are written before others have their turn."""
_LONGEST = 1_000_000
_REMEMBERED = 1000
_NOTES = 20
_NOTE = 60
"""How many lines a summary has, and how long they are."""
_PIECE = re.compile(r"\s*\S+\s*")
_DIMENSIONS = 32
_NAME = re.compile(r"\A[^\n:]{1,100}: ")
"""What the view puts before a text that was said in a group."""
_VOICE = "[voice] "
"""What stands before a voice message that was written down."""


class Demo:
    """The demo model; its lines are in the table `_SCRIPT` below."""

    def __init__(
        self, *, max_output: int | None = None, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._max_output = max_output
        self._sleep = sleep
        self._failures = _Failures()

    async def complete(self, request: Completion) -> AsyncGenerator[Chunk]:
        """Answer word by word; raises ModelUnavailable when the script says so."""
        answer = _answer(request, self._failures)
        if answer.call:
            yield Chunk(calls=(answer.call,), finish="tool_calls", usage=_usage(request, ""))
            return
        text, finish = _limited(answer.text, request.params, self._max_output)
        pieces: list[str] = _PIECE.findall(text)
        pause = answer.seconds / max(len(pieces), 1)
        for number, piece in enumerate(pieces, 1):
            if request.stream:
                yield Chunk(text=piece)
            if pause:
                await self._sleep(pause)
            elif number % _BREATH == 0:
                await asyncio.sleep(0)
        yield Chunk(text="" if request.stream else text, finish=finish, usage=_usage(request, text))

    async def embed(self, texts: Sequence[Embeddable], dimensions: int | None = None) -> Embeddings:
        """Vectors that are the closer the more words two texts share; a token is a word."""
        size = dimensions or _DIMENSIONS
        said = [text.casefold().split() if isinstance(text, str) else list(map(str, text)) for text in texts]
        return Embeddings(
            vectors=tuple(_vector(words, size) for words in said), usage=Usage(prompt=sum(map(len, said)))
        )

    async def transcribe(self, recording: Recording) -> Transcript:
        """What a recording says if its bytes are a text, else how long it is; it does not know times."""
        if recording.detailed:
            raise ModelRefused("The demo model does not know when something was said.", status=400)
        text = recording.content.decode(errors="replace")
        if not "".join(text.split()).isprintable() or "\ufffd" in text:
            text = f"a recording of {len(recording.content)} bytes"
        return Transcript(text=text, usage=Usage(completion=len(text.split())))

    async def close(self) -> None:
        """Hold nothing."""


class _Failures:
    """How often each of the latest requests has failed on purpose."""

    def __init__(self) -> None:
        self._times: dict[bytes, int] = {}

    def again(self, request: Completion, times: int) -> bool:
        """Whether this request has failed less than `times` times; counts one more."""
        said = [message for message in request.messages if message.get("role") != "system"]
        # What is said again in a session is the same request, whatever the session noted of its failure.
        while len(said) > 2 and said[-3] == said[-1] and said[-2].get("role") == "assistant":
            del said[-2:]
        key = hashlib.sha256(msgspec.json.encode(said)).digest()
        failed = self._times.pop(key, 0)
        self._times[key] = failed + 1
        if len(self._times) > _REMEMBERED:
            del self._times[next(iter(self._times))]
        return failed < times


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What the script says to a request: a text written over `seconds`, or a tool call."""

    text: str = ""
    seconds: float = 0.0
    call: ToolCall | None = None


@dataclass(frozen=True, kw_only=True)
class _Ask:
    """A request and the line of the script that its last user message speaks."""

    request: Completion
    line: re.Match[str]
    failures: _Failures


def _answer(request: Completion, failures: _Failures) -> _Answer:
    said = next((_text(message) for message in reversed(request.messages) if message.get("role") == "user"), "")
    for text in (said, _NAME.sub("", said), said.removeprefix(_VOICE)):
        for pattern, reply in _SCRIPT:
            if line := re.fullmatch(pattern, text.strip(), re.IGNORECASE | re.DOTALL):
                return reply(_Ask(request=request, line=line, failures=failures))
    return _Answer(text=f"You said: {said}")


def _count(ask: _Ask) -> _Answer:
    return _Answer(text=" ".join(map(str, range(1, min(int(ask.line[1]), _MOST) + 1))))


def _slowly(ask: _Ask) -> _Answer:
    return _Answer(text=ask.line[2], seconds=float(ask.line[1]))


def _fail(_: _Ask) -> _Answer:
    raise ModelUnavailable("The demo model failed, as it was told to.", status=500)


def _fail_then(ask: _Ask) -> _Answer:
    return _fail(ask) if ask.failures.again(ask.request, int(ask.line[1])) else _Answer(text=ask.line[2])


def _post(ask: _Ask) -> _Answer:
    try:
        address = Address.parse(ask.line[1])
    except RequestError as error:
        return _Answer(text=f"{str(error).rstrip('.')}.")
    if (result := _tool_result(ask.request)) is not None:
        return _Answer(text=_post_report(address, result))
    arguments = {"content": ask.line[2], "channel": address.channel, "chat_id": address.chat_id}
    if address.thread_id is not None:
        arguments["thread_id"] = address.thread_id
    return _tool_call(ask.request, "message", msgspec.json.encode(arguments).decode())


def _call(ask: _Ask) -> _Answer:
    result = _tool_result(ask.request)
    return _tool_call(ask.request, ask.line[1], ask.line[2]) if result is None else _Answer(text=result)


def _recall(ask: _Ask) -> _Answer:
    said = (_text(message) for message in ask.request.messages if message.get("role") == "user")
    return _Answer(text="\n".join(f"- {text}" for text in said))


def _system(ask: _Ask) -> _Answer:
    prompts = (_text(message) for message in ask.request.messages if message.get("role") == "system")
    return _Answer(text="\n\n".join(prompts) or "(no system prompt)")


def _summarize(ask: _Ask) -> _Answer:
    """The beginning of each line that people said; the latest ones, if they are many."""
    said = (line for line in ask.line[1].splitlines() if line.strip() and not line.startswith(("agent: ", "tool: ")))
    lines = [" ".join(line.split())[:_NOTE] for line in said]
    return _Answer(text="\n".join(lines[-_NOTES:]))


def _long(ask: _Ask) -> _Answer:
    return _Answer(text=_markdown(min(int(ask.line[1]), _LONGEST)))


_SCRIPT: list[tuple[str, Callable[[_Ask], _Answer]]] = [
    (r"count to (\d{1,9})", _count),
    (r"slowly (\d+(?:\.\d+)?) (.+)", _slowly),
    (r"fail", _fail),
    (r"fail (\d{1,9}) then (.+)", _fail_then),
    (r"post to (\S+):\s+(.+)", _post),
    (r"call (\S+)\s+(\{.*\})\n\n\[.*", _call),  # with files, which stand below the text
    (r"call (\S+)\s+(\{.*)", _call),
    (r"what did i say\??", _recall),
    (r"system", _system),
    (r"summarize:\s+(.+)", _summarize),
    (r"long (\d{1,9})", _long),
]


def _tool_call(request: Completion, name: str, arguments: str) -> _Answer:
    if name not in (tool.get("function", {}).get("name") for tool in request.tools):
        return _Answer(text=f"I have no tool '{name}'.")
    return _Answer(call=ToolCall(id=f"call_{uuid4().hex[:24]}", name=name, arguments=arguments))


def _tool_result(request: Completion) -> str | None:
    """What the last tool returned since the user spoke."""
    last = request.messages[-1] if request.messages else {}
    return _text(last) if last.get("role") == "tool" else None


def _post_report(address: Address, result: str) -> str:
    """A sentence about a result of the `message` tool."""
    try:
        receipt = msgspec.json.decode(result, type=dict[str, Any])
    except msgspec.DecodeError:
        receipt = {"reason": result}
    status, reason = receipt.get("status", "failed"), receipt.get("reason") or receipt.get("error") or ""
    became = "failed" if status == "failed" else f"is {status}"
    return f"The post to {address} {became}" + (f": {reason.rstrip('.')}." if reason else ".")


def _text(message: dict[str, Any]) -> str:
    """The text of a message whose content is a string, a list of parts or nothing."""
    content: object = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = cast("list[dict[str, Any]]", content)
    return "\n\n".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def _limited(text: str, params: dict[str, Any], max_output: int | None) -> tuple[str, str]:
    """The text up to the first stop sequence and the allowed number of words, and the finish reason."""
    stop: str | list[str] | None = params.get("stop")
    for mark in [stop] if isinstance(stop, str) else stop or []:
        text = text.partition(mark)[0] if mark else text
    limit = longest(params, max_output)
    pieces: list[str] = _PIECE.findall(text)
    if limit is None or len(pieces) <= limit:
        return text, "stop"
    return "".join(pieces[:limit]).rstrip(), "length"


def _vector(words: Sequence[str], size: int) -> tuple[float, ...]:
    """Words, each counted at a place of its own, as a vector of length 1."""
    counts = [0.0] * size
    for word in words or [""]:
        counts[int.from_bytes(hashlib.sha256(word.encode()).digest()[:8]) % size] += 1.0
    length = math.hypot(*counts)
    return tuple(each / length for each in counts)


def _usage(request: Completion, answer: str) -> Usage:
    prompt = sum(len(_text(message).split()) for message in request.messages)
    return Usage(prompt=prompt, completion=len(answer.split()))


def _markdown(length: int) -> str:
    """A document of exactly `length` characters: numbered sections of prose, code and tables, then a filler."""
    whole = ""
    for number in count(1):
        section = _SECTION.format(number)
        if len(whole) + len(section) > length:
            break
        whole += section
    return whole + "and-so-on-" * ((length - len(whole)) // 10) + "." * ((length - len(whole)) % 10)


_SECTION = """\
## Section {0}

Paragraph {0} has **bold**, *italic* and `code`, and [a link](https://example.com/{0}).

```python
def section_{0}() -> int:
    return {0}
```

| row | value |
|---|---|
| {0}.1 | one |
| {0}.2 | two |

"""
