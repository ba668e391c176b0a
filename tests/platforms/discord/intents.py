"""Which events a bot hears, and how much of them."""

from copy import deepcopy

from tests.platforms.discord.mentions import mentions_bot
from tests.platforms.discord.shapes import BOT
from tests.platforms.discord.wire import Json

GUILDS, GUILD_MEMBERS, PRESENCES, MESSAGE_CONTENT = 1 << 0, 1 << 1, 1 << 8, 1 << 15
PRIVILEGED = GUILD_MEMBERS | PRESENCES | MESSAGE_CONTENT
KNOWN = (1 << 26) - 1
IN_GUILDS = {"MESSAGE": 1 << 9, "MESSAGE_REACTION": 1 << 10, "TYPING": 1 << 11}
IN_DIRECT = {"MESSAGE": 1 << 12, "MESSAGE_REACTION": 1 << 13, "TYPING": 1 << 14}


def is_heard(event: str, data: Json, intents: int) -> bool:
    """Whether a session with `intents` gets the event; some need none."""
    family = event.rpartition("_")[0]
    if family in ("GUILD", "CHANNEL", "THREAD"):
        return bool(intents & GUILDS)
    needed = (IN_GUILDS if "guild_id" in data else IN_DIRECT).get(family, 0)
    return not needed or bool(intents & needed)


def cut(event: str, data: Json, intents: int) -> Json:
    """What a session with `intents` may read of an event."""
    if event not in ("MESSAGE_CREATE", "MESSAGE_UPDATE"):
        return data
    return readable(data, intents, private="guild_id" not in data)


def readable(message: Json, intents: int, *, private: bool) -> Json:
    """`message` without its content, unless the intent, a direct chat, a mention or authorship gives a right to it."""
    if intents & MESSAGE_CONTENT or private:
        return message
    shown = dict(message)
    if message["author"]["id"] != BOT and not mentions_bot(message):
        empty: Json = {"content": "", "embeds": [], "attachments": [], "components": []}
        shown |= empty
    if quoted := message.get("referenced_message"):
        shown["referenced_message"] = readable(quoted, intents, private=private)
    return deepcopy(shown)
