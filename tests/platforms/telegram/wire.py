"""The wire of the Bot API: what a request carries and what a refusal looks like."""

import json
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web

Params = dict[str, Any]

INTEGERS = {"chat_id", "draft_id", "message_id", "message_thread_id", "offset", "limit", "timeout"}
OBJECTS = {
    "allowed_updates",
    "caption_entities",
    "commands",
    "entities",
    "link_preview_options",
    "reaction",
    "reply_markup",
    "reply_parameters",
}


class ApiError(Exception):
    """A refusal, as Telegram words it; `parameters` carry the remedy."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(f"{code} {description}")
        self.code = code
        self.description = description
        self.parameters = parameters

    def answer(self) -> web.Response:
        body: dict[str, Any] = {"ok": False, "error_code": self.code, "description": self.description}
        if self.parameters:
            body["parameters"] = self.parameters
        return web.json_response(body, status=self.code)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file part of a multipart form."""

    name: str
    data: bytes


def bad(description: str) -> ApiError:
    return ApiError(400, f"Bad Request: {description}")


async def read_params(request: web.Request) -> Params:
    """The parameters of a call, alike for query, urlencoded, multipart and JSON."""
    params: Params = dict(request.query)
    if request.content_type == "application/json":
        params |= await _read_json(request)
    else:
        params |= {name: _part(value) for name, value in (await request.post()).items()}
    return {name: _typed(name, value) for name, value in params.items()}


async def _read_json(request: web.Request) -> Params:
    try:
        body = await request.json()
    except json.JSONDecodeError:
        raise bad("can't parse JSON object") from None
    if not isinstance(body, dict):
        raise bad("can't parse JSON object")
    return cast(Params, body)


def _part(value: str | bytes | bytearray | web.FileField) -> str | Upload:
    if isinstance(value, web.FileField):
        return Upload(name=value.filename, data=value.file.read())
    return value if isinstance(value, str) else value.decode()


def _typed(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if name in INTEGERS and value.lstrip("-").isdecimal():
        return int(value)
    return _parsed(name, value) if name in OBJECTS else value


def _parsed(name: str, value: str) -> Any:
    try:
        return json.loads(value) if value else None
    except json.JSONDecodeError:
        raise bad(f"can't parse {name} JSON object") from None
