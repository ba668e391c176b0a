"""The wire of the open platform: what a call carries, what an answer and a refusal look like."""

import json
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web

Json = dict[str, Any]
LOG_ID = "202611201200000A0B0C0D0E0F101112"

# Messages as in the API reference (open.larksuite.com / open.feishu.cn, im-v1 and cardkit-v1); "mem" = from memory.
REFUSALS = {
    10014: "app secret invalid",  # mem
    99991400: "request trigger frequency limit",
    99991661: "Missing access token for authorization. Please make a test attempt with a valid token.",  # mem
    99991663: "Invalid access token for authorization. Please make a test attempt with a valid token.",
    99992354: "The request you send is not a valid {open_message_id} or not exists",  # mem
    99992402: "field validation failed",
    230001: "Your request contains an invalid request parameter.",
    230002: "The bot can not be outside the group.",
    230011: "The message is recalled.",
    230012: "Bot is NOT the sender of the message.",
    230013: "Bot has NO availability to this user.",
    230020: "This operation triggers the frequency limit.",
    230025: "The length of the message content reaches its limit.",
    230026: "No permission to recall this message.",
    230031: "Message can only be modified within 14 days after sending.",
    230035: "Send Message Permission deny.",
    230054: "This operation is not supported for this message type.",
    230055: "The type of file upload does not match the type of message being sent.",
    230071: "The operator is not the sender of the message.",
    230072: "The message has reached the number of times it can be edited.",
    230099: "Failed to create card content",
    230110: "Action unavailable as the message has been deleted.",
    231001: "reaction type is invalid.",
    231003: "The message is not found, maybe not exist or deleted.",
    231007: "Reaction can only be deleted by the one who added it.",  # mem
    232009: "Your request specifies a chat which has already been dissolved.",
    232011: "Operator can NOT be out of the chat.",  # mem
    234001: "Invalid request param.",
    234003: "File not in msg.",
    234006: "The file size exceed the max value.",
    234010: "File's size can't be 0.",
    200220: "Failed to generate card content",
    200740: "card id does not exist",  # mem
    200750: "The card entity has expired.",  # mem (the code is documented)
    200770: "The uuid is repeated.",  # mem (the code is documented)
    200810: "The card is in an ongoing interaction and cannot be updated",
    200850: "card streaming timeout",
    200860: "Card content exceeds limit.",
    300302: "update_multi property is false",
    300305: "The number of elements in the card exceeds the limit.",  # mem (the code is documented)
    300309: "streaming mode is closed",
    300313: "not find elementID",  # mem (the code was seen in the wild)
    300317: "The sequence number for operating on the card did not increment consecutively",
}


class ApiError(Exception):
    """A refusal, as the platform words it; `reset` is the seconds to wait, in a header."""

    def __init__(self, code: int, msg: str, *, status: int = 400, reset: int | None = None) -> None:
        super().__init__(f"{code} {msg}")
        self.code = code
        self.msg = msg
        self.status = status
        self.reset = reset

    def answer(self) -> web.Response:
        body = {"code": self.code, "msg": self.msg, "error": {"log_id": LOG_ID, "troubleshooter": ""}}
        headers = {"X-Tt-Logid": LOG_ID}
        if self.reset is not None:
            headers |= {"x-ogw-ratelimit-limit": "50", "x-ogw-ratelimit-reset": str(self.reset)}
        return web.json_response(body, status=self.status, headers=headers)


def refusal(code: int, ext: str = "", *, status: int = 400, reset: int | None = None) -> ApiError:
    """The refusal with that code; `ext` is what the platform appends to its message."""
    msg = REFUSALS.get(code, "refused")
    return ApiError(code, f"{msg.rstrip('.')}, ext={ext}" if ext else msg, status=status, reset=reset)


def bad(why: str) -> ApiError:
    """An invalid parameter of a messaging call."""
    return refusal(230001, why)


def bad_card(code: int, words: str, value: str = "") -> ApiError:
    """230099, the envelope that holds what is wrong with a card."""
    return refusal(230099, f"ErrCode: {code}; ErrMsg: {words}; ErrorValue: {value}; ")


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file part of a multipart form."""

    name: str
    data: bytes


@dataclass(kw_only=True)
class Call:
    """A call the bot made. `params` are its path, query and body; `size` counts the bytes of the body.

    `status` and `code` are None until it was answered, and for ever when it never was; `abandoned` says that the
    bot hung up first.
    """

    method: str
    params: Json
    size: int
    at: float
    chat: str | None = None
    status: int | None = None
    code: int | None = None
    abandoned: bool = False

    def text(self, name: str) -> str:
        """The parameter that has to be a non-empty string."""
        value = self.params.get(name)
        if not isinstance(value, str) or not value:
            raise refusal(99992402, f"{name} is required")
        return value


async def read_params(request: web.Request) -> Json:
    """Path, query and body of a call, JSON and multipart alike."""
    params: Json = {**request.match_info, **request.query}
    if request.content_type.startswith("multipart/"):
        return params | await _form(request)
    return params | _object(await request.read())


def page(status: int) -> web.Response:
    """What a proxy in front of the platform says when the platform does not."""
    text = f"<html><head><title>{status}</title></head><body><h1>Bad Gateway</h1></body></html>"
    return web.Response(status=status, text=text, content_type="text/html")


def parsed(text: object) -> Json | None:
    """The JSON object in `text`, if it is one."""
    try:
        value = json.loads(text) if isinstance(text, str | bytes) else None
    except ValueError:
        return None
    return cast(Json, value) if isinstance(value, dict) else None


def _object(body: bytes) -> Json:
    value = parsed(body) if body else {}
    if value is None:
        raise ApiError(9499, "Bad Request")
    return value


async def _form(request: web.Request) -> Json:
    """The parts of a form; bytes in a part that is no file are refused as the platform refuses them."""
    try:
        return {name: _part(value) for name, value in (await request.post()).items()}
    except UnicodeDecodeError:
        raise refusal(234001) from None


def _part(value: str | bytes | bytearray | web.FileField) -> str | Upload:
    if isinstance(value, web.FileField):
        return Upload(name=value.filename, data=value.file.read())
    return value if isinstance(value, str) else value.decode()
