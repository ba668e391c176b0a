"""What Feishu and aiohttp say when a call fails, as ChannelErrors; none quotes a URL, a header or a secret."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from aiohttp import ClientConnectorError, ClientError, ConnectionTimeoutError, InvalidURL

from hub.errors import ChannelError, ChannelRefused, ChatGone, HubError, MessageRefused, RateLimited, Unreachable

BAD_TOKEN = {99991661, 99991663, 99991664, 99991665, 99991668, 99991671}
"""The tenant token is not valid (any more): another one may be."""
LIMITED = {99991400, 11232, 11233, 230020}
GONE = {230002, 230013, 230035, 232009, 232011}
"""Out of the group, no availability to the user, no permission to send there, dissolved, out of the chat."""
BUSY = {1, 1663, 1254290, 99991402, 1000040343}
"""Feishu's own trouble, with HTTP 200 or 400."""
FORBIDDEN_APP = {403, 514, 10003, 10005, 10012, 10013, 10014, 10015, 99991662, 99991543, 1000040344, 1000040345}
"""No such app, a wrong secret, or an app that is switched off."""
NO_BOT = {11205, 230006}
"""The app has not got the feature."""
NO_SCOPE = 99991672
RECALLED = {230011, 230110, 99992354, 230019}
"""The message that a call names is not there (any more)."""
BAD_CARD = {230025, 230028, 230099, 200220, 200621, 200860, 200861, 300305, 11310}
"""A card that is malformed, too long or too full: as plain text it may pass."""
BAD_IMAGE = {234001, 234002, 234011, 234039, 234042}
"""What calls itself an image, and is none that Feishu shows."""
CLOSED_CARD = {300309, 200850}
"""The card entity does not stream (any more)."""
LOST_CARD = {200740, 200750, 300313}
"""There is no such card entity, or it is older than 14 days."""
STALE = 300317
"""The sequence of a change is not above the one before."""
NOT_THIS_KIND = 230054
WAIT = 1.0
"""How long to wait, in seconds, where Feishu does not say."""


class Refusal(Exception):
    """Feishu answered, and said no; `wait` is the seconds it asks for. Stays in this package."""

    def __init__(self, code: int, words: str, *, status: int = 200, wait: float | None = None) -> None:
        super().__init__(f"{code} {words}")
        self.code = code
        self.words = words[:300]
        self.status = status
        self.wait = wait


class NotFeishu(Exception):
    """Something else answered: a proxy's page, usually. Stays in this package."""


class TooBig(Exception):
    """A file is larger than we take. Stays in this package."""


@contextmanager
def translated(channel: str) -> Generator[None]:
    """Raise a ChannelError, whose text may be shown to anyone, for every way a call can fail."""
    try:
        yield
    except HubError:
        raise
    except Refusal as refusal:
        raise _refused(channel, refusal) from None
    except (NotFeishu, ClientError, OSError, ValueError) as error:
        raise _failed(channel, error) from None


def _refused(channel: str, refusal: Refusal) -> ChannelError:
    said = f"Feishu refuses ({refusal.code}): {refusal.words}"
    if refusal.code in LIMITED or refusal.status == 429:
        wait = WAIT if refusal.wait is None else refusal.wait
        return RateLimited(f"Feishu asks channel '{channel}' to wait {wait:g} s.", retry_after=wait)
    if refusal.code in GONE:
        return ChatGone(said)
    if refusal.code in FORBIDDEN_APP or refusal.code in BAD_TOKEN:
        return ChannelRefused(
            f"Feishu refuses the app of channel '{channel}' ({refusal.code}): check `app_id`, `app_secret` and "
            "`domain` (feishu or lark), and that a version of the app is published."
        )
    if refusal.code in NO_BOT:
        return ChannelRefused(
            f"The app of channel '{channel}' is no bot ({refusal.code}): add the feature 'Bot' in Feishu's console and "
            "publish a version."
        )
    if refusal.code in BUSY or refusal.status >= 500:
        return Unreachable(f"Feishu is out of order ({refusal.code}).", maybe_sent=True)
    if refusal.code == NO_SCOPE:
        return MessageRefused(f"The app lacks a permission: add it, and publish a version. {said}")
    return MessageRefused(said)


def _failed(channel: str, error: Exception) -> ChannelError:
    """Feishu gave no answer, or none that can be read; or the call could not even be written."""
    match error:
        case ClientConnectorError() | ConnectionTimeoutError():
            return Unreachable(f"Feishu cannot be reached by channel '{channel}'.")
        case InvalidURL():
            return MessageRefused("This address cannot be written in Feishu's terms.")
        case TimeoutError():
            return Unreachable(f"Feishu did not answer channel '{channel}' in time.", maybe_sent=True)
        case NotFeishu():
            return Unreachable(f"What answered channel '{channel}' is not Feishu.", maybe_sent=True)
        case ClientError() | OSError():
            return Unreachable(f"The connection of channel '{channel}' to Feishu broke.", maybe_sent=True)
        case _:
            return MessageRefused("This message or address cannot be written in Feishu's terms.")
