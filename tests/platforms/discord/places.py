"""The REST API of users, channels and threads: one function a method."""

from copy import deepcopy

from tests.platforms.discord.posting import checked, post
from tests.platforms.discord.shapes import (
    BOT,
    FORUM_CHANNEL,
    HAS_THREAD,
    NEWS_CHANNEL,
    OWNER,
    PRIVATE_THREAD,
    PUBLIC_THREAD,
    TEXT_CHANNEL,
    THREAD_MADE,
    THREAD_START,
    THREADS,
)
from tests.platforms.discord.state import State
from tests.platforms.discord.wire import Answer, ApiError, Call, Json, invalid

WRONG_KIND = "Cannot execute action on this channel type"


def get_me(state: State, call: Call) -> Json:
    return dict(state.me)


def get_application(state: State, call: Call) -> Json:
    return {
        "id": BOT,
        "name": state.me["username"],
        "icon": None,
        "description": "",
        "summary": "",
        "bot_public": True,
        "bot_require_code_grant": False,
        "verify_key": "00" * 32,
        "flags": 1 << 19,
        "owner": {**state.user(OWNER)},
    }


def get_user(state: State, call: Call) -> Json:
    if call.path["user"] not in state.users:
        raise ApiError(404, 10013, "Unknown User")
    return dict(state.users[call.path["user"]])


def create_dm(state: State, call: Call) -> Json:
    user = str(call.params.get("recipient_id"))
    if user not in state.users:
        raise invalid("recipient_id", "UNKNOWN_USER", "Unknown User")
    return deepcopy(state.dm_channel(user))


def get_channel(state: State, call: Call) -> Json:
    return deepcopy(state.place(call.path["channel"]))


def get_guild(state: State, call: Call) -> Json:
    return deepcopy(state.guilds[_guild(state, call)])


def get_guild_channels(state: State, call: Call) -> list[Json]:
    guild = _guild(state, call)
    return [deepcopy(here) for here in state.channels.values() if _is_in(here, guild) and here["type"] not in THREADS]


def get_active_threads(state: State, call: Call) -> Json:
    guild = _guild(state, call)
    threads = [here for here in state.channels.values() if _is_in(here, guild) and here["type"] in THREADS]
    active = [deepcopy(thread) for thread in threads if not thread["thread_metadata"]["archived"]]
    return {"threads": active, "members": []}


def get_member(state: State, call: Call) -> Json:
    _guild(state, call)
    return {"user": get_user(state, call), **state.member(call.path["user"])}


def edit_thread(state: State, call: Call) -> Json:
    thread = state.place(call.path["channel"])
    if thread["type"] not in THREADS:
        raise ApiError(400, 50024, WRONG_KIND)
    if "name" in call.params:
        thread["name"] = _name(call.params)
    metadata = thread["thread_metadata"]
    metadata.update({name: bool(call.params[name]) for name in ("archived", "locked") if name in call.params})
    state.publish("THREAD_UPDATE", deepcopy(thread))
    return deepcopy(thread)


def join_thread(state: State, call: Call) -> None:
    if state.place(call.path["channel"])["type"] not in THREADS:
        raise ApiError(400, 50024, WRONG_KIND)


def start_thread_from_message(state: State, call: Call) -> Answer:
    channel = state.place(call.path["channel"])
    message = state.find(channel["id"], call.path["message"])
    if channel["type"] not in (TEXT_CHANNEL, NEWS_CHANNEL):
        raise ApiError(400, 50024, WRONG_KIND)
    state.demand("create_threads", channel["id"])
    if message["id"] in state.channels:
        raise ApiError(400, 160004, "A thread has already been created for this message")
    return Answer(status=201, body=deepcopy(branch(state, message, _name(call.params), BOT)))


def branch(state: State, message: Json, name: str, owner: str) -> Json:
    """A thread that grows from `message` and bears its id; it opens with a note that points back."""
    parent = state.channels[message["channel_id"]]
    thread = state.add_thread(parent, name, owner, id=message["id"])
    message["flags"] |= HAS_THREAD
    state.announce("MESSAGE_UPDATE", message)
    source: Json = {"type": 0, "channel_id": parent["id"], "message_id": message["id"], "guild_id": parent["guild_id"]}
    note = state.store(thread["id"], message["author"], type=THREAD_START, message_reference=source)
    state.announce("MESSAGE_CREATE", note)
    return thread


def start_thread(state: State, call: Call) -> Answer:
    channel = state.place(call.path["channel"])
    state.demand("create_threads", channel["id"])
    name = _name(call.params)
    if channel["type"] == FORUM_CHANNEL:
        return Answer(status=201, body=_forum_post(state, channel, name, call))
    kind = call.params.get("type", PRIVATE_THREAD)
    if channel["type"] not in (TEXT_CHANNEL, NEWS_CHANNEL) or kind not in (PUBLIC_THREAD, PRIVATE_THREAD):
        raise ApiError(400, 50024, WRONG_KIND)
    return Answer(status=201, body=deepcopy(open_thread(state, channel, name, BOT, kind)))


def open_thread(state: State, parent: Json, name: str, owner: str, kind: int = PUBLIC_THREAD) -> Json:
    """A thread that starts from no message; the channel is told by a note in its owner's name."""
    thread = state.add_thread(parent, name, owner, kind=kind)
    if kind == PUBLIC_THREAD:
        told: Json = {"type": 0, "channel_id": thread["id"], "guild_id": parent["guild_id"]}
        note = state.store(parent["id"], state.user(owner), type=THREAD_MADE, content=name, message_reference=told)
        state.announce("MESSAGE_CREATE", note)
    return thread


def _forum_post(state: State, forum: Json, name: str, call: Call) -> Json:
    """A thread whose first message bears its id."""
    state.demand("send", forum["id"])
    if not isinstance(call.params.get("message"), dict):
        raise invalid("message", "BASE_TYPE_REQUIRED", "This field is required")
    params: Json = call.params["message"]
    checked(params, call.files)
    thread = state.add_thread(forum, name, BOT)
    message = post(state, thread["id"], params, call.files, id=thread["id"])
    return {**deepcopy(thread), "message": state.shown(message)}


def _name(params: Json) -> str:
    name = str(params.get("name") or "")
    if not 1 <= len(name) <= 100:
        raise invalid("name", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    return name


def _guild(state: State, call: Call) -> str:
    if call.path["guild"] not in state.guilds:
        raise ApiError(404, 10004, "Unknown Guild")
    return call.path["guild"]


def _is_in(channel: Json, guild: str) -> bool:
    return channel.get("guild_id") == guild
