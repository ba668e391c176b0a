"""A local Feishu (Lark): the open platform for the app under test, a user side for the test.

    async with FeishuServer() as server:
        server.say("hello")                     # a user writes in the p2p chat, once the app is connected
        [reply] = await server.wait_sent(P2P)   # what the bot sent there

It answers what Feishu answers, errors included; what it does not model it refuses rather than accepts.
"""

from tests.platforms.faults import Rate
from tests.platforms.feishu.limits import FEISHU_LIMITS, Limits
from tests.platforms.feishu.pushes import FEISHU_RETRIES, Push
from tests.platforms.feishu.server import FeishuServer
from tests.platforms.feishu.state import ANNA, BORIS, CHLOE, GROUP, P2P
from tests.platforms.feishu.wire import Call

__all__ = [
    "ANNA",
    "BORIS",
    "CHLOE",
    "FEISHU_LIMITS",
    "FEISHU_RETRIES",
    "GROUP",
    "P2P",
    "Call",
    "FeishuServer",
    "Limits",
    "Push",
    "Rate",
]
