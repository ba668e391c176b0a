"""What the tests of models have in common."""

import pytest

from hub.errors import ModelError
from hub.model import Chunk, Completion, Model
from tests.contracts.model import ask

KEY = "sk-very-secret"
NEVER = 0.0
"""A timeout that is over when it begins."""


class Naps:
    """Sleeps that are over at once, and noted."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


async def error_of(model: Model, request: Completion | None = None) -> tuple[list[Chunk], ModelError]:
    """What was said before the failure, and the failure."""
    chunks: list[Chunk] = []

    async def read() -> None:
        async for chunk in model.complete(request or ask("hello")):
            chunks.append(chunk)  # noqa: PERF401

    with pytest.raises(ModelError) as caught:
        await read()
    return chunks, caught.value
