"""Feishu and Lark. Nothing of lark-oapi is imported before a long connection is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from channels.feishu.channel import Channel
    from channels.feishu.pushes import webhook

__all__ = ["Channel", "webhook"]


def __getattr__(name: str) -> Any:
    if name == "Channel":
        from channels.feishu.channel import Channel

        return Channel
    if name == "webhook":
        from channels.feishu.pushes import webhook

        return webhook
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
