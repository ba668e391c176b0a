"""OpenAPI 3.1 of the app: what its routes say with `@document`, and what follows from where they are."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import Any, cast

import msgspec
from quart import Quart

from api import auth, errors, request_id
from api.document import Content, Documented, Stream, documented
from api.uploads import FORM
from api.wire import JSON

EVENTS = "text/event-stream"
ABOUT = """\
One API for programs that talk to agents and models, and for posting into chats. Everything below `/v1` takes what
OpenAI's clients send. Errors have OpenAI's shape but where a route says otherwise. Times are whole Unix seconds, and
fields that a route does not know are ignored."""
ERRORS: dict[int, str] = {
    400: "The request is not right; `param` names the field where one is to blame.",
    401: "There is no key, or not a valid one.",
    402: "The quota and the balance of the key are used up.",
    403: "The key may not do this.",
    404: "There is no such thing, or not for this key.",
    408: "The body did not arrive in time.",
    409: "It contradicts what there is.",
    410: "It was there, and is gone.",
    413: "The body, or something in it, is too large.",
    415: "Something in the body is of a type that is not taken.",
    422: "The model cannot do this.",
    429: "Too much at once; `Retry-After` says when to ask again.",
    500: "Something went wrong in the hub; it was logged.",
    502: "Whoever had to do it, a model or a platform, failed.",
    503: "The hub is stopping, or its database is away; `Retry-After` says when to ask again.",
    504: "It took too long.",
}
AGAIN = "The same key again within 24 hours is the same request, and gets the same answer."
REPLAYED = "`true` when the answer was given before, under this Idempotency-Key."
WAIT = {"Retry-After": "Seconds to wait."}
NAMED: dict[str, Any] = {
    "in": "header",
    "name": request_id.HEADER,
    "description": "What the request is called, in the answer and in the log; it gets a name if it has none.",
    "schema": {"type": "string"},
}
_CONVERTED = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>")
_REF = "#/components/schemas/{name}"
SECURITY: dict[str, dict[str, str]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
    "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "`X-Api-Key: KEY`"},
}


def build(app: Quart) -> dict[str, Any]:
    """The whole document; raises TypeError for a route that says nothing of itself."""
    routes = list(_routes(app))
    schemas = _Schemas(types for route in routes for types in route.types())
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method] = route.operation(schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "bothub", "version": version("bothub"), "description": ABOUT},
        "servers": [{"url": "/"}],
        "security": [{name: []} for name in SECURITY],
        "tags": _tags(app, routes),
        "paths": paths,
        "components": {
            "securitySchemes": SECURITY,
            "parameters": {request_id.HEADER: NAMED},
            "headers": {
                request_id.HEADER: {"required": True, **{name: NAMED[name] for name in ("description", "schema")}}
            },
            "schemas": schemas.components,
        },
    }


def path(rule: str) -> str:
    """A rule of Quart's as OpenAPI writes it."""
    return _CONVERTED.sub(r"{\2}", rule)


class _Schemas:
    """The schemas of types; those with names are references to `components`."""

    def __init__(self, types: Iterator[Any]) -> None:
        asked = list({repr(each): each for each in types}.items())
        schemas, components = msgspec.json.schema_components([each for _, each in asked], ref_template=_REF)
        self._of = {key: _portable(schema) for (key, _), schema in zip(asked, schemas, strict=True)}
        self.components: dict[str, Any] = _portable(components)

    def of(self, type: Any) -> Any:
        """The schema of a type, perhaps a reference."""
        return self._of[repr(type)]

    def fields(self, type: Any) -> Iterator[tuple[str, Any, bool]]:
        """Name, schema and whether it is required, of each field of a Struct."""
        schema = self.components[self.of(type)["$ref"].rpartition("/")[2]]
        for name, field in schema["properties"].items():
            yield name, field, name in schema.get("required", ())


class _Route:
    """One method of one rule."""

    def __init__(self, rule: str, method: str, endpoint: str, view: Callable[..., Any], says: Documented) -> None:
        self.path = path(rule)
        self.method = method.lower()
        self.tag = endpoint.rpartition(".")[0]
        self._rule = rule
        self._endpoint = endpoint
        self._scopes = auth.scopes(view)
        self._doc = (view.__doc__ or "").strip()
        self._says = says

    def types(self) -> Iterator[Any]:
        """Every type that needs a schema."""
        says = self._says
        yield errors.shape(self.path)
        yield from (each for each in (says.body, says.form, says.query) if each is not None)
        for answer in says.answers.values():
            for form in _forms(answer):
                yield from _types(form)

    def operation(self, schemas: _Schemas) -> dict[str, Any]:
        """The operation."""
        summary, _, rest = self._doc.partition("\n\n")
        scopes = " or ".join(f"`{scope}`" for scope in self._scopes or ())
        needs = f"The key needs the scope {scopes}." if scopes else "Needs no key."
        operation: dict[str, Any] = {
            "operationId": f"{self._endpoint}.{self.method}",
            "tags": [self.tag],
            "summary": " ".join(summary.split()),
            "description": "\n\n".join(filter(None, (" ".join(rest.split()), needs))),
            "parameters": self._parameters(schemas),
            "responses": self._responses(schemas),
        }
        if body := self._body(schemas):
            operation["requestBody"] = {"required": True, "content": body}
        if self._scopes is None:
            operation["security"] = []
        return operation

    def _parameters(self, schemas: _Schemas) -> list[dict[str, Any]]:
        found = [
            {"name": name, "in": "path", "required": True, "schema": _in_path(converter)}
            for converter, name in _CONVERTED.findall(self._rule)
        ]
        if self._says.query is not None:
            for name, schema, required in schemas.fields(self._says.query):
                about = {"description": schema["description"]} if "description" in schema else {}
                asked = {"name": name, "in": "query", "required": required, "allowEmptyValue": not required}
                found.append({**asked, "schema": schema, **about})
        headers = dict(self._says.headers) | ({"Idempotency-Key": AGAIN} if self._says.once else {})
        for name, about in headers.items():
            schema = {"type": "string"}
            found.append({"name": name, "in": "header", "required": False, "schema": schema, "description": about})
        return [*found, {"$ref": f"#/components/parameters/{request_id.HEADER}"}]

    def _body(self, schemas: _Schemas) -> dict[str, Any]:
        taken = ((JSON, self._says.body), (FORM, self._says.form))
        found: dict[str, Any] = {kind: {"schema": schemas.of(each)} for kind, each in taken if each is not None}
        if self._says.example is not None:
            found[JSON]["example"] = self._says.example
        return found

    def _responses(self, schemas: _Schemas) -> dict[str, Any]:
        sends = dict(self._says.sends) | ({"Idempotent-Replayed": REPLAYED} if self._says.once else {})
        found: dict[str, Any] = {}
        for status, answer in self._says.answers.items():
            content = dict(_content(schemas, form) for form in _forms(answer))
            found[str(status)] = _response(_DONE.get(status, "Done."), content, sends)
        error = dict([_content(schemas, errors.shape(self.path))])
        for status in sorted(self._refused()):
            found[str(status)] = _response(ERRORS[status], error, WAIT if status in (429, 503) else {})
        return found

    def _refused(self) -> set[int]:
        """The statuses of its errors."""
        says = self._says
        reads = says.body is not None or says.form is not None
        found = {500, 503, *says.errors}
        found |= {401, 403} if self._scopes is not None else set[int]()
        found |= {400, 408, 413} if reads else set[int]()
        found |= {400} if says.query is not None or says.headers or says.once else set[int]()
        found |= {404} if "{" in self.path else set[int]()
        found |= {409} if says.once else set[int]()
        return found - {status for status in says.answers if isinstance(status, int)}


_DONE: dict[int | str, str] = {
    200: "Done.",
    201: "Made.",
    202: "Taken; it goes on.",
    204: "Done; there is nothing to say.",
    502: "Not delivered.",
    503: "Not now.",
}


def for_people(rule: str) -> bool:
    """Whether a rule is of the panel, whose pages are no part of the API, or leads there."""
    return rule in ("/", "/panel") or rule.startswith("/panel/")


def _routes(app: Quart) -> Iterator[_Route]:
    for rule in app.url_map.iter_rules():
        if for_people(rule.rule):
            continue
        view = app.view_functions[rule.endpoint]
        says = documented(view)
        if says is None:
            raise TypeError(f"{rule.rule} says nothing of itself: it lacks @document")
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield _Route(rule.rule, method, rule.endpoint, view, says)


def _tags(app: Quart, routes: list[_Route]) -> list[dict[str, str]]:
    """What the modules of the routes say of themselves, in the order of the routes."""
    found: dict[str, str] = {}
    for route in routes:
        blueprint = app.blueprints.get(route.tag)
        module = sys.modules[app.import_name if blueprint is None else blueprint.import_name]
        found[route.tag] = " ".join((module.__doc__ or "").partition("\n\n")[0].split())
    return [{"name": name, "description": about} for name, about in found.items()]


def _forms(answer: Any) -> tuple[Any, ...]:
    """The forms that an answer may have."""
    return cast(tuple[Any, ...], answer) if isinstance(answer, tuple) else () if answer is None else (answer,)


def _types(form: Any) -> list[Any]:
    """The types in a form."""
    if isinstance(form, Stream):
        return [each for _, each in form.events]
    return [] if isinstance(form, Content) else [form]


def _content(schemas: _Schemas, form: Any) -> tuple[str, dict[str, Any]]:
    """The media type of a form, and what it holds."""
    if isinstance(form, Content):
        return form.media_type, {}
    if not isinstance(form, Stream):
        return JSON, {"schema": schemas.of(form)}
    # OpenAPI 3.2 has a word for it, `itemSchema`.
    events = [{**({"event": name} if name else {}), "data": schemas.of(each)} for name, each in form.events]
    return EVENTS, {"schema": {"type": "string"}, "x-events": events}


def _response(about: str, content: dict[str, Any], sends: Mapping[str, str]) -> dict[str, Any]:
    headers = {name: {"description": words, "schema": {"type": "string"}} for name, words in sends.items()}
    named = {request_id.HEADER: {"$ref": f"#/components/headers/{request_id.HEADER}"}}
    return {"description": about, "headers": {**headers, **named}, "content": content}


def _in_path(converter: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0} if converter == "int" else {"type": "string", "minLength": 1}


def _portable(schema: Any) -> Any:
    """The schema with Python's anchors of patterns as JSON Schema has them."""
    if isinstance(schema, list):
        return [_portable(each) for each in cast(list[Any], schema)]
    if not isinstance(schema, dict):
        return schema
    found = {name: _portable(value) for name, value in cast(dict[str, Any], schema).items()}
    if isinstance(found.get("pattern"), str):
        found["pattern"] = found["pattern"].replace(r"\A", "^").replace(r"\Z", "$")
    return found
