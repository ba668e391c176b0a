"""What a turn does, as it is told to whoever follows it: from its journal, and live from its signs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from hub.accounts.turns import Sign
from hub.memory import Entry, Said, Stepped
from hub.message import Value
from hub.model import ToolCall


class Words(Value, frozen=True, kw_only=True):
    """A piece of the reply."""

    text: str


class Thought(Value, frozen=True, kw_only=True):
    """A piece of what the model thinks; who does not hear it live does not hear it."""

    text: str


class Returned(Value, frozen=True, kw_only=True):
    """What a tool returned; `id` is its call's."""

    id: str
    content: str
    is_error: bool


class HandedOut(ToolCall, frozen=True, kw_only=True):
    """A call that the turn ends with, for the asker to run; any other is run by the hub."""


Happening = Words | Thought | ToolCall | Returned


class Progress:
    """Tells everything once and in order.

    The texts joined are the response, unless a crash had the turn say something in other words than it had begun to.
    """

    def __init__(self) -> None:
        self.read = 0
        """How many entries of the journal were told."""
        self._steps = 0
        self._said: list[str] = []
        self._told: list[str] = []
        self._length = 0
        self._called: set[str] = set()

    def is_behind(self, sign: Sign) -> bool:
        """Whether the journal has to be read before a sign makes sense."""
        return sign.kind in ("step", "done") or sign.step > self._steps

    def hear(self, sign: Sign) -> Iterator[Happening]:
        """What a sign tells; nothing when it is old."""
        if sign.step < self._steps:
            return
        if sign.kind == "delta" and sign.offset <= self._length:
            yield from self._tell(sign.text[self._length - sign.offset :])
        elif sign.kind == "reasoning":
            yield Thought(text=sign.text)
        elif sign.kind == "calls":
            yield from self._call(sign.calls)

    def catch_up(self, entries: Sequence[Entry]) -> Iterator[Happening]:
        """What the next entries of the journal tell that was not told yet."""
        for entry in entries:
            self.read += 1
            if isinstance(entry, Stepped):
                yield from self._finish(entry)
            elif isinstance(entry, Said) and entry.calls:
                yield from self._hand_out(entry)

    def end(self, response: str) -> Iterator[Happening]:
        """The rest of the reply."""
        told = "".join(self._told)
        if response.startswith(told):
            yield from self._tell(response[len(told) :])
        else:
            self._told, self._length = [response], len(response)

    def _finish(self, step: Stepped) -> Iterator[Happening]:
        yield from self._say(step.text)
        yield from self._call(step.calls)
        for call, result in zip(step.calls, step.results, strict=True):
            yield Returned(id=call.id, content=result, is_error=_is_failure(result))
        self._steps += 1
        self._called = set()

    def _hand_out(self, said: Said) -> Iterator[Happening]:
        yield from self._say(said.text)
        for call in said.calls:
            yield HandedOut(id=call.id, name=call.name, arguments=call.arguments)

    def _say(self, text: str) -> Iterator[Happening]:
        """What is left to tell of the text of a step."""
        if text:
            self._said.append(text)
        yield from self.end("\n\n".join(self._said))

    def _tell(self, text: str) -> Iterator[Words]:
        if text:
            self._told.append(text)
            self._length += len(text)
            yield Words(text=text)

    def _call(self, calls: Sequence[ToolCall]) -> Iterator[ToolCall]:
        for call in calls:
            if call.id not in self._called:
                self._called.add(call.id)
                yield call


def _is_failure(result: str) -> bool:
    """Whether a tool returned `{"error": "why"}`, as it does when nothing came of the call."""
    if not result.startswith('{"error":'):
        return False
    try:
        found: Any = msgspec.json.decode(result)
    except msgspec.DecodeError:
        return False
    return list(found) == ["error"] and isinstance(found["error"], str)
