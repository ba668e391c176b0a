"""POST /webhooks/<kind>/<channel>: open to everybody, answered by the channel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from quart import Response

from api.ports import Push
from api.webhooks import LIMIT
from hub.channel import WebhookAnswer
from hub.errors import Forbidden, StoreUnavailable
from tests.api.asking import Asking, open_asking

PATH = "/webhooks/telegram/support"


@pytest.fixture
async def facade(tmp_path: Path) -> AsyncIterator[Asking]:
    async with open_asking(tmp_path) as facade:
        yield facade


class Pushes:
    """A channel's side of a webhook."""

    def __init__(self, facade: Asking) -> None:
        self.heard: list[tuple[Mapping[str, str], bytes]] = []
        self.fails: Exception | None = None
        self.answer = WebhookAnswer(status=201, body=b'{"challenge":"x"}', content_type="application/json")
        self.app = facade.app
        take: Push = self.take
        self.app.extensions["bothub"] = replace(facade.hub, webhooks={("telegram", "support"): take})

    async def take(self, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        if self.fails:
            raise self.fails
        self.heard.append((headers, body))
        return self.answer

    async def push(self, body: bytes = b"{}", path: str = PATH, **headers: str) -> Response:
        response = await self.app.test_client().post(path, data=body, headers=headers)
        assert isinstance(response, Response)
        return response


@pytest.fixture
def pushes(facade: Asking) -> Pushes:
    return Pushes(facade)


async def test_the_channel_gets_the_very_bytes_and_answers(pushes: Pushes) -> None:
    response = await pushes.push(b"\0 raw \xff", **{"X-Telegram-Bot-Api-Secret-Token": "s"})
    assert (response.status_code, await response.get_data()) == (201, b'{"challenge":"x"}')
    assert response.content_type == "application/json"
    [(headers, body)] = pushes.heard
    assert body == b"\0 raw \xff"
    assert headers["x-telegram-bot-api-secret-token"] == "s"


@pytest.mark.parametrize("path", ["/webhooks/telegram/other", "/webhooks/feishu/support", "/webhooks/web/support"])
async def test_an_unknown_one_is_not_found(pushes: Pushes, path: str) -> None:
    response = await pushes.push(path=path)
    assert response.status_code == 404
    assert (await response.get_json())["error"]["code"] == "unknown_webhook"
    assert pushes.heard == []


async def test_a_forged_push_is_forbidden(pushes: Pushes) -> None:
    pushes.fails = Forbidden("This webhook takes nothing that does not know its secret.")
    assert (await pushes.push()).status_code == 403


async def test_what_cannot_be_stored_is_to_come_again(pushes: Pushes) -> None:
    pushes.fails = StoreUnavailable("down")
    response = await pushes.push()
    assert response.status_code == 503
    assert response.headers["Retry-After"]


async def test_a_body_over_the_limit_is_refused_before_the_channel_sees_it(pushes: Pushes) -> None:
    assert (await pushes.push(bytes(LIMIT))).status_code == 201
    response = await pushes.push(bytes(LIMIT + 1))
    assert response.status_code == 413
    assert "1 MB" in (await response.get_json())["error"]["message"]
    assert len(pushes.heard) == 1


async def test_other_methods_are_not_taken(pushes: Pushes) -> None:
    assert (await pushes.app.test_client().get(PATH)).status_code == 405
