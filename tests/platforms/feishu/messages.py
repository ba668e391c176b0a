"""The messaging calls (im/v1): one function each."""

import json
import re
from typing import Any, cast

from tests.platforms.feishu.cards import CARD_LIMIT, KILOBYTE, check_card, read_card, shared
from tests.platforms.feishu.files import FILE_TYPES
from tests.platforms.feishu.state import DAY, HOUR, TENANT, Chat, Message, State
from tests.platforms.feishu.wire import Call, Json, bad, bad_card, parsed, refusal

SIZES = {"text": 150 * KILOBYTE, "post": CARD_LIMIT, "interactive": CARD_LIMIT}
EDITS = 20
UUID_LIMIT = 50
KEYS = {
    "image": ("image_key", {"image"}),
    "file": ("file_key", FILE_TYPES),
    "audio": ("file_key", {"opus"}),
    "media": ("file_key", {"mp4"}),
    "sticker": ("file_key", {"sticker"}),
}
"""The kinds of message that hold a file: under which name, and of which types."""
KINDS = {"text", "post", "interactive", *KEYS}
EMOJI = re.compile(r"[A-Za-z0-9_]{1,40}")
AT = re.compile(r'<at user_id="([^"]+)">[^<]*</at>')


async def create(state: State, call: Call) -> Json:
    """Sends to a chat or, with receive_id_type=open_id, to a person."""
    kind, target = call.text("receive_id_type"), call.text("receive_id")
    if kind not in ("chat_id", "open_id"):
        raise refusal(99992402, "this server knows receive_id_type chat_id and open_id")
    if not target.startswith("oc_" if kind == "chat_id" else "ou_"):
        raise bad("invalid receive_id")
    chat = state.enter(target if kind == "chat_id" else state.private(target).id)
    return state.item(_repeated(state, call) or _send(state, call, chat))


async def reply(state: State, call: Call) -> Json:
    """Answers a message below it or, with reply_in_thread, in its thread."""
    to = state.find(call.params["message_id"])
    chat = state.enter(to.chat)
    if call.params.get("reply_in_thread") and not to.thread:
        to.thread = state.new_id("omt_")
    links: Json = {"parent": to.id, "root": to.root or to.id, "thread": to.thread}
    return state.item(_repeated(state, call) or _send(state, call, chat, **links))


async def update(state: State, call: Call) -> Json:
    """Edits a text or a rich text of the bot."""
    message = _own(state, call, 230071)
    kind = call.text("msg_type")
    if message.kind not in ("text", "post") or kind not in ("text", "post"):
        raise refusal(230054)
    if message.edits >= EDITS:
        raise refusal(230072)
    content = _content(state, call, kind)
    message.kind, message.content = kind, json.dumps(content, ensure_ascii=False)
    return state.item(_edited(state, message))


async def patch(state: State, call: Call) -> Json:
    """Replaces a card of the bot; both cards have to be shared ones."""
    message = _own(state, call, 230012)
    if message.kind != "interactive":
        raise refusal(230054)
    if state.clock() - message.at > 14 * DAY:
        raise refusal(230031)
    card = _content(state, call, "interactive")
    if not shared(card) or not shared(state.shown(message)):
        raise bad_card(200220, "update_multi has to be true before and after")  # mem: the rule is documented
    message.content = json.dumps(card, ensure_ascii=False)
    _edited(state, message)
    return {}


async def delete(state: State, call: Call) -> Json:
    """Recalls a message of the bot."""
    message = state.messages.get(call.params["message_id"])
    if message and message.deleted:
        raise refusal(230110)
    message = _own(state, call, 230026)
    message.deleted = True
    state.changed.notify()
    return {}


async def get(state: State, call: Call) -> Json:
    """One message; a recalled one says so."""
    message = state.messages.get(call.params["message_id"])
    if message is None:
        raise refusal(99992354)
    state.enter(message.chat)
    return {"items": [state.item(message)]}


async def listed(state: State, call: Call) -> Json:
    """The messages of a chat or of a thread, page by page."""
    container, kind = call.text("container_id"), call.text("container_id_type")
    if kind not in ("chat", "thread"):
        raise refusal(99992402, "container_id_type is chat or thread")
    if kind == "chat":
        state.enter(container)
    found = [m for m in state.messages.values() if container == (m.chat if kind == "chat" else m.thread)]
    ordered = _between(found, call)
    start, size = int(call.params.get("page_token") or 0), min(int(call.params.get("page_size") or 20), 50)
    more = start + size < len(ordered)
    items = [state.item(message) for message in ordered[start : start + size]]
    return {"items": items, "has_more": more, "page_token": str(start + size) if more else ""}


async def add_reaction(state: State, call: Call) -> Json:
    """The bot reacts; doing so twice changes nothing."""
    message = _reacted(state, call)
    emoji = cast(Json, call.params.get("reaction_type") or {}).get("emoji_type")
    if not isinstance(emoji, str) or not EMOJI.fullmatch(emoji):
        raise refusal(231001)
    for known in message.reactions.values():
        if known["reaction_type"]["emoji_type"] == emoji and known["operator"]["operator_type"] == "app":
            return known
    return react(state, message, emoji, state.app_id, "app")


async def delete_reaction(state: State, call: Call) -> Json:
    """Takes a reaction of the bot away."""
    message = _reacted(state, call)
    found = message.reactions.get(call.params["reaction_id"])
    if found is None or found["operator"]["operator_type"] != "app":
        raise refusal(231007)
    state.changed.notify()
    return message.reactions.pop(found["reaction_id"])


async def get_chat(state: State, call: Call) -> Json:
    """What a chat is called and of which kind it is."""
    chat = state.chats.get(call.params["chat_id"])
    if chat is None or chat.barred == 230002:
        raise refusal(232011)
    if chat.barred == 232009:
        raise refusal(232009)
    return {"name": chat.name, "chat_mode": chat.kind, "chat_type": "private", "tenant_key": TENANT, "external": False}


def react(state: State, message: Message, emoji: str, operator: str, kind: str) -> Json:
    """Puts a reaction under `message`."""
    reaction: Json = {
        "reaction_id": state.new_id("rct_"),
        "operator": {"operator_id": operator, "operator_type": kind},
        "action_time": state.millis(),
        "reaction_type": {"emoji_type": emoji},
    }
    message.reactions[reaction["reaction_id"]] = reaction
    state.changed.notify()
    return reaction


def _reacted(state: State, call: Call) -> Message:
    message = state.messages.get(call.params["message_id"])
    if message is None or message.deleted:
        raise refusal(231003)
    state.enter(message.chat)
    return message


def _own(state: State, call: Call, otherwise: int) -> Message:
    """The bot's message that a call names; one of somebody else is refused with that code."""
    message = state.find(call.params["message_id"])
    state.enter(message.chat)
    if not message.by_bot:
        raise refusal(otherwise)
    return message


def _repeated(state: State, call: Call) -> Message | None:
    """The message that was sent with the same uuid within the last hour."""
    uuid = str(call.params.get("uuid") or "")
    if len(uuid) > UUID_LIMIT:
        raise refusal(99992402, "the max length of uuid is 50")
    known = state.uuids.get(uuid) if uuid else None
    return known if known and state.clock() - known.at < HOUR else None


def _send(state: State, call: Call, chat: Chat, **links: Any) -> Message:
    kind = call.text("msg_type")
    content = _content(state, call, kind)
    message = Message(
        id=state.new_id("om_"),
        chat=chat.id,
        sender=state.app_id,
        by_bot=True,
        kind=kind,
        content=json.dumps(content, ensure_ascii=False),
        at=state.clock(),
        mentions=_mentions(content),
        **links,
    )
    if card := state.card_of(message):
        card.message = message.id
    if call.params.get("uuid"):
        state.uuids[str(call.params["uuid"])] = message
    return state.store(message)


def _content(state: State, call: Call, kind: str) -> Json:
    """The content of a message to send, checked as far as its kind asks for."""
    if kind not in KINDS:
        raise bad("this message type is not supported")
    if call.size > SIZES.get(kind, 150 * KILOBYTE):
        raise refusal(230025)
    content = parsed(call.text("content"))
    if content is None:
        raise bad("content is not a string in json format")
    _check(state, kind, content)
    return content


def _check(state: State, kind: str, content: Json) -> None:
    match kind:
        case "text":
            if not str(content.get("text") or "").strip():
                raise bad("text content is empty")
        case "post":
            _check_post(content)
        case "interactive":
            _check_interactive(state, content)
        case _:
            _check_key(state, kind, content)


def _check_post(content: Json) -> None:
    posts: list[Any] = [content] if "content" in content else list(content.values())
    for post in posts:
        if not isinstance(post, dict) or not isinstance(cast(Json, post).get("content"), list):
            raise bad("invalid message content, post has no content")
    if not posts:
        raise bad("invalid message content, post is empty")


def _check_interactive(state: State, content: Json) -> None:
    if content.get("type") != "card":
        check_card(read_card(json.dumps(content)))
        return
    card = state.cards.get(str(cast(Json, content.get("data") or {}).get("card_id")))
    if card is None:
        raise bad_card(200740, "card id does not exist")
    if card.message:
        raise bad_card(200740, "the card entity was sent before")  # mem: the rule is documented, the code is not


def _check_key(state: State, kind: str, content: Json) -> None:
    name, fitting = KEYS[kind]
    file = state.files.get(str(content.get(name)))
    if file is None:
        raise bad(f"invalid {name}")
    if file.kind not in fitting:
        raise refusal(230055)


def _mentions(content: Json) -> list[Json]:
    people = AT.findall(str(content.get("text") or ""))
    return [{"key": f"@_user_{n}", "id": user, "id_type": "open_id"} for n, user in enumerate(people, 1)]


def _edited(state: State, message: Message) -> Message:
    message.edits += 1
    message.edited_at = state.clock()
    state.changed.notify()
    return message


def _between(found: list[Message], call: Call) -> list[Message]:
    since, until = float(call.params.get("start_time") or 0), float(call.params.get("end_time") or "inf")
    chosen = [message for message in found if since <= message.at <= until]
    return chosen[::-1] if call.params.get("sort_type") == "ByCreateTimeDesc" else chosen
