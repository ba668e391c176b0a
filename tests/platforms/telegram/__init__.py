"""A local Telegram: the Bot API for the bot under test, a user side for the test.

    async with TelegramServer() as server:
        server.say("hello")                        # a user writes in chat 77
        [reply] = await server.wait_sent(77, 1)    # what the bot sent there

It answers what Telegram answers, errors included; what it does not model it refuses rather than accepts.
"""

from tests.platforms.faults import Rate
from tests.platforms.telegram.faults import TELEGRAM_LIMITS, Limits
from tests.platforms.telegram.server import Call, TelegramServer
from tests.platforms.telegram.state import GROUP, PRIVATE, SUPERGROUP
from tests.platforms.telegram.updates import Push

__all__ = ["GROUP", "PRIVATE", "SUPERGROUP", "TELEGRAM_LIMITS", "Call", "Limits", "Push", "Rate", "TelegramServer"]
