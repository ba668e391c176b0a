"""POST /v1/embeddings: texts as vectors."""

from __future__ import annotations

import sys
from array import array
from base64 import b64encode
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypedDict

import msgspec
from msgspec import Meta
from quart import Blueprint, Response

from api import current, repeats
from api.auth import require
from api.document import document
from api.names import named
from api.openai.work import SENDS, SESSION, WORK_ERRORS, work_of
from api.wire import TURN, answer, fit, read
from hub.accounts.turns import Work
from hub.model import Embeddable

routes = Blueprint("embeddings", __name__)
MOST = 2048
"""Inputs of one request, as at OpenAI."""
LONGEST = 8192
"""Numbers of one vector that may be asked for."""
MOST_TOKENS = 100_000
"""Tokens of one input."""

Input = Annotated[str, Meta(min_length=1)]
Tokens = Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1, max_length=MOST_TOKENS)]


class EmbeddingRequest(msgspec.Struct, kw_only=True):
    """What to embed: a text or tokens, or a list of either; other fields are accepted."""

    model: str
    input: str | list[str | int | list[int]]
    dimensions: Annotated[int, Meta(ge=1, le=LONGEST)] | None = None
    encoding_format: Literal["float", "base64"] | None = None


class Embedding(TypedDict):
    """The vector of one input; in base64 its numbers are 32-bit floats, the lowest byte first."""

    object: Literal["embedding"]
    index: int
    embedding: Sequence[float] | str


class EmbeddingUsage(TypedDict):
    """The tokens of all inputs."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(TypedDict):
    """A vector for each input, in their order."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


@routes.post("/v1/embeddings")
@require("chat")
@document(
    {200: EmbeddingList},
    body=EmbeddingRequest,
    example={"model": "demo", "input": ["cats", "dogs"]},
    errors=WORK_ERRORS,
    headers=SESSION,
    sends=SENDS,
    once=True,
)
async def create() -> Response:
    """Vectors of texts, by a model that can."""
    asked = await read(EmbeddingRequest)
    inputs = _inputs(asked.input)
    work = work_of(await named(asked.model))
    return await repeats.kept([work.name, work.session_id, asked], lambda: _embedded(work, inputs, asked))


async def _embedded(work: Work, inputs: Sequence[Embeddable], asked: EmbeddingRequest) -> Response:
    found = await current.hub().models.embed(work, inputs, asked.dimensions)
    write = _base64 if asked.encoding_format == "base64" else _plain
    used = found.usage.prompt
    said: EmbeddingList = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": write(vector)}
            for index, vector in enumerate(found.vectors)
        ],
        "model": work.name,
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }
    return answer(said, headers={TURN: work.id})


class _Texts(msgspec.Struct):
    input: Annotated[list[Input], Meta(min_length=1, max_length=MOST)]


class _Tokens(msgspec.Struct):
    input: Tokens


class _TokenLists(msgspec.Struct):
    input: Annotated[list[Tokens], Meta(min_length=1, max_length=MOST)]


def _inputs(given: Any) -> Sequence[Embeddable]:
    """What to embed, one by one; raises RequestError that names what is of another kind, empty, or too much."""
    match given:
        case [int(), *_]:
            return [fit({"input": given}, _Tokens).input]
        case [[*_], *_]:
            return fit({"input": given}, _TokenLists).input
        case _:
            texts = [given] if isinstance(given, str) else given
            return fit({"input": texts}, _Texts).input


def _plain(vector: Sequence[float]) -> Sequence[float]:
    return vector


def _base64(vector: Sequence[float]) -> str:
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return b64encode(numbers.tobytes()).decode()
