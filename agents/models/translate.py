"""OpenAI's shape in pydantic-ai's words: messages, tools and parameters of a request; no network."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from pydantic_ai.messages import (
    BinaryContent,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings, ThinkingLevel
from pydantic_ai.tools import ToolDefinition

from hub.errors import ModelRefused
from hub.model import Completion
from hub.tokens import longest

_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?[^,]*;base64,(?P<data>.*)", re.DOTALL)
_LEFT_OUT = "(The beginning of this conversation is left out.)"
"""What a history that begins with an answer is given: these providers want the person first."""
_REMEMBERED = 1000
_HINTS = frozenset(
    ("frequency_penalty", "logit_bias", "metadata", "presence_penalty", "prediction", "prompt_cache_key",
     "safety_identifier", "seed", "service_tier", "store", "stream", "stream_options", "user", "verbosity")
)  # fmt: skip
"""What may be asked of OpenAI and changes at most the odds of an answer: left out for those who do not know it."""
_READ = _HINTS | {"max_tokens", "max_completion_tokens"}
_NOTHING: dict[str, tuple[Any, ...]] = {"n": (1,), "logprobs": (False,), "response_format": ({"type": "text"},)}
"""Values of parameters that ask for nothing special."""
THINKING = ("thinking", "thinking_budget", "enable_thinking", "reasoning", "reasoning_effort")
"""Parameters that say how much to think."""
_LEVELS: dict[str, ThinkingLevel] = {
    "none": False,
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}


class Thoughts:
    """The signed thoughts behind recent tool calls: a model that thinks wants them back, and the port has no place.

    Kept in memory, for the last 1000 answers that called tools.
    """

    def __init__(self) -> None:
        self._answers: OrderedDict[str, ModelResponse] = OrderedDict()

    def keep(self, answer: ModelResponse) -> None:
        """Remember an answer that has both, by its first call."""
        calls = [part.tool_call_id for part in answer.parts if isinstance(part, ToolCallPart)]
        if calls and any(isinstance(part, ThinkingPart) and part.signature for part in answer.parts):
            self._answers[calls[0]] = answer
            if len(self._answers) > _REMEMBERED:
                self._answers.popitem(last=False)

    def behind(self, parts: list[ModelResponsePart]) -> ModelResponse | None:
        """The whole answer that these parts are of, if it is remembered and they say the same."""
        calls = [part.tool_call_id for part in parts if isinstance(part, ToolCallPart)]
        answer = self._answers.get(calls[0]) if calls else None
        if answer is None or _text(answer.parts) != _text(parts):
            return None
        return (
            answer if calls == [part.tool_call_id for part in answer.parts if isinstance(part, ToolCallPart)] else None
        )


def history(messages: Sequence[dict[str, Any]], thoughts: Thoughts) -> tuple[list[ModelMessage], bool]:
    """The messages, those of one side in a row as one; and whether the answer going on has lost its thoughts."""
    found: list[ModelMessage] = []
    names: dict[str, str] = {}
    lost = False
    for message in messages:
        if message.get("role") == "assistant":
            parts = list(_said(message, names))
            answer = thoughts.behind(parts)
            lost = answer is None and any(isinstance(part, ToolCallPart) for part in parts)
            _append_answer(found, answer or ModelResponse(parts=parts))
        else:
            heard = list(_heard(message, names))
            lost = lost and not any(isinstance(part, UserPromptPart) for part in heard)
            _append_request(found, heard)
    return _begun(found), lost


def tools(request: Completion) -> ModelRequestParameters:
    """The functions a model may call; raises ModelRefused for tools of any other type."""
    return ModelRequestParameters(function_tools=[_tool(tool) for tool in request.tools])


def settings(
    params: dict[str, Any], max_output: int | None, budget: Callable[[dict[str, Any]], ModelSettings], *, tools: bool
) -> ModelSettings:
    """The parameters; raises ModelRefused for one that asks for what the providers do not have.

    `budget` says in a provider's own words what `thinking` asks for; `max_output` is the most the model may write.
    """
    made = ModelSettings()
    if (limit := longest(params, max_output)) is not None:
        made["max_tokens"] = limit
    for name, value in params.items():
        if value is None or name in _READ or value in _NOTHING.get(name, ()):
            continue
        match name:
            case "temperature" | "top_p" | "top_k":
                made[name] = value
            case "stop":
                made["stop_sequences"] = [value] if isinstance(value, str) else value
            case _ if name in THINKING:
                made |= _think(name, value, budget)
            case "tool_choice" | "parallel_tool_calls":
                if tools:  # servers refuse these without tools
                    _choose(made, name, value)
            case _:
                raise _not_here(name)
    return made


def _think(name: str, value: Any, budget: Callable[[dict[str, Any]], ModelSettings]) -> ModelSettings:
    """How much to think, in any of the ways it is asked for."""
    match name, value:
        case ("reasoning_effort", str(level)) | ("reasoning", {"effort": str(level)}) if level in _LEVELS:
            return ModelSettings(thinking=_LEVELS[level])
        case "enable_thinking", bool():
            return ModelSettings(thinking=value)
        case "thinking_budget", int():
            return budget({"type": "enabled", "budget_tokens": value})
        case "thinking", {"type": str(), **wanted}:
            return budget({"type": value["type"], **wanted})
        case _:
            raise _not_here(name)


def _choose(made: ModelSettings, name: str, value: Any) -> None:
    match name, value:
        case "parallel_tool_calls", bool():
            made["parallel_tool_calls"] = value
        case "tool_choice", "auto" | "none" | "required":
            made["tool_choice"] = value
        case "tool_choice", {"type": "function", "function": {"name": str(tool)}}:
            made["tool_choice"] = [tool]
        case _:
            raise _not_here(name)


def _tool(tool: dict[str, Any]) -> ToolDefinition:
    match tool:
        case {"type": "function", "function": {"name": str(name), **rest}}:
            # Some servers take a schema without properties, these providers do not.
            schema: dict[str, Any] = {"type": "object", "properties": {}, **(rest.get("parameters") or {})}
            return ToolDefinition(
                name=name,
                description=rest.get("description") or None,
                parameters_json_schema=schema,
                strict=rest.get("strict"),
            )
        case _:
            raise _refused(f"Tools of the type '{tool.get('type')}' are not for this provider; it takes functions.")


def _said(message: dict[str, Any], names: dict[str, str]) -> Iterator[ModelResponsePart]:
    """What an assistant said and called; blank text is left out, these providers refuse it."""
    text = "".join(_texts(message.get("content")))
    if text.strip():
        yield TextPart(text)
    for call in message.get("tool_calls") or ():
        function = call["function"]
        names[call["id"]] = function["name"]
        yield ToolCallPart(function["name"], _object(function.get("arguments")), tool_call_id=call["id"])


def _heard(message: dict[str, Any], names: dict[str, str]) -> Iterator[ModelRequestPart]:
    content = message.get("content")
    match message.get("role"):
        case "system" | "developer":
            yield SystemPromptPart("".join(_texts(content)))
        case "user":
            yield UserPromptPart(content if isinstance(content, str) else list(_contents(content)))
        case "tool":
            call = message.get("tool_call_id") or ""
            said = content if isinstance(content, str) else list(_contents(content))
            yield ToolReturnPart(names.get(call, "tool"), said, call)
        case role:
            raise _refused(f"A message of the role '{role}' cannot be sent to this provider.")


def _contents(content: Any) -> Iterator[UserContent]:
    for part in content or ():
        match part:
            case {"type": "text", "text": str(text)}:
                yield text
            case {"type": "image_url", "image_url": {"url": str(url)}}:
                yield _data(url) if url.startswith("data:") else ImageUrl(url)
            case {"type": "file", "file": {"file_data": str(url)}} if url.startswith("data:"):
                yield _data(url)
            case _:
                raise _refused(f"Content of the type '{part.get('type')}' cannot be sent to this provider.")


def _data(url: str) -> BinaryContent:
    found = _DATA_URL.fullmatch(url)
    if found is None or not found["type"]:
        raise _refused("A data URL must name its type and be in base64.")
    return BinaryContent.from_data_uri(f"data:{found['type']};base64,{found['data']}")


def _texts(content: Any) -> Iterator[str]:
    """The texts of a content that may hold nothing else."""
    if isinstance(content, str):
        yield content
        return
    for part in content or ():
        match part:
            case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
                yield text
            case _:
                raise _refused(f"Content of the type '{part.get('type')}' cannot stand there for this provider.")


def _append_answer(found: list[ModelMessage], answer: ModelResponse) -> None:
    if not answer.parts:
        return
    if found and isinstance(before := found[-1], ModelResponse):
        found[-1] = ModelResponse(parts=[*before.parts, *answer.parts], provider_name=answer.provider_name)
    else:
        found.append(answer)


def _append_request(found: list[ModelMessage], parts: list[ModelRequestPart]) -> None:
    if found and isinstance(before := found[-1], ModelRequest):
        found[-1] = ModelRequest(parts=[*before.parts, *parts])
    else:
        found.append(ModelRequest(parts=parts))


def _begun(found: list[ModelMessage]) -> list[ModelMessage]:
    """With somebody who speaks before the first answer."""
    first = found[0] if found else ModelRequest(parts=[])
    spoken = isinstance(first, ModelRequest) and not all(isinstance(part, SystemPromptPart) for part in first.parts)
    if spoken or len(found) <= isinstance(first, ModelRequest):
        return found
    opening = UserPromptPart(_LEFT_OUT)
    if isinstance(first, ModelRequest):
        return [ModelRequest(parts=[*first.parts, opening]), *found[1:]]
    return [ModelRequest(parts=[opening]), *found]


def _object(written: str | None) -> dict[str, Any]:
    try:
        return msgspec.json.decode(written or "{}", type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise _refused(f"The arguments of a tool call are no JSON object ({error}).") from error


def arguments(call: ToolCallPart) -> str:
    """The arguments of a call as JSON text: as the model wrote them where the wire has text."""
    return call.args if call.args and isinstance(call.args, str) else json.dumps(call.args or {}, ensure_ascii=False)


def _text(parts: Sequence[ModelResponsePart]) -> str:
    return "".join(part.content for part in parts if isinstance(part, TextPart)).strip()


def _not_here(name: str) -> ModelRefused:
    return _refused(f"The parameter '{name}' cannot be asked of this provider with that value.")


def _refused(text: str) -> ModelRefused:
    return ModelRefused(text, status=400)
