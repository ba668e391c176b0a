"""How Discord draws users, guilds, channels and messages: plain payloads, without what they depend on."""

import hashlib
import hmac
import mimetypes
import re
from datetime import UTC, datetime

from tests.platforms.discord.wire import Json

BOT, BOT_ROLE, OWNER = "1100000000000000001", "1100000000000000002", "1100000000000000003"
ANNA, BORIS = "1100000000000000010", "1100000000000000011"
GUILD, GENERAL, FORUM = "1100000000000000100", "1100000000000000101", "1100000000000000102"
VOICE, THREAD = "1100000000000000103", "1100000000000000104"

TEXT_CHANNEL, DM_CHANNEL, VOICE_CHANNEL, NEWS_CHANNEL, FORUM_CHANNEL = 0, 1, 2, 5, 15
PUBLIC_THREAD, PRIVATE_THREAD = 11, 12
THREADS = (10, PUBLIC_THREAD, PRIVATE_THREAD)
SPOKEN_IN = (TEXT_CHANNEL, DM_CHANNEL, VOICE_CHANNEL, NEWS_CHANNEL, *THREADS)
"""The kinds of channel that hold messages."""

THREAD_MADE, THREAD_START = 18, 21
NOTES = (THREAD_MADE, THREAD_START)
"""Messages that Discord writes by itself, in somebody's name."""

CHANNEL_KINDS = {"text": TEXT_CHANNEL, "voice": VOICE_CHANNEL, "forum": FORUM_CHANNEL, "news": NEWS_CHANNEL}
ADMINISTRATOR = 1 << 3
EVERYTHING = str(((1 << 51) - 1) & ~ADMINISTRATOR)
LOADING, EPHEMERAL, HAS_THREAD = 1 << 7, 1 << 6, 1 << 5

NAMES = ["Anna Lindqvist", "Борис", "Chloé 🌱", "大輔", "Emeka"]
CDN = "https://cdn.discordapp.com"
CDN_SECRET = b"what Discord signs attachment links with"
DAY = 86400


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def user_shape(id: str, *, bot: bool = False) -> Json:
    number = int(id)
    shown = NAMES[number % len(NAMES)] if not bot else None
    return {
        "id": id,
        "username": f"robot_{number % 1000}" if bot else f"person_{number % 1000}",
        "discriminator": "0",
        "global_name": shown,
        "avatar": None,
        "bot": bot,
        "public_flags": 0,
    }


def member_shape(at: float, roles: list[str] | None = None) -> Json:
    return {
        "roles": roles or [],
        "joined_at": iso(at - 30 * DAY),
        "nick": None,
        "avatar": None,
        "premium_since": None,
        "pending": False,
        "deaf": False,
        "mute": False,
        "flags": 0,
        "communication_disabled_until": None,
    }


def role_shape(id: str, name: str, *, position: int = 1, mentionable: bool = True, managed: bool = False) -> Json:
    return {
        "id": id,
        "name": name,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "position": position,
        "permissions": EVERYTHING,
        "managed": managed,
        "mentionable": mentionable,
        "flags": 0,
        **({"tags": {"bot_id": BOT}} if managed else {}),
    }


def guild_shape(id: str, name: str, roles: list[Json]) -> Json:
    return {
        "id": id,
        "name": name,
        "icon": None,
        "owner_id": OWNER,
        "afk_timeout": 300,
        "afk_channel_id": None,
        "verification_level": 1,
        "default_message_notifications": 1,
        "explicit_content_filter": 0,
        "mfa_level": 0,
        "premium_tier": 0,
        "nsfw_level": 0,
        "system_channel_id": None,
        "system_channel_flags": 0,
        "preferred_locale": "en-US",
        "premium_progress_bar_enabled": False,
        "features": [],
        "roles": roles,
        "emojis": [],
        "stickers": [],
    }


def channel_shape(id: str, guild: str, name: str, kind: int, position: int) -> Json:
    channel: Json = {
        "id": id,
        "type": kind,
        "guild_id": guild,
        "name": name,
        "position": position,
        "parent_id": None,
        "topic": None,
        "nsfw": False,
        "rate_limit_per_user": 0,
        "last_message_id": None,
        "permission_overwrites": [],
        "flags": 0,
    }
    if kind == VOICE_CHANNEL:
        channel |= {"bitrate": 64000, "user_limit": 0, "rtc_region": None}
    if kind == FORUM_CHANNEL:
        tags: list[Json] = []
        channel |= {"available_tags": tags, "default_reaction_emoji": None, "default_sort_order": None}
    return channel


def dm_shape(id: str, user: Json) -> Json:
    return {"id": id, "type": DM_CHANNEL, "last_message_id": None, "flags": 0, "recipients": [user]}


def thread_shape(id: str, parent: Json, name: str, owner: str, at: float, kind: int = PUBLIC_THREAD) -> Json:
    metadata: Json = {"archived": False, "locked": False, "auto_archive_duration": 1440}
    metadata |= {"archive_timestamp": iso(at), "create_timestamp": iso(at)}
    return {
        "id": id,
        "type": kind,
        "guild_id": parent["guild_id"],
        "parent_id": parent["id"],
        "owner_id": owner,
        "name": name,
        "rate_limit_per_user": 0,
        "last_message_id": None,
        "message_count": 0,
        "member_count": 1,
        "total_message_sent": 0,
        "thread_metadata": metadata,
        "applied_tags": [],
        "flags": 0,
    }


def message_shape(id: str, channel: str, author: Json, at: float) -> Json:
    return {
        "id": id,
        "channel_id": channel,
        "author": author,
        "type": 0,
        "content": "",
        "timestamp": iso(at),
        "edited_timestamp": None,
        "tts": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        "components": [],
        "pinned": False,
        "flags": 0,
    }


def attachment_shape(id: str, name: str, size: int) -> Json:
    """An attachment under the name that Discord gives it."""
    kept = stored_name(name)
    kind, _ = mimetypes.guess_type(kept)
    shape: Json = {"id": id, "filename": kept, "size": size}
    if kept != name:
        shape["title"] = name.rpartition(".")[0] or name
    return shape | ({"content_type": kind} if kind else {})


def link_shape(attachment: Json, channel: str, at: float) -> Json:
    """Where an attachment can be had, for a day from `at` on."""
    where = f"{channel}/{attachment['id']}"
    path = f"/attachments/{where}/{attachment['filename']}?{signed(where, at + DAY)}"
    return {"url": CDN + path, "proxy_url": f"https://media.discordapp.net{path}"}


def stored_name(name: str) -> str:
    """What becomes of a file's name: blanks turn to `_`, what is not plain ASCII is dropped."""
    return re.sub(r"[^A-Za-z0-9._-]", "", re.sub(r"\s", "_", name)) or "unknown"


def signed(what: str, expires: float) -> str:
    """The query that lets `what` be downloaded until `expires`."""
    until = f"{int(expires):x}"
    return f"ex={until}&is={int(expires) - DAY:x}&hm={_signature(what, until)}&"


def is_signed(what: str, query: dict[str, str], now: float) -> bool:
    until = query.get("ex", "")
    genuine = hmac.compare_digest(query.get("hm", ""), _signature(what, until))
    return genuine and int(until, 16) >= now


def _signature(what: str, until: str) -> str:
    return hmac.new(CDN_SECRET, f"{what}/{until}".encode(), hashlib.sha256).hexdigest()
