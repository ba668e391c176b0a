"""A chat completion as a form with files, as nanobot's clients send it: the same as JSON, once it is read."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from quart import request

from api import posting
from api.document import FileField
from api.openai.request import Name
from api.uploads import FORM, Upload, at_most, form
from api.wire import body, decode, fit

_encode = msgspec.json.Encoder().encode


class ChatForm(msgspec.Struct, frozen=True):
    """A message with files. Every other field is a parameter, JSON or a text."""

    message: str | None = None
    files: list[FileField] | None = None
    model: str | None = None
    session_id: Name | None = None
    session: Name | None = None
    user: Name | None = None
    stream: bool | None = None


async def read_chat() -> tuple[Any, bytes]:
    """The body of a chat completion, JSON or a form, and the bytes by which a repetition of it is known."""
    if request.mimetype != FORM:
        raw = await body()
        return decode(raw), raw
    sent = _as_json(*await form())
    return sent, _encode(sent)


def _as_json(fields: Mapping[str, Any], files: Iterable[Upload]) -> dict[str, Any]:
    """What a form says, in the words of a JSON body; raises RequestError."""
    names = ChatForm.__struct_fields__
    # A browser sends fields that were left empty, too.
    chat = fit({name: fields[name] for name in names if fields.get(name)}, ChatForm, strict=False)
    text = [{"type": "text", "text": chat.message}] if chat.message and chat.message.strip() else []
    attached = [_part(file) for file in files]
    at_most(len(attached), param="files")
    if not text and not attached:
        raise posting.missing("message")
    sent = {name: _plain(value) for name, value in fields.items() if name not in names}
    said = {name: getattr(chat, name) for name in ("model", "session_id", "session", "user", "stream")}
    sent |= {name: value for name, value in said.items() if value is not None}
    return sent | {"messages": [{"role": "user", "content": [*text, *attached]}]}


def _part(file: Upload) -> dict[str, Any]:
    data = f"data:{file.media_type};base64,{b64encode(file.content).decode()}"
    return {"type": "file", "file": {"filename": file.name, "file_data": data}}


def _plain(value: str) -> Any:
    """A number, `true` and the like; anything else is a text."""
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value
