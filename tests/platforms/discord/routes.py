"""Where each method of the REST API lives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.platforms.discord import interactions, messages, places
from tests.platforms.discord.gateway import URL
from tests.platforms.discord.state import State
from tests.platforms.discord.wire import Call, Json

API = "/api/v10"


def get_gateway(state: State, call: Call) -> Json:
    return {"url": URL}


def get_gateway_bot(state: State, call: Call) -> Json:
    limit = {"total": 1000, "remaining": 999, "reset_after": 14_400_000, "max_concurrency": 1}
    return {"url": URL, "shards": 1, "session_start_limit": limit}


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method; `open` ones need no token of the bot and do not count for it: their own token is in the URL."""

    verb: str
    path: str
    handle: Callable[[State, Call], Any]
    name: str
    open: bool = False


def _route(line: str, handle: Callable[[State, Call], Any], name: str = "", *, open: bool = False) -> Route:
    verb, path = line.split()
    return Route(verb=verb, path=API + path, handle=handle, name=name or handle.__name__, open=open)


MESSAGES = "/channels/{channel}/messages"
REACTION = MESSAGES + "/{message}/reactions/{emoji}"
COMMANDS = "/applications/{application}/commands"
GUILD_COMMANDS = "/applications/{application}/guilds/{guild}/commands"
WEBHOOK = "/webhooks/{application}/{token}"

ROUTES = [
    _route("GET /gateway", get_gateway, open=True),
    _route("GET /gateway/bot", get_gateway_bot),
    _route("GET /users/@me", places.get_me),
    _route("GET /users/{user}", places.get_user),
    _route("POST /users/@me/channels", places.create_dm),
    _route("GET /applications/@me", places.get_application),
    _route("GET /oauth2/applications/@me", places.get_application),
    _route("GET /guilds/{guild}", places.get_guild),
    _route("GET /guilds/{guild}/channels", places.get_guild_channels),
    _route("GET /guilds/{guild}/threads/active", places.get_active_threads),
    _route("GET /guilds/{guild}/members/{user}", places.get_member),
    _route("GET /channels/{channel}", places.get_channel),
    _route("PATCH /channels/{channel}", places.edit_thread),
    _route("POST /channels/{channel}/threads", places.start_thread),
    _route(f"POST {MESSAGES}/{{message}}/threads", places.start_thread_from_message),
    _route("PUT /channels/{channel}/thread-members/@me", places.join_thread),
    _route("POST /channels/{channel}/typing", messages.trigger_typing),
    _route(f"GET {MESSAGES}", messages.get_messages),
    _route(f"POST {MESSAGES}", messages.create_message),
    _route(f"GET {MESSAGES}/{{message}}", messages.get_message),
    _route(f"PATCH {MESSAGES}/{{message}}", messages.edit_message),
    _route(f"DELETE {MESSAGES}/{{message}}", messages.delete_message),
    _route(f"GET {REACTION}", messages.get_reactions),
    _route(f"PUT {REACTION}/@me", messages.create_reaction),
    _route(f"DELETE {REACTION}/@me", messages.delete_reaction),
    _route(f"GET {COMMANDS}", interactions.get_commands),
    _route(f"PUT {COMMANDS}", interactions.put_commands),
    _route(f"GET {GUILD_COMMANDS}", interactions.get_commands),
    _route(f"PUT {GUILD_COMMANDS}", interactions.put_commands),
    _route("POST /interactions/{interaction}/{token}/callback", interactions.interaction_callback, open=True),
    _route(f"POST {WEBHOOK}", interactions.followup, open=True),
    _route(f"GET {WEBHOOK}/messages/{{message}}", interactions.get_response, open=True),
    _route(f"PATCH {WEBHOOK}/messages/{{message}}", interactions.edit_response, open=True),
    _route(f"DELETE {WEBHOOK}/messages/{{message}}", interactions.delete_response, open=True),
]
