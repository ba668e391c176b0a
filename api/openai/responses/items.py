"""The items of a conversation: what a request may hold, how a model is told of them, and those of an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any, NamedTuple, cast

from hub.errors import RequestError
from hub.model import ToolCall

Item = dict[str, Any]
ROLES = ("user", "assistant", "system", "developer")
KINDS = ("message", "function_call", "function_call_output", "reasoning", "item_reference")
PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}
MOST = 2000
"""Items of one request."""


class Placed(NamedTuple):
    """An item, and its place in the request."""

    item: Item
    where: str


def read(given: str | Sequence[Item], turn: str) -> list[Item]:
    """The items of a request in full, each with an id; raises RequestError that names what is no item."""
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if len(given) > MOST:
        raise RequestError(f"input: more than {MOST} items", param="input", code="invalid_value")
    return [_whole(item, f"input[{index}]", f"{turn}_in{index}") for index, item in enumerate(given)]


def _whole(item: Item, where: str, number: str) -> Item:
    kind = item.get("type") or "message"
    if kind not in KINDS:
        names = ", ".join(f"'{each}'" for each in KINDS)
        problem = f"{where}.type: items of type {kind!r} are not supported, only {names}"
        raise RequestError(problem, param=f"{where}.type", code="unsupported_item")
    if kind == "item_reference":
        _text(item, "id", where)
        return item
    whole = {**item, "type": kind, "id": item.get("id") or f"{PREFIXES[kind]}_{number}"}
    match kind:
        case "message":
            whole["content"] = _content(item, where)
            whole.setdefault("status", "completed")
        case "function_call":
            for name in ("call_id", "name", "arguments"):
                _text(item, name, where)
        case "function_call_output":
            _text(item, "call_id", where)
            if not isinstance(item.get("output"), str | list):
                problem = f"{where}.output: a text or a list of parts"
                raise RequestError(problem, param=f"{where}.output", code="invalid_value")
        case _:
            pass
    return whole


def _content(item: Item, where: str) -> list[Any]:
    role, content = item.get("role"), item.get("content")
    if role not in ROLES:
        raise RequestError(f"{where}.role: one of {', '.join(ROLES)}, not {role!r}", param=f"{where}.role")
    if isinstance(content, list):
        return cast(list[Any], content)
    if not isinstance(content, str):
        raise RequestError(f"{where}.content: a text or a list of parts", param=f"{where}.content")
    if role == "assistant":
        return [{"type": "output_text", "text": content, "annotations": []}]
    return [{"type": "input_text", "text": content}]


def placed(items: Iterable[Item]) -> list[Placed]:
    """The items of a request with their places."""
    return [Placed(item, f"input[{index}]") for index, item in enumerate(items)]


def in_chat(items: Iterable[Placed]) -> list[tuple[dict[str, Any], str]]:
    """Items as messages of a chat completion, each with its place; calls are joined to the message before them.

    What a model thought is left out: it is not told twice.
    """
    chat: list[tuple[dict[str, Any], str]] = []
    for item, where in items:
        match item["type"]:
            case "message":
                parts = content(Placed(item, where))
                chat.append(({"role": item["role"], "content": _plain(parts, item["role"])}, where))
            case "function_call":
                if not chat or chat[-1][0]["role"] != "assistant":
                    chat.append(({"role": "assistant", "content": None}, where))
                function = {"name": item["name"], "arguments": item["arguments"]}
                call = {"id": item["call_id"], "type": "function", "function": function}
                chat[-1][0].setdefault("tool_calls", []).append(call)
            case "function_call_output":
                chat.append(
                    ({"role": "tool", "tool_call_id": item["call_id"], "content": output(Placed(item, where))}, where)
                )
            case _:
                pass
    return chat


def newest(items: Sequence[Placed]) -> list[Placed]:
    """What is new at the end of a conversation: what the user says, and what functions returned.

    What a system message says beside it is an instruction.
    """

    def is_new(one: Placed) -> bool:
        return one.item["type"] == "function_call_output" or one.item.get("role") in ("user", "system", "developer")

    return list(takewhile(is_new, reversed(items)))[::-1]


def instructions(items: Iterable[Placed]) -> list[str]:
    """What the system messages among the items say; raises RequestError for parts that are no text."""
    told: list[str] = []
    for item, where in items:
        if item.get("role") in ("system", "developer"):
            told += [_text(part, "text", f"{where}.content[{at}]") for at, part in enumerate(item["content"])]
    return told


def content(one: Placed) -> list[dict[str, Any]]:
    """The parts of a message as chat completions have them."""
    return [_part(part, f"{one.where}.content[{at}]") for at, part in enumerate(one.item["content"])]


def _plain(parts: list[dict[str, Any]], role: str) -> str | list[dict[str, Any]]:
    """A text where there is nothing else: servers take lists of texts from users only."""
    if all(part.get("type") == "text" for part in parts) and (role != "user" or len(parts) == 1):
        return "\n\n".join(part["text"] for part in parts)
    return parts


def _part(part: Any, where: str) -> dict[str, Any]:
    """A part of a message as chat completions have it; a kind that is unknown stays, to be refused by its name."""
    fields = cast(dict[str, Any], part) if isinstance(part, dict) else {}
    match fields.get("type"):
        case "input_text" | "output_text" | "text" | "summary_text":
            return {"type": "text", "text": _text(fields, "text", where)}
        case "refusal":
            return {"type": "text", "text": _text(fields, "refusal", where)}
        case "input_image" if isinstance(fields.get("file_id"), str):
            return {"type": "file", "file": {"file_id": fields["file_id"]}}
        case "input_image":
            image = {"url": _text(fields, "image_url", where)}
            return {"type": "image_url", "image_url": image | _given(fields, "detail")}
        case "input_file" if isinstance(fields.get("file_url"), str):
            return {"type": "image_url", "image_url": {"url": fields["file_url"]}}
        case "input_file":
            return {"type": "file", "file": _given(fields, "file_id", "filename", "file_data")}
        case _:
            return fields


def no_call(output: Placed, because: str = "") -> RequestError:
    """What is wrong with an output of a call that nobody made."""
    problem = f"No tool call found for function call output with call_id {output.item['call_id']}.{because}"
    return RequestError(problem, param=f"{output.where}.call_id", code="invalid_value")


def output(placed: Placed) -> str:
    """What a function returned; only texts, for so it is in chat completions."""
    item, where = placed
    given: object = item["output"]
    if isinstance(given, str):
        return given
    parts = [_part(part, f"{where}.output[{at}]") for at, part in enumerate(cast(list[Any], given))]
    for at, part in enumerate(parts):
        if part.get("type") != "text":
            place = f"{where}.output[{at}]"
            problem = f"{place}: parts of type {part.get('type')!r} are not supported, only 'input_text'"
            raise RequestError(problem, param=place, code="unsupported_part")
    return "\n\n".join(part["text"] for part in parts)


def _given(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: fields[name] for name in names if fields.get(name) is not None}


def _text(fields: Any, name: str, where: str) -> str:
    value: object = cast(dict[str, Any], fields).get(name) if isinstance(fields, dict) else None
    if not isinstance(value, str):
        raise RequestError(f"{where}.{name}: a text", param=f"{where}.{name}", code="invalid_value")
    return value


def message(id: str, text: str | None) -> Item:
    """What the assistant says; None where it has only begun to."""
    status, content = ("in_progress", []) if text is None else ("completed", [text_part(text)])
    return {"id": id, "type": "message", "status": status, "role": "assistant", "content": content}


def text_part(text: str) -> dict[str, Any]:
    """The text of a message of the assistant."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def reasoning(id: str, text: str | None) -> Item:
    """What the model thought before it answered; None where it has only begun to."""
    return {"id": id, "type": "reasoning", "summary": [] if text is None else [summary_part(text)]}


def summary_part(text: str) -> dict[str, Any]:
    """The text of a thought."""
    return {"type": "summary_text", "text": text}


def function_call(id: str, call: ToolCall) -> Item:
    """A function that the model wants called."""
    fields = {"call_id": call.id, "name": call.name, "arguments": call.arguments}
    return {"id": id, "type": "function_call", "status": "completed", **fields}
