"""The models of this process: made as their settings say, and made anew when those change."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from agents.models.config import ModelSettings
from agents.models.late import Late
from agents.models.traced import traced
from hub import tracing
from hub.model import Loads, Model


class Models:
    """Models by name; what was replaced is kept until the end, for an answer may still come from it."""

    def __init__(self) -> None:
        self.live: dict[str, Model] = {}
        self._made: dict[str, ModelSettings] = {}
        self._replaced: list[Model] = []

    def apply(self, wanted: Mapping[str, ModelSettings]) -> None:
        """Have these models and no others; those whose settings are the same stay as they are."""
        for name in [name for name, settings in self._made.items() if wanted.get(name) != settings]:
            self._replaced.append(self.live.pop(name))
            del self._made[name]
        for name in [name for name in wanted if name not in self._made]:
            made = make_model(wanted[name])
            self.live[name] = traced(made, name, wanted[name]) if tracing.is_on() else made
            self._made[name] = wanted[name]
        in_order = {name: self.live[name] for name in wanted}
        self.live.clear()
        self.live.update(in_order)

    async def load(self) -> None:
        """Import what they need, one after the other, so that no first answer waits for it."""
        for model in [*self.live.values()]:
            if isinstance(model, Loads):
                await model.load()

    async def close(self) -> None:
        """Let go of all connections."""
        await asyncio.gather(*(model.close() for model in (*self.live.values(), *self._replaced)))


def make_model(settings: ModelSettings) -> Model:
    """The model that config describes; a provider's SDK is imported later, off the loop."""
    shared: dict[str, Any] = {
        "model": settings.model,
        "base_url": settings.base_url,
        "max_output": settings.max_output,
    }
    match settings.provider:
        case "demo":
            from agents.models.demo import Demo

            return Demo(max_output=settings.max_output)
        case "openai":
            from agents.models.openai import OpenAI

            return OpenAI(**shared, api_key=settings.api_key.get_secret_value())
        case "anthropic":
            key = settings.api_key.get_secret_value()
            return Late("agents.models.anthropic:Anthropic", **shared, api_key=key)
        case "bedrock-converse":
            return Late(
                "agents.models.bedrock:Bedrock",
                **shared,
                region=settings.region or "",
                access_key_id=settings.access_key_id.get_secret_value(),
                secret_access_key=settings.secret_access_key.get_secret_value(),
            )
        case other:
            key = settings.api_key.get_secret_value()
            return Late("agents.models.other:Other", **shared, provider=other, api_key=key)
