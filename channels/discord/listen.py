"""What comes in: the gateway's events, one chat's after the other, behind what was missed while there was none.

Discord keeps nothing for a bot that is away. So each new session first reads the recent history (config `catch_up`) of
every channel in which something was said since, and the hub knows by its id what it has heard before.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol, runtime_checkable

import aiohttp
import discord
import msgspec
import structlog

from channels.discord.attachments import keep, named
from channels.discord.client import Listener, Raw
from channels.discord.config import Discord
from channels.discord.lanes import Job, Lanes
from channels.discord.memory import TOKEN_LIFE, Deferred, Memory
from channels.discord.read import ASK, ASK_OPTION, OPTIONS, files_of, read, read_interaction, reply_to
from hub.channel import Intake
from hub.errors import HubError, Unreachable

log = structlog.get_logger()
AT_ONCE = 4
"""How many chats' histories are read beside each other."""
ACKNOWLEDGED = 5.0
"""How long Discord may take to note that we heard, in seconds; it gives us three."""
FAILURES = (discord.DiscordException, aiohttp.ClientError, OSError)
"""What may go wrong with a call that nothing hangs on."""
MOST_CHATS = 200
"""Of how many chats that the hub knows the last message is asked for."""
MOST_PEOPLE = 100
"""Of how many people named in config the direct chats are asked for."""


@runtime_checkable
class KnowsChats(Protocol):
    """An intake that knows the channel's chats: Discord names no direct ones."""

    async def chats(self) -> list[str]:
        """The ids of chats in which somebody has spoken to the bot, those spoken in lately first."""
        ...


class Session:
    """One connection to Discord, with as many resumed ones as it takes, to the error that ends it."""

    def __init__(
        self,
        name: str,
        config: Discord,
        intake: Intake,
        memory: Memory,
        *,
        back_off: float,
        settle: float,
        pause: float,
    ) -> None:
        self.name = name
        self.config = config
        self.intake = intake
        self.memory = memory
        self.client = Listener(config, self, settle=settle, pause=pause)
        self.lanes = Lanes(name, back_off)
        self.held: list[tuple[str, Job]] | None = []
        """What is heard before it is known what was missed; None afterwards."""
        self.reading = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Hand over what is said until cancelled; raises what discord.py and aiohttp raise, or a ChannelError."""
        try:
            await self.client.enter()
            self.lanes.start(self._connect())
            await self.lanes.wait()
        finally:
            await self.lanes.close()
            await self.client.leave()

    async def _connect(self) -> None:
        """discord.py resumes what can be resumed; the first connection that cannot be made ends it."""
        await self.client.connect(reconnect=False)
        raise Unreachable(f"Discord ended the connection of channel '{self.name}'.")

    # What discord.py tells

    def hear(self, event: str, what: Any, raw: Raw) -> None:
        match event:
            case "connect":
                self.held = self.held or []
            case "ready":
                self.lanes.start(self._begin())
            case "message":
                self._put(raw, partial(self._take, what, raw, direct="guild_id" not in raw))
            case "interaction":
                acknowledged = self.lanes.start(self._acknowledge(what))
                self._put(raw, partial(self._take_interaction, what, raw, acknowledged))
            case "guild_remove":
                for chat, server in self.memory.chats.items():
                    if server == what.id:
                        self.lanes.put(str(chat), partial(self._gone, chat, "The bot was removed from the server."))
            case "guild_channel_delete" | "thread_delete":
                if what.id in self.memory.chats:
                    self.lanes.put(str(what.id), partial(self._gone, what.id, "The channel was deleted."))
            case _:
                pass

    def stumble(self, kind: str, raw: Raw, error: Exception) -> None:
        """What cannot be read is a dead letter if somebody said it: it must not stand in the way of the next."""
        if kind in ("MESSAGE_CREATE", "INTERACTION_CREATE"):
            self._put(raw, partial(self._reject, raw, error))
        else:
            log.warning(
                "an event cannot be read", channel=self.name, kind=kind, error=f"{type(error).__name__}: {error}"
            )

    def _put(self, raw: Raw, job: Job) -> None:
        chat = str(raw.get("channel_id"))
        if self.held is None:
            self.lanes.put(chat, job)
        else:
            self.held.append((chat, job))

    # A new session

    async def _begin(self) -> None:
        """What was missed comes first, then what was heard meanwhile."""
        self.intake.up()
        since = time.time() - self.config.catch_up
        if self.config.catch_up > 0:
            for chat, job in await self._missed(since):
                self.lanes.put(str(chat), job)
        held, self.held = self.held or [], None
        for chat, job in held:
            self.lanes.put(chat, job)
        await self._offer_commands()

    async def _offer_commands(self) -> None:
        """Give Discord our commands, once; a bot without them works as well."""
        menu = self.config.commands.menu()
        if not menu or self.memory.offered or self.client.application_id is None:
            return
        try:
            await self.client.http.bulk_upsert_global_commands(self.client.application_id, _commands(menu))
            self.memory.offered = True
        except FAILURES as error:
            log.warning("the commands are not offered", channel=self.name, error=str(error))

    async def _missed(self, since: float) -> list[tuple[int, Job]]:
        """How to catch up, by chat: with servers' channels in which something was said, and with direct chats."""
        assert self.client.user is not None
        line, me = snowflake(since), self.client.user.id
        places = [place for server in self.client.guilds for place in _places(server, me)]
        spoken = [place.id for place in places if (place.last_message_id or 0) > line]
        await self._ask_for_direct_chats()
        jobs: list[tuple[int, Job]]
        jobs = [(chat, partial(self._catch_up, chat, since, direct=False)) for chat in spoken]
        jobs += [(chat, partial(self._catch_up, chat, since, direct=True)) for chat in self.memory.direct_chats]
        return jobs + [(chat, partial(self._recall, chat, since)) for chat in await self._known()]

    async def _known(self) -> list[int]:
        """Chats that the hub knows and nobody else has named."""
        known = await self.intake.chats() if isinstance(self.intake, KnowsChats) else []
        new = [int(chat) for chat in known[:MOST_CHATS] if chat.isdecimal()]
        return [chat for chat in new if chat not in self.memory.chats and not self.client.get_channel(chat)]

    async def _recall(self, chat: int, since: float) -> None:
        """Find out what kind of chat it is, and catch up with it if something was said there."""
        try:
            async with self.reading:
                found: Any = await self.client.http.get_channel(chat)
        except (discord.Forbidden, discord.NotFound) as error:
            log.debug("a chat is not there any more", channel=self.name, chat=chat, error=str(error))
            return
        direct = found["type"] == discord.ChannelType.private.value
        self.memory.chats.put(chat, None if direct else int(found.get("guild_id") or 0))
        if int(found.get("last_message_id") or 0) > snowflake(since):
            await self._catch_up(chat, since, direct=direct)

    async def _ask_for_direct_chats(self) -> None:
        """Of people named in config; Discord tells of no others."""
        people = [person for person in self.config.allow if person.isdecimal() and person not in self.memory.people]
        await asyncio.gather(*(self._ask_for_direct_chat(person) for person in people[:MOST_PEOPLE]))

    async def _ask_for_direct_chat(self, person: str) -> None:
        try:
            async with self.reading:
                chat = await self.client.http.start_private_message(int(person))
        except discord.HTTPException as error:
            log.debug("no direct chat", channel=self.name, person=person, error=str(error))
            return
        self.memory.people.put(person, int(chat["id"]))
        self.memory.chats.put(int(chat["id"]), None)

    async def _catch_up(self, chat: int, since: float, *, direct: bool) -> None:
        """Hand over what a chat's history has and the hub has not."""
        async with self.reading:
            try:
                async for raw, said in self.client.history(chat, snowflake(since), direct=direct):
                    if isinstance(said, Exception):
                        await self._reject(raw, said)
                    else:
                        await self._take(said, raw, direct=direct)
            except (discord.Forbidden, discord.NotFound) as error:
                log.info("a channel's history is not ours to read", channel=self.name, chat=chat, error=str(error))

    # One thing said

    async def _take(self, said: discord.Message, raw: Raw, *, direct: bool) -> None:
        """Whatever cannot be read or handled is a dead letter."""
        if said.id in self.memory.stored:
            return
        try:
            await self._hand_over(said, direct)
        except HubError:
            raise
        except Exception as error:
            log.exception("a message cannot be handled", channel=self.name, message=said.id)
            await self._reject(raw, error)
        self.memory.stored.put(said.id, None)

    async def _hand_over(self, said: discord.Message, direct: bool) -> None:
        assert self.client.user is not None
        message = read(said, self.name, self.client.user, direct=direct, bots=self.config.bots == "allow")
        if message is None:
            return
        self.memory.chats.put(said.channel.id, None if direct else said.guild.id if said.guild else 0)
        files = files_of(said)
        wanted = not files or await self.intake.admits(message)
        parts = [await keep(self.intake, file) if wanted else named(file) for file in files]
        await self.intake.accept(msgspec.structs.replace(message, parts=(*message.parts, *parts)))

    async def _acknowledge(self, asked: discord.Interaction[Any]) -> None:
        """Say within three seconds that we heard; the answer to a command fills in what this shows."""
        command = asked.type is discord.InteractionType.application_command
        if not command and asked.type is not discord.InteractionType.component:
            return
        until = time.time() + TOKEN_LIFE
        try:
            async with asyncio.timeout(ACKNOWLEDGED):
                told = await asked.response.defer(thinking=command)
        except FAILURES as error:
            log.warning("an interaction was not acknowledged", channel=self.name, error=str(error) or "no answer")
            return
        if command and told is not None and told.message_id is not None:
            deferred = Deferred(
                chat=str(asked.channel_id),
                application=asked.application_id,
                token=asked.token,
                message=told.message_id,
                until=until,
            )
            self.memory.waiting.put(reply_to(asked), deferred)

    async def _take_interaction(self, asked: discord.Interaction[Any], raw: Raw, done: asyncio.Task[None]) -> None:
        await done
        try:
            message = read_interaction(asked, self.name)
        except Exception as error:
            log.exception("an interaction cannot be handled", channel=self.name, interaction=asked.id)
            await self._reject(raw, error)
            await self._say_no(asked)
            return
        if message is None:
            await self._say_no(asked)
            return
        self.memory.chats.put(int(message.address.chat_id), asked.guild_id)
        await self.intake.accept(message)

    async def _say_no(self, asked: discord.Interaction[Any]) -> None:
        """Answer a command that is none of ours, perhaps of a program that had this bot before."""
        if self.memory.waiting.pop(reply_to(asked), None) is None:
            return
        try:
            async with asyncio.timeout(ACKNOWLEDGED):
                await asked.edit_original_response(content="I do not know this command.")
        except FAILURES as error:
            log.warning("an interaction was not answered", channel=self.name, error=str(error) or "no answer")

    async def _reject(self, raw: Raw, error: Exception) -> None:
        letter = f"{self.name}.{raw.get('channel_id')}.{raw.get('id')}"
        shown = {name: value for name, value in raw.items() if name != "token"}
        await self.intake.reject(letter, json.dumps(shown).encode(), f"{type(error).__name__}: {error}")

    async def _gone(self, chat: int, why: str) -> None:
        await self.intake.gone(str(chat), why)


def snowflake(at: float) -> int:
    """The smallest id that anything of that time has."""
    return discord.utils.time_snowflake(datetime.fromtimestamp(at, UTC))


Place = discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.Thread


def _places(server: discord.Guild, me: int) -> Iterator[Place]:
    """Where people write and the bot may read what they wrote."""
    member = server.get_member(me)
    for place in (*server.text_channels, *server.voice_channels, *server.stage_channels, *server.threads):
        if member is None or place.permissions_for(member).read_message_history:
            yield place


def _commands(menu: Mapping[str, str]) -> list[dict[str, Any]]:
    """What Discord shows behind a slash."""
    option = {"type": 3, "name": ASK_OPTION, "description": "What you want to say", "required": True}
    ask = {"name": ASK, "description": "Ask the bot something", "options": [option]}
    return [ask, *(_command(name, words) for name, words in menu.items())]


def _command(name: str, words: str) -> dict[str, Any]:
    command: dict[str, Any] = {"name": name, "description": words}
    return command | ({"options": [OPTIONS[name]]} if name in OPTIONS else {})
