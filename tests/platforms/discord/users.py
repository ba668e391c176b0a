"""The people's side: what they do in Discord, as the events that tell the bot."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, cast
from uuid import uuid4

from tests.platforms.discord.mentions import find_mentions
from tests.platforms.discord.messages import react, remove
from tests.platforms.discord.places import branch, open_thread
from tests.platforms.discord.shapes import (
    ANNA,
    BOT,
    CHANNEL_KINDS,
    EVERYTHING,
    FORUM,
    GENERAL,
    GUILD,
    iso,
)
from tests.platforms.discord.state import PERMISSIONS, Interaction, State
from tests.platforms.discord.wire import Json, units

USER_LENGTH = 4000
"""What a person may write, with Nitro: twice as much as a bot."""
OPTION_TYPES = {bool: 5, int: 4, float: 10, str: 3}


class Users:
    """People who write. Without a channel they write in #general, and without a user it is Anna."""

    def __init__(self, state: State) -> None:
        self.state = state

    # Talk

    def say(
        self,
        text: str = "",
        channel: str = GENERAL,
        user: str = ANNA,
        *,
        mention: bool = False,
        reply_to: str | Json | None = None,
        ping: bool = True,
        attachments: Mapping[str, bytes] | None = None,
        size: int | None = None,
        bot: bool = False,
        **content: Any,
    ) -> Json:
        """Someone writes; returns the message. `mention` puts the bot's @name in front, `ping` says whether a reply
        pings whom it answers; `size` is what Discord claims the attachments weigh; `content` is sent as it is.
        """
        said = f"<@{BOT}> {text}".strip() if mention else text
        if units(said) > USER_LENGTH:
            raise ValueError(f"nobody can write more than {USER_LENGTH} characters")
        message = self._store(channel, user, bot, self._reply(channel, reply_to) | content)
        message["content"] = said
        files = (attachments or {}).items()
        message["attachments"] += [self.state.attach(name, data, size) for name, data in files]
        find_mentions(self.state, said, None, self._answered(message) if ping else None).put(self.state, message)
        self.state.announce("MESSAGE_CREATE", message)
        return self.state.shown(message)

    def dm(self, text: str = "", user: str = ANNA, **more: Any) -> Json:
        """Someone writes to the bot alone; `more` is as for `say`."""
        return self.say(text, self.dm_channel(user), user, **more)

    def dm_channel(self, user: str = ANNA) -> str:
        """The id of the channel in which `user` and the bot are alone."""
        return str(self.state.dm_channel(user)["id"])

    def edit(self, message: Json, text: str) -> Json:
        """Someone rewrites their message."""
        stored = self._stored(message)
        stored |= {"content": text, "edited_timestamp": iso(self.state.clock())}
        find_mentions(self.state, text, None, self._answered(stored)).put(self.state, stored)
        self.state.announce("MESSAGE_UPDATE", stored)
        return self.state.shown(stored)

    def delete(self, message: Json) -> None:
        """A message is taken away by its author or a moderator."""
        remove(self.state, self._stored(message))

    def react(self, message: Json, emoji: str, user: str = ANNA, *, gone: bool = False) -> None:
        react(self.state, self._stored(message), emoji, user=user, gone=gone)

    def start_typing(self, channel: str = GENERAL, user: str = ANNA) -> None:
        told: Json = {"channel_id": channel, "user_id": user, "timestamp": int(self.state.clock())}
        if guild := self.state.channels[channel].get("guild_id"):
            told |= {"guild_id": guild, "member": {"user": self.state.user(user), **self.state.member(user)}}
        self.state.publish("TYPING_START", told)

    # Commands and buttons

    def slash(
        self, name: str, options: Mapping[str, Any] | None = None, user: str = ANNA, channel: str = GENERAL
    ) -> Interaction:
        """Someone uses a command that the bot registered; the handle shows what came of it."""
        command = self._command(name, channel)
        taken = [_option(command, option, value) for option, value in (options or {}).items()]
        data: Json = {"id": command["id"], "name": name, "type": 1, "options": taken}
        if "guild_id" in command:
            data["guild_id"] = command["guild_id"]
        return self._interact(2, channel, user, {"data": data})

    def press(self, message: Json, custom_id: str, user: str = ANNA) -> Interaction:
        """Someone presses a button under a message."""
        stored = self._stored(message)
        button = _button(stored, custom_id)
        data: Json = {"custom_id": custom_id, "component_type": 2, "id": button.get("id", 1)}
        return self._interact(
            3, stored["channel_id"], user, {"data": data, "message": self.state.shown(stored)}, pressed=stored
        )

    def _interact(self, kind: int, channel: str, user: str, more: Json, pressed: Json | None = None) -> Interaction:
        state = self.state
        interaction = Interaction(
            id=state.new_id(),
            token=f"local{uuid4().hex}",
            kind=kind,
            channel=channel,
            user=user,
            at=state.clock(),
            pressed=pressed,
        )
        state.interactions[interaction.token] = interaction
        owner = {"1": user} if "guild_id" not in state.channels[channel] else {"0": state.channels[channel]["guild_id"]}
        frame: Json = {
            "id": interaction.id,
            "application_id": BOT,
            "type": kind,
            "token": interaction.token,
            "version": 1,
            "channel_id": channel,
            "channel": deepcopy(state.channels[channel]),
            "locale": "en-US",
            "app_permissions": EVERYTHING,
            "entitlements": [],
            "authorizing_integration_owners": owner,
            "attachment_size_limit": 10 * 2**20,
        }
        state.publish("INTERACTION_CREATE", {**frame, **self._actor(channel, user), **more})
        return interaction

    def _actor(self, channel: str, user: str) -> Json:
        """Who acts: a member of the guild, or a user in a direct channel."""
        guild = self.state.channels[channel].get("guild_id")
        acting = self.state.user(user)
        if not guild:
            return {"user": acting, "context": 1}
        member = {"user": acting, "permissions": EVERYTHING, **self.state.member(user)}
        short: Json = {"id": guild, "locale": "en-US", "features": []}
        return {"guild_id": guild, "guild": short, "guild_locale": "en-US", "context": 0, "member": member}

    def _command(self, name: str, channel: str) -> Json:
        guild = self.state.channels[channel].get("guild_id")
        offered = self.state.commands.get(None, []) + (self.state.commands.get(guild, []) if guild else [])
        found = next((command for command in offered if command["name"] == name), None)
        if found is None:
            raise ValueError(f"no /{name} here; the bot registered: {[command['name'] for command in offered]}")
        return found

    # Places

    def add_guild(self, name: str = "Another server") -> str:
        """A further server that the bot was invited to."""
        return str(self.state.add_guild(name)["id"])

    def add_channel(self, name: str, kind: str = "text", guild: str = GUILD) -> str:
        """A further channel: text, voice, forum or news."""
        return str(self.state.add_channel(name, CHANNEL_KINDS[kind], guild)["id"])

    def delete_channel(self, channel: str) -> None:
        """A channel or thread goes, and what was said in it."""
        gone = self.state.channels.pop(channel)
        self.state.messages.pop(channel, None)
        self.state.publish("THREAD_DELETE" if "thread_metadata" in gone else "CHANNEL_DELETE", gone)

    def make_thread(
        self, name: str = "Details", channel: str = GENERAL, user: str = ANNA, message: Json | None = None
    ) -> str:
        """Someone opens a thread in `channel`, or from a message, whose id it then bears."""
        if message:
            return str(branch(self.state, self._stored(message), name, user)["id"])
        self.state.user(user)
        return str(open_thread(self.state, self.state.channels[channel], name, user)["id"])

    def make_forum_post(self, title: str, text: str, forum: str = FORUM, user: str = ANNA, **more: Any) -> Json:
        """Someone posts in a forum: a thread whose first message bears its id; returns that message."""
        self.state.user(user)
        thread = self.state.add_thread(self.state.channels[forum], title, user)
        return self.say(text, thread["id"], user, id=thread["id"], **more)

    def archive(self, thread: str, *, locked: bool = False) -> None:
        """A thread is closed; unless `locked`, a message opens it again."""
        self.state.channels[thread]["thread_metadata"] |= {"archived": True, "locked": locked}
        self.state.publish("THREAD_UPDATE", deepcopy(self.state.channels[thread]))

    def forbid(self, *permissions: str, channel: str = GENERAL) -> None:
        """The bot loses what is named (see PERMISSIONS) in `channel` and its threads, and keeps the rest."""
        denied = sum(PERMISSIONS[name] for name in permissions)
        rule: Json = {"id": BOT, "type": 1, "allow": "0", "deny": str(denied)}
        self.state.channels[channel]["permission_overwrites"] = [rule] if denied else []
        self.state.publish("CHANNEL_UPDATE", deepcopy(self.state.channels[channel]))

    def refuse_dms(self, user: str = ANNA) -> None:
        """A person takes no direct messages from the bot any more."""
        self.state.closed_to_us.add(user)

    # Inside

    def _store(self, channel: str, user: str, bot: bool, frame: Json) -> Json:
        if channel not in self.state.channels:
            raise ValueError(f"there is no channel {channel}")
        return self.state.store(channel, self.state.user(user, bot=bot), **frame)

    def _reply(self, channel: str, reply_to: str | Json | None) -> Json:
        if reply_to is None:
            return {}
        number = reply_to if isinstance(reply_to, str) else reply_to["id"]
        reference: Json = {"type": 0, "channel_id": channel, "message_id": number}
        if guild := self.state.channels[channel].get("guild_id"):
            reference["guild_id"] = guild
        return {"type": 19, "message_reference": reference}

    def _answered(self, message: Json) -> str | None:
        """The author of what `message` replies to."""
        reference = message.get("message_reference", {})
        quoted = self.state.messages[message["channel_id"]].get(reference.get("message_id", ""))
        return quoted["author"]["id"] if quoted else None

    def _stored(self, message: Json) -> Json:
        return self.state.messages[message["channel_id"]][message["id"]]


def _option(command: Json, name: str, value: Any) -> Json:
    """What someone typed for one option; of the type that the command declares."""
    declared = cast(list[Json], command.get("options") or [])
    found = next((option for option in declared if option["name"] == name), None)
    if found is None:
        raise ValueError(f"/{command['name']} has no option {name}")
    if found["type"] in OPTION_TYPES.values() and OPTION_TYPES[type(value)] != found["type"]:
        raise ValueError(f"{name} takes no {type(value).__name__}")
    return {"name": name, "type": found["type"], "value": value}


def _button(message: Json, custom_id: str) -> Json:
    rows = cast(list[Json], message["components"])
    for row in rows:
        for button in cast(list[Json], row.get("components", [])):
            if button.get("custom_id") == custom_id:
                return button
    raise ValueError(f"no button {custom_id} under {message['content']!r}")
