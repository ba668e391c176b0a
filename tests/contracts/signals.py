"""The laws of signals (port `hub.signals`), for whatever a subclass brings in its fixture `subject`."""

import asyncio
from contextlib import suppress
from itertools import count
from typing import Protocol

import pytest

from hub.signals import BACKLOG, LARGEST, Listener, Signals
from tests.patience import PATIENCE

SHORT = 0.01
"""How long a law waits for what must not come."""
ODD = [
    "",
    ".",
    "..",
    "a",
    "a.b",
    "a..b",
    ".a",
    "a.",
    "a b",
    "a.b c",
    "*",
    ">",
    "a.*",
    "a.>",
    "A",
    "a%2Eb",
    "%",
    "%%",
    "a%20b",
    "turn.x\r\nPUB a 0\r\n",
    "a\0",
    "\t",
    "_INBOX.a",
    "$SYS.a",
    "room.support:-100123:7",
    "live.wéb 🙂",
    "delivery.schedule:ünïcode:2026-11-20 10:00",
    "\ud800",
    "x" * 5000,
    "x" * 5000 + "y",
    "x" * 5000 + ".",
]
"""Topics that a transport may take for something else, or for one another."""


class Subject(Protocol):
    """A pair of ends that are connected."""

    @property
    def here(self) -> Signals:
        """Where the laws send."""
        ...

    @property
    def there(self) -> Signals:
        """Where they listen; may be the same."""
        ...

    async def settled(self) -> None:
        """Returns once `here` knows who listens `there`, and what was sent is with them."""
        ...


async def heard(listener: Listener) -> list[bytes]:
    """What has come by now."""
    payloads: list[bytes] = []
    while (payload := await listener.next(0)) is not None:
        payloads.append(payload)
    return payloads


def numbered(first: int, end: int) -> list[bytes]:
    return [str(number).encode() for number in range(first, end)]


class SignalsLaws:
    """What every implementation keeps. Signals may be lost, but not where the ends are connected and nobody hurries."""

    async def test_law_1_a_listener_hears_what_is_sent_after_it_was_made_in_order(self, subject: Subject) -> None:
        subject.here.send("a", b"before")
        await subject.settled()
        with subject.there.listen("a") as listener:
            await subject.settled()
            for payload in numbered(0, 100):
                subject.here.send("a", payload)
            async with asyncio.timeout(PATIENCE):
                assert [await listener.next() for _ in range(100)] == numbered(0, 100)

    async def test_law_1_a_listener_hears_before_it_is_entered(self, subject: Subject) -> None:
        listener = subject.there.listen("a")
        await subject.settled()
        subject.here.send("a", b"1")
        await subject.settled()
        with listener:
            assert await heard(listener) == [b"1"]

    async def test_law_2_every_listener_hears_every_signal_exactly_once(self, subject: Subject) -> None:
        with subject.there.listen("a") as first, subject.there.listen("a") as second, subject.here.listen("a") as own:
            await subject.settled()
            for payload in numbered(0, 3):
                subject.here.send("a", payload)
            await subject.settled()
            for listener in (first, second, own):
                assert await heard(listener) == numbered(0, 3)

    async def test_law_2_the_other_listeners_hear_on_when_one_has_left(self, subject: Subject) -> None:
        with subject.there.listen("a") as stays:
            with subject.there.listen("a"):
                await subject.settled()
            await subject.settled()
            subject.here.send("a", b"1")
            await subject.settled()
            assert await heard(stays) == [b"1"]

    async def test_law_3_a_topic_is_any_text_and_no_two_are_the_same(self, subject: Subject) -> None:
        listeners = {topic: subject.there.listen(topic) for topic in ODD}
        await subject.settled()
        for topic, payload in zip(ODD, numbered(0, len(ODD)), strict=True):
            subject.here.send(topic, payload)
        await subject.settled()
        for topic, payload in zip(ODD, numbered(0, len(ODD)), strict=True):
            with listeners[topic] as listener:
                assert await heard(listener) == [payload], repr(topic)

    @pytest.mark.parametrize("length", [0, 1, 256, LARGEST])
    async def test_law_4_a_payload_arrives_unchanged(self, subject: Subject, length: int) -> None:
        payload = (bytes(range(256)) + b"\r\nMSG a 1 2\r\n")[:length].ljust(length, b"\n")
        with subject.there.listen("a") as listener:
            await subject.settled()
            subject.here.send("a", payload)
            async with asyncio.timeout(PATIENCE):
                assert await listener.next() == payload

    async def test_law_4_a_payload_that_is_too_long_is_lost_and_no_other(self, subject: Subject) -> None:
        with subject.there.listen("a") as listener:
            await subject.settled()
            subject.here.send("a", bytes(LARGEST + 1))
            subject.here.send("a", b"next")
            await subject.settled()
            assert await heard(listener) == [b"next"]

    async def test_law_5_who_waits_in_vain_is_told_none(self, subject: Subject) -> None:
        with subject.there.listen("a") as listener:
            assert await listener.next(SHORT) is None
            assert await listener.next(0) is None
            await subject.settled()
            subject.here.send("a", b"late")
            async with asyncio.timeout(PATIENCE):
                assert await listener.next() == b"late"

    async def test_law_5_who_waits_is_woken(self, subject: Subject) -> None:
        with subject.there.listen("a") as listener:
            await subject.settled()
            waiting = asyncio.create_task(listener.next(PATIENCE))
            await asyncio.sleep(0)
            subject.here.send("a", b"now")
            async with asyncio.timeout(PATIENCE / 2):
                assert await waiting == b"now"

    async def test_law_5_who_is_cut_off_loses_nothing(self, subject: Subject) -> None:
        with subject.there.listen("a") as listener:
            await subject.settled()
            waiting = asyncio.create_task(listener.next())
            await asyncio.sleep(0)
            waiting.cancel()
            subject.here.send("a", b"1")
            await asyncio.wait({waiting})
            async with asyncio.timeout(PATIENCE):
                assert await listener.next() == b"1"

    async def test_law_6_clear_forgets_what_came(self, subject: Subject) -> None:
        with subject.there.listen("a") as listener:
            await subject.settled()
            for payload in numbered(0, 3):
                subject.here.send("a", payload)
            await subject.settled()
            listener.clear()
            subject.here.send("a", b"after")
            await subject.settled()
            assert await heard(listener) == [b"after"]

    async def test_law_7_a_listener_that_does_not_look_loses_the_oldest(self, subject: Subject) -> None:
        with subject.there.listen("a") as listener:
            await subject.settled()
            for payload in numbered(0, BACKLOG + 10):
                subject.here.send("a", payload)
            await subject.settled()
            assert await heard(listener) == numbered(10, BACKLOG + 10)

    async def test_law_8_who_has_left_hears_nothing_more(self, subject: Subject) -> None:
        with subject.there.listen("a") as listener, subject.there.listen("b") as other:
            await subject.settled()
        with subject.there.listen("b") as other:
            await subject.settled()
            subject.here.send("a", b"1")
            subject.here.send("b", b"2")
            await subject.settled()
            assert await heard(listener) == []
            assert await heard(other) == [b"2"]

    async def test_law_8_an_error_in_the_context_leaves_nothing_either(self, subject: Subject) -> None:
        with suppress(ZeroDivisionError), subject.there.listen("a") as listener:
            await subject.settled()
            raise ZeroDivisionError
        subject.here.send("a", b"1")
        await subject.settled()
        assert await heard(listener) == []

    async def test_law_9_sending_waits_for_nothing(self, subject: Subject) -> None:
        others = count()

        async def other() -> None:
            while True:
                next(others)
                await asyncio.sleep(0)

        running = asyncio.create_task(other())
        for payload in numbered(0, 10_000):
            subject.here.send("nobody listens", payload)
        running.cancel()
        assert next(others) == 0

    async def test_law_10_closed_twice_nothing_is_carried_and_nothing_raised(self, subject: Subject) -> None:
        with subject.there.listen("a") as listener:
            await subject.settled()
            for signals in (subject.here, subject.there, subject.here, subject.there):
                await signals.close()
            subject.here.send("a", b"1")
            assert await listener.next(SHORT) is None
        with subject.here.listen("a"):
            subject.here.send("a", b"2")

    async def test_law_5_each_wait_has_its_own_end(self, subject: Subject) -> None:
        """Also where one that was longer, or shorter, was ended by a signal before."""
        with subject.there.listen("a") as listener, subject.there.listen("b") as other:
            await subject.settled()
            for longest in (2 * PATIENCE, SHORT):
                waiting = asyncio.create_task(listener.next(longest))
                await asyncio.sleep(0)
                subject.here.send("a", b"soon")
                async with asyncio.timeout(PATIENCE):
                    await waiting
            await subject.settled()
            await heard(listener)  # the shorter wait may have ended by itself
            async with asyncio.timeout(PATIENCE):
                assert await listener.next(SHORT) is None
            waiting = asyncio.create_task(listener.next())
            assert await other.next(2 * SHORT) is None
            subject.here.send("a", b"late")
            async with asyncio.timeout(PATIENCE):
                assert await waiting == b"late"
