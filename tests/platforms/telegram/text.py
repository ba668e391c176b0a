"""How Telegram reads text: lengths in UTF-16 units, entities, trimming (pure)."""

import re
from itertools import accumulate
from typing import Any

from tests.platforms.telegram.wire import bad

FOUND = re.compile(
    r"(?P<url>https?://\S+)|(?<!\w)(?P<mention>@\w{5,32})|(?<![\w/])(?P<bot_command>/\w{1,32}(?:@\w{5,32})?)",
    re.ASCII,
)
BLANK = " \t\r\n"

Entity = dict[str, Any]


def units(text: str) -> int:
    """The length of `text` as Telegram counts it."""
    return len(text.encode("utf-16-le")) // 2


def find_entities(text: str) -> list[Entity]:
    """What Telegram marks by itself in a user's text: links, @names, /commands."""
    return [
        {"type": found.lastgroup, "offset": units(text[: found.start()]), "length": units(found[0])}
        for found in FOUND.finditer(text)
    ]


def tidy(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """The text without blank edges and the entities that remain in it; refuses entities that do not fit."""
    _check(text, entities)
    lead = len(text) - len(text.lstrip(BLANK))
    lead = min([lead, *(entity["offset"] for entity in entities)])
    kept = text[lead:].rstrip(BLANK)
    moved = [_clip(entity, lead, units(kept)) for entity in entities]
    return kept, [entity for entity in moved if entity["length"] > 0]


def _clip(entity: Entity, lead: int, end: int) -> Entity:
    offset = entity["offset"] - lead
    return {**entity, "offset": offset, "length": min(entity["length"], end - offset)}


def _check(text: str, entities: list[Entity]) -> None:
    edges = {0, *accumulate(map(units, text))}
    end = units(text)
    for entity in entities:
        offset, stop = entity["offset"], entity["offset"] + entity["length"]
        if offset > end:
            raise bad(f"entity begins after the end of the text at UTF-16 offset {offset}")
        if stop > end:
            raise bad(f"entity beginning at UTF-16 offset {offset} ends after the end of the text")
        if offset not in edges or stop not in edges:
            raise bad(f"entity beginning at UTF-16 offset {offset} ends in a middle of a UTF-16 symbol")
