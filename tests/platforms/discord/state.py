"""What Discord remembers: guilds, channels, messages, files. Both the bot's and the people's side write it."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from tests.platforms.discord.shapes import (
    BOT,
    BOT_ROLE,
    EPHEMERAL,
    FORUM_CHANNEL,
    GUILD,
    LOADING,
    NOTES,
    THREADS,
    attachment_shape,
    channel_shape,
    dm_shape,
    guild_shape,
    link_shape,
    member_shape,
    message_shape,
    role_shape,
    thread_shape,
    user_shape,
)
from tests.platforms.discord.wire import ApiError, Json
from tests.platforms.waker import Signal

Clock = Callable[[], float]
EPOCH = 1_420_070_400.0
"""Discord's ids count milliseconds from the start of 2015."""

PERMISSIONS = {
    "react": 1 << 6,
    "view": 1 << 10,
    "send": 1 << 11,
    "manage_messages": 1 << 13,
    "attach": 1 << 15,
    "read_history": 1 << 16,
    "mention_everyone": 1 << 17,
    "create_threads": 1 << 35,
    "send_in_threads": 1 << 38,
}


@dataclass(frozen=True, kw_only=True)
class Ping:
    """Somebody's phone that rang: `who` is the id of a user or a role, "everyone" or "here"."""

    channel: str
    message: str
    who: str


@dataclass(kw_only=True)
class Interaction:
    """A command or a press, and what the bot made of it. `callback` is the type of its first answer.

    `original` is the message that answer made or concerned, `messages` are all the bot made.
    """

    id: str
    token: str
    kind: int
    channel: str
    user: str
    at: float
    pressed: Json | None = None
    callback: int | None = None
    original: Json | None = None
    messages: list[Json] = field(default_factory=list[Json])

    @property
    def deferred(self) -> bool:
        """Whether the user still sees the bot thinking."""
        return bool(self.original and self.original["flags"] & LOADING)

    @property
    def responses(self) -> list[Json]:
        """What the bot answered, oldest first, ephemeral or not: edited as edited, deleted as gone."""
        return [deepcopy(message) for message in self.messages if not message["flags"] & LOADING]


def _silence(event: str, data: Json) -> None:
    """Before there is a gateway nobody listens."""


@dataclass(kw_only=True)
class State:
    """Everything there is. Ids grow in the order of making; `messages` are by channel, then by id."""

    me: Json
    clock: Clock
    granted: int
    """The privileged intents the bot was granted."""
    changed: Signal = field(default_factory=Signal)
    publish: Callable[[str, Json], None] = _silence
    users: dict[str, Json] = field(default_factory=dict[str, Json])
    guilds: dict[str, Json] = field(default_factory=dict[str, Json])
    channels: dict[str, Json] = field(default_factory=dict[str, Json])
    direct: dict[str, str] = field(default_factory=dict[str, str])
    closed_to_us: set[str] = field(default_factory=set[str])
    messages: defaultdict[str, dict[str, Json]] = field(default_factory=lambda: defaultdict(dict))
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    commands: dict[str | None, list[Json]] = field(default_factory=dict[str | None, list[Json]])
    interactions: dict[str, Interaction] = field(default_factory=dict[str, Interaction])
    reactions: dict[tuple[str, str], list[str]] = field(default_factory=dict[tuple[str, str], list[str]])
    nonces: dict[str, tuple[float, Json]] = field(default_factory=dict[str, tuple[float, Json]])
    pings: list[Ping] = field(default_factory=list[Ping])
    last_id: int = 0

    def new_id(self) -> str:
        """The next snowflake; ids grow even while the clock stands."""
        self.last_id = max(self.last_id + 1, int((self.clock() - EPOCH) * 1000) << 22)
        return str(self.last_id)

    # People and places

    def user(self, id: str, *, bot: bool = False) -> Json:
        """The user of that id, who comes to exist by being named; `bot` counts only then."""
        if id == BOT:
            return self.me
        return self.users.setdefault(id, user_shape(id, bot=bot))

    def member(self, user: str) -> Json:
        """What a guild adds to a user."""
        return member_shape(self.clock(), [BOT_ROLE] if user == BOT else None)

    def add_guild(self, name: str, id: str | None = None) -> Json:
        made = id or self.new_id()
        everyone = role_shape(made, "@everyone", position=0, mentionable=False)
        ours = role_shape(BOT_ROLE if made == GUILD else self.new_id(), self.me["username"], managed=True)
        self.guilds[made] = guild_shape(made, name, [everyone, ours])
        self.publish("GUILD_CREATE", self.guild_event(made))
        return self.guilds[made]

    def add_channel(self, name: str, kind: int, guild: str = GUILD, id: str | None = None) -> Json:
        made = id or self.new_id()
        self.channels[made] = channel_shape(made, guild, name, kind, len(self.channels))
        self.publish("CHANNEL_CREATE", deepcopy(self.channels[made]))
        return self.channels[made]

    def add_thread(self, parent: Json, name: str, owner: str, id: str | None = None, kind: int = 11) -> Json:
        made = id or self.new_id()
        self.channels[made] = thread_shape(made, parent, name, owner, self.clock(), kind)
        self.publish("THREAD_CREATE", {**deepcopy(self.channels[made]), "newly_created": True})
        if parent["type"] == FORUM_CHANNEL:
            parent["last_message_id"] = made
        return self.channels[made]

    def dm_channel(self, user: str) -> Json:
        """The one direct channel with `user`, opened if need be; its id is not the user's."""
        if user not in self.direct:
            made = dm_shape(self.new_id(), self.user(user))
            self.direct[user] = made["id"]
            self.channels[made["id"]] = made
        return self.channels[self.direct[user]]

    def guild_event(self, guild: str) -> Json:
        """A guild as GUILD_CREATE brings it, with its channels, living threads and members."""
        here = [deepcopy(channel) for channel in self.channels.values() if channel.get("guild_id") == guild]
        people = [self.me, *(user for user in self.users.values() if not user["bot"])]
        empty: Json = {"voice_states": [], "presences": [], "stage_instances": [], "soundboard_sounds": []}
        return {
            **deepcopy(self.guilds[guild]),
            **empty,
            "guild_scheduled_events": [],
            "joined_at": self.member(BOT)["joined_at"],
            "large": False,
            "unavailable": False,
            "member_count": len(people),
            "members": [{"user": self.me, **self.member(BOT)}],
            "channels": [channel for channel in here if channel["type"] not in THREADS],
            "threads": [thread for thread in here if thread["type"] in THREADS and not _archived(thread)],
        }

    # What the bot may

    def place(self, channel: str) -> Json:
        """The channel, if it exists and the bot sees it."""
        if channel not in self.channels:
            raise ApiError(404, 10003, "Unknown Channel")
        if not self.may("view", channel):
            raise ApiError(403, 50001, "Missing Access")
        return self.channels[channel]

    def may(self, permission: str, channel: str) -> bool:
        """Whether the bot may; in a thread what its parent says counts."""
        found = self.channels[channel]
        holder = self.channels[found["parent_id"]] if found["type"] in THREADS else found
        denied = [int(rule["deny"]) for rule in holder.get("permission_overwrites", [])]
        return not any(rule & PERMISSIONS[permission] for rule in denied)

    def demand(self, permission: str, channel: str) -> None:
        if not self.may(permission, channel):
            raise ApiError(403, 50013, "Missing Permissions")

    def find(self, channel: str, message: str) -> Json:
        found = self.messages[channel].get(message)
        if found is None:
            raise ApiError(404, 10008, "Unknown Message")
        return found

    # Messages

    def store(self, channel: str, author: Json, id: str | None = None, **content: Any) -> Json:
        """A new message; nobody hears of it yet."""
        message = {**message_shape(id or self.new_id(), channel, author, self.clock()), **content}
        self.messages[channel][message["id"]] = message
        place = self.channels[channel]
        place["last_message_id"] = message["id"]
        if place["type"] in THREADS:
            place["message_count"] += 1
            place["total_message_sent"] += 1
        return message

    def attach(self, name: str, data: bytes, size: int | None = None) -> Json:
        """A stored file; `size` is what Discord claims it has."""
        made = self.new_id()
        self.files[made] = data
        return attachment_shape(made, name, len(data) if size is None else size)

    def announce(self, event: str, message: Json) -> None:
        """Tells the gateway and whoever waits, unless only one person is shown the message."""
        if not message["flags"] & EPHEMERAL:
            self.publish(event, self.event_of(message))
        self.changed.notify()

    def event_of(self, message: Json) -> Json:
        """A message as the gateway brings it: with its guild and its author's membership."""
        shown = self.shown(message)
        guild = self.channels[message["channel_id"]].get("guild_id")
        if guild is None:
            return {**shown, "channel_type": 1}
        for mentioned in shown["mentions"]:
            mentioned["member"] = self.member(mentioned["id"])
        more: Json = {"guild_id": guild, "channel_type": self.channels[message["channel_id"]]["type"]}
        if "webhook_id" not in message:
            more["member"] = self.member(message["author"]["id"])
        return {**shown, **more}

    def shown(self, message: Json) -> Json:
        """A message as it is now: with what it replies to, its thread, its reactions and fresh links to its files."""
        shown = self._linked(message)
        if message["id"] in self.channels and message["channel_id"] != message["id"]:
            shown["thread"] = deepcopy(self.channels[message["id"]])
        reference = message.get("message_reference")
        if reference and "message_id" in reference:
            quoted = self.messages[reference["channel_id"]].get(reference["message_id"])
            shown["referenced_message"] = self._linked(quoted) if quoted else None
        if counted := list(self._counted(message["id"])):
            shown["reactions"] = counted
        return shown

    def _linked(self, message: Json) -> Json:
        linked = deepcopy(message)
        for attachment in linked["attachments"]:
            attachment.update(link_shape(attachment, message["channel_id"], self.clock()))
        return linked

    def _counted(self, message: str) -> Iterator[Json]:
        for (where, emoji), users in self.reactions.items():
            if where == message and users:
                drawn = {"id": None, "name": emoji}
                details = {"burst": 0, "normal": len(users)}
                yield {"emoji": drawn, "count": len(users), "me": BOT in users, "count_details": details}

    def sent(self, channel: str) -> Iterator[Json]:
        """What the bot said in `channel` for everyone to see, oldest first; Discord's own notes are not its words."""
        ours = (message for message in self.messages[channel].values() if message["author"]["id"] == BOT)
        return (message for message in ours if not message["flags"] & EPHEMERAL and message["type"] not in NOTES)


def made_at(id: str) -> float:
    """When what bears `id` was made."""
    return (int(id) >> 22) / 1000 + EPOCH


def _archived(thread: Json) -> bool:
    return bool(thread["thread_metadata"]["archived"])
