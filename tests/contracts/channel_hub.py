"""What the laws of a channel need: a hub that remembers, and a look at what runs."""

from __future__ import annotations

import asyncio
import hashlib
import traceback
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from hub.channel import Channel, Sending
from hub.errors import ChannelError
from hub.message import Address, Author, Buttons, File, Message, Part, Text
from tests.patience import PATIENCE


class Hub:
    """An intake that remembers; `gate` holds back what is being stored, `failures` are raised instead."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.asked: list[Message] = []
        self.dead: list[tuple[str, bytes, str]] = []
        self.files: dict[str, bytes] = {}
        self.gone_chats: dict[str, str] = {}
        self.moved_chats: dict[str, str] = {}
        self.admitting = True
        """Whether messages are for an agent; of others nobody wants the files."""
        self.ups = 0
        self.failures: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._changed = asyncio.Event()

    async def accept(self, message: Message) -> None:
        self.asked.append(message)
        self._tell()
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.messages.append(message)
        self._tell()

    async def admits(self, message: Message) -> bool:
        return self.admitting

    async def reject(self, id: str, raw: bytes, why: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.dead.append((id, raw, why))
        self._tell()

    async def keep(self, name: str, media_type: str, content: bytes) -> File:
        ref = hashlib.sha256(content).hexdigest()
        self.files[ref] = content
        return File(ref=ref, name=name, media_type=media_type, size=len(content))

    async def gone(self, chat_id: str, why: str) -> None:
        self.gone_chats[chat_id] = why
        self._tell()

    async def moved(self, chat_id: str, to: str) -> None:
        self.moved_chats[chat_id] = to
        self._tell()

    def up(self) -> None:
        self.ups += 1
        self._tell()

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.messages]

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Wait for something to become true of what was heard."""
        async with asyncio.timeout(PATIENCE):
            while not predicate():
                await self._changed.wait()

    async def heard(self, count: int = 1) -> list[Message]:
        await self.until(lambda: len(self.messages) >= count)
        return self.messages

    async def is_up(self, times: int = 1) -> None:
        await self.until(lambda: self.ups >= times)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


@asynccontextmanager
async def listening(channel: Channel, hub: Hub) -> AsyncGenerator[asyncio.Task[None]]:
    """The channel listens, and is cancelled at the end; an error that ended it before is raised."""
    task = asyncio.create_task(channel.listen(hub))
    up = asyncio.create_task(hub.is_up(hub.ups + 1))
    try:
        await asyncio.wait([task, up], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        await up
        yield task
        if task.done():
            task.result()
    finally:
        up.cancel()
        await cancelled(task)


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    async with asyncio.timeout(PATIENCE):
        with suppress(asyncio.CancelledError, ChannelError):
            await task


WATCHED: ContextVar[bool] = ContextVar("WATCHED", default=False)


@contextmanager
def watched() -> Generator[list[asyncio.Task[Any]]]:
    """The tasks that come out of what is done inside; those of a platform on the same loop are not among them."""
    tasks: list[asyncio.Task[Any]] = []

    def factory(loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=loop, **more)
        if WATCHED.get():
            tasks.append(task)
        return task

    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    token = WATCHED.set(True)
    try:
        yield tasks
    finally:
        WATCHED.reset(token)
        loop.set_task_factory(None)


def to(
    address: Address,
    text: str,
    *,
    part: Part | None = None,
    reply_to: str | None = None,
    buttons: Buttons = (),
    content: bytes = b"",
    final: bool = True,
) -> Sending:
    """One message of an agent."""
    return Sending(
        address=address,
        part=part or Text(text=text),
        author=Author(id="assistant", name="Assistant", kind="agent"),
        key=f"k.{text[:8]}",
        reply_to=reply_to,
        buttons=buttons,
        content=content,
        final=final,
    )


def file_to(address: Address, name: str, media_type: str, content: bytes) -> Sending:
    """A file of an agent."""
    ref = hashlib.sha256(content).hexdigest()
    return to(address, "", part=File(ref=ref, name=name, media_type=media_type, size=len(content)), content=content)


def shown(error: BaseException) -> str:
    """All that a log, a row or a person may come to see of an error, its causes included."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.__cause__) + repr(vars(error))
