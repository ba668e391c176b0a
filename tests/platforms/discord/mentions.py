"""Who a text mentions, and who of them is pinged."""

import re
from dataclasses import dataclass, field
from typing import Any, cast

from tests.platforms.discord.shapes import BOT
from tests.platforms.discord.state import Ping, State
from tests.platforms.discord.wire import Json, invalid, too_long

USER = re.compile(r"<@!?(\d+)>")
ROLE = re.compile(r"<@&(\d+)>")
CROWD = re.compile(r"@(everyone|here)\b")
KINDS = {"users", "roles", "everyone"}
EVERYTHING: Json = {"parse": sorted(KINDS), "replied_user": True}
"""What counts when a message says nothing about it."""


@dataclass(kw_only=True)
class Mentions:
    """Whom a message reaches; code blocks are read like the rest, so this errs on the side of too many."""

    users: list[str] = field(default_factory=list[str])
    roles: list[str] = field(default_factory=list[str])
    crowd: list[str] = field(default_factory=list[str])

    def put(self, state: State, message: Json) -> None:
        """Writes them into `message`."""
        message["mentions"] = [dict(state.user(user)) for user in self.users]
        message["mention_roles"] = self.roles
        message["mention_everyone"] = bool(self.crowd)

    def ring(self, state: State, message: Json) -> None:
        """Notes whose phone rings."""
        for who in [*self.crowd, *self.roles, *self.users]:
            state.pings.append(Ping(channel=message["channel_id"], message=message["id"], who=who))


def find_mentions(state: State, content: str, allowed: Json | None = None, replied: str | None = None) -> Mentions:
    """Whom `content` mentions, as far as `allowed` lets it; `replied` is the author of what it replies to."""
    rules = _checked(EVERYTHING if allowed is None else allowed)
    users = [user for user in USER.findall(content) if _lets(rules, "users", user)]
    if replied and rules.get("replied_user"):
        users.append(replied)
    roles = [role for role in ROLE.findall(content) if _lets(rules, "roles", role)]
    crowd = CROWD.findall(content) if "everyone" in (rules.get("parse") or []) else []
    known = {role["id"] for guild in state.guilds.values() for role in guild["roles"]}
    return Mentions(users=_once(users), roles=_once([role for role in roles if role in known]), crowd=_once(crowd))


def mentions_bot(message: Json) -> bool:
    return any(user["id"] == BOT for user in message["mentions"])


def _lets(rules: Json, kind: str, id: str) -> bool:
    return kind in (rules.get("parse") or []) or id in [str(named) for named in cast(list[Any], rules.get(kind) or [])]


def _checked(rules: Json) -> Json:
    parse = cast(list[Any], rules.get("parse") or [])
    if wrong := [kind for kind in parse if kind not in KINDS]:
        known = "('roles', 'users', 'everyone')"
        raise invalid("allowed_mentions.parse.0", "BASE_TYPE_CHOICES", f"Value {wrong[0]!r} must be one of {known}.")
    for kind in ("users", "roles"):
        if kind in parse and rules.get(kind):
            raise invalid(
                "allowed_mentions",
                "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                f"parse:[{kind!r}] and {kind}: [ids...] are mutually exclusive.",
            )
        if len(rules.get(kind) or []) > 100:
            raise too_long(f"allowed_mentions.{kind}", 100)
    return rules


def _once(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))
