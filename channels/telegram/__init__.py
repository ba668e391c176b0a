"""Telegram. Nothing of aiogram (1.6 s, 150 MB) is imported before `Channel` or `webhook` is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from channels.telegram.channel import Channel
    from channels.telegram.receive import Receiver as webhook  # noqa: N813

__all__ = ["Channel", "webhook"]


def __getattr__(name: str) -> Any:
    if name == "Channel":
        from channels.telegram.channel import Channel

        return Channel
    if name == "webhook":
        from channels.telegram.receive import Receiver

        return Receiver
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
