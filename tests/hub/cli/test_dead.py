"""`bothub dead`: what was given up is seen, tried again in one unit, or let go."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.accounts.audit import By
from hub.bus import Bus, Publish, Settle
from hub.channel import Intake, Limits, Sending
from hub.cli.call import Call
from hub.cli.dead import retry
from hub.delivery.deliveries import DeliveryRecord, find
from hub.delivery.dispatch import Dispatcher
from hub.delivery.pacing import Pacing
from hub.delivery.posts import Channels, Posts
from hub.errors import ChatGone
from hub.files import FileStore
from hub.message import Delivery, Text
from hub.worker import Timing, Worker
from tests.hub.cli.command import Bothub, delivery, message, settle

UNREADABLE = Publish(
    inbox="agent:assistant",
    lane="",
    id="update:7",
    body=b'{"odd": 1}',
    outcome="dead",
    reason="unreadable",
    error="no chat in it",
)


class Platform:
    """A channel that takes some parts and loses its chat at others."""

    limits = Limits(length=100, per_chat=1000.0, per_bot=1000.0, burst=100)

    def __init__(self, *refused: str) -> None:
        self.sent: list[str] = []
        self._refused = refused

    async def listen(self, intake: Intake) -> None:
        await asyncio.Event().wait()

    async def send(self, sending: Sending) -> str:
        assert isinstance(sending.part, Text)
        if sending.part.text in self._refused:
            raise ChatGone("The bot was blocked.")
        self.sent.append(sending.part.text)
        return f"p-{sending.key}"

    async def close(self) -> None:
        pass


def run(bothub: Bothub, platform: Platform, id: str) -> DeliveryRecord:
    """Let a hub work until a delivery has its end."""

    async def work(bus: Bus) -> DeliveryRecord:
        worker = Worker(
            bus,
            "channel:web",
            Dispatcher(bus, platform, FileStore(Path("unused")), Pacing(platform.limits, bus.clock)),
            timing=Timing(),
        )
        with bus.signals.listen(f"delivery.{id}") as ends:
            worker.start()
            await ends.next(10.0)
        await worker.close(1.0)
        return await looked_up(bus, id)

    return bothub.work(work)


async def looked_up(bus: Bus, id: str) -> DeliveryRecord:
    record = await bus.store.read(lambda connection: find(connection, id))
    assert record is not None
    return record


def posts(bus: Bus) -> Posts:
    return Posts(bus, Channels(kinds={"web": "web"}, enabled={"web"}, known_kinds={"web"}))


def dead(bothub: Bothub) -> list[dict[str, Any]]:
    return bothub.json("dead", "list")["messages"]


def waiting(bothub: Bothub, inbox: str) -> list[tuple[str, str, bytes]]:
    """Lane, id and body of what is first in its lane."""

    async def look(bus: Bus) -> list[tuple[str, str, bytes]]:
        return [(one.lane, one.head.id, one.head.body) for one in await bus.claim(inbox, 10, 0.0)]

    return sorted(bothub.work(look))


def kill(bothub: Bothub, *entries: Publish, reason: str | None = "failed", error: str | None = None) -> None:
    async def all_of_them(bus: Bus) -> None:
        for entry in entries:
            await settle(bus, entry, reason=reason, error=error)

    bothub.work(all_of_them)


def test_nothing_was_given_up_at_first(bothub: Bothub) -> None:
    assert bothub("dead", "list").stdout == "Nothing was given up.\n"
    assert bothub.json("dead", "list") == {"messages": [], "total": 0}
    for word in ("retry", "discard"):
        result = bothub("dead", word, "--all")
        assert (result.exit_code, result.stdout) == (0, "Nothing was given up.\n")


def test_the_list_says_what_it_was_and_why(bothub: Bothub) -> None:
    kill(bothub, delivery("d1", "web:lobby:7", "Dear *all*,\n\nhello"), reason="gone", error="The bot was blocked.")
    [one] = dead(bothub)
    assert (one["id"], one["inbox"], one["address"], one["lane"]) == ("d1", "channel:web", "web:lobby:7", "web:lobby:7")
    assert (one["attempts"], one["reason"], one["error"]) == (1, "gone", "The bot was blocked.")
    assert (one["text"], one["can_retry"]) == ("Dear *all*, hello", True)
    shown = bothub("dead", "list").stdout
    assert "d1\n  channel:web  to web:lobby:7\n  gone after 1 try, now: The bot was blocked.\n" in shown
    assert "“Dear *all*, hello”" in shown


def test_the_list_can_be_of_one_inbox_and_of_the_newest(bothub: Bothub) -> None:
    kill(bothub, delivery("d1", "web:a"), message("m1", "web:a", "hi"), delivery("d2", "web:b"))
    answer = bothub.json("dead", "list", "--limit", "2")
    assert ([one["id"] for one in answer["messages"]], answer["total"]) == (["m1", "d2"], 3)
    assert "the newest 2 of 3" in bothub("dead", "list", "--limit", "2").stdout
    ids = [one["id"] for one in bothub.json("dead", "list", "--inbox", "channel:web")["messages"]]
    assert ids == ["d1", "d2"]


def test_a_retry_is_a_new_message_at_the_tail_and_closes_the_old_one(bothub: Bothub) -> None:
    kill(bothub, message("m1", "web:a", "first"))
    bothub.work(lambda bus: bus.commit(message("m2", "web:a", "second")))
    answer = bothub.json("dead", "retry", "m1")
    assert answer == {"retried": [{"id": "m1", "inbox": "agent:assistant", "new_id": "m1#2"}], "failed": []}
    assert dead(bothub) == []

    async def lane(bus: Bus) -> list[str]:
        [lease] = await bus.claim("agent:assistant", 1, 8.0)
        await bus.take(lease, 10)
        return [one.id for one in lease.messages]

    assert bothub.work(lane) == ["m2", "m1#2"]


def test_what_died_again_is_tried_as_the_third(bothub: Bothub) -> None:
    kill(bothub, delivery("d1", "web:a"))
    bothub("dead", "retry", "d1")

    async def die(bus: Bus) -> None:
        [lease] = await bus.claim("channel:web", 1, 8.0)
        await bus.commit(Settle(lease=lease, outcome="dead", reason="failed"))

    bothub.work(die)
    assert [one["id"] for one in dead(bothub)] == ["d1#2"]
    assert bothub("dead", "retry", "d1#2").stdout == "retried  d1#2 as d1#3  in channel:web\n"
    assert [(lane, mid) for lane, mid, _ in waiting(bothub, "channel:web")] == [("web:a", "d1#3")]


def test_a_message_is_retried_once(bothub: Bothub) -> None:
    kill(bothub, delivery("d1", "web:a"))
    bothub("dead", "retry", "d1")
    result = bothub("dead", "retry", "d1")
    assert (result.exit_code, result.stdout) == (1, "'d1' was retried already, as 'd1#2'.\n")
    assert bothub("dead", "discard", "d1").exit_code == 1


def test_two_operators_at_once_retry_it_once(bothub: Bothub) -> None:
    kill(bothub, delivery("d1", "web:a"))

    def call() -> None:
        retry(Call(path=bothub.config, json=False), (), everything=True, inbox=None)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(lane, mid) for lane, mid, _ in waiting(bothub, "channel:web")] == [("web:a", "d1#2")]


def test_parts_that_were_sent_are_not_sent_again(bothub: Bothub) -> None:
    bothub.work(lambda bus: bus.commit(delivery("d1", "web:a", "one", "two", "three")))
    first = Platform("three")
    assert run(bothub, first, "d1").status == "failed"
    assert first.sent == ["one", "two"]
    bothub("dead", "retry", "d1")
    second = Platform()
    record = run(bothub, second, "d1")
    assert second.sent == ["three"]
    assert (record.status, [part.platform_id for part in record.parts]) == ("delivered", ["p-d1.0", "p-d1.1", "p-d1.2"])


def test_a_retried_delivery_is_found_by_its_own_id_and_by_the_new_one(bothub: Bothub) -> None:
    bothub.work(lambda bus: bus.commit(delivery("d1", "web:a", "one", "two")))
    run(bothub, Platform("two"), "d1")
    bothub("dead", "retry", "d1")
    for name in ("d1", "d1#2"):
        record = bothub.work(lambda bus, name=name: looked_up(bus, name))
        assert (record.delivery.id, record.status, record.reason) == ("d1", "waiting", None)
        assert [part.platform_id for part in record.parts] == ["p-d1.0"]


def test_posting_a_retried_delivery_again_is_nothing_new(bothub: Bothub) -> None:
    kill(bothub, delivery("d1", "web:a"))
    bothub("dead", "retry", "d1")

    async def post(bus: Bus) -> str:
        again = msgspec.json.decode(delivery("d1", "web:a").body, type=Delivery)
        return (await posts(bus).deliver(again, 0.0)).status

    assert bothub.work(post) == "waiting"
    assert [mid for _, mid, _ in waiting(bothub, "channel:web")] == ["d1#2"]


def test_discarding_a_retried_delivery_withdraws_the_retry(bothub: Bothub) -> None:
    kill(bothub, delivery("d1", "web:a"))
    bothub("dead", "retry", "d1")

    async def discard(bus: Bus) -> str | None:
        record = await posts(bus).discard("d1", By())
        return record and record.status

    assert bothub.work(discard) == "discarded"
    assert waiting(bothub, "channel:web") == []
    assert dead(bothub) == []


def test_an_expired_delivery_gets_another_day(bothub: Bothub) -> None:
    kill(bothub, delivery("d1", "web:a", expires_at=time.time() - 60), reason="expired")
    bothub("dead", "retry", "d1")
    platform = Platform()
    assert run(bothub, platform, "d1").status == "delivered"
    assert platform.sent == ["hello"]


def test_what_could_not_be_read_cannot_be_retried_only_discarded(bothub: Bothub) -> None:
    bothub.work(lambda bus: bus.commit(UNREADABLE))
    [one] = dead(bothub)
    assert (one["address"], one["lane"], one["text"], one["can_retry"]) == (None, None, '{"odd": 1}', False)
    result = bothub("dead", "retry", "update:7")
    assert result.exit_code == 1
    assert "could not be read when it came, so it cannot be tried again; discard it" in result.stdout
    assert bothub("dead", "discard", "update:7").stdout == "discarded  update:7  in agent:assistant\n"
    assert dead(bothub) == []


def test_all_of_an_inbox_or_of_every_one(bothub: Bothub) -> None:
    kill(bothub, delivery("d1", "web:a"), delivery("d2", "web:a"), message("m1", "web:a", "hi"))
    bothub.work(lambda bus: bus.commit(UNREADABLE))
    answer = bothub.json("dead", "retry", "--all", "--inbox", "channel:web")
    assert [one["new_id"] for one in answer["retried"]] == ["d1#2", "d2#2"]
    result = bothub("dead", "retry", "--all")
    assert result.exit_code == 0
    assert "retried  m1 as m1#2" in result.stdout
    assert "discard it" in result.stdout
    assert bothub.json("dead", "discard", "--all")["discarded"] == [{"id": "update:7", "inbox": "agent:assistant"}]


def test_one_wrong_id_does_not_keep_the_others(bothub: Bothub) -> None:
    kill(bothub, delivery("d1", "web:a"))
    answer = bothub.json("dead", "discard", "nope", "d1", code=1)
    assert [one["id"] for one in answer["discarded"]] == ["d1"]
    assert answer["failed"] == [{"id": "nope", "error": "There is no dead message 'nope'."}]


def test_an_id_in_two_inboxes_has_to_be_told_apart(bothub: Bothub) -> None:
    kill(bothub, delivery("x", "web:a"), message("x", "web:a", "hi"))
    result = bothub("dead", "discard", "x")
    assert (result.exit_code, "is in more than one inbox" in result.stdout) == (1, True)
    assert bothub("dead", "discard", "x", "--inbox", "channel:web").exit_code == 0
    assert [one["inbox"] for one in dead(bothub)] == ["agent:assistant"]


def test_a_turn_that_failed_without_a_reason_is_listed(bothub: Bothub) -> None:
    kill(bothub, message("m1", "web:a", "hi"), reason=None, error="The model did not answer.")
    assert dead(bothub)[0]["reason"] is None
    assert "failed after 1 try" in bothub("dead", "list").stdout


def test_what_its_caller_was_told_wants_nobody(bothub: Bothub) -> None:
    kill(bothub, message("m1", "api:1:x", "hi"), reason="told")
    assert dead(bothub) == []
    assert "its caller was told" in bothub("dead", "retry", "m1").stdout


@pytest.mark.parametrize("words", [["retry"], ["discard"], ["retry", "d1", "--all"]])
def test_ids_or_all_but_not_both(bothub: Bothub, words: list[str]) -> None:
    assert bothub("dead", *words).exit_code == 2


def test_a_closed_message_is_known_as_long_as_a_fresh_one(bothub: Bothub) -> None:
    """It counts from its retry: what a platform or client repeats meanwhile is nothing new."""
    old = time.time() - 10 * 86400

    async def die(bus: Bus) -> None:
        await settle(bus, delivery("d1", "web:a"))

    bothub.work(die, clock=lambda: old)
    bothub("dead", "retry", "d1")
    bothub.work(lambda bus: bus.sweep(time.time() - 86400))
    assert bothub.work(lambda bus: bus.commit(delivery("d1", "web:a"))) == [False]


def test_a_retry_asks_the_platform_again_about_a_chat_that_was_gone(bothub: Bothub) -> None:
    bothub.work(lambda bus: bus.commit(delivery("d1", "web:a", "one")))
    assert run(bothub, Platform("one"), "d1").reason == "gone"
    bothub("dead", "retry", "d1")
    platform = Platform()
    assert run(bothub, platform, "d1").status == "delivered"
    assert platform.sent == ["one"]


def test_an_edited_delivery_is_sent_whole_and_once(bothub: Bothub) -> None:
    bothub.work(lambda bus: bus.commit(delivery("d1", "web:a", "one", "two")))
    run(bothub, Platform("two"), "d1")
    answer = bothub.json("dead", "resend", "d1", "one and two")
    assert answer == {"resent": [{"id": "d1", "inbox": "channel:web", "new_id": "d1#2"}], "failed": []}
    assert dead(bothub) == []
    platform = Platform()
    record = run(bothub, platform, "d1#2")
    assert platform.sent == ["one and two"]
    assert (record.status, [part.platform_id for part in record.parts]) == ("delivered", ["p-d1#2.0"])
    assert bothub("dead", "resend", "d1", "again").stdout == "'d1' was retried already, as 'd1#2'.\n"
    assert bothub.work(lambda bus: looked_up(bus, "d1")).delivery.id == "d1#2"


def test_an_edited_delivery_that_was_cut_off_goes_on_after_its_last_part(bothub: Bothub) -> None:
    kill(bothub, delivery("d1", "web:a", "one"))
    bothub("dead", "resend", "d1", "x" * 90 + "\n\n" + "y" * 90)
    first = Platform("y" * 90)
    assert run(bothub, first, "d1#2").status == "failed"
    bothub("dead", "retry", "d1#2")
    second = Platform()
    assert run(bothub, second, "d1#2").status == "delivered"
    assert (first.sent, second.sent) == (["x" * 90], ["y" * 90])


def test_an_edited_text_that_says_nothing_is_refused(bothub: Bothub) -> None:
    kill(bothub, delivery("d1", "web:a"))
    result = bothub("dead", "resend", "d1", " ")
    assert (result.exit_code, "text is missing" in result.output) == (2, True)
    assert [one["id"] for one in dead(bothub)] == ["d1"]
    assert bothub("dead", "resend", "nope", "x").exit_code == 1
