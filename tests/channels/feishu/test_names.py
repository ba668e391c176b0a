"""Who people are, where the app may ask: once for each of them, and not again for an hour after a refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from pydantic import SecretStr

from channels.feishu.api import Api
from channels.feishu.config import Feishu
from channels.feishu.names import AGAIN, Names
from tests.platforms.feishu import ANNA, BORIS, CHLOE, GROUP, P2P


class Directory:
    """A Feishu that knows names, if `open`; `asked` are the paths that were called."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.open = True
        self.now = 0.0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/open-apis")
        if path.startswith("/auth/"):
            return web.json_response({"code": 0, "tenant_access_token": "t-1", "expire": 7200})
        self.asked.append(path)
        if not self.open:
            return web.json_response({"code": 99991672, "msg": "Access denied."}, status=400)
        if path.startswith("/contact/"):
            return web.json_response({"code": 0, "data": {"user": {"name": "Anna Lindqvist"}}})
        return web.json_response({"code": 0, "data": {"items": [{"member_id": BORIS, "name": "Boris Orlow"}]}})


@pytest.fixture
def directory() -> Directory:
    return Directory()


@pytest.fixture
async def names(directory: Directory) -> AsyncIterator[Names]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", directory.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    api = Api(Feishu(app_id="a", app_secret=SecretStr("s"), base_url=url))
    yield Names("team", api, clock=lambda: directory.now)
    await api.close()
    await runner.cleanup()


async def test_people_are_asked_for_once(names: Names, directory: Directory) -> None:
    for _ in range(3):
        assert await names.of(ANNA, P2P, direct=True) == "Anna Lindqvist"
        assert await names.of(BORIS, GROUP, direct=False) == "Boris Orlow"
        assert await names.of(CHLOE, GROUP, direct=False) == "user hloe"
    assert directory.asked == [f"/contact/v3/users/{ANNA}", f"/im/v1/chats/{GROUP}/members"]


async def test_a_refusal_is_remembered_for_an_hour(names: Names, directory: Directory) -> None:
    directory.open = False
    assert await names.of(ANNA, P2P, direct=True) == "user anna"
    directory.open = True
    assert await names.of(ANNA, P2P, direct=True) == "user anna"
    directory.now += AGAIN
    assert await names.of(ANNA, P2P, direct=True) == "Anna Lindqvist"
    assert len(directory.asked) == 2
