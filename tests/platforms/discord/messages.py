"""The REST API of messages: one function a method."""

from urllib.parse import unquote

from tests.platforms.discord.intents import readable
from tests.platforms.discord.posting import demand_to_speak, post, repeated, rewrite
from tests.platforms.discord.shapes import BOT, EPHEMERAL
from tests.platforms.discord.state import State
from tests.platforms.discord.wire import ApiError, Call, Json, invalid

PAGE = 100


def create_message(state: State, call: Call) -> Json:
    channel = call.path["channel"]
    demand_to_speak(state, channel, call.files)
    if earlier := repeated(state, call):
        return state.shown(earlier)
    message = post(state, channel, call.params, call.files)
    if call.params.get("nonce") is not None:
        state.nonces[str(call.params["nonce"])] = (state.clock(), message)
    return state.shown(message)


def edit_message(state: State, call: Call) -> Json:
    channel = call.path["channel"]
    state.place(channel)
    message = state.find(channel, call.path["message"])
    if message["author"]["id"] != BOT:
        raise ApiError(403, 50005, "Cannot edit a message authored by another user")
    return state.shown(rewrite(state, message, call.params, call.files))


def delete_message(state: State, call: Call) -> None:
    channel = call.path["channel"]
    place = state.place(channel)
    message = state.find(channel, call.path["message"])
    if message["author"]["id"] != BOT:
        if place["type"] == 1:
            raise ApiError(403, 50003, "Cannot execute action on a DM channel")
        state.demand("manage_messages", channel)
    remove(state, message)


def remove(state: State, message: Json) -> None:
    """Takes a message away and says so."""
    channel = message["channel_id"]
    state.messages[channel].pop(message["id"], None)
    gone: Json = {"id": message["id"], "channel_id": channel}
    if guild := state.channels[channel].get("guild_id"):
        gone["guild_id"] = guild
    state.publish("MESSAGE_DELETE", gone)
    state.changed.notify()


def get_message(state: State, call: Call) -> Json:
    channel = call.path["channel"]
    state.place(channel)
    state.demand("read_history", channel)
    return _for_bot(state, state.find(channel, call.path["message"]))


def get_messages(state: State, call: Call) -> list[Json]:
    """A page of the channel, newest first: the last before an id, or the first after one."""
    channel = call.path["channel"]
    state.place(channel)
    limit = _limit(call)
    if not state.may("read_history", channel):
        return []
    public = (message for message in state.messages[channel].values() if not message["flags"] & EPHEMERAL)
    found = sorted(public, key=lambda message: int(message["id"]))
    if before := call.query.get("before"):
        found = [message for message in found if int(message["id"]) < int(before)]
    if after := call.query.get("after"):
        found = [message for message in found if int(message["id"]) > int(after)][:limit]
    return [_for_bot(state, message) for message in reversed(found[-limit:])]


def trigger_typing(state: State, call: Call) -> None:
    demand_to_speak(state, call.path["channel"], {})


def create_reaction(state: State, call: Call) -> None:
    message, emoji = _reaction(state, call)
    state.demand("react", call.path["channel"])
    react(state, message, emoji, user=BOT)


def delete_reaction(state: State, call: Call) -> None:
    message, emoji = _reaction(state, call)
    react(state, message, emoji, user=BOT, gone=True)


def get_reactions(state: State, call: Call) -> list[Json]:
    message, emoji = _reaction(state, call)
    return [dict(state.user(user)) for user in state.reactions.get((message["id"], emoji), [])]


def react(state: State, message: Json, emoji: str, *, user: str, gone: bool = False) -> None:
    """Adds a user's reaction or takes it away, once."""
    channel = message["channel_id"]
    users = state.reactions.setdefault((message["id"], emoji), [])
    if (user in users) is not gone:
        return
    if gone:
        users.remove(user)
    else:
        users.append(user)
    told: Json = {"user_id": user, "channel_id": channel, "message_id": message["id"]}
    told |= {"type": 0, "burst": False, "emoji": {"id": None, "name": emoji}}
    if guild := state.channels[channel].get("guild_id"):
        told["guild_id"] = guild
        if not gone:
            told["member"] = {"user": state.user(user), **state.member(user)}
    state.publish(f"MESSAGE_REACTION_{'REMOVE' if gone else 'ADD'}", told)
    state.changed.notify()


def _reaction(state: State, call: Call) -> tuple[Json, str]:
    state.place(call.path["channel"])
    message = state.find(call.path["channel"], call.path["message"])
    emoji = unquote(call.path["emoji"])
    if emoji.isascii():
        raise ApiError(400, 10014, "Unknown Emoji")
    return message, emoji


def _for_bot(state: State, message: Json) -> Json:
    """REST shows a message's content as the gateway does, by what the bot was granted."""
    private = "guild_id" not in state.channels[message["channel_id"]]
    return readable(state.shown(message), state.granted, private=private)


def _limit(call: Call) -> int:
    limit = call.query.get("limit", "50")
    if not limit.isdecimal() or not 1 <= int(limit) <= PAGE:
        raise invalid("limit", "NUMBER_TYPE_MAX", f"int value should be between 1 and {PAGE}.")
    return int(limit)
