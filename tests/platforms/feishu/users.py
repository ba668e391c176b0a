"""The user side: what people do in Feishu, as the events that tell the bot."""

import json
from collections.abc import Sequence
from typing import Any

from tests.platforms.feishu.cards import can_press
from tests.platforms.feishu.files import keep
from tests.platforms.feishu.messages import react
from tests.platforms.feishu.pushes import CALLBACK, Push, Pushes
from tests.platforms.feishu.state import ANNA, GROUP, P2P, TENANT, Chat, ChatKind, Message, State, name_of, person
from tests.platforms.feishu.wire import Json

EVERYONE = {"key": "@_all", "id": {"open_id": "", "union_id": "", "user_id": "all"}, "name": "所有人"}
Which = str | Json
"""A message, or its id."""


class Users:
    """People who write. Without a chat they write in the usual one of that kind; without a user it is the one whose
    p2p chat it is, else Anna. `sees_all` says whether the bot may read what does not mention it in groups.
    """

    def __init__(self, state: State, pushes: Pushes) -> None:
        self.state = state
        self.events = pushes
        self.sees_all = True
        pushes.on_answer = self._answered

    def say(
        self,
        text: str,
        chat: str | None = None,
        user: str | None = None,
        kind: ChatKind = "p2p",
        *,
        mention: bool = False,
        mention_all: bool = False,
        mention_users: Sequence[str] = (),
        **where: Any,
    ) -> Json:
        """Someone writes; returns the message as the event carries it. `mention` puts an @ of the bot in front;
        `where` is `thread`, `root` and `parent`, as for `say_content`.
        """
        people = [self.state.bot["open_id"]] * mention + list(mention_users)
        mentions = [self._mention(number, someone) for number, someone in enumerate(people, 1)]
        mentions += [EVERYONE] * mention_all
        said = " ".join([*(mention["key"] for mention in mentions), text])
        return self.say_content("text", {"text": said}, chat, user, kind, mentions=mentions, **where)

    def say_content(
        self,
        message_type: str,
        content: Json,
        chat: str | None = None,
        user: str | None = None,
        kind: ChatKind = "p2p",
        *,
        mentions: Sequence[Json] = (),
        thread: str | None = None,
        root: Which | None = None,
        parent: Which | None = None,
    ) -> Json:
        """Someone sends a message of any type; in a reply (`parent`) its root and thread follow from that."""
        place = self._chat(chat, user, kind)
        sender = user or place.user or ANNA
        message = self.state.store(
            Message(
                id=self.state.new_id("om_"),
                chat=place.id,
                sender=sender,
                by_bot=False,
                kind=message_type,
                content=json.dumps(content, ensure_ascii=False),
                at=self.state.clock(),
                mentions=[*mentions],
                **self._links(thread, root, parent),
            )
        )
        told = self._event(message, place)
        if place.kind == "p2p" or self.sees_all or self._named(message):
            self._tell("im.message.receive_v1", {"sender": _sender(sender), "message": told})
        return told

    def say_image(self, data: bytes, **where: Any) -> Json:
        """Someone sends a picture; `where` is as for `say_content`."""
        return self.say_content(
            "image", {"image_key": keep(self.state, "img_v3_", "image.png", data, "image").key}, **where
        )

    def say_file(self, data: bytes, name: str = "notes.txt", **where: Any) -> Json:
        """Someone sends a document."""
        key = keep(self.state, "file_v3_", name, data, "stream").key
        return self.say_content("file", {"file_key": key, "file_name": name}, **where)

    def say_audio(self, data: bytes, duration: int = 2000, **where: Any) -> Json:
        """Someone speaks, for that many milliseconds."""
        key = keep(self.state, "file_v3_", "voice.opus", data, "opus").key
        return self.say_content("audio", {"file_key": key, "duration": duration}, **where)

    def say_sticker(self, **where: Any) -> Json:
        return self.say_content(
            "sticker", {"file_key": keep(self.state, "file_v3_", "s", b"s", "sticker").key}, **where
        )

    def say_post(self, lines: Sequence[Sequence[Json]], title: str = "", **where: Any) -> Json:
        """Someone sends rich text: lines of runs, such as `{"tag": "text", "text": "hi"}`."""
        return self.say_content("post", {"title": title, "content": [[*line] for line in lines]}, **where)

    def say_location(
        self, name: str = "天安门", longitude: str = "116.397", latitude: str = "39.908", **where: Any
    ) -> Json:
        return self.say_content("location", {"name": name, "longitude": longitude, "latitude": latitude}, **where)

    def press(self, message: Which, value: Json, user: str = ANNA) -> str:
        """Someone presses the button that sends `value`, on a card that stands; returns the id of the callback, for
        `wait_push`. A card in the answer replaces the one pressed, unless that is still streaming.
        """
        pressed = self.state.find(_id(message))
        if not can_press(self.state.shown(pressed), value):
            raise ValueError(f"no button of that card sends {value}")
        return self._tell(
            CALLBACK,
            {
                "operator": {**person(user), "tenant_key": TENANT},
                "token": self.state.new_id("c-"),
                "action": {"value": value, "tag": "button", "timezone": "Europe/Berlin"},
                "host": "im_message",
                "context": {"open_message_id": pressed.id, "open_chat_id": pressed.chat},
            },
        )

    def recall(self, message: Which) -> str:
        """Someone takes their message back; returns the event's id."""
        recalled = self.state.find(_id(message))
        recalled.deleted = True
        event = {"message_id": recalled.id, "chat_id": recalled.chat, "recall_time": self.state.millis()}
        return self._tell("im.message.recalled_v1", {**event, "recall_type": "message_owner"})

    def react(self, message: Which, emoji: str = "THUMBSUP", user: str = ANNA) -> str:
        """Someone reacts; returns the event's id."""
        reacted = self.state.find(_id(message))
        reaction = react(self.state, reacted, emoji, user, "user")
        event = {"message_id": reacted.id, "reaction_type": reaction["reaction_type"], "operator_type": "user"}
        return self._tell(
            "im.message.reaction.created_v1", {**event, "user_id": person(user), "action_time": reaction["action_time"]}
        )

    # What becomes of chats

    def remove_bot(self, chat: str = GROUP) -> str:
        """Someone throws the bot out."""
        return self._bar(chat, 230002, "im.chat.member.bot.deleted_v1")

    def dissolve(self, chat: str = GROUP) -> str:
        """The owner ends the group."""
        return self._bar(chat, 232009, "im.chat.disbanded_v1")

    def add_bot(self, chat: str = GROUP) -> str:
        """Someone takes the bot in (again)."""
        place = self.state.chats.get(chat) or self.state.open(chat, "group")
        place.barred = None
        return self._tell("im.chat.member.bot.added_v1", self._about(place))

    def block(self, chat: str = P2P, code: int = 230035) -> None:
        """Someone blocks the bot (230035), or the app is taken from them (230013); nobody tells the bot."""
        self.state.chats[chat].barred = code

    # Events as such

    def push_event(self, kind: str, event: Json, event_id: str | None = None) -> str:
        """An event of any type; with the id of an earlier one it is that one, sent again."""
        return self._tell(kind, event, event_id)

    def _tell(self, kind: str, event: Json, event_id: str | None = None) -> str:
        return self.events.push(self.events.envelope(kind, event, event_id))

    def _bar(self, chat: str, code: int, kind: str) -> str:
        place = self.state.chats[chat]
        place.barred = code
        return self._tell(kind, self._about(place))

    def _about(self, chat: Chat) -> Json:
        operator = {"operator_id": person(ANNA), "operator_tenant_key": TENANT}
        return {"chat_id": chat.id, "name": chat.name, "external": False, **operator}

    def _answered(self, event: Json, push: Push) -> None:
        """Does what the answer to a callback asks for."""
        card = (push.answer or {}).get("card") if push.kind == CALLBACK and push.status == 200 else None
        pressed = self.state.messages.get(event["event"]["context"]["open_message_id"]) if card else None
        if not card or card.get("type") != "raw" or pressed is None:
            return
        entity = self.state.card_of(pressed)
        if entity is None:
            pressed.content = json.dumps(card["data"], ensure_ascii=False)
        elif entity.opened is None:
            entity.json = card["data"]
        self.state.changed.notify()

    def _chat(self, chat: str | None, user: str | None, kind: ChatKind) -> Chat:
        if chat is None:
            return self.state.chats[GROUP] if kind == "group" else self.state.private(user or ANNA)
        return self.state.chats.get(chat) or self.state.open(chat, kind, (user or ANNA) if kind == "p2p" else None)

    def _links(self, thread: str | None, root: Which | None, parent: Which | None) -> Json:
        above = self.state.messages.get(_id(parent)) if parent else None
        top = _id(root) if root else above and (above.root or above.id)
        return {"thread": thread or (above and above.thread), "root": top, "parent": above and above.id}

    def _named(self, message: Message) -> bool:
        return any(mention["id"]["open_id"] == self.state.bot["open_id"] for mention in message.mentions)

    def _mention(self, number: int, user: str) -> Json:
        bot = user == self.state.bot["open_id"]
        name = self.state.bot["app_name"] if bot else name_of(user)
        return {
            "key": f"@_user_{number}",
            "id": person(user),
            "mentioned_type": "bot" if bot else "user",
            "name": name,
            "tenant_key": TENANT,
        }

    def _event(self, message: Message, chat: Chat) -> Json:
        links = {"root_id": message.root, "parent_id": message.parent, "thread_id": message.thread}
        return {
            "message_id": message.id,
            "create_time": str(int(message.at * 1000)),
            "update_time": str(int(message.at * 1000)),
            "chat_id": chat.id,
            "chat_type": chat.kind,
            "message_type": message.kind,
            "content": message.content,
            **({"mentions": message.mentions} if message.mentions else {}),
            **{name: value for name, value in links.items() if value},
        }


def _sender(user: str) -> Json:
    return {"sender_id": person(user), "sender_type": "user", "tenant_key": TENANT}


def _id(message: Which) -> str:
    return message if isinstance(message, str) else str(message["message_id"])
