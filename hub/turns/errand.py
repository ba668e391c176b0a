"""The turn of a completion without a conversation: what it sees came with the request, and nothing of it is kept."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from hub.accounts.billing import Bill
from hub.accounts.turns import Call
from hub.agent import Fact, Recalled, Receipt, Room, Schedule, Scope, Step
from hub.delivery.origin import of_turn
from hub.delivery.posts import Posts, may_post
from hub.errors import Forbidden, NotFound, RequestError
from hub.files import FileStore
from hub.message import API, Address, Author, Buttons, Delivery, File, Message, Part, Text
from hub.model import Completion, ToolCall, Usage
from hub.when import When

_NOTHING = "There is no conversation here that could be remembered."


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What the tools of an agent may need."""

    posts: Posts
    files: FileStore
    clock: Callable[[], float]


class Errand:
    """The `Turn` of one call: its tools may post and store files; memory and schedules they are refused."""

    def __init__(self, call: Call, agent: str, desk: Desk, bill: Bill) -> None:
        self.id = call.id
        self.address = Address(API, str(call.key_id), call.session_id)
        self.steps: list[Step] = []
        self.lost = Usage()
        """What model calls took that were cut off."""
        self._call = call
        self._agent = agent
        self._desk = desk
        self._bill = bill

    @property
    def messages(self) -> Sequence[Message]:
        """The newest thing a person said."""
        said = (each.get("content") for each in reversed(self._call.completion.messages) if each.get("role") == "user")
        text = content if isinstance(content := next(said, None), str) else ""
        key = str(self._call.key_id)
        message = Message(
            id=self.id,
            address=self.address,
            author=Author(id=key, name=key, kind="api"),
            parts=(Text(text=text),),
            at=self._desk.clock(),
            params=self._call.completion.params,
            posts_to=self._call.posts_to,
        )
        return (message,)

    async def take(self) -> Sequence[Message]:
        """Nothing: nobody speaks meanwhile."""
        return ()

    async def view(self, room: Room | None = None) -> list[dict[str, Any]]:
        """The messages of the request."""
        del room  # the caller says what the model sees
        return [*self._call.completion.messages]

    async def open(self, file: File) -> bytes:
        """Nothing: the caller's files are in its messages."""
        raise NotFound(f"There is no file '{file.name}' here.")

    async def afford(self, request: Completion) -> Completion:
        """The request as it may be made; raises PaymentRequired."""
        return await self._bill.afford(request)

    async def checkpoint(self, step: Step) -> None:
        """Note a step; it is not stored."""
        self.steps.append(step)

    async def post(self, key: str, address: Address, parts: tuple[Part, ...], buttons: Buttons = ()) -> Receipt:
        """Send a message to any chat the caller's key may post to."""
        address = await self._desk.posts.resolve(address)
        if not may_post(self._call.posts_to, address):
            raise Forbidden(f"'{self._agent}' may not post to {address} from here.")
        delivery = Delivery(
            id=f"{self.id}.{len(self.steps)}.{key}",
            address=address,
            parts=parts,
            buttons=buttons,
            author=Author(id=self._agent, name=self._agent, kind="agent"),
        )
        return await self._desk.posts.post(delivery, of_turn(self._agent, self.id, self.messages[-1]))

    async def react(self, key: str, emoji: str) -> Receipt:
        """Refused: there is no message in a chat."""
        del key, emoji
        raise RequestError("There is no message here that could be reacted to.")

    async def keep(self, name: str, media_type: str, content: bytes) -> File:
        """Store a file, to be posted."""
        return await self._desk.files.keep(name, media_type, content)

    @property
    def memory(self) -> _Nothing:
        return _Nothing()

    @property
    def schedules(self) -> _Nothing:
        return _Nothing()

    def emit(self, text: str) -> None:
        """Nothing: what is said are the chunks of the answer."""

    def think(self, text: str) -> None:
        """Nothing, as for `emit`."""

    def spent(self, usage: Usage, model: str) -> None:
        """Count the tokens of a model call that was cut off."""
        self._bill.used(usage, model)
        self.lost += usage

    @contextmanager
    def acting(self, calls: tuple[ToolCall, ...] = ()) -> Generator[None]:
        """Nothing interrupts this turn but its caller."""
        del calls
        yield


class _Nothing:
    """Memory and schedules where there are none: every call is refused."""

    now = 0.0

    async def remember(self, text: str, scope: Scope | None = None) -> Fact:
        _refuse(text, scope)

    async def recall(self, query: str) -> Recalled:
        _refuse(query)

    async def forget(self, text: str) -> Fact:
        _refuse(text)

    async def add(self, key: str, address: Address, text: str, when: When) -> Schedule:
        _refuse(key, address, text, when)

    async def list(self, address: Address) -> list[Schedule]:
        _refuse(address)

    async def cancel(self, address: Address, id: int) -> bool:
        _refuse(address, id)


def _refuse(*_asked: object) -> NoReturn:
    raise Forbidden(_NOTHING)
