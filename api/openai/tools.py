"""The functions that a request offers to a model, and the calls of them in its messages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from api.wire import fit
from hub.errors import RequestError

MOST = 128
"""Functions of one request, as OpenAI has it."""
FunctionName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[a-zA-Z0-9_-]*\Z")]


class FunctionTool(msgspec.Struct, frozen=True):
    """A function: `parameters` is the JSON Schema of its arguments."""

    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(msgspec.Struct, frozen=True):
    """Something the caller can do."""

    type: Literal["function"]
    function: FunctionTool


class _Named(msgspec.Struct, frozen=True):
    name: FunctionName


class Chosen(msgspec.Struct, frozen=True, tag_field="type", tag="function"):
    """The one function that the model has to call."""

    function: _Named


class Allowed(msgspec.Struct, frozen=True, tag_field="type", tag="allowed_tools"):
    """Those that it may or has to call."""

    allowed_tools: dict[str, Any]


Choice = Literal["none", "auto", "required"] | Chosen | Allowed


class _Arguments(msgspec.Struct):
    name: str
    arguments: str


class _Call(msgspec.Struct):
    id: str
    function: _Arguments
    type: Literal["function"] = "function"


class _Said(msgspec.Struct):
    """What is checked of an assistant's message."""

    tool_calls: list[_Call] | None = None


class _Result(msgspec.Struct):
    """What is checked of a tool's message."""

    tool_call_id: str


_CHECKED: dict[Any, Any] = {"assistant": _Said, "tool": _Result}


def check_choice(choice: Choice | None, tools: list[Tool] | None) -> None:
    """Raise RequestError where something has to be called that is not offered."""
    names = {tool.function.name for tool in tools or ()}
    wanted = choice.function.name if isinstance(choice, Chosen) else None
    if wanted is not None and wanted not in names:
        problem = f"Invalid value for 'tool_choice': there is no function '{wanted}' in 'tools'."
        raise RequestError(problem, param="tool_choice", code="invalid_value")
    if choice == "required" and not names:
        problem = "Invalid value for 'tool_choice': 'required' is only allowed when 'tools' are specified."
        raise RequestError(problem, param="tool_choice", code="invalid_value")


def check_calls(messages: list[dict[str, Any]]) -> None:
    """Raise RequestError for a call, or a result of one, that is not whole."""
    for index, message in enumerate(messages):
        role = message.get("role")
        if isinstance(role, str) and (checked := _CHECKED.get(role)):
            fit(message, checked, within=f"messages[{index}]")
