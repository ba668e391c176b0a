"""Names as long as they may be, of everything that has one: nothing runs out of its place, every button is in reach."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from api.panel.pages import pages
from hub import access
from hub.message import Address, File
from hub.records import deadletters
from hub.store import Connection
from tests.e2e.here import Here, running_hub
from tests.e2e.hub import demo_config, telegram_channel
from tests.panel.desk import Desk, Sitting
from tests.panel.past import of_key, past, talk
from tests.panel.places import newest
from tests.platforms.telegram import PRIVATE, TelegramServer

pytestmark = pytest.mark.asyncio(loop_scope="package")
PERSON, KEY, GROUP = "N" * 120, "W" * 200, "G" * 200
AGENT, MODEL, CHANNEL = "a" * 100, "m" * 100, "c" * 60
FILE = "f" * 250 + ".txt"
GONE = 9104
"""The chat of somebody who blocked the bot."""


@pytest_asyncio.fixture(loop_scope="package")
async def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    async with TelegramServer() as telegram:
        bot = telegram_channel(telegram.base_url, telegram.token, agent=AGENT, direct="pairing")
        config = demo_config(
            models={"demo": {"provider": "demo"}, MODEL: {"provider": "demo"}},
            agents={"assistant": {"model": "demo"}, AGENT: {"model": MODEL, "public": False}},
            channels={"web": {"kind": "web", "agent": AGENT}, CHANNEL: bot},
        )
        async with running_hub(tmp_path_factory.mktemp("long"), config) as here:
            telegram.fail("sendMessage", 403, "Forbidden: bot was blocked by the user", chat=GONE)
            for chat in (PRIVATE, GONE):
                said: dict[str, Any] = {"from": {"id": chat, "is_bot": False, "first_name": PERSON}}
                telegram.say("Hello", chat=chat, **said)
            await here.store.until(lambda: _asks(here))
            yield Desk(here, browser, {"admin": here.key})


async def _asks(here: Here) -> bool:
    def unit(connection: Connection) -> bool:
        waiting = access.pending(connection, CHANNEL, here.engine.clock())
        return len(waiting) == 2 and deadletters.count(connection, None) > 0

    return await here.store.read(unit)


async def _save(here: Here, kind: str, **what: Any) -> int:
    async with here.http() as client:
        answer = await client.post(f"/admin/{kind}/save", json=what)
    return answer.raise_for_status().json()["data"]["id"]


async def _id(here: Here, kind: Any, name: str) -> int:
    return next(one.id for one in await here.live.list(kind) if one.name == name)


async def _places(desk: Desk) -> dict[str, str]:
    """Everything that shows a name, by what it is called."""
    here = desk.here
    group = await _save(here, "group", name=GROUP, key=GROUP.lower())
    for number in range(3):
        await _save(here, "group", name=f"{number}{GROUP[1:]}")
    async with here.http() as client:
        made = {"name": KEY, "group_id": group, "email": "e" * 200, "month_quota": 3}
        key = (await client.post("/admin/api-key/apply", json=made)).raise_for_status().json()["data"]
        notes = {"file": (FILE, b"one", "text/plain")}
        posted = await client.post("/api/v1/web/lobby", data={"text": "w" * 600}, files=notes)
        posted.raise_for_status()
    file = File(ref="0" * 64, name=FILE, media_type="text/plain", size=3)
    said = talk("Q" * 400, "A" * 400, files=(file,), author=PERSON)
    session = await of_key(desk, key["api_key"], said, title="T" * 200, agent=AGENT, model=MODEL)
    await past(desk, Address("web", "r" * 100), said, agent=AGENT, model=MODEL)
    dead = (await here.store.read(lambda connection: deadletters.newest(connection, f"channel:{CHANNEL}", 1)))[0].id
    return {page.name: page.path for page in pages()} | {
        "by agent": "/panel/overview?by=agent",
        "lobby": "/panel/chat/lobby",
        "channel": f"/panel/channels/{await _id(here, 'channel', CHANNEL)}",
        "agent": f"/panel/agents/{await _id(here, 'agent', AGENT)}",
        "model": f"/panel/models/{await _id(here, 'model', MODEL)}",
        "key": f"/panel/keys/{key['id']}",
        "key form": f"/panel/keys/{key['id']}/edit",
        "group": f"/panel/groups/{group}",
        "session": f"/panel/sessions/{session}",
        "delivery": f"/panel/deliveries/{dead}",
        "incoming": "/panel/deliveries/incoming",
        "configuration": "/panel/settings/config",
        "audit": "/panel/settings/audit",
        "trace": f"/panel/trace?id={quote(await here.store.read(newest))}",
    }


async def test_a_long_name_hides_nothing(desk: Desk) -> None:
    await desk.look(await _places(desk), Sitting.out_of_reach)
