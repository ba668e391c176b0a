"""CommonMark as cards of JSON 2.0, and what it takes of their limits (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from hub.message import Buttons

Json = dict[str, Any]
LENGTH = 25_000
"""Bytes of text in one card: a request may have 30 KB, of which the card around the text and its buttons take some."""
TABLES = 5
"""Tables that Feishu takes in one card; a sixth refuses the whole card."""
SHORT = 8_000
"""A text of so many bytes is one card: a dozen small cards are worse to read than tables shown as code."""
ELEMENT = "answer"
"""The element that holds the text; edits name it."""

FENCE = re.compile(r"^[ \t>]*(`{3,}|~{3,})(.*)$")
ROW = re.compile(
    r"^[ \t>]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)+\|?[ \t]*$|^[ \t>]*\|[ \t]*:?-+:?[ \t]*\|[ \t]*$"
)
IMAGE = re.compile(r"!\[([^\]\n]*)\]\(")
AT = re.compile(r"<(?=\s*/?\s*at\b)", re.IGNORECASE)
JOINER = "\u2060"
"""Takes no room and shows nothing: `<at` with it in between mentions nobody."""


def size(text: str) -> int:
    """What a text takes of a card: its bytes as they stand in the request, and never less than its tables take.

    A card is JSON in a JSON string, so a quotation mark costs four bytes and a new line three. Five tables fill a card,
    whatever they hold, unless it would be a `SHORT` one; those past the fifth are shown as code then.
    """
    written = json.dumps(json.dumps(markdown(text), ensure_ascii=False), ensure_ascii=False)
    counted = len(written.encode("utf-8", "surrogatepass")) - 6
    tables = count_tables(text)
    return counted if tables <= TABLES else max(counted, min(tables * LENGTH // TABLES, counted * LENGTH // SHORT))


def card(text: str, buttons: Buttons = (), *, streaming: bool = False) -> Json:
    """A card that says a text; one that streams shows it as it is typed."""
    config: Json = {"update_multi": True, "summary": {"content": summary(text)}}
    if streaming:
        config["streaming_mode"] = True
    elements: list[Json] = [{"tag": "markdown", "content": markdown(text), "element_id": ELEMENT}]
    elements += [_row(row) for row in buttons]
    return {"schema": "2.0", "config": config, "body": {"elements": elements}}


def markdown(text: str) -> str:
    """A text for a card: nobody is mentioned, no image is looked for, and tables past the fifth are shown as code."""
    found = AT.sub(f"<{JOINER}", text)
    if "![" in found:
        found = _outside(found, lambda line: IMAGE.sub(r"[\1](", line))
    return _coded(found) if count_tables(found) > TABLES else found


def plain(text: str, buttons: Buttons = ()) -> str:
    """A text for a message without any formatting."""
    rows = ["  ".join(f"[{button.text}]" for button in row) for row in buttons]
    return "\n".join([AT.sub(f"<{JOINER}", text), *rows])


def summary(text: str) -> str:
    """What the list of chats and the notification show."""
    words = " ".join(re.sub(r"[`*_#>|~]+", " ", text[:400]).split())
    return AT.sub(f"<{JOINER}", words[:100]) or "…"


def count_tables(text: str) -> int:
    return sum(1 for _ in _tables(text.splitlines())) if "|" in text and "-" in text else 0


def _row(row: tuple[Any, ...]) -> Json:
    columns = [{"tag": "column", "width": "auto", "elements": [_button(button)]} for button in row]
    return {"tag": "column_set", "flex_mode": "flow", "columns": columns}


def _button(button: Any) -> Json:
    return {
        "tag": "button",
        "text": {"tag": "plain_text", "content": button.text},
        "behaviors": [{"type": "callback", "value": {"say": button.value}}],
    }


def _tables(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Where the tables of a text stand: the first line and the one after the last."""
    code = _code(lines)
    at = 1
    while at < len(lines):
        if code[at] or code[at - 1] or "|" not in lines[at - 1] or not ROW.match(lines[at]):
            at += 1
            continue
        end = at + 1
        while end < len(lines) and not code[end] and "|" in lines[end]:
            end += 1
        yield at - 1, end
        at = end + 1


def _code(lines: list[str]) -> list[bool]:
    """Which lines are in fenced code, the fences included."""
    opened = ""
    found: list[bool] = []
    for line in lines:
        fence = FENCE.match(line)
        found.append(bool(opened or fence))
        if not opened and fence:
            opened = fence[1]
        elif fence and fence[1].startswith(opened) and not fence[2].strip():
            opened = ""
    return found


def _coded(text: str) -> str:
    """The text with its tables past the fifth in fences."""
    lines = text.splitlines(keepends=True)
    for start, end in reversed([*_tables(text.splitlines())][TABLES:]):
        before = "" if lines[end - 1].endswith("\n") else "\n"
        after = "" if before and end == len(lines) else "\n"
        lines[start:end] = ["```\n", *lines[start:end], f"{before}```{after}"]
    return "".join(lines)


def _outside(text: str, change: Callable[[str], str]) -> str:
    """The text with its lines outside fenced code changed."""
    lines = text.split("\n")
    pairs = zip(lines, _code(lines), strict=True)
    return "\n".join(line if code else change(line) for line, code in pairs)
