"""Several hubs as one: roles apart on PostgreSQL and NATS, and two whole hubs on one SQLite file."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from openai import AsyncOpenAI

from tests import nats
from tests.e2e.hub import HubProcess, demo_config, telegram_channel
from tests.patience import PATIENCE
from tests.platforms.telegram import TelegramServer

KEY = "k7Qp2Zr9Xw4Lm8Tn3Vb6Yc1DsF5h"
ENVIRON = {"BOTHUB_API_KEY": KEY}
PATIENT = {"lease": "180s", "extend": "60s"}
"""Leases so long that a cancel that is not signalled comes too late for the test."""
UP = '"channel": "support", "event": "channel up"'
WORDS = [f"word{number}" for number in range(20)]


@dataclass
class Said:
    """What a stream said."""

    turn: str = ""
    pieces: list[str] = field(default_factory=list[str])
    ended: bool = False

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass
class Programs:
    """Programs that use the API of one process."""

    openai: AsyncOpenAI
    http: httpx.AsyncClient

    async def stream(self, text: str, session: str = "default") -> AsyncIterator[Said]:
        """Ask, and tell after every piece what was said so far."""
        said = Said()
        chunks = await self.openai.chat.completions.create(
            model="assistant",
            messages=[{"role": "user", "content": text}],
            stream=True,
            extra_body={"session_id": session},
        )
        async for chunk in chunks:
            said.turn = chunk.id.removeprefix("chatcmpl-")
            if chunk.choices and (piece := chunk.choices[0].delta.content):
                said.pieces.append(piece)
                yield said
        said.ended = True
        yield said

    async def ask(self, text: str, session: str = "default") -> str:
        answer = await self.openai.chat.completions.create(
            model="assistant", messages=[{"role": "user", "content": text}], extra_body={"session_id": session}
        )
        return answer.choices[0].message.content or ""

    async def get(self, path: str) -> Any:
        return (await self.http.get(path)).raise_for_status().json()

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        return (await self.http.post(path, json=body)).raise_for_status().json()


async def programs(stack: AsyncExitStack, hub: HubProcess) -> Programs:
    openai = await stack.enter_async_context(AsyncOpenAI(base_url=f"{hub.url}/v1", api_key=KEY, max_retries=0))
    headers = {"Authorization": f"Bearer {KEY}"}
    http = await stack.enter_async_context(httpx.AsyncClient(base_url=hub.url, headers=headers, timeout=PATIENCE))
    return Programs(openai, http)


async def ended(hub: HubProcess) -> None:
    """Kill a process, and show its last lines should the test have failed."""
    await hub.kill()
    print(hub.folder.name, *hub.log[-40:], sep="\n")  # noqa: T201


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def telegram(stack: AsyncExitStack) -> TelegramServer:
    return await stack.enter_async_context(TelegramServer())


class Split:
    """Process A has the API; process B the agents and the channels, one of them a Telegram account."""

    def __init__(self, folder: Path, store_url: str, signals_url: str, telegram: TelegramServer) -> None:
        self._folder = folder
        self._config = demo_config(store={"url": store_url}, signals={"url": signals_url}, bus=PATIENT)
        self._config["channels"]["support"] = telegram_channel(telegram.base_url, telegram.token)

    def process(self, name: str, *roles: str, **more: Any) -> HubProcess:
        return HubProcess(self._folder / name, {**self._config, "roles": list(roles), **more}, ENVIRON)

    async def start(self, stack: AsyncExitStack, **more: Any) -> tuple[HubProcess, HubProcess]:
        """Both at the same time, on a store without tables."""
        one, other = self.process("a", "api", **more), self.process("b", "agents", "channels", **more)
        for process in (one, other):
            stack.push_async_callback(ended, process)
        await asyncio.gather(one.start(), other.start())
        await other.logged(UP)
        return one, other


@pytest.fixture
def split(tmp_path: Path, postgres_url: str, nats_url: str, telegram: TelegramServer) -> Split:
    return Split(tmp_path, postgres_url, f"{nats_url}/{uuid4().hex}", telegram)


async def test_pieces_arrive_at_another_process_while_the_turn_runs(split: Split, stack: AsyncExitStack) -> None:
    a, _ = await split.start(stack)
    client = await programs(stack, a)
    statuses: list[str] = []
    said = Said()
    async for said in client.stream(f"slowly 2 {' '.join(WORDS)}"):
        if len(said.pieces) in (1, 10) and not said.ended:
            statuses.append((await client.get(f"/api/v1/turns/{said.turn}"))["status"])
    assert statuses == ["running", "running"]
    assert said.text == " ".join(WORDS)
    assert len(said.pieces) == len(WORDS)


async def test_a_turn_of_another_process_is_cancelled_at_once(split: Split, stack: AsyncExitStack) -> None:
    a, _ = await split.start(stack)
    client = await programs(stack, a)
    stream = client.stream(f"slowly 60 {' '.join(WORDS)}")
    said = await anext(stream)
    answer = await client.http.delete(f"/api/v1/turns/{said.turn}")
    assert answer.json()["status"] == "cancelled"
    with pytest.raises(Exception, match=r"stopped|cancel"):
        await anext(stream)


async def test_a_turn_of_a_room_is_stopped_from_another_process(split: Split, stack: AsyncExitStack) -> None:
    a, _ = await split.start(stack)
    client = await programs(stack, a)
    async with client.http.stream("GET", "/api/v1/web/lobby/events") as events:
        lines = events.aiter_lines()
        await client.post("/api/v1/web/lobby", {"text": "slowly 600 this takes a while"})
        await lines_with(lines, '"text":"this "')
        await client.post("/api/v1/web/lobby", {"text": "/stop"})
        await lines_with(lines, '"active":false', r'"text":"this \n\n(stopped)"')


async def lines_with(lines: AsyncIterator[str], *texts: str) -> None:
    """Read a stream until each of the texts was in one of its lines, in any order."""
    missing = set(texts)
    async with asyncio.timeout(PATIENCE):
        async for line in lines:
            missing -= {text for text in missing if text in line}
            if not missing:
                return
    raise AssertionError(f"the stream ended without {missing}")


async def test_a_post_is_delivered_by_another_process_and_its_end_seen(
    split: Split, stack: AsyncExitStack, telegram: TelegramServer
) -> None:
    a, _ = await split.start(stack)
    client = await programs(stack, a)
    post = {"channel": "support", "chat_id": "77", "text": "Build finished.", "wait": True}
    delivery = await client.post("/v1/deliveries", post)
    message = await telegram.wait_text("Build finished.")
    assert delivery["status"] == "delivered"
    assert [part["platform_id"] for part in delivery["parts"]] == [str(message["message_id"])]


async def test_a_turn_goes_on_without_nats_and_signals_come_back_with_it(
    tmp_path: Path, postgres_url: str, stack: AsyncExitStack, telegram: TelegramServer
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    split = Split(tmp_path, postgres_url, f"nats://127.0.0.1:{port}", telegram)
    text = " ".join(WORDS)
    with nats.running(port):
        a, b = await split.start(stack)
        client = await programs(stack, a)
        stream = client.stream(f"slowly 3 {text}")
        await anext(stream)
    said = [said async for said in stream][-1]
    assert said.text == text
    assert len(said.pieces) < len(WORDS), "NATS was away"
    assert await client.ask("count to 3", session="another") == "1 2 3"
    telegram.say("hello")
    await telegram.wait_text("You said: hello")
    with nats.running(port):
        for process in (a, b):
            await process.logged("signals connected", 2)
        again = [said async for said in client.stream(f"slowly 1 {text}")][-1]
        assert again.text == text
        assert len(again.pieces) == len(WORDS)
    for process in (a, b):
        assert sum("signals away" in line for line in process.log) >= 1


async def test_hubs_start_without_nats_and_find_each_other_by_looking(
    tmp_path: Path, postgres_url: str, stack: AsyncExitStack, telegram: TelegramServer
) -> None:
    split = Split(tmp_path, postgres_url, "nats://127.0.0.1:1", telegram)
    a, b = await split.start(stack)
    client = await programs(stack, a)
    assert await client.ask("count to 3") == "1 2 3"
    assert [sum("signals away" in line for line in process.log) for process in (a, b)] == [1, 1]


@pytest.mark.slow
async def test_another_process_takes_over_after_a_kill_and_every_answer_comes_once(
    split: Split, stack: AsyncExitStack, telegram: TelegramServer
) -> None:
    bus = {"lease": "2s", "extend": "500ms"}
    a, b = await split.start(stack, bus=bus)
    client = await programs(stack, a)
    text = " ".join(WORDS)
    telegram.say(f"slowly 4 {text}")
    stream = client.stream(f"slowly 4 {text}")
    said = await anext(stream)
    await telegram.wait_call("sendChatAction")
    await b.kill()
    async with split.process("b2", "agents", "channels", bus=bus) as successor:
        said = [said async for said in stream][-1]
        assert said.text == text
        await telegram.wait_text(text)
        assert (await client.get(f"/api/v1/turns/{said.turn}"))["response"] == text
        assert await client.ask("what did I say", session="default") == f"- slowly 4 {text}\n- what did I say"
        await successor.logged(UP)
        telegram.say("hello")
        await telegram.wait_text("You said: hello")
    assert [message["text"] for message in telegram.sent()] == [text, "You said: hello"]


@pytest.mark.slow
async def test_two_whole_hubs_on_one_sqlite_file_hold_a_channel_in_turns(
    tmp_path: Path, stack: AsyncExitStack, telegram: TelegramServer
) -> None:
    config = demo_config(store={"url": f"sqlite:///{tmp_path}/shared.db"}, bus={"lease": "2s", "extend": "500ms"})
    config["channels"]["support"] = telegram_channel(telegram.base_url, telegram.token)
    hubs = [HubProcess(tmp_path / name, config, ENVIRON) for name in ("a", "b")]
    for hub in hubs:
        stack.push_async_callback(ended, hub)
    await asyncio.gather(*(hub.start() for hub in hubs))
    clients = [await programs(stack, hub) for hub in hubs]
    holder = await first_up(hubs)
    answers = [client.ask(f"hello {number}", f"s{number}") for number in range(10) for client in clients]
    assert await asyncio.gather(*answers) == [f"You said: hello {number}" for number in range(10) for _ in clients]
    telegram.say("first")
    await telegram.wait_text("You said: first")
    states = [(await client.get("/ready"))["channels"]["support"] for client in clients]
    assert states[hubs.index(holder)] == "up"
    assert sorted(states) == ["stopped", "up"]
    await holder.kill()
    telegram.say("second")
    [left] = [hub for hub in hubs if hub is not holder]
    await left.logged(UP)
    await telegram.wait_text("You said: second")
    assert [message["text"] for message in telegram.sent()] == ["You said: first", "You said: second"]
    assert [call.status for call in telegram.called("getUpdates") if call.status == 409] == [], "both polled"


async def first_up(hubs: list[HubProcess]) -> HubProcess:
    """The hub that holds the Telegram channel."""
    waiting = {asyncio.create_task(hub.logged(UP)): hub for hub in hubs}
    done, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    return waiting[done.pop()]
