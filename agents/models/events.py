"""Chat completions as OpenAI's protocol writes them, read into chunks: bytes in, chunks out, no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec

from agents.models.tokens import estimate
from hub import tokens
from hub.errors import ModelError, ModelRefused, ModelUnavailable
from hub.model import Chunk, Completion, Embeddable, Embeddings, ToolCall, Transcript, Usage

_PASSING = (408, 409, 429)
"""Of the 4xx, those that another try may mend."""


class _Wire(msgspec.Struct, gc=False):
    """A part of a completion: only what we read of it is decoded."""


class _Function(_Wire):
    name: str | None = None
    arguments: str | None = None


class _Call(_Wire):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Part(_Wire):
    """A piece of a content that is a list: text, or thoughts (in Mistral's words)."""

    text: str | None = None
    thinking: list[_Part] | str | None = None


class _Said(_Wire):
    content: str | list[_Part] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(_Wire):
    index: int = 0
    delta: _Said | None = None
    message: _Said | None = None
    finish_reason: str | None = None


class _PromptDetails(_Wire):
    cached_tokens: int | None = None


class _CompletionDetails(_Wire):
    reasoning_tokens: int | None = None


class _Usage(_Wire):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's name of the cached ones."""
    cached_tokens: int | None = None
    """Moonshot's."""


class _Event(_Wire):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")
    message: str | None = None
    """Of an error that some servers write without the `error` around it."""


_EVENT = msgspec.json.Decoder(_Event)


@dataclass(kw_only=True)
class _Growing:
    """A tool call whose arguments still come."""

    id: str
    name: str = ""
    arguments: str = ""


class Reader:
    """Reads one streamed answer to `request`; `model` names it in errors.

    Feed it bytes as they come, then ask for the `last` chunk.
    """

    def __init__(self, model: str, request: Completion) -> None:
        self.began = False
        """Something was said, called or finished."""
        self.done = False
        """Nothing more will come."""
        self._failure: ModelError | None = None
        self._model = model
        self._request = request
        self._rest = b""
        self._calls = _Calls()
        self._finished = False
        self._usage: Usage | None = None
        self._raw: msgspec.Raw | None = None
        self._written: list[str] = []

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that are complete with these bytes (none: the end); an error among them waits for `check`."""
        lines = (self._rest + (data or b"\n")).split(b"\n")
        self._rest = lines.pop()
        chunks: list[Chunk] = []
        for line in lines:
            if line.startswith(b"data:") and not self.done:
                payload = line[5:].strip()
                if payload == b"[DONE]":
                    self.done = True
                elif payload:
                    self._take(payload, chunks)
        return chunks

    def check(self) -> None:
        """At the end of the bytes: raise ModelRefused or ModelUnavailable unless the answer is complete."""
        if self._failure:
            raise self._failure
        if not self.done and not self._finished:
            raise ModelUnavailable(f"The model '{self._model}' broke off before the end of its answer.")

    def last(self) -> Chunk:
        """The end of a complete answer, with its usage."""
        self.check()
        calls = () if self._finished else self._calls.complete()
        finish = None if self._finished else ("tool_calls" if calls else "stop")
        usage = self._usage or estimate(self._request, "".join(self._written) + self._calls.written)
        return Chunk(calls=calls, finish=finish, usage=usage, raw=self._raw)

    def _take(self, payload: bytes, chunks: list[Chunk]) -> None:
        try:
            chunk = self._event(payload)
        except ModelError as error:
            self._failure, self.done = error, True
        else:
            if chunk:
                chunks.append(chunk)

    def _event(self, payload: bytes) -> Chunk | None:
        event = _decode(payload, self._model)
        if event.usage and (usage := _counted(event.usage)):
            self._usage = usage
        if not event.choices:
            if event.usage:  # comes last, and so does our chunk with it
                self._raw = msgspec.Raw(payload)
            return None
        choice = event.choices[0]
        said = choice.delta or choice.message
        if said is None:
            return self._chunk("", "", choice.finish_reason, payload)
        if said.tool_calls:
            self.began = True
            self._calls.add(said.tool_calls)
        return self._chunk(*_words(said), choice.finish_reason, payload)

    def _chunk(self, text: str, reasoning: str, finish: str | None, payload: bytes) -> Chunk:
        if text or reasoning:
            self.began = True
            self._written.append(reasoning + text)
        if not finish or self._finished:
            return Chunk(text=text, reasoning=reasoning, raw=msgspec.Raw(payload))
        self.began = self._finished = True
        calls = self._calls.complete()
        return Chunk(text=text, reasoning=reasoning, calls=calls, finish=finish, raw=msgspec.Raw(payload))


def whole(data: bytes, model: str, request: Completion) -> Chunk:
    """An answer that was not streamed."""
    event = _decode(data, model)
    if not event.choices:
        raise ModelUnavailable(f"The model '{model}' sent an answer without choices.")
    choice = event.choices[0]
    said = choice.message or choice.delta or _Said()
    calls = _Calls()
    calls.add(said.tool_calls or [])
    text, reasoning = _words(said)
    usage = event.usage and _counted(event.usage)
    return Chunk(
        text=text,
        reasoning=reasoning,
        calls=calls.complete(),
        finish=choice.finish_reason or ("tool_calls" if said.tool_calls else "stop"),
        usage=usage or estimate(request, text + reasoning + calls.written),
        raw=msgspec.Raw(data),
    )


def _words(said: _Said) -> tuple[str, str]:
    """What is said, and what was thought."""
    content, reasoning = said.content or "", said.reasoning_content or said.reasoning or ""
    if isinstance(content, str):
        return content, reasoning
    return "".join(part.text or "" for part in content), reasoning + "".join(map(_thoughts, content))


def _thoughts(part: _Part) -> str:
    if isinstance(part.thinking, list):
        return "".join(each.text or "" for each in part.thinking)
    return part.thinking or ""


class _Vector(_Wire):
    embedding: tuple[float, ...]
    index: int = 0


class _Vectors(_Wire):
    data: list[_Vector]
    usage: _Usage | None = None


_VECTORS = msgspec.json.Decoder(_Vectors)


def embeddings(data: bytes, model: str, texts: Sequence[Embeddable]) -> Embeddings:
    """The vectors of `texts`."""
    try:
        answer = _VECTORS.decode(data)
    except msgspec.DecodeError as error:
        raise ModelUnavailable(f"The model '{model}' sent something that is no list of vectors ({error}).") from error
    if len(answer.data) != len(texts):
        raise ModelUnavailable(f"The model '{model}' sent {len(answer.data)} vectors for {len(texts)} texts.")
    vectors = sorted(answer.data, key=lambda each: each.index)
    usage = (answer.usage and _counted(answer.usage)) or Usage(prompt=tokens.of_inputs(texts), estimated=True)
    return Embeddings(vectors=tuple(each.embedding for each in vectors), usage=usage)


class _Heard(_Wire):
    input_tokens: int = 0
    output_tokens: int = 0


class _Transcript(_Wire):
    text: str
    usage: _Heard | None = None


_TRANSCRIPT = msgspec.json.Decoder(_Transcript)


def transcript(data: bytes, model: str) -> Transcript:
    """What was said; some servers count seconds instead of tokens, and some nothing."""
    try:
        answer = _TRANSCRIPT.decode(data)
    except msgspec.DecodeError as error:
        raise ModelUnavailable(f"The model '{model}' sent something that is no transcript ({error}).") from error
    used = answer.usage or _Heard()
    usage = Usage(prompt=used.input_tokens, completion=used.output_tokens)
    return Transcript(text=answer.text, usage=usage, raw=msgspec.Raw(data))


class _Calls:
    """Tool calls put together from their fragments."""

    def __init__(self) -> None:
        self._calls: list[_Growing] = []
        self._at: dict[int, _Growing] = {}

    def add(self, fragments: list[_Call]) -> None:
        for fragment in fragments:
            call = self._of(fragment)
            if fragment.function:
                call.name += fragment.function.name or ""
                call.arguments += fragment.function.arguments or ""

    def _of(self, fragment: _Call) -> _Growing:
        """The call a fragment belongs to: some servers give no index, or 0 to each of several calls."""
        index = fragment.index if fragment.index is not None else max(len(self._calls) - (not fragment.id), 0)
        call = self._at.get(index)
        if call is None or (fragment.id and fragment.id != call.id):
            call = _Growing(id=fragment.id or f"call_{uuid4().hex[:24]}")
            self._calls.append(call)
            self._at[index] = call
        return call

    def complete(self) -> tuple[ToolCall, ...]:
        return tuple(ToolCall(id=call.id, name=call.name, arguments=call.arguments or "{}") for call in self._calls)

    @property
    def written(self) -> str:
        return "".join(call.name + call.arguments for call in self._calls)


def refusal(model: str, status: int, body: Any, retry_after: float | None = None) -> ModelError:
    """The error for an HTTP status and the parsed body that came with it."""
    said = error_text(body)
    why = f": {said}" if said else "."
    if 400 <= status < 500 and status not in _PASSING:
        return ModelRefused(f"The model '{model}' refused the request ({status}){why}", status=status)
    text = f"The model '{model}' is not available ({status}){why}"
    return ModelUnavailable(text, status=status, retry_after=retry_after)


def error_text(body: Any) -> str:
    """What an error's body says in words, if anything."""
    match body:
        case {"error": _}:
            return error_text(body["error"])
        case {"message": str(message)} | {"detail": str(message)}:
            return " ".join(message.split())[:500]
        case str() if not body.lstrip().startswith("<"):  # a proxy's page of HTML says nothing to a reader
            return " ".join(body.split())[:500]
        case _:
            return ""


def _decode(data: bytes, model: str) -> _Event:
    try:
        event = _EVENT.decode(data)
    except msgspec.DecodeError as error:
        raise ModelUnavailable(f"The model '{model}' sent something that is no chat completion ({error}).") from error
    if bytes(event.error) != b"null":
        raise _reported(model, msgspec.json.decode(event.error))
    if event.message is not None and not event.choices:
        raise _reported(model, msgspec.json.decode(data))
    return event


def _reported(model: str, body: Any) -> ModelError:
    """An error written into an answer that began as a success; a number in `code` is an HTTP status."""
    match body:
        case {"code": int(status)} if 400 <= status < 600:
            return refusal(model, status, body)
        case _:
            said = error_text(body)
    return ModelUnavailable(f"The model '{model}' failed in the middle of its answer{f': {said}' if said else '.'}")


def _counted(usage: _Usage) -> Usage | None:
    """None when the server fills the form in with zeros."""
    if not usage.prompt_tokens and not usage.completion_tokens:
        return None
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        prompt=usage.prompt_tokens or 0,
        completion=usage.completion_tokens or 0,
        cached=(prompt and prompt.cached_tokens) or usage.prompt_cache_hit_tokens or usage.cached_tokens or 0,
        reasoning=(completion and completion.reasoning_tokens) or 0,
    )
