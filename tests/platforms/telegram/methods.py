"""The Bot API's methods, as Telegram answers them: one function each, listed in `METHODS`."""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

from tests.platforms.telegram.state import File, Json, State, chat_of, kind_of
from tests.platforms.telegram.text import Entity, tidy, units
from tests.platforms.telegram.updates import Updates, Webhook
from tests.platforms.telegram.wire import ApiError, Params, Upload, bad

TEXT_LIMIT, CAPTION_LIMIT = 4096, 1024
DOWNLOAD_LIMIT = 20 * 2**20
UPLOAD_LIMITS = {"photo": 10 * 2**20}
UPLOAD_LIMIT = 50 * 2**20
FILES = {
    "sendDocument": "document",
    "sendPhoto": "photo",
    "sendVoice": "voice",
    "sendAudio": "audio",
    "sendVideo": "video",
    "sendAnimation": "animation",
}
SUFFIXES = {
    "photo": (".png", ".jpg", ".jpeg", ".webp"),
    "voice": (".ogg", ".oga"),
    "audio": (".mp3", ".m4a"),
    "video": (".mp4",),
    "animation": (".gif", ".mp4"),
}
"""What this server takes for each kind; the real one looks into the file."""
SHAPES: dict[str, Json] = {
    "document": {},
    "photo": {"width": 640, "height": 480},
    "voice": {"duration": 3},
    "audio": {"duration": 3},
    "video": {"duration": 3, "width": 640, "height": 480},
    "animation": {"duration": 3, "width": 640, "height": 480},
}
ACTIONS = {
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "upload_document",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
}
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same "
    "as a current content and reply markup of the message"
)
REACTIONS = {"👍", "👎", "❤", "🔥", "🎉", "👀", "👌", "🤔"}
"""Some of those that Telegram knows."""
COMMAND = re.compile(r"[a-z0-9_]{1,32}")
SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")


async def get_me(state: State, updates: Updates, params: Params) -> Json:
    return state.me


async def get_updates(state: State, updates: Updates, params: Params) -> list[Json]:
    if "allowed_updates" in params:
        updates.allowed = params["allowed_updates"] or []
    limit = min(max(params.get("limit") or 100, 1), 100)
    return await updates.poll(params.get("offset") or 0, limit, params.get("timeout") or 0)


async def set_webhook(state: State, updates: Updates, params: Params) -> bool:
    secret = params.get("secret_token") or None
    if secret and not SECRET.fullmatch(secret):
        raise bad("secret token contains unallowed characters")
    if "allowed_updates" in params:
        updates.allowed = params["allowed_updates"] or []
    _drop_pending(updates, params)
    await updates.set_webhook(Webhook(url=params["url"], secret=secret) if params.get("url") else None)
    return True


async def delete_webhook(state: State, updates: Updates, params: Params) -> bool:
    await updates.set_webhook(None)
    _drop_pending(updates, params)
    return True


async def get_webhook_info(state: State, updates: Updates, params: Params) -> Json:
    return {
        "url": updates.webhook.url if updates.webhook else "",
        "has_custom_certificate": False,
        "pending_update_count": len(updates.pending),
        **updates.last_error,
    }


async def send_message(state: State, updates: Updates, params: Params) -> Json:
    text, entities = _text(params, "text", "entities")
    if not text:
        raise bad("message text is empty")
    if units(text) > TEXT_LIMIT:
        raise bad("message is too long")
    return _post(state, params, text=text, **({"entities": entities} if entities else {}))


async def edit_message_text(state: State, updates: Updates, params: Params) -> Json:
    state.reach(_chat(params))
    message = state.find(_chat(params), params.get("message_id") or 0, "message to edit not found")
    text, entities = _text(params, "text", "entities")
    if message["from"]["id"] != state.me["id"]:
        raise bad("message can't be edited")
    if not text:
        raise bad("message text is empty")
    if units(text) > TEXT_LIMIT:
        raise bad("MESSAGE_TOO_LONG")
    _replace(message, {"text": text, "entities": entities, "reply_markup": _keyboard(params)})
    message["edit_date"] = int(state.clock())
    state.changed.notify()
    return message


async def delete_message(state: State, updates: Updates, params: Params) -> bool:
    chat, message = _chat(params), params.get("message_id") or 0
    state.find(chat, message, "message to delete not found")
    del state.messages[chat][message]
    state.changed.notify()
    return True


async def send_message_draft(state: State, updates: Updates, params: Params) -> bool:
    if not state.knows_drafts:
        raise ApiError(404, "Not Found: method not found")
    chat = _chat(params)
    state.reach(chat)
    if kind_of(chat) != "private":
        raise bad("drafts can be shown in private chats only")
    if not params.get("draft_id"):
        raise bad("DRAFT_ID_INVALID")
    text, entities = _text(params, "text", "entities")
    if units(text) > TEXT_LIMIT:
        raise bad("message is too long")
    state.drafts.append({"chat": chat, "draft_id": params["draft_id"], "text": text, "entities": entities})
    state.changed.notify()
    return True


async def set_message_reaction(state: State, updates: Updates, params: Params) -> bool:
    chat, message = _chat(params), params.get("message_id") or 0
    state.reach(chat)
    state.find(chat, message, "message to react not found")
    emoji = [reaction["emoji"] for reaction in cast(list[Json], params.get("reaction") or [])]
    if not set(emoji) <= REACTIONS:
        raise bad("REACTION_INVALID")
    state.reactions[chat, message] = emoji
    state.changed.notify()
    return True


async def send_chat_action(state: State, updates: Updates, params: Params) -> bool:
    state.reach(_chat(params))
    if params.get("action") not in ACTIONS:
        raise bad("wrong parameter action in request")
    return True


async def set_my_commands(state: State, updates: Updates, params: Params) -> bool:
    commands = cast(list[Json], params.get("commands") or [])
    for command in commands:
        if not COMMAND.fullmatch(command["command"]):
            raise bad("BOT_COMMAND_INVALID")
        if not 1 <= len(command["description"]) <= 256:
            raise bad("BOT_COMMAND_DESCRIPTION_INVALID")
    state.commands = commands
    return True


async def answer_callback_query(state: State, updates: Updates, params: Params) -> bool:
    if params.get("callback_query_id") not in state.presses:
        raise bad("query is too old and response timeout expired or query ID is invalid")
    return True


async def get_file(state: State, updates: Updates, params: Params) -> Json:
    file = state.files.get(str(params.get("file_id")))
    if file is None:
        raise bad("invalid file_id")
    if file.size > DOWNLOAD_LIMIT:
        raise bad("file is too big")
    return {**file.reference(), "file_path": file.path}


def _drop_pending(updates: Updates, params: Params) -> None:
    if str(params.get("drop_pending_updates")).lower() == "true":
        updates.pending.clear()


def _chat(params: Params) -> int:
    chat = params.get("chat_id")
    if chat in (None, ""):
        raise bad("chat_id is empty")
    if not isinstance(chat, int) or chat == 0:
        raise bad("chat not found")
    return chat


def _text(params: Params, name: str, entities: str) -> tuple[str, list[Entity]]:
    if params.get("parse_mode"):
        raise bad("this server reads entities, not parse_mode")
    return tidy(str(params.get(name) or ""), params.get(entities) or [])


def _caption(params: Params) -> Json:
    caption, entities = _text(params, "caption", "caption_entities")
    if units(caption) > CAPTION_LIMIT:
        raise bad("message caption is too long")
    content: Json = {"caption": caption, "caption_entities": entities}
    return {name: value for name, value in content.items() if value}


def _post(state: State, params: Params, **content: Any) -> Json:
    """A message of the bot, in the thread and as the reply that were asked for."""
    chat = _chat(params)
    state.reach(chat)
    frame: Json = {**_thread(chat, params), **_reply(state, chat, params)}
    if keyboard := _keyboard(params):
        frame["reply_markup"] = keyboard
    return state.store(chat_of(chat), state.me, **frame, **content)


def _thread(chat: int, params: Params) -> Json:
    thread = params.get("message_thread_id")
    if not thread:
        return {}
    if kind_of(chat) != "supergroup":
        raise bad("message thread not found")
    return {"message_thread_id": thread, "is_topic_message": True}


def _reply(state: State, chat: int, params: Params) -> Json:
    asked = cast(Json, params.get("reply_parameters") or {})
    if not asked:
        return {}
    found = state.messages[chat].get(asked["message_id"])
    if found:
        return {"reply_to_message": state.quote(found)}
    if asked.get("allow_sending_without_reply"):
        return {}
    raise bad("message to be replied not found")


def _keyboard(params: Params) -> Json | None:
    """The inline keyboard; other markup is accepted, but is no part of a message."""
    markup = cast(Json, params.get("reply_markup") or {})
    rows = cast(list[list[Json]], markup.get("inline_keyboard") or [])
    for button in (button for row in rows for button in row):
        if not 0 < len(button.get("callback_data", "-").encode()) <= 64:
            raise bad("BUTTON_DATA_INVALID")
    return {"inline_keyboard": rows} if rows else None


def _replace(message: Json, content: Json) -> None:
    """Puts `content` in place of what `message` says; refuses when that changes nothing."""
    if all((message.get(name) or None) == (value or None) for name, value in content.items()):
        raise bad(NOT_MODIFIED)
    for name, value in content.items():
        message.pop(name, None)
        if value:
            message[name] = value


async def _send_file(kind: str, state: State, updates: Updates, params: Params) -> Json:
    file = _file(state, params, kind)
    if kind != "document" and not file.name.endswith(SUFFIXES[kind]):
        raise bad(f"wrong type of the {kind}: {file.name}")
    reference: Any = {**file.reference(), **SHAPES[kind]}
    if kind in ("document", "audio", "video", "animation"):
        reference["file_name"] = file.name
    return _post(state, params, **{kind: [reference] if kind == "photo" else reference}, **_caption(params))


def _file(state: State, params: Params, name: str) -> File:
    """The file of a call: uploaded under its name, attached under another, or known by its id."""
    value = params.get(name)
    if isinstance(value, str) and value.startswith("attach://"):
        value = params.get(value.removeprefix("attach://"))
    if isinstance(value, str) and value in state.files:
        return state.files[value]
    if not isinstance(value, Upload):
        raise bad("wrong file identifier/HTTP URL specified")
    if not value.data:
        raise bad("file must be non-empty")
    if len(value.data) > UPLOAD_LIMITS.get(name, UPLOAD_LIMIT):
        raise ApiError(413, "Request Entity Too Large")
    return state.add_file(value.name, value.data)


Method = Callable[[State, Updates, Params], Awaitable[Any]]
METHODS: dict[str, Method] = {
    "getMe": get_me,
    "getUpdates": get_updates,
    "setWebhook": set_webhook,
    "deleteWebhook": delete_webhook,
    "getWebhookInfo": get_webhook_info,
    "sendMessage": send_message,
    "editMessageText": edit_message_text,
    "deleteMessage": delete_message,
    "sendMessageDraft": send_message_draft,
    "setMessageReaction": set_message_reaction,
    **{name: partial(_send_file, kind) for name, kind in FILES.items()},
    "sendChatAction": send_chat_action,
    "setMyCommands": set_my_commands,
    "answerCallbackQuery": answer_callback_query,
    "getFile": get_file,
}
PACED = {"sendMessage", "editMessageText", *FILES}
"""The methods that count against the rate limits."""
