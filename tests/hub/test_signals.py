"""Signals keep their laws within a process and between processes, and NATS may come and go."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from hub.app import open_signals
from hub.errors import ConfigError
from hub.signals import LARGEST
from hub.signals.local import LocalSignals
from hub.signals.nats import OUTGOING, NatsSignals, Server, subject
from tests import nats
from tests.contracts.signals import ODD, PATIENCE, SHORT, SignalsLaws, heard
from tests.hub.scripted_nats import ScriptedNats

NOBODY = "nats://127.0.0.1:1"


@dataclass
class Local:
    """Signals that nothing has to be waited for."""

    here: LocalSignals

    @property
    def there(self) -> LocalSignals:
        return self.here

    async def settled(self) -> None:
        pass


@dataclass
class Nats:
    """Two ends on one server, or one end twice."""

    here: NatsSignals
    there: NatsSignals

    async def settled(self) -> None:
        for signals in (self.there, self.here, self.there):
            await signals.flush()


class TestLocalSignals(SignalsLaws):
    """Within one process."""

    @pytest.fixture
    def subject(self) -> Local:
        return Local(LocalSignals())


class TestNatsWithinAProcess(SignalsLaws):
    """A process's own signals, while others could hear them too."""

    @pytest.fixture
    async def subject(self, one: NatsSignals) -> Nats:
        return Nats(one, one)


class TestNatsBetweenProcesses(SignalsLaws):
    """One sends, the other listens."""

    @pytest.fixture
    async def subject(self, one: NatsSignals, other: NatsSignals) -> Nats:
        return Nats(one, other)


class TestNatsAway(SignalsLaws):
    """A process's own signals while there is no server."""

    @pytest.fixture
    async def subject(self) -> AsyncIterator[Local]:
        signals = NatsSignals(NOBODY)
        await signals.start()
        yield Local(signals)
        await signals.close()


class TestNatsNotStarted(SignalsLaws):
    """A process's own signals before it connects."""

    @pytest.fixture
    def subject(self) -> Local:
        return Local(NatsSignals(NOBODY))


@pytest.fixture
def url(nats_url: str) -> str:
    """A hub of its own on the session's server."""
    return f"{nats_url}/{uuid4().hex}"


@pytest.fixture
async def one(url: str) -> AsyncIterator[NatsSignals]:
    signals = NatsSignals(url)
    await signals.start()
    yield signals
    await signals.close()


@pytest.fixture
async def other(url: str) -> AsyncIterator[NatsSignals]:
    signals = NatsSignals(url)
    await signals.start()
    yield signals
    await signals.close()


@pytest.fixture
async def server() -> AsyncIterator[ScriptedNats]:
    async with ScriptedNats() as scripted:
        yield scripted


@pytest.fixture
async def signals(server: ScriptedNats) -> AsyncIterator[NatsSignals]:
    signals = NatsSignals(f"nats://{server.host}")
    await signals.start()
    yield signals
    server.frozen = server.deaf = False
    await signals.close()


async def back(signals: NatsSignals) -> None:
    """Wait until a server is there again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await signals.flush()
            except TimeoutError:
                await asyncio.sleep(0)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


# Subjects


@given(st.lists(st.text() | st.sampled_from(ODD), min_size=2, max_size=2, unique=True))
@example(["a", "A"])
def test_two_topics_are_two_subjects(topics: list[str]) -> None:
    first, second = map(subject, topics)
    assert first != second


@given(st.text() | st.sampled_from(ODD) | st.text(min_size=1000))
@example("\ud800")
def test_a_subject_is_what_nats_allows(topic: str) -> None:
    assert re.fullmatch(r"[\w%~:@-]+(\.[\w%~:@-]+)*", subject(topic), re.ASCII)
    assert len(subject(topic)) <= 1000


def test_a_common_topic_is_readable_as_a_subject() -> None:
    assert subject("inbox.agent:assistant") == "inbox.agent:assistant"
    assert Server("nats://h:4222").subject("turn.1") == "bothub.turn.1"
    assert Server("nats://h:4222/staging").subject("turn.1") == "bothub:staging.turn.1"


async def test_hubs_with_different_paths_do_not_hear_each_other(nats_url: str, one: NatsSignals) -> None:
    stranger = NatsSignals(nats_url)
    await stranger.start()
    with one.listen("a") as listener:
        await one.flush()
        stranger.send("a", b"1")
        await stranger.flush()
        await one.flush()
        assert await heard(listener) == []
    await stranger.close()


# What the server is told


async def test_a_topic_is_subscribed_once_and_left_with_its_last_listener(
    server: ScriptedNats, signals: NatsSignals
) -> None:
    for _ in range(3):
        with signals.listen("a"), signals.listen("a"):
            await signals.flush()
        await signals.flush()
    told = [line.rpartition(" ")[0] for line in server.said("SUB")]
    assert told == ["SUB bothub.a "] * 3
    assert len(server.said("UNSUB")) == 3
    assert not signals.topics


async def test_who_leaves_at_once_costs_the_server_nothing(server: ScriptedNats, signals: NatsSignals) -> None:
    for number in range(1000):
        with signals.listen(f"turn.{number}"):
            pass
    await signals.flush()
    assert server.said("SUB", "UNSUB") == []
    assert not signals.topics


async def test_who_listens_before_it_sends_is_known_before(server: ScriptedNats, signals: NatsSignals) -> None:
    with signals.listen("turn.1"):
        signals.send("inbox.agent:a")
        await signals.flush()
    assert [line.split(" ")[:2] for line in server.said("SUB", "PUB")] == [
        ["SUB", "bothub.turn.1"],
        ["PUB", "bothub.inbox.agent:a"],
    ]


async def test_what_is_too_long_is_not_sent(server: ScriptedNats, signals: NatsSignals) -> None:
    signals.send("a", bytes(LARGEST + 1))
    await signals.flush()
    assert server.said("PUB") == []


@pytest.mark.parametrize(
    ("userinfo", "told"),
    [("ann:p%40ss%2Fw@", {"user": "ann", "pass": "p@ss/w"}), ("t%2Foken@", {"auth_token": "t/oken"}), ("", {})],
)
async def test_credentials_come_from_the_url(server: ScriptedNats, userinfo: str, told: dict[str, str]) -> None:
    signals = NatsSignals(f"nats://{userinfo}{server.host}")
    await signals.start()
    await signals.close()
    [said] = server.connects
    assert {name: said[name] for name in ("user", "pass", "auth_token") if name in said} == told
    assert said["echo"] is False


async def test_a_server_without_tls_learns_no_password(server: ScriptedNats) -> None:
    signals = NatsSignals(f"tls://ann:s3cret@{server.host}")
    with capture_logs() as logs:
        await signals.start()
        await signals.close()
    assert server.lines == []
    assert [(line["event"].split(":")[0], line["error"]) for line in logs if line["log_level"] == "warning"] == [
        ("signals away", "the server offers no TLS")
    ]


# NATS comes and goes


async def test_a_server_that_starts_later_is_found() -> None:
    port = free_port()
    one, other = (NatsSignals(f"nats://127.0.0.1:{port}") for _ in range(2))
    with capture_logs() as logs, one.listen("a") as listener:
        await one.start()
        await other.start()
        other.send("a", b"lost")
        with nats.running(port):
            await back(one)
            await back(other)
            other.send("a", b"1")
            await other.flush()
            await one.flush()
            assert await heard(listener) == [b"1"]
            await one.close()
            await other.close()
    changes = [line["event"].split(":")[0] for line in logs if line["log_level"] != "debug"]
    assert changes == ["signals away", "signals away", "signals connected", "signals connected"]


@pytest.mark.slow
async def test_listeners_hear_again_after_the_server_was_away() -> None:
    port = free_port()
    one, other = (NatsSignals(f"nats://127.0.0.1:{port}") for _ in range(2))
    with capture_logs() as logs, nats.running(port):
        await one.start()
        await other.start()
        stays, leaves = one.listen("stays"), one.listen("leaves")
        await one.flush()
    with capture_logs() as later, stays:
        other.send("stays", b"lost")
        leaves.__exit__()
        comes = one.listen("comes")
        with nats.running(port), comes:
            await back(one)
            await back(other)
            for topic in ("leaves", "stays", "comes"):
                other.send(topic, topic.encode())
            await other.flush()
            await one.flush()
            assert [await heard(listener) for listener in (leaves, stays, comes)] == [[], [b"stays"], [b"comes"]]
            await one.close()
            await other.close()
    assert [line["event"] for line in logs if line["log_level"] != "debug"] == ["signals connected"] * 2
    changes = [line["event"].split(":")[0] for line in later if line["log_level"] != "debug"]
    assert sorted(changes) == ["signals away"] * 2 + ["signals connected"] * 2


@pytest.mark.parametrize("error", ["Slow Consumer", "Maximum Connections Exceeded", "Stale Connection", "Whatever"])
async def test_whatever_error_ends_a_connection_there_is_a_new_one(
    server: ScriptedNats, signals: NatsSignals, error: str
) -> None:
    with signals.listen("a"):
        await server.until("SUB", 1)
        await server.tell(f"-ERR '{error}'")
        await server.until("SUB", 2)
    await back(signals)


async def test_a_permission_error_ends_no_connection(server: ScriptedNats, signals: NatsSignals) -> None:
    await server.tell("-ERR 'Permissions Violation for Subscription to \"a\"'")
    await signals.flush()
    assert len(server.connects) == 1


@pytest.mark.slow
async def test_a_refused_password_is_tried_again_and_told_once(server: ScriptedNats) -> None:
    server.refusal = "Authorization Violation"
    signals = NatsSignals(f"nats://ann:s3cret@{server.host}")
    with capture_logs() as logs:
        await signals.start()
        await server.until("CONNECT", 3)
        server.refusal = None
        await back(signals)
        await signals.close()
    told = [line for line in logs if line["log_level"] != "debug"]
    assert [line["event"].split(":")[0] for line in told] == ["signals away", "signals connected"]
    assert "Authorization" in told[0]["error"]
    assert "s3cret" not in str(logs)


async def test_a_server_that_says_nothing_is_waited_for_briefly(server: ScriptedNats) -> None:
    server.frozen = True
    signals = NatsSignals(f"nats://{server.host}")
    with capture_logs() as logs:
        await signals.start(SHORT)
        with signals.listen("a") as listener:
            signals.send("a", b"1")
            assert await heard(listener) == [b"1"]
        await signals.close()
    assert [line["error"] for line in logs if line["log_level"] == "warning"] == ["no answer within 0.01 s"]


@pytest.mark.slow
async def test_what_a_stuck_server_does_not_take_is_lost(server: ScriptedNats) -> None:
    signals = NatsSignals(f"nats://{server.host}")
    await signals.start()
    server.deaf = True
    signals.send("wake", b"")
    await server.until("PUB", 1)
    payload = bytes(LARGEST)
    try:
        with capture_logs() as logs, signals.listen("a") as listener:
            for _ in range(100):
                signals.send("a", payload)
                await asyncio.sleep(0)
            assert len(await heard(listener)) == 100
    finally:
        async with asyncio.timeout(PATIENCE):
            await signals.close()
    lost = [line for line in logs if line["event"].startswith("signal lost")]
    assert len(lost) > 100 - 2 * OUTGOING // LARGEST - 32


async def test_the_last_signal_before_closing_arrives(one: NatsSignals, other: NatsSignals) -> None:
    with other.listen("a") as listener:
        await other.flush()
        one.send("a", b"last")
        await one.close()
        async with asyncio.timeout(PATIENCE):
            assert await listener.next() == b"last"


# By URL


async def test_a_hub_opens_what_its_url_says(url: str) -> None:
    local = await open_signals("local")
    assert type(local) is LocalSignals
    first, second = await open_signals(url), await open_signals(url)
    assert isinstance(first, NatsSignals)
    assert isinstance(second, NatsSignals)
    with second.listen("a") as listener:
        await second.flush()
        first.send("a", b"1")
        async with asyncio.timeout(PATIENCE):
            assert await listener.next() == b"1"
    await first.close()
    await second.close()


async def test_a_hub_starts_without_nats_and_says_so() -> None:
    with capture_logs() as logs:
        signals = await open_signals("nats://ann:s3cret@127.0.0.1:1/blue")
    await signals.close()
    [told] = [line for line in logs if line["log_level"] != "debug"]
    assert told["log_level"] == "warning"
    assert told["server"] == "nats://127.0.0.1:1"
    assert "Connect call failed" in told["error"]
    assert "s3cret" not in str(logs)


@pytest.mark.parametrize("url", ["nats://", "nats://h:port", "nats://ann:s3/cret@h", "redis://h", "nats://[::1", "x"])
def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        NatsSignals(url)
    assert "s3" not in str(refused.value)
