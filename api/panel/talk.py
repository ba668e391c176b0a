"""What is said in a room as the panel shows it: messages, answers that are being written, and what tools did."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from api.downloads import PICTURES
from api.panel.view import View
from hub.accounts.turns import Sign
from hub.memory import Stepped
from hub.message import BOT, WEB, Author, File
from hub.model import ToolCall
from hub.records import steps
from hub.records.rooms import Post
from hub.signals import Signals

MOST = 200
"""Answers that are followed at a time for those who come late."""
LONGEST = 50_000
"""Characters of one; who comes to a longer one sees it from there on."""
_SIGN = msgspec.json.Decoder(Sign)
_FAILED = re.compile(r'\s*\{\s*"error"\s*:')


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A message of a room, for whoever looks at it."""

    post: Post
    calls: Sequence[Called] = ()
    mine: bool = False
    turn: str | None = None
    """Its turn, for who may see what happened to that."""

    @property
    def notice(self) -> bool:
        """The hub itself says it."""
        return self.post.author == BOT

    @property
    def at(self) -> datetime:
        """When it was said."""
        return datetime.fromtimestamp(self.post.at, UTC)

    @property
    def files(self) -> Sequence[tuple[File, str, bool]]:
        """Each with the place where it is fetched, and whether it is shown as a picture."""
        return [
            (file, f"/panel/chat/files/{self.post.id}/{index}", file.media_type in PICTURES)
            for index, file in enumerate(self.post.files)
        ]


@dataclass(frozen=True, kw_only=True)
class Called:
    """A tool that was called; without a result it still runs."""

    name: str
    arguments: Any
    result: Any = None
    seconds: float | None = None
    over: bool = True
    failed: bool = False


@dataclass
class Draft:
    """An answer while it is written; where its beginning is not known, from there on."""

    turn: str
    agent: str
    start: int = 0
    text: str = ""
    calling: Sequence[ToolCall] = ()
    finished: list[Stepped] = field(default_factory=list[Stepped])

    def hear(self, sign: Sign) -> None:
        """Take a piece; one after a gap begins anew, as does one from before what is known."""
        at = sign.offset - self.start
        if not 0 <= at <= len(self.text):
            self.start, self.text, at = sign.offset, "", 0
        self.text = self.text[:at] + sign.text

    @property
    def length(self) -> int:
        """How much was said, in characters."""
        return self.start + len(self.text)

    @property
    def shown(self) -> str:
        """Its text, marked where the beginning is not known."""
        return f"… {self.text}" if self.start and self.text else self.text

    @property
    def calls(self) -> Sequence[Called]:
        """What its turn has called, and calls now."""
        return [*calls(self.finished), *(called(call) for call in self.calling)]


class Drafts:
    """Answers that are being written in web rooms, for those who come late."""

    def __init__(self) -> None:
        self._drafts: dict[str, Draft] = {}

    async def follow(self, signals: Signals) -> None:
        """Hear what is written, until this is cancelled."""
        with signals.listen(f"live.{WEB}") as lives:
            while True:
                payload = await lives.next()
                if payload is not None:
                    self.hear(_SIGN.decode(payload))

    def hear(self, sign: Sign) -> None:
        """Take a piece of an answer, or its end."""
        if sign.kind == "done":
            self._drafts.pop(sign.turn, None)
        elif sign.kind == "delta":
            draft = self._drafts.pop(sign.turn, None) or Draft(sign.turn, sign.agent)
            draft.hear(sign)
            self._drafts[sign.turn] = draft if draft.length <= LONGEST else Draft(sign.turn, sign.agent)
            if len(self._drafts) > MOST:
                del self._drafts[next(iter(self._drafts))]  # nobody has said for the longest time that it goes on

    def said(self, turn: str) -> str:
        """What is known from an answer's beginning on."""
        draft = self._drafts.get(turn)
        return "" if draft is None or draft.start else draft.text


async def shown(view: View, posts: Sequence[Post], *, with_steps: bool) -> Sequence[Shown]:
    """The messages as this viewer sees them, with the tools that were called for them."""
    turns = {post.turn for post in posts if post.turn is not None} if with_steps else set[str]()
    done = await view.hub.store.read(lambda connection: steps.of(connection, turns)) if turns else {}
    return [
        Shown(
            post=post,
            calls=calls(done.get(post.turn or "", ())),
            mine=is_mine(view, post.author),
            turn=post.turn if view.is_admin else None,
        )
        for post in posts
    ]


def is_mine(view: View, author: Author) -> bool:
    """Whether the viewer said it, perhaps for somebody by name."""
    return author.kind == "person" and author.id.partition("/")[0] == str(view.key.id)


def calls(done: Iterable[Stepped]) -> list[Called]:
    """The tools that finished steps called."""
    return [
        called(call, result, seconds)
        for step in done
        for call, result, seconds in zip(
            step.calls, step.results, [*step.took, *[None] * (len(step.calls) - len(step.took))], strict=True
        )
    ]


def called(call: ToolCall, result: str | None = None, seconds: float | None = None) -> Called:
    return Called(
        name=call.name,
        arguments=_read(call.arguments),
        result=None if result is None else _read(result),
        seconds=seconds,
        over=result is not None,
        failed=result is not None and _FAILED.match(result) is not None,
    )


def _read(text: str) -> Any:
    """What a text of JSON says, else the text."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def html(view: View, name: str, **context: Any) -> str:
    """A part of the talk."""
    return view.html(f"talk-{name}.html", **context)
