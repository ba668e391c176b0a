"""What Telegram, aiogram and aiohttp raise, as ChannelErrors.

Their own errors may quote the URL, and Telegram's URLs hold the token: none of them goes on, not even as a cause.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from aiogram.exceptions import (
    AiogramError,
    ClientDecodeError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramConflictError,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.utils.token import TokenValidationError
from aiohttp import ClientConnectorError, ClientError, ConnectionTimeoutError

from hub.errors import (
    ChannelError,
    ChannelRefused,
    ChatGone,
    ChatMoved,
    MessageRefused,
    RateLimited,
    Unreachable,
)

GONE = ("chat not found", "chat was deactivated", "chat was deleted")
"""What Telegram calls a bad request although the chat is what is missing."""


@contextmanager
def translated(channel: str) -> Generator[None]:
    """Raise a ChannelError, whose text may be shown to anyone, for every way a call can fail."""
    try:
        yield
    except (TelegramAPIError, TokenValidationError) as error:
        raise _refusal(channel, error) from None
    except (AiogramError, ClientError, OSError, ValueError) as error:
        raise _failure(channel, error) from None


def is_about_chat(refusal: str) -> bool:
    """Whether the words of a refused call say that there is no such chat."""
    return any(word in refusal for word in GONE)


def _refusal(channel: str, error: TelegramAPIError | TokenValidationError) -> ChannelError:
    """Telegram answered, and said no."""
    match error:
        case TelegramRetryAfter():
            return _wait(channel, error.retry_after)
        case TelegramMigrateToChat():
            to = str(error.migrate_to_chat_id)
            return ChatMoved(f"The group is a supergroup now, with another id: {to}.", to=to)
        case TelegramUnauthorizedError() | TelegramNotFound() | TokenValidationError():
            return ChannelRefused(
                f"Telegram refuses the token of channel '{channel}': create a new one with @BotFather, "
                "set it and start the hub again."
            )
        case TelegramConflictError():
            return _conflict(channel, error)
        case TelegramServerError():
            return Unreachable(f"Telegram is out of order: {error.message}.", maybe_sent=True)
        case _:
            return _rejection(channel, error)


def _wait(channel: str, seconds: float) -> RateLimited:
    return RateLimited(f"Telegram asks channel '{channel}' to wait {seconds:g} s.", retry_after=seconds)


def _conflict(channel: str, error: TelegramConflictError) -> Unreachable:
    if "webhook" in error.message.lower():
        return Unreachable(f"A webhook is set for the bot of channel '{channel}', so it cannot be polled.")
    return Unreachable(
        f"Another program polls Telegram with the token of channel '{channel}': stop it, or give it a bot of its own."
    )


def _rejection(channel: str, error: TelegramAPIError) -> ChannelError:
    """The call was understood, and is not done."""
    words = f"Telegram refuses: {error.message}."
    if isinstance(error, TelegramForbiddenError):
        return ChatGone(words)
    if isinstance(error, TelegramBadRequest) and is_about_chat(error.message):
        return ChatGone(words)
    if "Too Many Requests" in error.message:
        return _wait(channel, 1.0)
    return MessageRefused(words)


def _failure(channel: str, error: Exception) -> ChannelError:
    """Telegram gave no answer, or none that can be read; or the call could not even be written."""
    match error:
        case ClientConnectorError() | ConnectionTimeoutError():
            return Unreachable(f"Telegram cannot be reached by channel '{channel}'.")
        case TimeoutError():
            return Unreachable(f"Telegram did not answer channel '{channel}' in time.", maybe_sent=True)
        case ClientDecodeError():
            return Unreachable(f"What answered channel '{channel}' is not Telegram.", maybe_sent=True)
        case ClientError() | OSError() | AiogramError():
            return Unreachable(f"The connection of channel '{channel}' to Telegram broke.", maybe_sent=True)
        case _:
            return MessageRefused("This message or address cannot be written in Telegram's terms.")
