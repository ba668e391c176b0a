"""What every request to say something has to have: an address and a text."""

from __future__ import annotations

import re

from hub.errors import RequestError, TooLarge
from hub.message import Address, Part, Text

LONGEST_TEXT = 100_000
"""Characters of one post."""
LONGEST_ID = 256
_ID = re.compile(r"[^\s:]+")


def address(
    channel: str | None, chat_id: str | int | None, thread_id: str | int | None = None, *, chat: str = "chat_id"
) -> Address:
    """The address these name; `chat` is what the request calls its chat. Raises RequestError that names the field."""
    if not channel:
        raise missing("channel")
    if chat_id is None or chat_id == "":
        raise missing(chat)
    thread = None if thread_id is None or thread_id == "" else _id(str(thread_id), "thread_id")
    return Address(_id(channel, "channel"), _id(str(chat_id), chat), thread)


def text(value: str | None, param: str = "text") -> str:
    """The text, which is there and not too long; raises RequestError, TooLarge."""
    if value is None or not value.strip():
        raise missing(param)
    if len(value) > LONGEST_TEXT:
        raise TooLarge(f"{param} is over the limit of {LONGEST_TEXT} characters.", param=param)
    return value


def parts(value: str) -> tuple[Part, ...]:
    """The text as a message's parts."""
    return (Text(text=value),)


def missing(param: str) -> RequestError:
    """The error for a field that has to be there and say something."""
    return RequestError(f"{param} is missing.", param=param, code="missing_parameter")


def _id(value: str, param: str) -> str:
    if len(value) > LONGEST_ID or not _ID.fullmatch(value):
        problem = f"{param} must have at most {LONGEST_ID} characters and no spaces or colons."
        raise RequestError(problem, param=param, code="invalid_value")
    return value
