"""How the bot's messages come to be: what Discord checks, stores, announces and whom it pings."""

from typing import Any, cast

from tests.platforms.discord.mentions import Mentions, find_mentions
from tests.platforms.discord.shapes import EPHEMERAL, LOADING, SPOKEN_IN, THREADS, iso
from tests.platforms.discord.state import State
from tests.platforms.discord.wire import ApiError, Call, Json, Upload, invalid, too_long, units

LENGTH, FILES, FILE_SIZE, NONCE, NONCE_SECONDS = 2000, 10, 10 * 2**20, 25, 300
OWN_FLAGS = 1 << 2 | 1 << 6 | 1 << 12 | 1 << 15
"""The flags a bot may set: no embeds, ephemeral, silent, new components."""


def post(state: State, channel: str, params: Json, files: dict[str, Upload], **frame: Any) -> Json:
    """A new message of the bot; `frame` is what only the caller knows of it."""
    content = checked(params, files)
    reply = _reply(state, channel, params)
    mentions = _mentions(state, channel, content, params, reply)
    message = state.store(channel, state.me, content=content, **_dressing(params), **reply, **frame)
    message["attachments"] = _attach(state, params, files)
    mentions.put(state, message)
    if params.get("nonce") is not None:
        message["nonce"] = params["nonce"]
    state.announce("MESSAGE_CREATE", message)
    if not message["flags"] & EPHEMERAL:
        mentions.ring(state, message)
    return message


def rewrite(state: State, message: Json, params: Json, files: dict[str, Upload]) -> Json:
    """Changes a message of the bot as far as `params` say; pings nobody, unless it only now says something."""
    first = bool(message["flags"] & LOADING)
    kept = _kept(message, params)
    wanted = {"content": message["content"], "embeds": message["embeds"], "components": message["components"]}
    content = checked({**wanted, **params}, files, kept)
    mentions = _mentions(state, message["channel_id"], content, params, message)
    message.update({name: value for name, value in _dressing(params).items() if name in params and name != "flags"})
    message["content"] = content
    message["attachments"] = kept + _attach(state, params, files)
    message["flags"] &= ~LOADING
    message["edited_timestamp"] = None if first else iso(state.clock())
    mentions.put(state, message)
    state.announce("MESSAGE_UPDATE", message)
    if first and not message["flags"] & EPHEMERAL:
        mentions.ring(state, message)
    return message


def checked(params: Json, files: dict[str, Upload], kept: list[Json] | None = None) -> str:
    """The content of a sound message, trimmed; whatever Discord would refuse is refused."""
    content = params.get("content") or ""
    if not isinstance(content, str):
        raise invalid("content", "BASE_TYPE_STRING", "Must be a string.")
    if units(content) > LENGTH:
        raise too_long("content", LENGTH)
    if len(str(params.get("nonce") or "")) > NONCE:
        raise too_long("nonce", NONCE)
    if len(params.get("embeds") or []) > 10:
        raise too_long("embeds", 10)
    _check_files(files, len(kept or []))
    _check_components(cast(list[Json], params.get("components") or []))
    if not (content.strip() or files or kept or params.get("embeds") or params.get("components")):
        raise ApiError(400, 50006, "Cannot send an empty message")
    return content.strip()


def _check_files(files: dict[str, Upload], kept: int) -> None:
    if len(files) + kept > FILES:
        raise too_long("attachments", FILES)
    if any(len(file.data) > FILE_SIZE for file in files.values()):
        raise ApiError(413, 40005, "Request entity too large")


def _check_components(components: list[Json]) -> None:
    if len(components) > 5:
        raise invalid("components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    seen: set[str] = set()
    for row, found in enumerate(components):
        for column, button in enumerate(cast(list[Json], found.get("components") or [])):
            where = f"components.{row}.components.{column}.custom_id"
            name = str(button.get("custom_id", "-"))
            if len(name) > 100:
                raise too_long(where, 100)
            if name != "-" and name in seen:
                raise invalid(where, "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated")
            seen.add(name)


def demand_to_speak(state: State, channel: str, files: dict[str, Upload]) -> None:
    """Refuses what the bot may not say in `channel`, whatever it is."""
    place = state.place(channel)
    if place["type"] not in SPOKEN_IN:
        raise ApiError(400, 50008, "Cannot send messages in a non-text channel")
    if place["type"] == 1 and place["recipients"][0]["id"] in state.closed_to_us:
        raise ApiError(403, 50007, "Cannot send messages to this user")
    state.demand("send_in_threads" if place["type"] in THREADS else "send", channel)
    if files:
        state.demand("attach", channel)
    if place["type"] in THREADS:
        _wake(state, place)


def _wake(state: State, thread: Json) -> None:
    """A message opens an archived thread again, unless a moderator locked it."""
    metadata = thread["thread_metadata"]
    if metadata["archived"] and metadata["locked"]:
        raise ApiError(400, 50083, "Thread is archived")
    if metadata["archived"]:
        metadata["archived"] = False
        state.publish("THREAD_UPDATE", dict(thread))


def repeated(state: State, call: Call) -> Json | None:
    """The message that the same nonce made in the past few minutes, in whatever channel."""
    nonce = call.params.get("nonce")
    if nonce is None or not call.params.get("enforce_nonce"):
        return None
    at, message = state.nonces.get(str(nonce), (0.0, None))
    return message if message and at > state.clock() - NONCE_SECONDS else None


def _dressing(params: Json) -> Json:
    return {
        "tts": bool(params.get("tts")),
        "embeds": params.get("embeds") or [],
        "components": params.get("components") or [],
        "flags": (params.get("flags") or 0) & OWN_FLAGS,
    }


def _reply(state: State, channel: str, params: Json) -> Json:
    """What makes a message a reply; nothing when its target is gone and that is allowed."""
    asked = cast(Json, params.get("message_reference") or {})
    if not asked:
        return {}
    if str(asked.get("channel_id") or channel) != channel:
        raise invalid("message_reference", "REPLIES_CANNOT_REFERENCE_OTHER_CHANNEL", "Cannot reply across channels")
    if not state.may("read_history", channel):
        raise ApiError(400, 160002, "You cannot reply without permission to read message history")
    target = str(asked.get("message_id"))
    if target not in state.messages[channel]:
        if asked.get("fail_if_not_exists", True):
            raise invalid("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
        return {}
    reference: Json = {"type": 0, "channel_id": channel, "message_id": target}
    if guild := state.channels[channel].get("guild_id"):
        reference["guild_id"] = guild
    return {"type": 19, "message_reference": reference}


def _mentions(state: State, channel: str, content: str, params: Json, frame: Json) -> Mentions:
    reference = frame.get("message_reference")
    quoted = state.messages[channel].get(reference.get("message_id")) if reference else None
    author = quoted["author"]["id"] if quoted else None
    mentions = find_mentions(state, content, params.get("allowed_mentions"), author)
    if not state.may("mention_everyone", channel):
        mentions.crowd = []
    return mentions


def _kept(message: Json, params: Json) -> list[Json]:
    """The attachments an edit leaves: all of them, unless it lists some."""
    listed = cast(list[Json] | None, params.get("attachments"))
    if listed is None:
        return message["attachments"] if "attachments" not in params else []
    ids = {str(item.get("id")) for item in listed}
    return [attachment for attachment in message["attachments"] if attachment["id"] in ids]


def _attach(state: State, params: Json, files: dict[str, Upload]) -> list[Json]:
    named = {str(item.get("id")): item for item in cast(list[Json], params.get("attachments") or [])}
    made: list[Json] = []
    for index, file in files.items():
        told = named.get(index, {})
        shape = state.attach(told.get("filename") or file.name, file.data)
        made.append(shape | ({"description": told["description"]} if told.get("description") else {}))
    return made
