"""X-Request-Id: in every answer, and in every line that is logged for a request."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from typing import Any

import httpx
import pytest
from structlog.contextvars import get_contextvars

from api.app import create_app
from api.serve import listen, serve
from hub.store import Store
from tests.api.facade import CHAT, HI, Facade, body, running
from tests.api.fake_hub import FakeHub

HEADER = "X-Request-Id"
HEX = "0123456789abcdef"


def made(name: str) -> bool:
    """Whether the hub thought of it."""
    return len(name) == 32 and set(name) <= set(HEX)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/v1/models", 200),
        ("HEAD", "/v1/models", 200),
        ("GET", "/v1/models/nobody", 404),
        ("GET", "/nowhere", 404),
        ("PUT", "/v1/models", 405),
        ("OPTIONS", "/v1/models", 405),
        ("POST", CHAT, 400),
    ],
)
async def test_every_answer_has_the_name_that_its_request_was_given(
    facade: Facade, method: str, path: str, status: int
) -> None:
    async with facade.http() as client:
        answer = await client.request(method, path, headers={HEADER: "build-41/7"})
        assert (answer.status_code, answer.headers[HEADER]) == (status, "build-41/7")
        unnamed = [(await client.request(method, path)).headers[HEADER] for _ in range(2)]
    assert all(map(made, unnamed))
    assert unnamed[0] != unnamed[1]


async def test_one_without_a_key_has_it_too(facade: Facade) -> None:
    async with facade.http(None) as client:
        answer = await client.get("/v1/models", headers={HEADER: "a"})
    assert (answer.status_code, answer.headers[HEADER]) == (401, "a")


async def test_a_body_that_is_too_large_has_it_too(facade: Facade) -> None:
    async with facade.http() as client:
        answer = await client.post(CHAT, content=b" " * (20 * 2**20 + 1), headers={HEADER: "a"})
    assert (answer.status_code, answer.headers[HEADER]) == (413, "a")


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_and_a_stream_have_it(facade: Facade, stream: bool) -> None:
    async with facade.http() as client:
        answer = await client.post(CHAT, json=body(stream=stream), headers={HEADER: "a"})
    assert answer.headers.get_list(HEADER) == ["a"]


async def test_a_request_that_is_cut_because_the_hub_stops_has_it(store: Store) -> None:
    fake, stop, listener = FakeHub(store), asyncio.Event(), listen("127.0.0.1", 0)

    async def ready() -> Any:
        stop.set()
        await asyncio.Event().wait()

    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(replace(fake.hub(), ready=ready))
    server = asyncio.create_task(serve(app, listener, stop, grace=0))
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{url}/ready", headers={HEADER: "a"})
    await server
    assert (answer.status_code, answer.headers[HEADER]) == (503, "a")


@pytest.mark.parametrize("name", ["", "a b", "a\tb", 'a"b', "a,b", "{}", "ключ", "x" * 129])
async def test_a_name_that_may_not_stand_in_a_log_is_replaced(facade: Facade, name: str) -> None:
    async with facade.http() as client:
        answer = await client.get("/health", headers=[(HEADER.encode(), name.encode())])
    assert made(answer.headers[HEADER])


async def test_the_longest_name_is_kept(facade: Facade) -> None:
    async with facade.http() as client:
        assert (await client.get("/health", headers={HEADER: "x" * 128})).headers[HEADER] == "x" * 128


class Noted(logging.Handler):
    """Notes for each line what request it is logged for."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.getMessage(), get_contextvars().get("request_id")))


async def test_what_is_logged_says_for_which_request(facade: Facade) -> None:
    noted, logger = Noted(), logging.getLogger("api.errors")
    logger.addHandler(noted)
    try:
        facade.fake.turns.script = ("so ", ValueError("nobody foresaw it"))
        async with facade.http() as client:
            for name, stream in (("whole", False), ("stream", True)):
                await client.post(CHAT, json=body(stream=stream), headers={HEADER: name})
    finally:
        logger.removeHandler(noted)
    assert noted.lines == [("A request failed", "whole"), ("A request failed", "stream")]
    assert "request_id" not in get_contextvars()


async def test_requests_at_the_same_time_keep_their_names(store: Store) -> None:
    async with running(store) as facade, facade.http() as client:
        names = [f"n{index}" for index in range(20)]
        answers = await asyncio.gather(
            *(client.post(CHAT, json={"messages": HI}, headers={HEADER: name}) for name in names)
        )
    assert [answer.headers[HEADER] for answer in answers] == names
    assert len({json.loads(answer.content)["id"] for answer in answers}) == 20
