"""The socket, the end of the server, and the moment a client goes while the headers are on their way."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest
from hypercorn.typing import HTTPScope

from api.app import create_app
from api.serve import listen, serve
from hub.accounts import keys
from hub.errors import ConfigError
from hub.store import Store
from tests.api.facade import CHAT, USER, Facade, body
from tests.api.fake_hub import NOW, FakeHub
from tests.patience import PATIENCE

BODY = json.dumps({"messages": [{"role": "user", "content": "hi"}], "stream": True}).encode()


def test_a_free_port_is_found_and_a_taken_one_is_a_config_error() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "999.1.1.1"])
def test_a_host_that_cannot_be_is_a_config_error(host: str, network: list[str]) -> None:
    with pytest.raises(ConfigError, match=host):
        listen(host, 0)
    network.clear()


async def test_N1_the_default_address_is_served(facade: Facade) -> None:
    async with facade.http() as client:
        assert (await client.get("/v1/models")).status_code == 200


async def test_a_stream_that_is_open_at_the_end_is_cut_after_the_grace(store: Store) -> None:
    fake = FakeHub(store)
    fake.turns.script = ("one", asyncio.Event())
    user = await store.write(lambda connection: keys.create(connection, USER, name="user", now=NOW))
    listener, stop = listen("127.0.0.1", 0), asyncio.Event()
    facade = Facade(fake, listener.getsockname()[1], user)
    server = asyncio.create_task(serve(create_app(fake.hub()), listener, stop, grace=0.01))
    reader, writer = await facade.raw(BODY)
    await reader.readuntil(b'"one"')
    stop.set()
    rest = await asyncio.wait_for(reader.read(), PATIENCE)
    assert b'"code":"stopping"' in rest
    assert rest.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    await asyncio.wait_for(server, PATIENCE)
    assert fake.turns.answers[0].log == ["began", "left"]
    writer.close()


async def test_a_request_without_an_answer_at_the_end_is_a_503(store: Store) -> None:
    fake = FakeHub(store)
    fake.turns.script = (asyncio.Event(),)
    user = await store.write(lambda connection: keys.create(connection, USER, name="user", now=NOW))
    listener, stop = listen("127.0.0.1", 0), asyncio.Event()
    facade = Facade(fake, listener.getsockname()[1], user)
    server = asyncio.create_task(serve(create_app(fake.hub()), listener, stop, grace=0.01))
    async with facade.http() as client:
        asking = asyncio.create_task(client.post(CHAT, json=body()))
        await asyncio.wait_for(fake.turns.asked.wait(), PATIENCE)
        stop.set()
        answer = await asyncio.wait_for(asking, PATIENCE)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json()["error"]["code"] == "stopping"
    await asyncio.wait_for(server, PATIENCE)
    assert fake.turns.answers[0].log == ["left"]


async def test_a_rooms_events_end_without_a_word_at_the_end(store: Store) -> None:
    fake = FakeHub(store)
    await store.write(lambda connection: keys.create(connection, USER, name="user", now=NOW))
    listener, stop = listen("127.0.0.1", 0), asyncio.Event()
    port = listener.getsockname()[1]
    server = asyncio.create_task(serve(create_app(fake.hub()), listener, stop, grace=0.01))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = "GET /api/v1/web/lobby/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    writer.write(f"{head}Authorization: Bearer {USER}\r\n\r\n".encode())
    await reader.readuntil(b": keep-alive")
    stop.set()
    assert (await asyncio.wait_for(reader.read(), PATIENCE)).split(b"\r\n", 1)[1] == b"0\r\n\r\n"
    await asyncio.wait_for(server, PATIENCE)
    writer.close()


async def test_an_answer_that_ends_within_the_grace_is_sent_in_full(store: Store) -> None:
    fake, gate = FakeHub(store), asyncio.Event()
    fake.turns.script = ("one", gate, "two")
    user = await store.write(lambda connection: keys.create(connection, USER, name="user", now=NOW))
    listener, stop = listen("127.0.0.1", 0), asyncio.Event()
    facade = Facade(fake, listener.getsockname()[1], user)
    server = asyncio.create_task(serve(create_app(fake.hub()), listener, stop, grace=10))
    reader, writer = await facade.raw(BODY)
    await reader.readuntil(b'"one"')
    stop.set()
    gate.set()
    assert (await reader.read()).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    await asyncio.wait_for(server, PATIENCE)
    writer.close()


@pytest.mark.parametrize("blocked", ["http.response.start", "http.response.body"])
async def test_a_client_that_goes_while_bytes_are_on_their_way_is_noticed(store: Store, blocked: str) -> None:
    """The window between the view and the body's first byte, and between two of its bytes."""
    fake = FakeHub(store)
    fake.turns.script = ("one", asyncio.Event())
    await store.write(lambda connection: keys.create(connection, USER, name="user", now=NOW))
    sending, never = asyncio.Event(), asyncio.Event()
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": BODY, "more_body": False}]

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await sending.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == blocked:
            sending.set()
            await never.wait()

    await asyncio.wait_for(create_app(fake.hub())(cast(HTTPScope, _scope()), receive, send), PATIENCE)
    assert fake.turns.answers[0].log == ["left"]


def _scope() -> dict[str, Any]:
    headers = [(b"host", b"localhost"), (b"authorization", b"Bearer " + USER.encode())]
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/chat/completions",
        "raw_path": b"/v1/chat/completions",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "extensions": {},
    }


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/health", 405), ("/v1/deliveries", 401)])
async def test_who_is_refused_may_send_the_whole_body_and_ask_again(facade: Facade, path: str, status: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", facade.port)
    for _ in range(2):
        writer.write(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n".encode())
        await writer.drain()
        # The hub has long made up its mind when this one, which came later, is answered.
        async with facade.http(None) as client:
            await client.get("/health")
        writer.write(b"body")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        assert head.startswith(f"HTTP/1.1 {status} ".encode())
        length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length"))
        await reader.readexactly(int(length.split()[1]))
    writer.close()
