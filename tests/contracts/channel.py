"""The laws of a channel: inherit them in a test class, give them your channel and a platform, and they run.

    class TestMyLaws(ChannelLaws):
        @pytest.fixture
        async def platform(self) -> AsyncIterator[MyPlatform]: ...
        @pytest.fixture
        async def channel(self, platform: MyPlatform) -> AsyncIterator[Channel]: ...

A channel on whose platform something cannot happen inherits the parts it can keep (`LivingLaws`, `HearingLaws`,
`SendingLaws`, `FailingLaws`) or overrides a law with `@pytest.mark.difference("why")`. A channel that can do more
inherits the laws of that too: tests/contracts/channel_abilities.py has edits, files, buttons and reactions.

Living: 1 up once connected. 2 cancelled at once, leaving no task. 3 listens again. 4 closes quickly, also twice.
Hearing: 5 what is said, by whom, where, when. 6 in order, the next one only after the last is stored. 7 what the hub
could not store comes again. 8 what was not stored before a cancel comes after it, under the same id. 9 what cannot be
read is rejected with its raw payload, and the next one is heard. 10 groups: `direct` and `mentioned`.
Sending: 11 the text arrives as it is, up to the limit; ids differ. 12 typing is shown before and after.
Failing: 13 wait, 14 gone, 15 not there and back again, 16 refused: each the right error, none with a secret in it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Protocol

import pytest

from hub.channel import Channel, ShowsTyping
from hub.errors import ChannelError, ChannelRefused, ChatGone, RateLimited, StoreUnavailable, Unreachable
from hub.message import Address
from hub.text import Unit
from tests.contracts.channel_hub import PATIENCE, Hub, cancelled, file_to, listening, shown, to, watched

__all__ = ["PATIENCE", "ChannelLaws", "Hub", "Platform", "cancelled", "file_to", "listening", "shown", "to", "watched"]
FILL: dict[Unit, int] = {"utf16": 2, "bytes": 4, "chars": 1}
"""How much of a limit one 🦜 takes."""


class Platform(Protocol):
    """The test's side of a platform."""

    @property
    def address(self) -> Address:
        """A direct chat between a person and the bot."""
        ...

    @property
    def secrets(self) -> list[str]:
        """What no error may show."""
        ...

    def say(self, text: str) -> None:
        """The person writes in the direct chat."""
        ...

    def say_in_group(self, text: str, *, mention: bool) -> None:
        """Someone writes in a group, perhaps to the bot."""
        ...

    def say_nonsense(self) -> None:
        """The platform sends something that nobody can read."""
        ...

    async def sent(self, count: int) -> list[str]:
        """The texts in the direct chat from the bot as they stand, once there are `count`."""
        ...

    def limit(self, seconds: int) -> None:
        """The next send is too fast."""
        ...

    def block(self) -> None:
        """The next send goes to a person who has blocked the bot."""
        ...

    async def stop(self) -> None:
        """The platform is away."""
        ...

    async def start(self) -> None:
        """The platform is back."""
        ...

    def refuse(self) -> None:
        """The bot's credentials are refused from now on."""
        ...


class Given:
    """The fixtures to override, and the hub."""

    @pytest.fixture
    async def platform(self) -> Platform:
        raise NotImplementedError("override this fixture")

    @pytest.fixture
    async def channel(self, platform: Platform) -> Channel:
        raise NotImplementedError("override this fixture")

    @pytest.fixture
    def hub(self) -> Hub:
        return Hub()


class LivingLaws(Given):
    async def test_1_it_says_that_it_is_up(self, channel: Channel, hub: Hub) -> None:
        async with listening(channel, hub):
            assert hub.ups == 1

    async def test_2_it_ends_when_cancelled_and_leaves_no_task(self, channel: Channel, hub: Hub) -> None:
        with watched() as tasks:
            task = asyncio.create_task(channel.listen(hub))
            await hub.is_up()
            await cancelled(task)
            await channel.close()
        assert [task for task in tasks if not task.done()] == []

    async def test_3_it_listens_again_on_the_same_object(self, channel: Channel, hub: Hub) -> None:
        async with listening(channel, hub):
            pass
        async with listening(channel, hub):
            assert hub.ups == 2

    async def test_4_it_closes_also_twice_and_without_ever_having_listened(self, channel: Channel) -> None:
        async with asyncio.timeout(PATIENCE):
            await channel.close()
            await channel.close()


class HearingLaws(Given):
    async def test_5_it_hears_who_said_what_where_and_when(
        self, platform: Platform, channel: Channel, hub: Hub
    ) -> None:
        async with listening(channel, hub):
            platform.say("grüß dich 🦜")
            [heard] = await hub.heard()
        assert heard.text == "grüß dich 🦜"
        assert heard.address == platform.address
        assert heard.id.startswith(f"{platform.address.channel}.")
        assert heard.author.id
        assert heard.author.name
        assert heard.author.kind == "person"
        assert abs(heard.at - time.time()) < 60
        assert heard.direct
        assert heard.mentioned
        assert heard.reply_to

    async def test_6_it_hands_over_in_order_one_after_the_other(
        self, platform: Platform, channel: Channel, hub: Hub
    ) -> None:
        async with listening(channel, hub):
            hub.gate.clear()
            for text in ("one", "two", "three"):
                platform.say(text)
            await hub.until(lambda: bool(hub.asked))
            assert [message.text for message in hub.asked] == ["one"]
            hub.gate.set()
            await hub.heard(3)
        assert hub.texts == ["one", "two", "three"]
        assert len({message.id for message in hub.messages}) == 3

    async def test_7_what_the_hub_could_not_store_comes_again_before_what_follows(
        self, platform: Platform, channel: Channel, hub: Hub
    ) -> None:
        async with listening(channel, hub):
            hub.failures = [StoreUnavailable("down"), StoreUnavailable("down")]
            platform.say("one")
            platform.say("two")
            await hub.heard(2)
        assert hub.texts == ["one", "two"]
        assert [message.text for message in hub.asked] == ["one", "one", "one", "two"]

    async def test_8_what_was_not_stored_before_a_cancel_comes_after_it(
        self, platform: Platform, channel: Channel, hub: Hub
    ) -> None:
        async with listening(channel, hub):
            hub.gate.clear()
            platform.say("one")
            await hub.until(lambda: bool(hub.asked))
        hub.gate.set()
        async with listening(channel, hub):
            [heard] = await hub.heard()
        assert heard == hub.asked[0]

    async def test_9_nonsense_is_a_dead_letter_and_stands_in_nobodys_way(
        self, platform: Platform, channel: Channel, hub: Hub
    ) -> None:
        async with listening(channel, hub):
            platform.say("before")
            platform.say_nonsense()
            platform.say("after")
            await hub.heard(2)
        assert hub.texts == ["before", "after"]
        [(letter, raw, why)] = hub.dead
        assert letter.startswith(f"{platform.address.channel}.")
        assert raw
        assert why

    async def test_10_in_groups_it_tells_what_was_said_to_the_bot(
        self, platform: Platform, channel: Channel, hub: Hub
    ) -> None:
        async with listening(channel, hub):
            platform.say_in_group("among us", mention=False)
            platform.say_in_group("are you there?", mention=True)
            aside, asked = await hub.heard(2)
        assert (aside.direct, aside.mentioned) == (False, False)
        assert (asked.direct, asked.mentioned) == (False, True)
        assert asked.address == aside.address != platform.address


class SendingLaws(Given):
    async def test_11_a_text_arrives_as_it_is_up_to_the_limit(self, platform: Platform, channel: Channel) -> None:
        limits = channel.limits
        texts = ["plain text, 1 < 2 & grüß", "🦜" * (limits.length // FILL[limits.unit])]
        ids = [await channel.send(to(platform.address, text)) for text in texts]
        assert await platform.sent(2) == texts
        assert all(ids)
        assert len(set(ids)) == 2

    async def test_12_it_shows_typing_before_and_after_a_message(self, platform: Platform, channel: Channel) -> None:
        if not isinstance(channel, ShowsTyping):
            assert channel.limits.typing_seconds is None
            return
        assert channel.limits.typing_seconds
        await channel.typing(platform.address)
        await channel.send(to(platform.address, "there"))
        await channel.typing(platform.address)


class FailingLaws(Given):
    async def fails(self, platform: Platform, what: Awaitable[object], error: type[ChannelError]) -> ChannelError:
        """Whatever fails does so with this error, soon, and without a secret."""
        with pytest.raises(ChannelError) as caught:
            async with asyncio.timeout(PATIENCE):
                await what
        assert type(caught.value) is error, caught.value
        assert str(caught.value)
        assert [secret for secret in platform.secrets if secret in shown(caught.value)] == []
        return caught.value

    async def test_13_too_fast_says_how_long_to_wait(self, platform: Platform, channel: Channel) -> None:
        platform.limit(7)
        error = await self.fails(platform, channel.send(to(platform.address, "x")), RateLimited)
        assert isinstance(error, RateLimited)
        assert error.retry_after == 7
        assert await channel.send(to(platform.address, "x"))

    async def test_14_a_chat_that_blocked_the_bot_is_gone(self, platform: Platform, channel: Channel) -> None:
        platform.block()
        await self.fails(platform, channel.send(to(platform.address, "x")), ChatGone)

    async def test_15_an_outage_is_unreachable_and_ends(self, platform: Platform, channel: Channel, hub: Hub) -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.fails(platform, channel.listen(hub), Unreachable))
            await hub.is_up()
            await platform.stop()
            await task
        error = await self.fails(platform, channel.send(to(platform.address, "x")), Unreachable)
        assert isinstance(error, Unreachable)
        assert not error.maybe_sent
        await self.fails(platform, channel.listen(hub), Unreachable)
        await platform.start()
        assert await channel.send(to(platform.address, "y"))
        async with listening(channel, hub):
            platform.say("back")
            await hub.heard()

    async def test_16_refused_credentials_are_the_operators_to_mend(
        self, platform: Platform, channel: Channel, hub: Hub
    ) -> None:
        platform.refuse()
        refused = await self.fails(platform, channel.listen(hub), ChannelRefused)
        assert platform.address.channel in str(refused)
        await self.fails(platform, channel.send(to(platform.address, "x")), ChannelRefused)
        assert hub.ups == 0


class ChannelLaws(LivingLaws, HearingLaws, SendingLaws, FailingLaws):
    """All of them."""
