"""What does not fit in a body, in the words of OpenAI's API: what was expected, what came, and where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from hub.errors import RequestError

_LONGEST = 100
"""Characters of a value that are quoted."""
_PLACE = re.compile(r"^(?P<problem>.*) - at `(?:key` in `)?\$(?P<path>.*)`$", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_MISSING = re.compile(r"Object missing required field `(.+)`")
_TYPES = re.compile(r"Expected `([^`]+)`, got `(\w+)`")
_RANGE = re.compile(r"Expected `(float|int)` (<=|>=|<|>) (\S+)")
_LENGTH = re.compile(r"Expected `(array|str|object)` of length (<=|>=) (\d+)")
_CHOICE = re.compile(r"Invalid (?:enum )?value .*", re.DOTALL)
_NAMES = {
    "float": "a decimal",
    "int": "an integer",
    "str": "a string",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
    # Of the field that says which of several objects it is, msgspec tells what Python has.
    "dict": "an object",
    "list": "an array",
    "NoneType": "null",
}
_TOO = {
    ("array", "<="): "array too long",
    ("array", ">="): "array too short",
    ("str", "<="): "string too long",
    ("str", ">="): "string too short",
    ("object", "<="): "too many properties",
    ("object", ">="): "too few properties",
}


class _Place(NamedTuple):
    """Where something is wrong: the field as a caller names it (empty: the body), what is there, what fits there."""

    param: str
    found: Any
    wanted: list[inspect.Type]


def told(error: msgspec.ValidationError, value: Any, type: Any, within: str = "") -> RequestError:
    """The error for a value that is not of this type, with the `param`, `within` another one, that does not fit."""
    match = _PLACE.match(str(error))
    problem, path = (match["problem"], match["path"]) if match else (str(error), "")
    place = _place(path.removesuffix("[...]"), value, type, within)
    if lacks := _MISSING.fullmatch(problem):
        param = f"{place.param}.{lacks[1]}" if place.param else lacks[1]
        return RequestError(f"Missing required parameter: '{param}'.", param=param, code="missing_parameter")
    return RequestError(_words(problem, place), param=place.param or None, code="invalid_value")


def _words(problem: str, place: _Place) -> str:
    where = f"'{place.param}'" if place.param else "the body"
    if types := _TYPES.fullmatch(problem):
        return f"Invalid type for {where}: expected {_one_of(types[1])}, but got {_NAMES[types[2]]} instead."
    if limit := _RANGE.fullmatch(problem):
        kind = "decimal" if limit[1] == "float" else "integer"
        side = "above maximum" if limit[2].startswith("<") else "below minimum"
        wanted = f"Expected a value {limit[2]} {limit[3].removesuffix('.0')}, but got {_quoted(place.found)} instead."
        return f"Invalid {where}: {kind} {side} value. {wanted}"
    if length := _LENGTH.fullmatch(problem):
        bound = "maximum" if length[2] == "<=" else "minimum"
        wanted = f"Expected {_NAMES[length[1]]} with {bound} length {length[3]}."
        return f"Invalid {where}: {_TOO[length[1], length[2]]}. {wanted}"
    if _CHOICE.fullmatch(problem):
        choices = [each for wanted in place.wanted if isinstance(wanted, inspect.LiteralType) for each in wanted.values]
        values = ", ".join(f"'{choice}'" for choice in choices)
        return f"Invalid value for {where}: {_quoted(place.found)}. Supported values are: {values}."
    if "matching regex" in problem:
        return f"Invalid {where}: has characters that are not allowed."
    return f"Invalid {where}: {problem}."


def _one_of(types: str) -> str:
    names = [_NAMES.get(name, name) for name in types.split(" | ") if name != "null"]
    return names[0] if len(names) == 1 else f"one of {' or '.join(names)}"


def _quoted(found: Any) -> str:
    text = f"'{found}'" if isinstance(found, str) else msgspec.json.encode(found).decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _place(path: str, value: Any, type: Any, within: str) -> _Place:
    wanted = list(_each(inspect.type_info(type)))
    for step in _STEP.finditer(path):
        name, index = step[1], step[2]
        value = _inside(value, name if index is None else int(index))
        wanted = [each for one in wanted for each in _below(one, name)]
    return _Place((within + path).lstrip("."), value, wanted)


def _inside(value: Any, key: str | int) -> Any:
    try:
        return value[key]
    except (KeyError, IndexError, TypeError):
        return None


def _each(type: inspect.Type) -> Iterable[inspect.Type]:
    return type.types if isinstance(type, inspect.UnionType) else (type,)


def _below(type: inspect.Type, name: str | None) -> Iterator[inspect.Type]:
    """What may stand in a field of this name, or in a list where there is none."""
    match type:
        case inspect.StructType(fields=fields, tag_field=tag_field, tag=tag) if name is not None:
            if tag_field == name:
                yield inspect.LiteralType((tag,))
            yield from (each for field in fields if field.encode_name == name for each in _each(field.type))
        case inspect.ListType(item_type=item) if name is None:
            yield from _each(item)
        case _:
            pass
