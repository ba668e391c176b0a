"""/api/v1/channels and /api/v1/pairing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.ports import Hub
from hub import access
from hub.records.health import Health, record
from hub.store import Connection
from tests.api.asking import Asking, open_asking
from tests.auditing import act, audited


@pytest.fixture
async def facade(tmp_path: Path) -> AsyncIterator[Asking]:
    async with open_asking(tmp_path) as facade:
        yield facade


def with_channels(facade: Asking, **more: Any) -> Hub:
    facade.app.extensions["bothub"] = replace(facade.hub, channels=lambda: ("support", "web"), **more)
    return facade.app.extensions["bothub"]


async def test_channels_are_told_with_state_and_last_error(facade: Asking) -> None:
    with_channels(facade)
    health = Health(state="failed", since=5.0, error="The token is refused.", reconnects=2)
    await facade.store.write(lambda connection: record(connection, "support", health))
    status, body, _ = await facade.ask("GET", "/api/v1/channels", None, await facade.key("read"))
    assert status == 200
    support, web = body["channels"]
    assert support == {
        "channel": "support",
        "state": "failed",
        "error": "The token is refused.",
        "since": 5,
        "reconnects": 2,
    }
    assert (web["channel"], web["state"]) == ("web", "stopped")


async def test_a_restart_is_an_admins_and_says_whether_somebody_held_the_channel(facade: Asking) -> None:
    asked: list[str] = []

    async def restart(name: str, also: Callable[[Connection], object]) -> bool:
        await facade.store.write(also)
        asked.append(name)
        return True

    with_channels(facade, restart=restart)
    path = "/api/v1/channels/support/restart"
    assert (await facade.ask("POST", path, None, await facade.key("read")))[0] == 403
    status, body, _ = await facade.ask("POST", path, None, await facade.key("admin", name="root"))
    assert (status, body) == (202, {"success": True, "channel": "support", "held": True})
    assert (await facade.ask("POST", "/api/v1/channels/none/restart", None, await facade.key("admin", name="root")))[
        0
    ] == 404
    assert asked == ["support"]
    [row] = await audited(facade.store, "channel.restart")
    assert (row.target, row.by, row.ip) == ("channel:support", "root", "<local>")


async def test_L13_strangers_are_listed_and_approved_by_their_code(facade: Asking) -> None:
    now = with_channels(facade).clock()
    code = await facade.store.write(lambda c: access.request(act(c, now), "support", "77", "Ann"))
    admin = await facade.key("admin", name="root")
    status, body, _ = await facade.ask("GET", "/api/v1/pairing/support", None, admin)
    assert status == 200
    [request] = body["requests"]
    assert (request["code"], request["userId"], request["expiresAt"] - request["createdAt"]) == (code, "77", 3600)
    status, body, _ = await facade.ask("POST", "/api/v1/pairing/support/approve", {"code": code}, admin)
    assert (status, body) == (200, {"success": True, "userId": "77"})
    assert await facade.store.read(lambda c: access.is_paired(c, "support", "77"))
    [row] = await audited(facade.store, "pairing.approve")
    assert (row.target, row.by, row.after) == ("support:77", "root", {"paired": True})
    status, body, _ = await facade.ask("POST", "/api/v1/pairing/support/approve", {"code": code}, admin)
    assert (status, body["success"], body["code"]) == (400, False, "unknown_code")
    assert (await facade.ask("GET", "/api/v1/pairing/support", None, await facade.key("read")))[0] == 403
