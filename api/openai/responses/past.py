"""What a client says that was said before, as an agent's memory would have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import structs

from api.openai import parts
from api.openai.responses import items
from api.openai.responses.items import Item, Placed
from hub.memory import UNKNOWN, Entry, Heard, Said, Stepped
from hub.message import File, text_of
from hub.model import ToolCall


async def remembered(given: Sequence[Placed], later: Mapping[str, Placed]) -> list[Entry]:
    """Messages and function calls as entries, `later` told what calls returned, by their ids.

    System messages are instructions, and thoughts are not told twice.
    """
    entries: list[Entry] = []
    results = {item["call_id"]: one for one in given if (item := one.item)["type"] == "function_call_output"}
    results |= later
    before = ""
    for one in given:
        match one.item:
            case {"type": "message", "role": "user"}:
                entries.append(await _heard(one))
            case {"type": "message", "role": "assistant"}:
                entries.append(Said(text=_text(one)))
            case {"type": "function_call"}:
                step = _step(one.item, results.get(one.item["call_id"]))
                if (
                    entries
                    and before in ("message", "function_call")
                    and isinstance(newest := entries[-1], Said | Stepped)
                ):
                    entries[-1] = _joined(newest, step)
                else:
                    entries.append(step)
            case _:
                pass
        before = one.item["type"]
    return entries


def _step(item: Item, result: Placed | None) -> Stepped:
    call = ToolCall(id=item["call_id"], name=item["name"], arguments=item["arguments"])
    return Stepped(calls=(call,), results=(UNKNOWN if result is None else items.output(result),))


def _joined(newest: Said | Stepped, step: Stepped) -> Stepped:
    """One step: what was said right before a call is its text, and calls side by side were made at once."""
    before = newest if isinstance(newest, Stepped) else Stepped(text=newest.text)
    return structs.replace(before, calls=before.calls + step.calls, results=before.results + step.results)


async def _heard(one: Placed) -> Heard:
    heard = await parts.stored(parts.read(items.content(one), f"{one.where}.content"))
    return Heard(text=text_of(heard), files=tuple(part for part in heard if isinstance(part, File)))


def _text(one: Placed) -> str:
    return "\n\n".join(part["text"] for part in items.content(one) if part.get("type") == "text")
