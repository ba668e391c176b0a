"""What chats may spend in a month: a whole hub with a web channel and a local upstream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from hub.accounts.money import amount
from hub.config import Config
from hub.store.tables import keys as table
from hub.store.tables import messages, turns
from hub.turns.handler import USED_UP
from tests.e2e.here import Here, running_hub
from tests.platforms.openai import Answer, Upstream, Usage

CALL = amount("0.01", "a call")
FULL = Answer(text=("ok",), usage=Usage(prompt=3, completion=10))


def config(upstream: Upstream, **channel: Any) -> dict[str, Any]:
    model = {"provider": "openai", "base_url": upstream.base_url, "model": "gpt-test", "price_out": 1000}
    return {
        "models": {"gpt": {**model, "max_output": 10}},
        "agents": {"bot": {"model": "gpt", "month_quota": 0.03}},
        "channels": {"web": {"kind": "web", "agent": "bot", **channel}},
    }


async def say(hub: Here, room: str, text: str = "hi") -> Any:
    """The turn of something that is said in a room, once it is over."""
    async with hub.http() as http:
        said = await http.post(f"/api/v1/web/{room}", json={"text": text})
    turn = said.json()["message_id"]
    return await hub.over(turn)


async def budgets(hub: Here) -> dict[str, Any]:
    rows = await hub.store.read(lambda c: c.execute(select(table).where(table.c.source == "config")).all())
    return {row.name: row for row in rows}


async def shown(hub: Here, room: str, count: int) -> list[str]:
    """What the agent said in a room, when it has said so much."""
    texts: list[str] = []

    async def is_there() -> bool:
        async with hub.http() as http:
            posts = await http.get("/api/v1/messages", params={"channel": "web", "chat_id": room})
        texts[:] = [each["text"] for each in posts.json()["messages"] if each["author"]["kind"] == "agent"]
        return len(texts) >= count

    await hub.store.until(is_there)
    return texts


async def test_a_chat_spends_its_own_budget_else_the_channels_else_the_agents(
    tmp_path: Path, upstream: Upstream
) -> None:
    upstream.script(*[FULL] * 10)
    own = {"vip": {"month_quota": 0.01}}
    async with running_hub(tmp_path, config(upstream, chats=own, month_quota=0.02)) as hub:
        said = [(await say(hub, room)).status for room in ("vip", "vip", "lobby", "hall", "lobby")]
        assert said == ["completed", "failed", "completed", "completed", "failed"]
        spent = {name: row.spent for name, row in (await budgets(hub)).items()}
        assert spent == {"chat:web:vip": CALL, "channel:web": 2 * CALL, "agent:bot": 0}
    assert len(upstream.requests) == 3
    async with running_hub(tmp_path, config(upstream)) as hub:
        assert [(await say(hub, "lobby")).status for _ in range(4)] == ["completed"] * 3 + ["failed"]
        assert (await budgets(hub))["agent:bot"].spent == 3 * CALL


async def test_a_used_up_budget_is_told_once_an_hour_and_nothing_is_lost(tmp_path: Path, upstream: Upstream) -> None:
    async with running_hub(tmp_path, config(upstream, month_quota=0)) as hub:
        refused = [await say(hub, "lobby", text) for text in ("one", "two", "three")]
        assert {(turn.status, turn.error_code) for turn in refused} == {("failed", "insufficient_quota")}
        ids = [turn.id for turn in refused]
        query = select(messages.c.outcome, messages.c.reason).where(messages.c.mid.in_(ids))
        outcomes = await hub.store.read(lambda c: c.execute(query).all())
        assert [tuple(row) for row in outcomes] == [("refused", "budget")] * 3
        upstream.script(FULL)
        await hub.store.write(
            lambda c: c.execute(update(table).where(table.c.name == "channel:web").values(balance=CALL))
        )
        assert (await say(hub, "lobby", "four")).status == "completed"
        assert await shown(hub, "lobby", 2) == [USED_UP, "ok"]
        heard = [message["content"] for message in upstream.requests[0].body["messages"] if message["role"] == "user"]
        assert heard[-1] == "four"
        assert "two" in "".join(map(str, heard)), "what was refused is known when there is money again"


async def test_a_quota_follows_config_and_what_was_spent_stays(tmp_path: Path, upstream: Upstream) -> None:
    upstream.script(FULL, FULL)
    async with running_hub(tmp_path, config(upstream, month_quota=0.01)) as hub:
        assert [(await say(hub, "lobby")).status for _ in range(2)] == ["completed", "failed"]
        web = hub.engine.config.channels["web"].model_copy(update={"month_quota": "0.02"})
        more: Config = hub.engine.config.model_copy(update={"channels": {"web": web}})
        await hub.engine.apply(more)
        assert [(await say(hub, "lobby")).status for _ in range(2)] == ["completed", "failed"]
        row = (await budgets(hub))["channel:web"]
        assert (row.spent, row.month_quota, row.hash) == (2 * CALL, 2 * CALL, None)


async def test_a_channel_may_name_the_key_that_pays(tmp_path: Path, upstream: Upstream) -> None:
    upstream.script(FULL)
    async with running_hub(tmp_path, config(upstream, payer=1)) as hub:
        assert (await say(hub, "lobby")).status == "completed"
        row = await hub.store.read(lambda c: c.execute(select(table).where(table.c.id == 1)).one())
        assert row.spent == CALL
        (turn,) = await hub.store.read(lambda c: c.execute(select(turns)).all())
        assert (turn.payer_id, turn.fee, turn.key_id) == (1, CALL, None)


async def test_without_a_budget_chats_are_only_metered(tmp_path: Path, upstream: Upstream) -> None:
    upstream.script(FULL)
    free = config(upstream)
    del free["agents"]["bot"]["month_quota"]
    async with running_hub(tmp_path, free) as hub:
        assert (await say(hub, "lobby")).status == "completed"
        (turn,) = await hub.store.read(lambda c: c.execute(select(turns)).all())
        assert (turn.payer_id, turn.fee) == (None, CALL)
        assert await budgets(hub) == {}
