"""Chat completions as servers word them, read into chunks."""

from typing import Any

import msgspec
import pytest

from agents.models.events import Reader, embeddings, whole
from hub.errors import ModelUnavailable
from hub.model import Chunk, Completion, Embeddings, Usage

REQUEST = Completion(messages=[{"role": "user", "content": "hi"}])
THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm. "}]}
SAID: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"content": "4", "reasoning_content": "Hm. "}, ("4", "Hm. ")),
    ({"content": "4", "reasoning": "Hm. "}, ("4", "Hm. ")),
    ({"content": "4", "reasoning_content": "Hm. ", "reasoning": "Hm. "}, ("4", "Hm. ")),
    ({"content": [THOUGHT, {"type": "text", "text": "4"}]}, ("4", "Hm. ")),
    ({"content": [{"type": "thinking", "thinking": "Hm. "}]}, ("", "Hm. ")),
    ({"content": None, "refusal": None}, ("", "")),
]
USED: list[tuple[dict[str, Any], Usage]] = [
    ({"prompt_tokens": 9, "completion_tokens": 5}, Usage(prompt=9, completion=5)),
    (
        {
            "prompt_tokens": 9,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        Usage(prompt=9, completion=5, cached=4, reasoning=3),
    ),
    (
        {"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": None, "prompt_cache_hit_tokens": 4},
        Usage(prompt=9, completion=5, cached=4),
    ),
    ({"prompt_tokens": 9, "completion_tokens": 5, "cached_tokens": 4}, Usage(prompt=9, completion=5, cached=4)),
]


def read(*events: dict[str, Any]) -> list[Chunk]:
    """What a stream of these events is, its end included."""
    reader = Reader("m", REQUEST)
    chunks = reader.feed(b"".join(b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events))
    return [*chunks, *reader.feed(b"data: [DONE]\n"), reader.last()]


def read_whole(message: dict[str, Any], usage: dict[str, Any] | None = None) -> Chunk:
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
    return whole(msgspec.json.encode(answer), "m", REQUEST)


@pytest.mark.parametrize(("said", "read_as"), SAID)
def test_text_and_reasoning_however_a_server_writes_them(said: dict[str, Any], read_as: tuple[str, str]) -> None:
    chunk = read_whole({"role": "assistant", **said})
    assert (chunk.text, chunk.reasoning) == read_as
    first, *_ = read({"choices": [{"index": 0, "delta": said}]})
    assert (first.text, first.reasoning) == read_as


@pytest.mark.parametrize(("told", "usage"), USED)
def test_usage_however_a_server_writes_it(told: dict[str, Any], usage: Usage) -> None:
    assert read_whole({"content": "4"}, told).usage == usage
    assert read({"choices": [{"delta": {"content": "4"}}]}, {"choices": [], "usage": told})[-1].usage == usage


def test_usage_that_grows_with_each_chunk_is_the_last_one() -> None:
    events = [
        {"choices": [{"delta": {"content": "4"}}], "usage": {"prompt_tokens": 9, "completion_tokens": number}}
        for number in (1, 2, 3)
    ]
    assert [chunk.usage for chunk in read(*events)] == [None, None, None, Usage(prompt=9, completion=3)]


def test_thoughts_count_where_a_server_counts_nothing() -> None:
    chunks = read({"choices": [{"delta": {"content": "1234", "reasoning": "5678"}}]})
    assert chunks[-1].usage == Usage(prompt=1, completion=2, estimated=True)


def test_vectors_come_in_the_order_of_the_texts() -> None:
    answer = {"data": [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1.5]}]}
    assert embeddings(msgspec.json.encode(answer), "m", ["a", "b"]) == Embeddings(
        vectors=((1.5,), (2.0,)), usage=Usage(prompt=2, estimated=True)
    )


@pytest.mark.parametrize(
    ("answer", "said"),
    [({"data": []}, "0 vectors for 1 texts"), ({"data": [{"embedding": "AAAA"}]}, "no list of vectors")],
)
def test_vectors_that_are_none_are_an_error(answer: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelUnavailable, match=said):
        embeddings(msgspec.json.encode(answer), "m", ["a"])
