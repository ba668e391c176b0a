"""A local Discord: REST and gateway for the bot under test, a people's side for the test.

    async with DiscordServer() as server:
        await server.wait_connected()                       # the bot listens
        server.say("hello", mention=True)                   # Anna writes in #general
        [reply] = await server.wait_sent(GENERAL, 1)        # what the bot sent there

It is found by Discord's own names, over TLS: a resolver leads them to `base_url`, `ca_file` vouches for them.
It answers what Discord answers, errors included; what it does not model it refuses rather than accepts.
"""

from tests.platforms.discord.certificate import HOSTS
from tests.platforms.discord.intents import GUILD_MEMBERS, MESSAGE_CONTENT, PRESENCES, PRIVILEGED
from tests.platforms.discord.limits import DISCORD_LIMITS, Limits
from tests.platforms.discord.server import DiscordServer
from tests.platforms.discord.shapes import (
    ANNA,
    BORIS,
    BOT,
    BOT_ROLE,
    FORUM,
    GENERAL,
    GUILD,
    THREAD,
    VOICE,
)
from tests.platforms.discord.state import Interaction, Ping
from tests.platforms.discord.wire import Call, Upload
from tests.platforms.faults import Rate

__all__ = [
    "ANNA",
    "BORIS",
    "BOT",
    "BOT_ROLE",
    "DISCORD_LIMITS",
    "FORUM",
    "GENERAL",
    "GUILD",
    "GUILD_MEMBERS",
    "HOSTS",
    "MESSAGE_CONTENT",
    "PRESENCES",
    "PRIVILEGED",
    "THREAD",
    "VOICE",
    "Call",
    "DiscordServer",
    "Interaction",
    "Limits",
    "Ping",
    "Rate",
    "Upload",
]
