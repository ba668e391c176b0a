"""What Telegram remembers: chats, messages, files. Both the bot's and the user's side write it."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.platforms.telegram.wire import ApiError, bad
from tests.platforms.waker import Signal

Json = dict[str, Any]
Clock = Callable[[], float]
ChatKind = Literal["private", "group", "supergroup"]

PRIVATE, GROUP, SUPERGROUP = 77, -4_077_001, -1_001_077_000_001
PEOPLE = [("Anna", "Lindqvist"), ("Борис", "Орлов"), ("Chloé", "Dubois"), ("大輔", "田中"), ("Emeka 🎧", "Obi")]
TITLES = ["Support 🛟", "Release crew", "Семья"]


@dataclass(frozen=True, kw_only=True)
class File:
    """A stored file; `size` is what Telegram claims, which a test may inflate."""

    file_id: str
    name: str
    data: bytes
    size: int

    @property
    def path(self) -> str:
        return f"documents/{self.file_id}_{self.name}"

    def reference(self) -> Json:
        return {"file_id": self.file_id, "file_unique_id": f"u{self.file_id}", "file_size": self.size}


@dataclass(kw_only=True)
class State:
    """Everything there is to see. Message ids grow in the order of sending; `messages` are by chat, then by id."""

    me: Json
    clock: Clock
    changed: Signal = field(default_factory=Signal)
    messages: defaultdict[int, dict[int, Json]] = field(default_factory=lambda: defaultdict(dict))
    files: dict[str, File] = field(default_factory=dict[str, File])
    presses: set[str] = field(default_factory=set[str])
    commands: list[Json] = field(default_factory=list[Json])
    reactions: dict[tuple[int, int], list[str]] = field(default_factory=dict[tuple[int, int], list[str]])
    """The bot's emoji below messages, by chat and message."""
    drafts: list[Json] = field(default_factory=list[Json])
    """Every draft that was shown, in order; `chat`, `draft_id`, `text`, `entities`."""
    knows_drafts: bool = True
    """A Bot API server of an older version does not."""
    blocked: set[int] = field(default_factory=set[int])
    """Chats whose person blocked the bot, and groups that removed it."""
    moved: dict[int, int] = field(default_factory=dict[int, int])
    """Groups that became supergroups."""
    last_id: int = 0

    def store(self, chat: Json, sender: Json, **content: Any) -> Json:
        """A new message in `chat`."""
        self.last_id += 1
        message: Json = {
            "message_id": self.last_id,
            "date": int(self.clock()),
            "chat": chat,
            "from": sender,
            **content,
        }
        self.messages[chat["id"]][message["message_id"]] = message
        self.changed.notify()
        return message

    def reach(self, chat: int) -> None:
        """Refuses what is to go to a chat that the bot cannot write to."""
        if chat in self.moved:
            raise ApiError(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                migrate_to_chat_id=self.moved[chat],
            )
        if chat in self.blocked:
            private = kind_of(chat) == "private"
            words = "bot was blocked by the user" if private else f"bot was kicked from the {kind_of(chat)} chat"
            raise ApiError(403, f"Forbidden: {words}")

    def find(self, chat: int, message: int, absent: str) -> Json:
        """The message, or a refusal worded `absent`."""
        found = self.messages[chat].get(message)
        if found is None:
            raise bad(absent)
        return found

    def quote(self, message: Json) -> Json:
        """`message` as it stands inside a reply to it: without the one it replied to."""
        return deepcopy({name: value for name, value in message.items() if name != "reply_to_message"})

    def sent(self, chat: int) -> Iterator[Json]:
        """What the bot said in `chat` and did not delete, oldest first."""
        return (message for message in self.messages[chat].values() if message["from"]["id"] == self.me["id"])

    def add_file(self, name: str, data: bytes, size: int | None = None) -> File:
        file_id = f"BQACAgIAAxk{len(self.files) + 1}"
        self.files[file_id] = File(file_id=file_id, name=name, data=data, size=len(data) if size is None else size)
        return self.files[file_id]


def kind_of(chat: int) -> ChatKind:
    """Telegram's ids tell the kind: people are positive, supergroups start with -100."""
    if chat > 0:
        return "private"
    return "supergroup" if chat < -1_000_000_000_000 else "group"


def person(user: int) -> Json:
    first, last = PEOPLE[user % len(PEOPLE)]
    return {
        "id": user,
        "is_bot": False,
        "first_name": first,
        "last_name": last,
        "username": f"person_{user}",
        "language_code": "en",
    }


def chat_of(chat: int) -> Json:
    kind = kind_of(chat)
    if kind != "private":
        return {"id": chat, "type": kind, "title": TITLES[chat % len(TITLES)]}
    named = person(chat)
    return {"id": chat, "type": kind, **{key: named[key] for key in ("first_name", "last_name", "username")}}
