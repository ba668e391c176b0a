"""Python functions as tools: the signature is the schema, the docstring the description."""

from __future__ import annotations

import asyncio
import inspect
import pkgutil
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NotRequired, get_type_hints

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError, with_config
from pydantic_core import to_json
from typing_extensions import TypedDict

from hub.agent import Turn
from hub.errors import RequestError

GROUP = "bothub.tools"
"""The entry points by which installed packages add tools."""
_CLOSED = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Unusable(Exception):
    """What should be a tool is none; the text says why."""


class FunctionTool:
    """A function that a model may call; one that is not async runs in a thread."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Raises Unusable where the function does not say enough of itself."""
        self.name = getattr(function, "__name__", "")
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", self.name):
            raise Unusable("is no named function")
        self.description = inspect.getdoc(function) or ""
        if not self.description:
            raise Unusable("has no docstring: the model would not know what it is for")
        self._function = function
        self._takes_turn, fields = _fields(function)
        try:
            # A typed dict keeps what was not given apart from what was, so the function's own defaults hold.
            self._arguments = TypeAdapter[Any](with_config(_CLOSED)(TypedDict(self.name, fields)))  # pyright: ignore[reportArgumentType] - made at run time
            schema = self._arguments.json_schema()
        except (PydanticUserError, TypeError) as error:
            raise Unusable(f"has a parameter that JSON cannot hold ({type(error).__name__})") from error
        self.parameters = {key: value for key, value in schema.items() if key != "title"}

    async def call(self, turn: Turn, key: str, arguments: dict[str, Any]) -> str:  # noqa: ARG002 - the port's
        """Call the function; what it returns is given as text or JSON. Raises RequestError for wrong arguments."""
        try:
            given: dict[str, Any] = self._arguments.validate_python(arguments)
        except ValidationError as error:
            raise RequestError(f"The arguments of '{self.name}' are wrong: {_problems(error)}.") from error
        first = (turn,) if self._takes_turn else ()
        if inspect.iscoroutinefunction(self._function):
            result = await self._function(*first, **given)
        else:
            result = await asyncio.to_thread(self._function, *first, **given)
        return result if isinstance(result, str) else to_json(result).decode()


def _fields(function: Callable[..., Any]) -> tuple[bool, dict[str, Any]]:
    """Whether the function wants the turn first, and the types of what the model gives it."""
    try:
        hints = get_type_hints(function, include_extras=True)
        parameters = list(inspect.signature(function).parameters.values())
    except (NameError, TypeError, ValueError) as error:
        raise Unusable(f"has a signature that cannot be read ({error})") from error
    takes_turn = bool(parameters) and hints.get(parameters[0].name) is Turn
    fields: dict[str, Any] = {}
    for parameter in parameters[takes_turn:]:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise Unusable(f"takes '{parameter}', which a model cannot name")
        if parameter.name not in hints:
            raise Unusable(f"does not say the type of '{parameter.name}'")
        hint = hints[parameter.name]
        fields[parameter.name] = hint if parameter.default is parameter.empty else NotRequired[hint]
    return takes_turn, fields


def _problems(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'all'}: {each['msg']}" for each in error.errors())


def load(reference: str) -> FunctionTool:
    """The tool that `module:function`, or the name of an entry point, stands for; raises Unusable."""
    try:
        found = pkgutil.resolve_name(reference) if ":" in reference else added()[reference].load()
    except Exception as error:
        raise Unusable(f"cannot be imported ({type(error).__name__}: {error})") from error
    if not callable(found) or isinstance(found, type):
        raise Unusable("is no function")
    return FunctionTool(found)


def names() -> list[str]:
    """The tools that installed packages add."""
    return list(added())


@cache
def added() -> Mapping[str, EntryPoint]:
    """What installed packages add; nothing of theirs is imported."""
    return {point.name: point for point in entry_points(group=GROUP)}
