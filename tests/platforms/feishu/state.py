"""What the platform remembers: chats, messages, files, cards, tokens. Bot's and users' side write it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from tests.platforms.feishu.cards import flatten, flatten_post
from tests.platforms.feishu.wire import Call, Json, parsed, refusal
from tests.platforms.waker import Signal

Clock = Callable[[], float]
ChatKind = Literal["p2p", "group"]

ANNA, BORIS, CHLOE = "ou_anna", "ou_boris", "ou_chloe"
P2P, GROUP = "oc_p2p", "oc_group"
TENANT = "2ca1d211f64f6438"
NAMES = {ANNA: "Anna Lindqvist", BORIS: "Борис Орлов", CHLOE: "李小龙"}
HOUR, DAY = 3600, 86400


@dataclass(kw_only=True)
class Chat:
    """A chat; `barred` is the code with which the platform refuses the bot there. `user` owns a p2p chat."""

    id: str
    kind: ChatKind
    user: str | None = None
    name: str = ""
    barred: int | None = None


@dataclass(kw_only=True)
class Message:
    """A message of either side; `content` is JSON text, as on the wire."""

    id: str
    chat: str
    sender: str
    by_bot: bool
    kind: str
    content: str
    at: float
    root: str | None = None
    parent: str | None = None
    thread: str | None = None
    mentions: list[Json] = field(default_factory=list[Json])
    reactions: dict[str, Json] = field(default_factory=dict[str, Json])
    edits: int = 0
    edited_at: float | None = None
    deleted: bool = False


@dataclass(frozen=True, kw_only=True)
class File:
    """An uploaded or received file; `kind` is `image` or the file type it was uploaded as."""

    key: str
    name: str
    data: bytes
    kind: str


@dataclass(kw_only=True)
class Card:
    """A card entity. `opened` is when streaming began, None while it is off; `expired` says that time ended it."""

    id: str
    json: Json
    at: float
    opened: float | None = None
    expired: bool = False
    sequence: int = 0
    uuids: set[str] = field(default_factory=set[str])
    message: str | None = None


@dataclass(kw_only=True)
class State:
    """Everything there is to see; messages in the order of sending."""

    app_id: str
    app_secret: str
    clock: Clock
    streaming_seconds: float
    token_seconds: float
    bot: Json = field(default_factory=lambda: {"open_id": "ou_bot", "app_name": "Bothub"})
    changed: Signal = field(default_factory=Signal)
    chats: dict[str, Chat] = field(default_factory=dict[str, Chat])
    messages: dict[str, Message] = field(default_factory=dict[str, Message])
    files: dict[str, File] = field(default_factory=dict[str, File])
    cards: dict[str, Card] = field(default_factory=dict[str, Card])
    tokens: dict[str, float] = field(default_factory=dict[str, float])
    uuids: dict[str, Message] = field(default_factory=dict[str, Message])
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.chats[P2P] = Chat(id=P2P, kind="p2p", user=ANNA)
        self.chats[GROUP] = Chat(id=GROUP, kind="group", name="Support 🛟")

    def new_id(self, prefix: str) -> str:
        return f"{prefix}{next(self.numbers):032x}"

    def millis(self) -> str:
        return str(int(self.clock() * 1000))

    # Chats

    def private(self, user: str) -> Chat:
        """The p2p chat with `user`, opened when it is the first time."""
        found = next((chat for chat in self.chats.values() if chat.user == user), None)
        return found or self.open(f"oc_p2p_{user}", "p2p", user)

    def open(self, chat: str, kind: ChatKind, user: str | None = None) -> Chat:
        self.chats[chat] = Chat(id=chat, kind=kind, user=user, name="" if kind == "p2p" else chat)
        return self.chats[chat]

    def enter(self, chat: str) -> Chat:
        """The chat, if the bot may speak there."""
        found = self.chats.get(chat)
        if found is None:
            raise refusal(230002)
        if found.barred:
            raise refusal(found.barred)
        return found

    # Messages

    def store(self, message: Message) -> Message:
        self.messages[message.id] = message
        self.changed.notify()
        return message

    def find(self, message: str) -> Message:
        """The message that a call names; refused when there is none or it was recalled."""
        found = self.messages.get(message)
        if found is None:
            raise refusal(99992354)
        if found.deleted:
            raise refusal(230011)
        return found

    def sent(self, chat: str) -> Iterator[Message]:
        """What stands in `chat` from the bot, oldest first."""
        return (m for m in self.messages.values() if m.by_bot and m.chat == chat and not m.deleted)

    def card_of(self, message: Message) -> Card | None:
        """The card entity that `message` shows, if it shows one."""
        content = parsed(message.content) or {} if message.kind == "interactive" else {}
        return self.cards.get(content["data"]["card_id"]) if content.get("type") == "card" else None

    def shown(self, message: Message) -> Json:
        """What a card message shows at the moment: the card's JSON."""
        card = self.card_of(message)
        return card.json if card else json.loads(message.content)

    def text(self, message: Message) -> str:
        """What `message` says at the moment, as plain text or the card's markdown."""
        if message.kind == "interactive":
            return flatten(self.shown(message))
        content: Json = json.loads(message.content)
        return flatten_post(content) if message.kind == "post" else str(content.get("text", ""))

    def view(self, message: Message) -> Json:
        """A message of the bot as tests see it."""
        card = self.card_of(message)
        return {
            "message_id": message.id,
            "chat_id": message.chat,
            "msg_type": message.kind,
            "text": self.text(message),
            "content": json.loads(message.content),
            "root_id": message.root,
            "parent_id": message.parent,
            "thread_id": message.thread,
            "edits": message.edits,
            "streaming": bool(card and card.opened is not None),
            "card": self.shown(message) if message.kind == "interactive" else None,
        }

    def item(self, message: Message) -> Json:
        """A message as the API returns it."""
        sender = {"id": message.sender, "id_type": "app_id" if message.by_bot else "open_id"}
        links = {"root_id": message.root, "parent_id": message.parent, "thread_id": message.thread}
        return {
            "message_id": message.id,
            "msg_type": message.kind,
            "create_time": str(int(message.at * 1000)),
            "update_time": str(int((message.edited_at or message.at) * 1000)),
            "deleted": message.deleted,
            "updated": message.edits > 0,
            "chat_id": message.chat,
            "sender": {**sender, "sender_type": "app" if message.by_bot else "user", "tenant_key": TENANT},
            "body": {"content": message.content},
            **({"mentions": message.mentions} if message.mentions else {}),
            **{name: value for name, value in links.items() if value},
        }

    def place(self, call: Call) -> str | None:
        """The chat that a call is about, as far as that is known."""
        params = call.params
        if "receive_id" in params:
            direct = params.get("receive_id_type") == "open_id"
            return self.private(params["receive_id"]).id if direct else str(params["receive_id"])
        card = self.cards.get(str(params.get("card_id")))
        message = self.messages.get(str((card and card.message) or params.get("message_id")))
        return message.chat if message else params.get("chat_id")


def person(user: str) -> Json:
    """The three ids of a user, as events carry them."""
    bare = user.removeprefix("ou_")
    return {"open_id": user, "union_id": f"on_{bare}", "user_id": f"{bare}01"}


def name_of(user: str) -> str:
    return NAMES.get(user, user)
