"""Writes an answer: its items, and the events of a stream that tell of them.

Every event of an answer has the same number whenever and however often it is written: texts are cut into deltas by
themselves alone, at words. So a stream can be taken up again after any number without a delta being stored.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from typing import Any, Literal

from api import sse
from api.openai.responses import items
from hub.model import ToolCall

_PIECE = re.compile(r"\s{64}|\s{0,63}+(?:\S{8}|\S{1,7}+(?=\s))")
"""A delta: a word with the blanks before it, or eight characters of a long one; what may still grow is none yet."""
State = dict[str, Any]
"""A response in the words of the API."""
_ENDS = {"completed": "response.completed", "incomplete": "response.incomplete"}


class Answer:
    """An answer that is being written; what is written is also what it returns, as events numbered from 0.

    Events up to the number `after` are left out: whoever reads has them.
    """

    def __init__(self, id: str, state: State, *, after: int = -1) -> None:
        self.id = id
        self.output: list[items.Item] = []
        self._state = state
        self._after = after
        self._number = 0
        self._kind: Literal["message", "reasoning"] | None = None
        """Of the item that is open."""
        self._text = ""
        self._told = 0
        """How many characters of the text are in deltas."""
        self.has_begun = False

    def begin(self) -> bytes:
        """The response as it begins, once."""
        if self.has_begun:
            return b""
        self.has_begun = True
        kinds = ("created", "queued", "in_progress") if self._state["background"] else ("created", "in_progress")
        first = {"status": "queued"} if self._state["background"] else {}
        return b"".join(
            self._event(f"response.{kind}", response=self._state | ({} if kind == "in_progress" else first))
            for kind in kinds
        )

    def text(self, text: str) -> bytes:
        """A piece of what is said."""
        return self._grow("message", text)

    def thought(self, text: str) -> bytes:
        """A piece of what is thought."""
        return self._grow("reasoning", text)

    def call(self, call: ToolCall) -> bytes:
        """A function that is called, whole."""
        told = self.begin() + self.close()
        item = items.function_call(self._new_id("fc"), call)
        at = {"item_id": item["id"], "output_index": len(self.output)}
        told += self._added(item | {"status": "in_progress", "arguments": ""})
        told += self._event("response.function_call_arguments.delta", **at, delta=call.arguments)
        told += self._event("response.function_call_arguments.done", **at, name=call.name, arguments=call.arguments)
        return told + self._done(item)

    def close(self) -> bytes:
        """End the item that is open."""
        kind, text = self._kind, self._text
        if kind is None:
            return b""
        told = self._delta(text[self._told :]) if len(text) > self._told else b""
        at = self._part()
        if kind == "message":
            told += self._event("response.output_text.done", **at, text=text, logprobs=[])
            told += self._event("response.content_part.done", **at, part=items.text_part(text))
            item = items.message(at["item_id"], text)
        else:
            told += self._event("response.reasoning_summary_text.done", **at, text=text)
            told += self._event("response.reasoning_summary_part.done", **at, part=items.summary_part(text))
            item = items.reasoning(at["item_id"], text)
        self._kind = None
        return told + self._done(item)

    def end(self, state: State) -> bytes:
        """The response as it ends."""
        told = self.begin() + self.close()
        if error := state["error"]:
            told += self._event("error", code=error["code"], message=error["message"], param=None)
        return told + self._event(_ENDS.get(state["status"], "response.failed"), response=state)

    def _grow(self, kind: Literal["message", "reasoning"], text: str) -> bytes:
        if not text:
            return b""
        told = self.begin() + (b"" if self._kind == kind else self._open(kind))
        self._text += text
        while piece := _PIECE.match(self._text, self._told):
            told += self._delta(piece[0])
        return told

    def _open(self, kind: Literal["message", "reasoning"]) -> bytes:
        told = self.close()
        self._kind, self._text, self._told = kind, "", 0
        at = self._part()
        if kind == "message":
            told += self._added(items.message(at["item_id"], None))
            return told + self._event("response.content_part.added", **at, part=items.text_part(""))
        told += self._added(items.reasoning(at["item_id"], None))
        return told + self._event("response.reasoning_summary_part.added", **at, part=items.summary_part(""))

    def _delta(self, text: str) -> bytes:
        self._told += len(text)
        if self._kind == "message":
            return self._event("response.output_text.delta", **self._part(), delta=text, logprobs=[])
        return self._event("response.reasoning_summary_text.delta", **self._part(), delta=text)

    def _done(self, item: items.Item) -> bytes:
        self.output.append(item)
        return self._event("response.output_item.done", output_index=len(self.output) - 1, item=item)

    def _added(self, item: items.Item) -> bytes:
        return self._event("response.output_item.added", output_index=len(self.output), item=item)

    def _part(self) -> dict[str, Any]:
        """Where the text that is written belongs."""
        if self._kind == "message":
            return {"item_id": self._new_id("msg"), "output_index": len(self.output), "content_index": 0}
        return {"item_id": self._new_id("rs"), "output_index": len(self.output), "summary_index": 0}

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}_{self.id}_{len(self.output)}"

    def _event(self, kind: str, **fields: Any) -> bytes:
        number = self._number
        self._number += 1
        if number <= self._after:
            return b""
        return sse.event({"type": kind, "sequence_number": number, **fields}, kind)


def replay(answer: Answer, output: Iterable[items.Item]) -> bytes:
    """An answer that was written before."""
    told = answer.begin()
    for item in output:
        match item["type"]:
            case "message":
                told += answer.text(item["content"][0]["text"])
            case "reasoning":
                told += answer.thought(item["summary"][0]["text"])
            case _:
                told += answer.call(ToolCall(id=item["call_id"], name=item["name"], arguments=item["arguments"]))
        told += answer.close()
    return told


async def sent(
    answer: Answer, source: AsyncIterator[bytes], silence: float, fail: Callable[[Exception], State]
) -> AsyncGenerator[bytes, None]:
    """The source's events; after `silence` seconds without one the answer's beginning, then comments.

    An error before the answer has begun is raised; a later one ends it in the state that `fail` makes of it.
    """
    try:
        async with aclosing(sse.batches(source, silence)) as batches:
            async for batch in batches:
                event = b"".join(batch) if batch else answer.begin() or sse.KEEP_ALIVE
                if event:
                    yield sse.LastWords(event) if batch and isinstance(batch[-1], sse.LastWords) else event
    except Exception as error:
        if not answer.has_begun:
            raise
        yield sse.LastWords(answer.end(fail(error)))
