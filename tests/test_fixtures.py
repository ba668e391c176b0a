"""What the other tests rely on is itself true."""

import asyncio
import socket

import pytest
from nats.aio.client import Client
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.offline import NetworkForbidden


def test_an_address_beyond_loopback_is_refused_and_remembered(network: list[str]) -> None:
    with pytest.raises(NetworkForbidden):
        socket.create_connection(("192.0.2.1", 80))
    assert network == ["socket.connect to 192.0.2.1"]
    network.clear()


def test_a_name_beyond_loopback_is_not_looked_up(network: list[str]) -> None:
    with pytest.raises(NetworkForbidden):
        socket.getaddrinfo("bots.example", 443)
    assert network == ["look-up of bots.example"]
    network.clear()


async def test_loopback_is_reached() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection("localhost", server.sockets[0].getsockname()[1])
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("_", ["first", "second"])
async def test_every_test_has_its_own_postgres_database(postgres_url: str, _: str) -> None:
    engine = create_async_engine(postgres_url)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE only_mine (id int)"))
    finally:
        await engine.dispose()


async def test_nats_answers(nats_url: str) -> None:
    client = Client()
    await client.connect(nats_url)
    await client.flush()
    await client.close()
