"""What Discord, discord.py and aiohttp raise, as ChannelErrors.

Their own errors may quote requests, and those hold the token: none of them goes on, not even as a cause.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import discord
from aiohttp import ClientConnectorError, ClientError, ConnectionTimeoutError

from hub.errors import (
    ChannelError,
    ChannelRefused,
    ChatGone,
    MessageRefused,
    RateLimited,
    Unreachable,
)

NO_PERMISSION = 50013
GONE = {
    10003: "the channel does not exist (any more)",
    10004: "the server does not exist (any more)",
    50001: "the bot does not see this channel",
    50007: "this person takes no direct messages from the bot",
    NO_PERMISSION: "the bot may not write there",
    50083: "the thread is closed",
    50278: "this person shares no server with the bot",
}
"""Refusals that mean the whole chat, by Discord's code."""
UNKNOWN_MESSAGE, NO_HISTORY, DEAD_TOKEN, UNKNOWN_WEBHOOK = 10008, 160002, 50027, 10015

NO_TOKEN, NO_INTENT = 4004, 4014
"""How the gateway closes a connection that it will not have."""


@contextmanager
def translated(channel: str) -> Generator[None]:
    """Raise a ChannelError, whose text may be shown to anyone, for every way a call can fail."""
    try:
        yield
    except RateLimited as error:
        raise _wait(channel, error.retry_after) from None
    except discord.RateLimited as error:
        raise _wait(channel, error.retry_after) from None
    except (discord.LoginFailure, discord.PrivilegedIntentsRequired, discord.ConnectionClosed) as error:
        raise _closed(channel, error) from None
    except discord.HTTPException as error:
        raise _refusal(channel, error) from None
    except (discord.DiscordException, ClientError, OSError, ValueError, RuntimeError) as error:
        raise _failure(channel, error) from None


def _wait(channel: str, seconds: float) -> RateLimited:
    return RateLimited(f"Discord asks channel '{channel}' to wait {seconds:g} s.", retry_after=seconds)


def _token_refused(channel: str) -> ChannelRefused:
    return ChannelRefused(
        f"Discord refuses the token of channel '{channel}': make a new one in the developer portal (your application, "
        "Bot, Reset Token), set it and start the hub again."
    )


def _closed(channel: str, error: discord.ClientException) -> ChannelError:
    """The gateway would not have us, or not any longer."""
    code = error.code if isinstance(error, discord.ConnectionClosed) else 0
    if isinstance(error, discord.PrivilegedIntentsRequired) or code == NO_INTENT:
        return ChannelRefused(
            f"Discord does not let the bot of channel '{channel}' read messages: switch on 'Message Content Intent' in "
            "the developer portal (your application, Bot, Privileged Gateway Intents), then start the channel again."
        )
    if isinstance(error, discord.LoginFailure) or code == NO_TOKEN:
        return _token_refused(channel)
    return Unreachable(f"Discord ended the connection of channel '{channel}' with code {code}.")


def _refusal(channel: str, error: discord.HTTPException) -> ChannelError:
    """Discord answered, and said no."""
    if error.status == 401 and error.code != DEAD_TOKEN:
        return _token_refused(channel)
    if error.status == 429:
        return _wait(channel, 60.0)
    if error.status >= 500:
        return Unreachable(f"Discord is out of order: HTTP {error.status}.", maybe_sent=True)
    words = GONE.get(error.code)
    if words or (error.status == 403 and error.code == 0):
        return ChatGone(f"Discord refuses: {words or error.text or 'forbidden'}.")
    return MessageRefused(f"Discord refuses: {error.text or error.status} (code {error.code}).")


def _failure(channel: str, error: Exception) -> ChannelError:
    """Discord gave no answer, or none that can be read; or the call could not even be written."""
    match error:
        case ClientConnectorError() | ConnectionTimeoutError() | discord.GatewayNotFound():
            return Unreachable(f"Discord cannot be reached by channel '{channel}'.")
        case TimeoutError():
            return Unreachable(f"Discord did not answer channel '{channel}' in time.", maybe_sent=True)
        case ClientError() | OSError() | discord.DiscordException() | RuntimeError():
            return Unreachable(f"The connection of channel '{channel}' to Discord broke.", maybe_sent=True)
        case _:
            return MessageRefused("This message or address cannot be written in Discord's terms.")
