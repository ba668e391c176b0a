"""Discord. Nothing of discord.py (30 MB) is imported before `Channel` is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from channels.discord.channel import Channel

__all__ = ["Channel"]


def __getattr__(name: str) -> type[Channel]:
    if name != "Channel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from channels.discord.channel import Channel

    return Channel
