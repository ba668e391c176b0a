"""/docs: the OpenAPI document as one page, for people; it loads nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

from api.openapi import ERRORS

_CODE = re.compile(r"`([^`]+)`")


def render(document: dict[str, Any]) -> str:
    """The page."""
    pages = Environment(loader=PackageLoader("api"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    pages.filters.update(prose=_prose, kind=_kind, limits=_limits, holds=_holds, example=_example, breakable=_breakable)
    paths: dict[str, dict[str, Any]] = document["paths"]
    operations: list[dict[str, Any]] = [
        {"path": path, "method": method, "errors": _errors(operation), **operation, "parameters": _own(operation)}
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]
    statuses = sorted({status for each in operations for status in each["errors"]})
    errors = [(status, ERRORS[int(status)]) for status in statuses]
    groups = [(tag, [each for each in operations if tag["name"] in each["tags"]]) for tag in document["tags"]]
    return pages.get_template("docs.html").render(api=document, groups=groups, errors=errors)


def _prose(text: str) -> Markup:
    """Text with its `code`, and an empty line between paragraphs."""
    paragraphs = (_CODE.sub(r"<code>\1</code>", str(escape(each))) for each in text.split("\n\n"))
    return Markup("".join(f"<p>{each}</p>" for each in paragraphs))  # noqa: S704 - escaped above


def _errors(operation: dict[str, Any]) -> list[str]:
    """The statuses that only say what is wrong."""
    return [status for status, answer in operation["responses"].items() if answer["description"] in ERRORS.values()]


def _own(operation: dict[str, Any]) -> list[dict[str, Any]]:
    """The parameters that not every operation has."""
    return [each for each in operation["parameters"] if "$ref" not in each]


def _breakable(path: str) -> Markup:
    """A path that may go on in a new line after each of its parts."""
    return Markup("<wbr>/").join(path.split("/"))


def _holds(content: dict[str, Any]) -> Markup:
    """What an answer of one media type holds."""
    events = content.get("x-events")
    if not events:
        return _kind(content["schema"]) if "schema" in content else Markup("")
    named = (Markup("<code>{}</code> {}").format(each.get("event", "data"), _kind(each["data"])) for each in events)
    return Markup("events: ") + Markup(" or ").join(named)


def _example(body: Any) -> str:
    """A body to copy."""
    return msgspec.json.format(msgspec.json.encode(body), indent=2).decode()


def _kind(schema: dict[str, Any]) -> Markup:
    """What a schema is, in a few words; one with a name is a link to it."""
    return Markup(" or ").join(_kinds(schema))


def _kinds(schema: dict[str, Any]) -> Iterator[Markup]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield Markup('<a href="#schema-{0}">{0}</a>').format(name)
    elif "anyOf" in schema:
        for each in schema["anyOf"]:
            yield from _kinds(each)
    elif "enum" in schema:
        yield from (Markup("<code>{}</code>").format(_literal(each)) for each in schema["enum"])
    elif "const" in schema:
        yield Markup("<code>{}</code>").format(_literal(schema["const"]))
    elif schema.get("type") == "array":
        yield Markup("list of {}").format(_kind(schema.get("items", {})))
    elif schema.get("type") == "object" and schema.get("additionalProperties"):
        values = schema["additionalProperties"]
        yield Markup("object of {}").format(_kind(values if isinstance(values, dict) else {}))  # pyright: ignore[reportUnknownArgumentType] - JSON
    elif schema.get("format") == "binary":
        yield Markup("file")
    else:
        yield escape(schema.get("type", "anything"))


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


_LIMITS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "length at least {}",
    "maxLength": "length at most {}",
    "minItems": "length at least {}",
    "maxItems": "length at most {}",
}


def _limits(schema: dict[str, Any]) -> str:
    """The bounds of a value, and what it is when it is left out."""
    found = [words.format(schema[name]) for name, words in _LIMITS.items() if name in schema]
    for each in schema.get("anyOf", ()):
        found += filter(None, (_limits(each),))
    if schema.get("default") is not None and schema.get("default") not in ("", [], {}):
        found.append(f"default {_literal(schema['default'])}")
    return ", ".join(found)
