"""The user side: what people do in Telegram, as the updates that tell the bot."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from tests.platforms.telegram.state import (
    GROUP,
    PRIVATE,
    SUPERGROUP,
    ChatKind,
    Json,
    State,
    chat_of,
    kind_of,
    person,
)
from tests.platforms.telegram.text import find_entities
from tests.platforms.telegram.updates import Updates

CHATS: dict[ChatKind, int] = {"private": PRIVATE, "group": GROUP, "supergroup": SUPERGROUP}

MEDIA: dict[str, Json] = {
    "document": {},
    "voice": {"duration": 3},
    "audio": {"duration": 3},
    "video": {"duration": 3, "width": 640, "height": 480},
    "video_note": {"duration": 3, "length": 240},
    "animation": {"duration": 3, "width": 640, "height": 480},
}
NAMED = {"document", "audio", "video", "animation"}


class Users:
    """People who write. Without a chat they write in the usual one of that kind; without a user it is one and the same
    person (in a private chat, its owner). A chat's id tells its kind.
    """

    def __init__(self, state: State, updates: Updates) -> None:
        self.state = state
        self.updates = updates

    def say(
        self,
        text: str | None = None,
        chat: int | None = None,
        user: int | None = None,
        kind: ChatKind | None = None,
        *,
        mention: bool = False,
        thread: int | None = None,
        reply_to: int | Json | None = None,
        **content: Any,
    ) -> Json:
        """Someone writes; returns the message. `mention` puts the bot's @name in front; `content` is sent as it is."""
        where = _chat(chat, kind)
        sender = person(user or (where if where > 0 else PRIVATE))
        frame = {**self._thread(thread), **self._reply(where, reply_to)}
        message = self.state.store(_place(where, thread), sender, **frame, **self._words(text, mention), **content)
        if where > 0 or self.state.me["can_read_all_group_messages"] or self._is_for_bot(message):
            self.updates.push({"message": deepcopy(message)})
        return deepcopy(message)

    def say_file(
        self, data: bytes, name: str = "notes.txt", *, caption: str | None = None, size: int | None = None, **where: Any
    ) -> Json:
        """Someone sends a document; `size` is the size Telegram claims it has, `where` is as for `say`."""
        return self.say_media("document", data, name, size=size, caption=caption, **where)

    def say_media(
        self,
        media: str,
        data: bytes,
        name: str,
        *,
        mime_type: str | None = None,
        caption: str | None = None,
        size: int | None = None,
        **where: Any,
    ) -> Json:
        """Someone sends a document, voice, audio, video, video_note or animation."""
        content = {**self.state.add_file(name, data, size).reference(), **MEDIA[media]}
        content |= {"file_name": name} if media in NAMED else {}
        content |= {"mime_type": mime_type} if mime_type else {}
        also = {"document": content} if media == "animation" else {}
        return self.say(**{media: content}, **also, **_caption(caption), **where)

    def say_album(self, photos: Sequence[bytes], *, caption: str | None = None, **where: Any) -> list[Json]:
        """Someone sends photos as an album: one message for each, the caption at the first."""
        group = f"album{len(self.state.files)}"
        captions = [caption, *[None] * len(photos)]
        return [
            self.say_photo(data, caption=text, media_group_id=group, **where)
            for data, text in zip(photos, captions, strict=False)
        ]

    def say_photo(self, data: bytes, *, caption: str | None = None, **where: Any) -> Json:
        """Someone sends a photo, which Telegram offers in two sizes."""
        small, large = (self.state.add_file(f"photo_{edge}.jpg", data).reference() for edge in (90, 1280))
        sizes = [{**small, "width": 90, "height": 67}, {**large, "width": 1280, "height": 960}]
        return self.say(photo=sizes, **_caption(caption), **where)

    def edit(self, message: Json, text: str) -> Json:
        """Someone rewrites their message."""
        stored = self.state.messages[message["chat"]["id"]][message["message_id"]]
        stored.update(self._words(text, False), edit_date=int(self.state.clock()))
        self.updates.push({"edited_message": deepcopy(stored)})
        return deepcopy(stored)

    def press(self, message: Json, data: str, user: int = PRIVATE) -> str:
        """Someone presses a button under `message`; returns the id of the query that the bot has to answer."""
        query = f"press{len(self.state.presses) + 1}"
        self.state.presses.add(query)
        pressed = {"id": query, "from": person(user), "message": message, "chat_instance": "1", "data": data}
        self.updates.push({"callback_query": pressed})
        return query

    def block(self, chat: int = PRIVATE) -> None:
        """The person blocks the bot, or the group removes it."""
        self.state.blocked.add(chat)
        self._member(chat, "member", "kicked")

    def unblock(self, chat: int = PRIVATE) -> None:
        """The bot may write again."""
        self.state.blocked.discard(chat)
        self._member(chat, "kicked", "member")

    def migrate(self, chat: int = GROUP, to: int = SUPERGROUP) -> None:
        """A group becomes a supergroup: a notice in the old one and one in the new one."""
        self.state.moved[chat] = to
        for place, notice in ((chat, {"migrate_to_chat_id": to}), (to, {"migrate_from_chat_id": chat})):
            message = self.state.store(chat_of(place), person(PRIVATE), **notice)
            self.updates.push({"message": deepcopy(message)})

    def stop_draft(self, chat: int = PRIVATE) -> None:
        """The person presses the stop button of the draft that is shown."""
        draft = next(draft for draft in reversed(self.state.drafts) if draft["chat"] == chat)
        self.updates.push({"stopped_message_generation": {"chat": chat_of(chat), "draft_id": draft["draft_id"]}})

    def _member(self, chat: int, before: str, after: str) -> None:
        """How the bot stands in a chat changes."""
        left = {"until_date": 0}
        members = [
            {"user": self.state.me, "status": status, **(left if status == "kicked" else {})}
            for status in (before, after)
        ]
        change = {"chat": chat_of(chat), "from": person(PRIVATE), "date": int(self.state.clock())}
        self.updates.push({"my_chat_member": {**change, "old_chat_member": members[0], "new_chat_member": members[1]}})

    def _is_for_bot(self, message: Json) -> bool:
        """What a bot with privacy mode sees of a group: commands, its name, and answers to it."""
        text = str(message.get("text") or message.get("caption") or "")
        answered = message.get("reply_to_message", {}).get("from", {}).get("id")
        named = f"@{self.state.me['username']}".casefold() in text.casefold()
        return text.startswith("/") or named or answered == self.state.me["id"]

    def push_raw(self, update: Json) -> Json:
        """An update exactly as given, however broken (an id is added unless it has one)."""
        return self.updates.push_raw(update)

    def _words(self, text: str | None, mention: bool) -> Json:
        if text is None:
            return {}
        said = f"@{self.state.me['username']} {text}" if mention else text
        entities = find_entities(said)
        return {"text": said, **({"entities": entities} if entities else {})}

    def _reply(self, chat: int, reply_to: int | Json | None) -> Json:
        if reply_to is None:
            return {}
        number = reply_to if isinstance(reply_to, int) else reply_to["message_id"]
        return {"reply_to_message": self.state.quote(self.state.messages[chat][number])}

    def _thread(self, thread: int | None) -> Json:
        return {} if thread is None else {"message_thread_id": thread, "is_topic_message": True}


def _chat(chat: int | None, kind: ChatKind | None) -> int:
    where = CHATS[kind or "private"] if chat is None else chat
    if kind and kind_of(where) != kind:
        raise ValueError(f"chat {where} is a {kind_of(where)} chat by its id, not a {kind} one (try {CHATS[kind]})")
    return where


def _place(chat: int, thread: int | None) -> Json:
    return {**chat_of(chat), **({} if thread is None else {"is_forum": True})}


def _caption(caption: str | None) -> Json:
    if caption is None:
        return {}
    entities = find_entities(caption)
    return {"caption": caption, **({"caption_entities": entities} if entities else {})}
