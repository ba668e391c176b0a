"""The newest lines of this process's log, in memory, for whoever watches; no secret is in the log or here.

Both are processors of structlog: `mask` takes secrets out of a line before it is written, a `Logbook` keeps what is
left. Lines have ascending numbers, also over restarts, because the first one of a process is the time of its start.
"""

from __future__ import annotations

import asyncio
import re
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import AsyncGenerator, Callable, MutableMapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from sys import getsizeof
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

Level = Literal["debug", "info", "warning", "error"]
LEVELS: dict[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
MASK = "**********"
"""What stands where a secret was."""
MOST_LINES = 5_000
MOST_BYTES = 4_000_000
LONGEST = 1_000
"""Characters of a text of a line; what is longer loses its end."""
LONGEST_TRACEBACK = 8_000
"""Characters of a traceback; of a longer one the end is kept, which names the error."""
AT_ONCE = 200
"""Lines that a reader looks through before others have their turn."""
MOST_FIELDS = 32
BARE = 500
"""Bytes of a line without its texts."""
_OURS = frozenset({"event", "level", "timestamp", "exc_info", "stack_info"})
_NAMES = re.compile(
    r"(?:^|[_-])(?:token|secret|password|passwd|authorization|cookie|credentials?|api[_-]?key|(?:secret|encrypt|access)[_-]key)$",
    re.IGNORECASE,
)
_SECRETS = re.compile(
    r"(?<!\d)\d{6,12}:[\w-]{30,}"  # a Telegram bot's token, also in the path of a URL
    r"|\b(?:sk|br)-[\w-]{16,}"  # keys of ours, and of models
    r"|\b[\w-]{23,30}\.[\w-]{6,7}\.[\w-]{27,}"  # a Discord bot's token
    r"|(?i:(?<=\bbearer )|(?<=\bbasic ))[\w.~+/=-]{8,}"
    r"|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"  # who logs in to what a URL names
    r"|(?i:(?<=[?&]key=)|(?<=[?&]token=)|(?<=[?&]secret=)|(?<=[?&]api_key=)|(?<=[?&]access_token=))[^\s&#]+"
)
_SIGNS = (":", ".", "=", " ", "sk-", "br-")
"""Each secret has one of these in it or before it; to look for them is much cheaper."""
_SHORTEST = 8
"""Texts of fewer characters hold no secret that could be told from a word."""
_HARMLESS = frozenset(
    {"address", "agent", "channel", "id", "inbox", "lane", "level", "status", "timestamp", "trace_id"}
)
"""Fields of nearly every line in which we write what we made ourselves; looking at each would cost the most."""

Plain = str | int | float | bool | None


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line: its number, a Unix time, what happened and about what; `logger` is the library whose line it is."""

    id: int
    at: float
    level: Level
    event: str
    logger: str | None = None
    fields: dict[str, Plain] = {}
    exception: str | None = None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines: of a level and above, about a channel, an agent, a message; `q` is a text anywhere in the line."""

    level: Level = "debug"
    channel: str | None = None
    agent: str | None = None
    message: str | None = None
    q: str | None = None

    def fits(self, line: LogLine) -> bool:
        """Whether a line is one of them."""
        fields = line.fields
        return (
            LEVELS[line.level] >= LEVELS[self.level]
            and (self.channel is None or _of_channel(fields, self.channel))
            and (
                self.agent is None or self.agent == fields.get("agent") or fields.get("inbox") == f"agent:{self.agent}"
            )
            and (self.message is None or any(_of_message(fields.get(name), self.message) for name in _IDS))
            and (self.q is None or self.q.casefold() in _text(line).casefold())
        )


_IDS = ("id", "turn", "message", "message_id", "trace_id", "request_id")
"""The fields by which a line says what message it is about."""


def _of_channel(fields: dict[str, Plain], channel: str) -> bool:
    return (
        channel == fields.get("channel")
        or str(fields.get("address", "")).partition(":")[0] == channel
        or fields.get("inbox") == f"channel:{channel}"
    )


def _of_message(id: Plain, message: str) -> bool:
    """Whether an id is that of the message, or of what was made for it: its answer, a post, another try."""
    return isinstance(id, str) and id.startswith(message) and id[len(message) : len(message) + 1] in ("", ".", "#")


def _text(line: LogLine) -> str:
    return "\n".join((line.event, line.logger or "", *map(str, line.fields.values()), line.exception or ""))


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader is told: lines, how many before them are gone, and whether another process wrote before."""

    lines: Sequence[LogLine] = ()
    missed: int = 0
    restarted: bool = False


class Logbook:
    """Keeps the newest lines of a process; any thread may write."""

    def __init__(
        self, *, most_lines: int = MOST_LINES, most_bytes: int = MOST_BYTES, clock: Callable[[], float] = time.time
    ) -> None:
        self._lines: deque[LogLine] = deque()
        self._sizes: deque[int] = deque()
        self._most_lines = most_lines
        self._most_bytes = most_bytes
        self._clock = clock
        self._size = 0
        self._lock = threading.Lock()
        self._watches: set[Watch] = set()
        self.since = clock()
        """When this process began to write; a Unix time."""
        self.level = "info"
        """What is below it is not logged at all."""
        self.first = int(self.since * 1e6)
        """The number of its first line."""
        self.newest = self.first - 1
        """The number of the newest line."""

    def keep(self, _logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Keep a line, the oldest go for it; a processor of structlog."""
        fields = dict[str, Plain]()
        size = BARE
        for name, value in event.items() if len(event) <= MOST_FIELDS else islice(event.items(), MOST_FIELDS):
            if name not in _OURS and name[:1] != "_":
                fields[name] = plain = _plain(value)
                size += getsizeof(plain)
        text, record, told = _cut(str(event.get("event", ""))), event.get("_record"), _traceback(event.get("exc_info"))
        size += getsizeof(text) + getsizeof(told)
        with self._lock:
            self.newest += 1
            self._lines.append(
                LogLine(
                    id=self.newest,
                    at=self._clock(),
                    level=_level(event.get("level", method)),
                    event=text,
                    logger=None if record is None else record.name,
                    fields=fields,
                    exception=told,
                )
            )
            self._sizes.append(size)
            self._size += size
            while len(self._lines) > self._most_lines or (self._size > self._most_bytes and len(self._lines) > 1):
                self._lines.popleft()
                self._size -= self._sizes.popleft()
            for watch in self._watches:
                watch.wake()
        return event

    def lines(self) -> Sequence[LogLine]:
        """All lines that are kept, the oldest first."""
        with self._lock:
            return tuple(self._lines)

    def wrote(self, number: int) -> bool:
        """Whether this process can say what came after a number: it, or what came just before it, wrote that line."""
        return self.first - 1 <= number <= self.newest

    def after(self, number: int, most: int) -> tuple[Sequence[LogLine], int]:
        """Up to `most` lines after a number of ours, the oldest first, and how many of them are not kept any more."""
        with self._lock:
            gone = self.newest - len(self._lines) - number
            skipped = max(0, -gone)
            return tuple(islice(self._lines, skipped, skipped + most)), max(0, gone)

    async def follow(self, wanted: Wanted, after: int | None, silence: float) -> AsyncGenerator[News | None]:
        """Lines as they are written, from now on or after a number; None at first, and after each `silence` seconds."""
        seen = self.newest if after is None else after
        with self.watch() as news:
            yield None
            if not self.wrote(seen):
                seen = self.first - 1
                yield News(restarted=True)
            while True:
                lines, gone = self.after(seen, AT_ONCE)
                fitting = [line for line in lines if wanted.fits(line)]
                if gone or fitting:
                    yield News(lines=fitting, missed=gone)
                if lines:
                    seen = lines[-1].id
                elif not await news.wait(silence):
                    yield None

    def watch(self) -> Watch:
        """Somebody who wants to hear of new lines, in this event loop, for as long as it is entered."""
        return Watch(self._lock, self._watches)


class Watch:
    """Waits for new lines."""

    def __init__(self, lock: threading.Lock, watches: set[Watch]) -> None:
        self._lock = lock
        self._watches = watches
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._told = False

    def wake(self) -> None:
        """There is a new line; called in any thread."""
        if not self._told:
            self._told = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._news.set)

    async def wait(self, seconds: float) -> bool:
        """Wait for a line that was written since the last time, at most so long; says whether there is one."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        self._told = False
        return True

    def __enter__(self) -> Self:
        with self._lock:
            self._watches.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self._lock:
            self._watches.discard(self)


def mask(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets out of a line, by the names of its fields and by how they look; a processor of structlog."""
    for name, value in event.items():
        if name not in _HARMLESS and isinstance(value, str) and len(value) >= _SHORTEST:
            if _names_secret(name):
                event[name] = MASK
            elif any(map(value.__contains__, _SIGNS)) and _SECRETS.search(value):
                event[name] = _SECRETS.sub(MASK, value)
    return event


@lru_cache(maxsize=1_000)
def _names_secret(field: str) -> bool:
    return _NAMES.search(field) is not None


def _level(named: str) -> Level:
    match named:
        case "debug" | "info" | "warning":
            return named
        case _:
            return "error"


def _plain(value: object) -> Plain:
    """A value that stays small and does not change."""
    if type(value) is str:
        return value if len(value) <= LONGEST else _cut(value)
    if value is None or isinstance(value, int | float):
        return value
    try:
        return _cut(_SECRETS.sub(MASK, str(value)))
    except Exception as error:  # noqa: BLE001 - a line is kept whatever its values do
        return f"({type(error).__name__})"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _traceback(raised: bool | BaseException | tuple[Any, Any, Any] | None) -> str | None:
    """What was raised and where, without the values of variables, which hold what people said."""
    if not raised:
        return None
    error = raised if isinstance(raised, BaseException) else raised[1] if isinstance(raised, tuple) else sys.exception()
    if not isinstance(error, BaseException):
        return None
    told = _SECRETS.sub(MASK, "".join(traceback.format_exception(error, limit=-20)).strip())
    return told if len(told) <= LONGEST_TRACEBACK else f"…{told[-LONGEST_TRACEBACK:]}"
