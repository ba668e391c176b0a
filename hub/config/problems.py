"""What is wrong with a configuration, in sentences that say where and what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hub.config.tree import Key, look, without

Part = TypeVar("Part", bound=BaseModel)
_SHOWN = 20
"""The longest wrong value that is quoted."""
MUST_BE_LIST = "must be a list"
_SENTENCES = [
    ("missing", "is missing"),
    ("int_", "must be a whole number"),
    ("float_", "must be a number"),
    ("decimal_parsing", "must be a number"),
    ("decimal_type", "must be a number"),
    ("bool_", "must be true or false"),
    ("string_type", "must be a text; put it in quotes"),
    ("tuple_type", MUST_BE_LIST),
    ("dict_type", "must hold keys with values"),
    ("decimal_max_places", "may have at most {decimal_places} decimal places"),
    ("too_short", "must not be empty"),
    ("path_type", "must be a path"),
    ("model_type", "must hold keys with values"),
    ("uuid_", "must be a UUID such as 7c1f4c1e-6f0f-4a51-9a3e-0d4b8a1a2b3c"),
    ("greater_than_equal", "must be at least {ge:g}"),
    ("greater_than", "must be more than {gt:g}"),
    ("less_than_equal", "must be at most {le:g}"),
    ("value_error", "{error}"),
]
"""Beginnings of pydantic's error types and how we say them."""


@dataclass(frozen=True)
class Problem:
    """One thing the operator has to mend."""

    key: Key
    text: str
    line: int | None = None
    """Given where the key alone does not tell it."""


def guess(word: str, known: Iterable[str]) -> str:
    """`did you mean ...`, or everything that is known."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names) or 'none'}"


def check(
    model: type[Part], values: dict[str, Any], at: Key, written: Mapping[str, Any], *, running: bool = True
) -> tuple[Part | None, list[Problem]]:
    """A part checked by its model, and what is wrong with it; `written` is the file, for quotes.

    What is wrong is left out then and the rest made into a part all the same, so that it can be checked on. In a part
    that does not run, `${NAME}` may stand where no text belongs.
    """
    problems: list[Problem] | None = None
    while True:
        try:
            return model.model_validate(values), problems or []
        except ValidationError as error:
            details = error.errors(include_url=False)
            wrong = [tuple(str(part) for part in detail["loc"] if part != "[key]") for detail in details]
            if problems is None:  # what comes up in later rounds would follow from what was left out
                problems = [
                    Problem((*at, *path), _explain(detail, model, path, look(written, (*at, *path))))
                    for detail, path in zip(details, wrong, strict=True)
                    if running or "${" not in str(detail["input"])
                ]
            rest = reduce(without, filter(None, wrong), values)
            if rest == values:
                return None, problems
            values = rest


def _explain(detail: ErrorDetails, model: type[BaseModel], path: Key, given: object) -> str:
    if detail["type"] == "extra_forbidden":
        return f"unknown key; {guess(path[-1], _keys(model, path[:-1]))}"
    if detail["type"] == "literal_error":
        return _choose(re.findall("'([^']*)'", detail.get("ctx", {})["expected"]), given)
    for beginning, sentence in _SENTENCES:
        if detail["type"].startswith(beginning):
            return sentence.format(**detail.get("ctx", {}))
    return detail["msg"].replace("Input should", "must", 1)


def _choose(options: list[str], given: object) -> str:
    if not isinstance(given, str | int | float) or len(str(given)) > _SHOWN or "${" in str(given):
        return f"must be one of {', '.join(options)}"
    close = difflib.get_close_matches(str(given), options, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return f"'{given}' is not one of {', '.join(options)}{hint}"


def _keys(model: type[BaseModel], path: Key) -> list[str]:
    """The keys that the part of a model at `path` knows; a name in a dict of parts changes nothing."""
    for name in path:
        field = model.model_fields.get(name)
        model = _part(field.annotation) if field else model
    return list(model.model_fields)


def _part(annotation: Any) -> type[BaseModel]:
    """The model in an annotation such as `X | None` or `dict[str, X]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _part(inner)) is not BaseModel), BaseModel)
