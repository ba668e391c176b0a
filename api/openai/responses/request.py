"""The body of POST /v1/responses: what it may hold, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import Meta
from werkzeug.datastructures import Headers

from api.openai.parameters import Effort, JsonObject, Metadata, OfTheHub, PlainText, Schema, Tokens, agent_params
from api.openai.request import Name, session_header
from api.openai.tools import MOST, Allowed, Choice, FunctionTool, Tool, check_choice
from api.ports import Named
from api.wire import fit
from hub.errors import RequestError

PREFIX = "resp_"
SESSION = "session"
"""What a response of a chat's conversation has besides: the chat's address."""
Include = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]
"""What OpenAI's clients may ask to have included; of all this, answers here have the images of the input."""
_PASSED = ("temperature", "top_p", "user", "safety_identifier", "prompt_cache_key", "service_tier")
"""Parameters that chat completions have, too."""


class Conversation(msgspec.Struct, frozen=True):
    """A conversation by its name."""

    id: Name


class FlatJsonSchema(Schema, frozen=True, tag_field="type", tag="json_schema"):
    """JSON of a schema."""


class TextOptions(msgspec.Struct, frozen=True):
    """What the text of the answer shall be like."""

    format: PlainText | JsonObject | FlatJsonSchema | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningOptions(msgspec.Struct, frozen=True):
    """How hard to think."""

    effort: Effort | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class ResponseStreamOptions(msgspec.Struct, frozen=True):
    """How to stream; events are never padded, whatever is asked."""

    include_obfuscation: bool | None = None


class _Chosen(msgspec.Struct):
    tool_choice: Choice | None


class ResponseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The fields whose type and range bothub checks; others are accepted."""

    input: Annotated[str, Meta(min_length=1)] | Annotated[list[dict[str, Any]], Meta(min_length=1)]
    model: str | None = None
    instructions: str | None = None
    previous_response_id: Annotated[str, Meta(max_length=200)] | None = None
    conversation: Name | Conversation | None = None
    session_id: Name | None = None
    session: Name | None = None
    user: Name | None = None
    background: bool | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    include: list[Include] | None = None
    max_output_tokens: Tokens | None = None
    max_tool_calls: Tokens | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None
    tools: Annotated[list[dict[str, Any]], Meta(max_length=MOST)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    metadata: Metadata | None = None
    truncation: Literal["auto", "disabled"] | None = None
    prompt: dict[str, Any] | None = None
    bothub: OfTheHub | None = None

    @property
    def is_kept(self) -> bool:
        """Whether it may be come back to."""
        return self.store is not False

    @property
    def previous(self) -> str | None:
        """The turn of the response that this one continues."""
        return None if self.previous_response_id is None else self.previous_response_id.removeprefix(PREFIX)

    @property
    def named(self) -> str | None:
        """The conversation by its name."""
        return self.conversation.id if isinstance(self.conversation, Conversation) else self.conversation


def parse(body: Any) -> ResponseRequest:
    """The request in a body; raises RequestError that names the field."""
    asked = fit(body, ResponseRequest)
    if asked.previous_response_id is not None and asked.conversation is not None:
        problem = "previous_response_id: not together with conversation; both say what went before"
        raise RequestError(problem, param="previous_response_id", code="mutually_exclusive_parameters")
    if asked.background and not asked.is_kept:
        problem = "background: needs store: true, or nobody could ever read the answer"
        raise RequestError(problem, param="background", code="invalid_value")
    if asked.stream_options is not None and not asked.stream:
        raise RequestError("stream_options: only allowed with stream: true", param="stream_options")
    if asked.prompt is not None:
        raise _unsupported("prompt", "prompt: templates are not kept here; send instructions and input")
    if asked.top_logprobs or "message.output_text.logprobs" in (asked.include or ()):
        param = "top_logprobs" if asked.top_logprobs else "include"
        raise _unsupported(param, f"{param}: there are no logprobs in responses; chat completions have them")
    check_choice(_choice(asked), fit(chat_tools(asked), list[Tool]))
    return asked


def session(asked: ResponseRequest, headers: Headers) -> str | None:
    """The conversation that the body or a header names."""
    return asked.named or asked.session_id or session_header(headers)


def chat_tools(asked: ResponseRequest) -> list[dict[str, Any]]:
    """The client's functions as chat completions have them; raises RequestError for a tool of another kind."""
    return [_function(tool, f"tools[{index}]") for index, tool in enumerate(asked.tools or ())]


def _choice(asked: ResponseRequest) -> Choice | None:
    """`tool_choice` as chat completions have it; raises RequestError for a choice that cannot be made."""
    match asked.tool_choice:
        case {"type": "function", **named}:
            return fit({"tool_choice": {"type": "function", "function": named}}, _Chosen).tool_choice
        case {"type": "allowed_tools", "mode": "auto" | "required" as mode, "tools": list()} as choice:
            named = enumerate(cast(list[Any], choice["tools"]))
            allowed = [_function(tool, f"tool_choice.tools[{index}]") for index, tool in named]
            return Allowed(allowed_tools={"mode": mode, "tools": allowed})
        case {"type": kind}:
            problem = f"tool_choice: tools of type {kind!r} are not supported; only 'function' and 'allowed_tools' are"
            raise RequestError(problem, param="tool_choice.type", code="unsupported_tool")
        case choice:
            return fit({"tool_choice": choice}, _Chosen).tool_choice


def model_params(asked: ResponseRequest, body: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters for a model, in the words of chat completions; what we do not know goes on as it is."""
    known = ResponseRequest.__struct_fields__
    params = {name: value for name, value in body.items() if name not in known and value is not None}
    params |= {name: value for name in _PASSED if (value := body.get(name)) is not None}
    wanted: dict[str, Any] = {
        "max_completion_tokens": asked.max_output_tokens,
        "response_format": _response_format(asked),
        "verbosity": asked.text and asked.text.verbosity,
        "reasoning_effort": asked.reasoning and asked.reasoning.effort,
    }
    if asked.tools:
        choice = msgspec.to_builtins(_choice(asked))
        wanted |= {"tool_choice": choice, "parallel_tool_calls": asked.parallel_tool_calls}
    return params | {name: value for name, value in wanted.items() if value is not None}


def turn_params(asked: ResponseRequest, body: Mapping[str, Any]) -> dict[str, Any]:
    """Those that agents with memory honour."""
    params = model_params(asked, body)
    return agent_params(params) | {name: params[name] for name in ("tool_choice",) if name in params}


def echo(asked: ResponseRequest, target: Named) -> dict[str, Any]:
    """What a response repeats of its request; null stands for the model's or agent's own choice."""
    build, conversation = msgspec.to_builtins, asked.named
    wished = None if asked.bothub is None else asked.bothub.tools
    return {
        "model": target.name,
        "instructions": asked.instructions,
        "background": bool(asked.background),
        "conversation": None if conversation is None else {"id": conversation},
        "previous_response_id": asked.previous_response_id,
        "store": asked.is_kept,
        "metadata": asked.metadata or {},
        "max_output_tokens": asked.max_output_tokens,
        "max_tool_calls": asked.max_tool_calls,
        "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "reasoning": build(asked.reasoning or ReasoningOptions()),
        "service_tier": "default",
        "temperature": asked.temperature,
        "text": build(asked.text or TextOptions())
        | {"format": build((asked.text and asked.text.format) or PlainText())},
        "tool_choice": asked.tool_choice or "auto",
        "tools": asked.tools or [],
        "top_logprobs": 0,
        "top_p": asked.top_p,
        "truncation": asked.truncation or "disabled",
        "user": asked.user,
        "bothub": {"tools": target.show_tools if wished is None else wished},
    }


def _response_format(asked: ResponseRequest) -> dict[str, Any] | None:
    match asked.text and asked.text.format:
        case FlatJsonSchema() as wanted:
            schema = msgspec.structs.asdict(wanted)
            return {
                "type": "json_schema",
                "json_schema": {name: each for name, each in schema.items() if each is not None},
            }
        case JsonObject():
            return {"type": "json_object"}
        case _:
            return None


def _function(tool: Mapping[str, Any], where: str) -> dict[str, Any]:
    if tool.get("type") != "function":
        kind = tool.get("type")
        problem = f"{where}: tools of type {kind!r} are not supported; only 'function', which you run yourself, are"
        raise RequestError(problem, param=f"{where}.type", code="unsupported_tool")
    function = msgspec.structs.asdict(fit(tool, FunctionTool, within=where))
    return {"type": "function", "function": {name: each for name, each in function.items() if each is not None}}


def _unsupported(param: str, problem: str) -> RequestError:
    return RequestError(problem, param=param, code="unsupported_parameter")
