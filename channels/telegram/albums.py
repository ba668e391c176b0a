"""Which updates belong together: Telegram sends an album as one message for each picture (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from channels.telegram.client import Raw

BATCH = 100
"""How many updates Telegram gives at most at once."""
MOST = 10
"""How many pictures an album has at most."""


def album_of(raw: Raw) -> tuple[object, object] | None:
    """What the updates of one album have in common; None for any other update, readable or not."""
    message: Any = raw.get("message")
    if not isinstance(message, dict):
        return None
    said = cast(dict[str, Any], message)
    chat: Any = said.get("chat")
    place = cast(dict[str, Any], chat).get("id") if isinstance(chat, dict) else None
    group = said.get("media_group_id")
    return (str(place), str(group)) if group else None


def grouped(updates: Sequence[Raw]) -> list[list[Raw]]:
    """The updates in order, those of an album together where its first one stands."""
    groups: dict[object, list[Raw]] = {}
    for raw in updates:
        groups.setdefault(album_of(raw) or raw["update_id"], []).append(raw)
    return list(groups.values())


def pieces(updates: Sequence[Raw]) -> int:
    """How many updates are pieces of albums."""
    return sum(1 for raw in updates if album_of(raw))


def whole(updates: Sequence[Raw]) -> Sequence[Raw]:
    """The updates without an album at the end whose other pieces did not fit into the batch."""
    if len(updates) < BATCH:
        return updates
    last = [album for raw in updates[-MOST:] if (album := album_of(raw))]
    if not last:
        return updates
    cut = min(index for index, raw in enumerate(updates) if album_of(raw) in last)
    return updates[:cut] or updates


def after(updates: Sequence[Raw], done: set[int]) -> int:
    """The offset that acknowledges what is done, and nothing that is not."""
    waiting = (raw["update_id"] for raw in updates if raw["update_id"] not in done)
    return next(waiting, updates[-1]["update_id"] + 1)
