"""The wire of the REST API: what a call carries and what a refusal looks like."""

import json
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import web

Json = dict[str, Any]
VIA = {"Via": "1.1 google"}


class ApiError(Exception):
    """A refusal, as Discord words it: an HTTP status, a JSON error code, and for a form where it is wrong."""

    def __init__(self, status: int, code: int, message: str, **more: Any) -> None:
        super().__init__(f"{status}/{code} {message}")
        self.status = status
        self.body: Json = {"message": message, "code": code, **more}
        self.headers: dict[str, str] = {}

    def answer(self) -> web.Response:
        return json_response(self.body, self.status, self.headers)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file part of a multipart form."""

    name: str
    data: bytes


@dataclass(kw_only=True)
class Call:
    """A call the bot made. `path` holds the ids in its URL, `params` the JSON body.

    `status` is None until it was answered, and for ever when it never was; `abandoned` says that the bot hung up
    first.
    """

    method: str
    path: dict[str, str]
    at: float
    params: Json = field(default_factory=dict[str, Any])
    query: dict[str, str] = field(default_factory=dict[str, str])
    files: dict[str, Upload] = field(default_factory=dict[str, Upload])
    status: int | None = None
    abandoned: bool = False

    @property
    def channel(self) -> str | None:
        return self.path.get("channel")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer with a status of its own; other results are 200, or 204 when there is nothing to say."""

    status: int
    body: Any


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """JSON as Discord sends it: without a charset, which discord.py would not take for JSON, and through Google."""
    named = {"Content-Type": "application/json", **VIA, **(headers or {})}
    return web.Response(body=json.dumps(body).encode(), status=status, headers=named)


def invalid(where: str, code: str, message: str) -> ApiError:
    """A refused form; `where` is the path of the field, dotted."""
    errors: Json = {"_errors": [{"code": code, "message": message}]}
    for name in reversed(where.split(".")):
        errors = {name: errors}
    return ApiError(400, 50035, "Invalid Form Body", errors=errors)


def too_long(where: str, limit: int) -> ApiError:
    return invalid(where, "BASE_TYPE_MAX_LENGTH", f"Must be {limit} or fewer in length.")


def units(text: str) -> int:
    """The length of `text` as Discord is taken to count it: in UTF-16."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


async def read_body(request: web.Request, call: Call) -> None:
    """Puts what `request` carries into `call`, alike for JSON and for multipart."""
    call.query = dict(request.query)
    if request.content_type == "application/json":
        call.params = _parsed(await request.read())
    elif request.content_type == "multipart/form-data":
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                call.files[name.removeprefix("files[").removesuffix("]")] = _upload(value)
            elif name == "payload_json":
                call.params = _parsed(value if isinstance(value, bytes) else str(value).encode())


def _upload(field: web.FileField) -> Upload:
    return Upload(name=field.filename, data=field.file.read())


def _parsed(raw: bytes) -> Json:
    """The JSON body; a list (of commands) becomes the field `items`."""
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ApiError(400, 50109, "The request body contains invalid JSON.") from None
    if isinstance(body, list):
        return {"items": cast(list[Any], body)}
    if not isinstance(body, dict):
        raise invalid("_", "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
    return cast(Json, body)
