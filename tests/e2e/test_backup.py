"""A backup of a hub at work: restored elsewhere, everything that was accepted by then is answered once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from hub.backup import Kept, backup, restore
from hub.bus import Bus
from hub.records.rooms import StoredRooms
from hub.signals.local import LocalSignals
from hub.store import open_store
from hub.store.tables import messages
from tests.e2e.hub import HubProcess, demo_config
from tests.hub.engine import Clock, FailingStore
from tests.patience import PATIENCE
from tests.platforms.openai import Upstream

ROOMS = [f"room{number}" for number in range(4)]


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


def config(upstream: Upstream) -> dict[str, Any]:
    gpt = {"provider": "openai", "base_url": upstream.base_url, "model": "gpt-test"}
    return demo_config(models={"gpt": gpt}, agents={"assistant": {"model": "gpt"}})


def kept(hub: HubProcess) -> Kept:
    return Kept(database=hub.folder / "data" / "bothub.db", data_dir=hub.folder / "data")


class Talk:
    """People who go on talking in every room."""

    def __init__(self, hub: HubProcess) -> None:
        headers = {"Authorization": f"Bearer {hub.key}"}
        self._http = httpx.AsyncClient(base_url=hub.url, headers=headers, timeout=PATIENCE)
        self._more = asyncio.Condition()
        self.said = 0

    async def until(self, count: int) -> None:
        """Wait until so much was accepted in all."""
        async with asyncio.timeout(PATIENCE), self._more:
            await self._more.wait_for(lambda: self.said >= count)

    async def room(self, room: str) -> None:
        for number in range(1000):
            try:
                answer = await self._http.post(f"/api/v1/web/{room}", json={"text": f"{room} {number}"})
            except httpx.HTTPError:
                return  # the hub was killed
            if answer.status_code == 429:
                return  # so many wait now
            answer.raise_for_status()
            async with self._more:
                self.said += 1
                self._more.notify_all()

    async def close(self) -> None:
        await self._http.aclose()


async def test_what_was_accepted_before_a_backup_is_answered_once(tmp_path: Path, upstream: Upstream) -> None:
    archive = tmp_path / "backup.zip"
    async with HubProcess(tmp_path / "here", config(upstream)) as hub:
        talk = Talk(hub)
        talking = [asyncio.create_task(talk.room(room)) for room in ROOMS]
        await talk.until(40)
        await upstream.wait_request(10)  # of four rooms: so some are answered
        upstream.hold = True  # what is said from here on waits, and so do answers that are being written
        await upstream.wait_held()
        await talk.until(talk.said + 20)
        await asyncio.to_thread(backup, kept(hub), archive)
        at = talk.said
        await talk.until(at + 20)
        await hub.kill()
        await asyncio.gather(*talking)
        await talk.close()
    there = HubProcess(tmp_path / "there", config(upstream))
    await asyncio.to_thread(restore, archive, kept(there))
    store = FailingStore(await open_store(there.store_url))
    agents = select(messages).where(messages.c.inbox == "agent:assistant")
    accepted = await store.read(lambda connection: connection.execute(agents).all())
    assert {row.outcome for row in accepted} == {"answered", None}
    assert 60 <= len(accepted) <= at + len(ROOMS)  # one of each room may have been on its way
    upstream.hold = False
    unsettled = select(messages.c.mid).where(messages.c.outcome.is_(None), messages.c.inbox != "run")

    async def nothing_waits() -> bool:
        return await store.read(lambda connection: connection.execute(unsettled).first()) is None

    async with there:
        await store.until(nothing_waits)
        settled = await store.read(lambda connection: connection.execute(agents).all())
    before = {row.mid for row in accepted}
    assert {row.outcome for row in settled if row.mid in before} == {"answered"}
    rooms = StoredRooms(store, LocalSignals(), Clock())
    for room in ROOMS:
        posts = await rooms.read("web", room, 0, 10_000)
        said = [post.text for post in posts if post.author.kind != "agent"]
        answers = [post.text for post in posts if post.author.kind == "agent"]
        heard = sum(f'"chat_id":"{room}"'.encode() in row.body for row in settled)
        assert said == [f"{room} {number}" for number in range(len(said))]
        assert answers == [f"You said: {text}" for text in said[:heard]]
    assert await Bus(store, LocalSignals(), Clock()).residue(0.0) == 0
    await store.close()
