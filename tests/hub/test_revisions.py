"""From every revision with something in each of its tables: the upgrade keeps it, and today's hub reads it and goes on.

A new revision is tested without a change here; `samples/` needs a file for what it adds.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from hub import access, facts, memory
from hub.accounts import audit, idempotency, keyring
from hub.facts import Place
from hub.message import Address
from hub.records import deadletters, health
from hub.store import Store, open_store
from hub.store.listing import Part
from hub.store.migrate import HEAD, migrate, revision
from hub.store.tables import choices, gone, metadata, schedules
from tests.e2e.here import Here, running_hub
from tests.e2e.hub import demo_config
from tests.hub.revisions import REVISIONS, SAMPLES, live_on, stored, tables
from tests.postgres import Postgres

ADMIN, ANN = "br-admin-of-an-older-version", "br-ann-of-an-older-version"
SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"


@pytest.fixture(params=REVISIONS)
def at(request: pytest.FixtureRequest) -> str:
    """A revision."""
    return request.param


@pytest.fixture(scope="module")
def sqlite_history(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A SQLite file as each revision left it."""
    folder = tmp_path_factory.mktemp("history")
    history = {each: folder / f"{each}.db" for each in REVISIONS}

    async def live() -> None:
        for each, path in history.items():
            await live_on(f"sqlite:///{folder}/now.db", each)
            shutil.copyfile(folder / "now.db", path)

    asyncio.run(live())
    return history


@pytest.fixture(scope="module")
def postgres_history(postgres_server: Postgres) -> Iterator[dict[str, str]]:
    """A PostgreSQL database as each revision left it, by name."""
    history: dict[str, str] = {}
    now = postgres_server.create()

    async def live() -> None:
        for each in REVISIONS:
            await live_on(postgres_server.url(now), each)
            history[each] = postgres_server.create(now)

    asyncio.run(live())
    yield history
    for name in (now, *history.values()):
        postgres_server.drop(name)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def old_url(request: pytest.FixtureRequest, at: str, tmp_path: Path) -> Iterator[str]:
    """A database as the revision left it, once on each engine."""
    if request.param == "sqlite":
        shutil.copyfile(request.getfixturevalue("sqlite_history")[at], tmp_path / "old.db")
        yield f"sqlite:///{tmp_path}/old.db"
        return
    server: Postgres = request.getfixturevalue("postgres_server")
    name = server.create(request.getfixturevalue("postgres_history")[at])
    yield server.url(name)
    server.drop(name)


def test_every_sample_is_of_a_revision() -> None:
    assert {path.stem for path in SAMPLES.iterdir()} <= set(REVISIONS)


async def test_there_is_a_sample_of_everything_that_a_revision_adds(sqlite_history: dict[str, Path], at: str) -> None:
    store = await open_store(f"sqlite:///{sqlite_history[at]}")
    found = await store.read(stored)
    await store.close()
    empty = [name for name, rows in found.items() if not rows]
    assert not empty, f"revision {at} has no sample for {', '.join(empty)}: add a row in tests/hub/samples/{at}.yaml"
    for name, rows in found.items():
        bare = [column for column in rows[0] if all(row[column] is None for row in rows)]
        assert not bare, (
            f"revision {at} has no sample of {name}.{', '.join(bare)}: "
            f"add a row with a value of it in tests/hub/samples/{at}.yaml"
        )


async def test_an_upgrade_keeps_all_that_was_stored(old_url: str) -> None:
    store = await open_store(old_url)
    before = await store.read(stored)
    await migrate(store)
    assert await store.read(revision) == HEAD
    after = await store.read(stored)
    for name, rows in before.items():
        columns = rows[0].keys() & after[name][0].keys()
        kept = [{column: row[column] for column in columns} for row in after[name]]
        for row in rows:
            assert {column: row[column] for column in columns} in kept, f"{name} lost or changed a row"
    assert await store.read(tables) == sorted(metadata.tables)
    for table in metadata.tables.values():  # each column can be read as what tables.py says that it is
        await store.read(lambda connection, table=table: connection.execute(select(table)).all())
    await store.close()


def config(store_url: str) -> dict[str, Any]:
    made = demo_config(store={"url": store_url}, secret_key=SECRET)
    made["channels"]["support"] = {"enabled": False, "kind": "telegram", "token": "x"}
    return made


def since(number: str, at: str) -> bool:
    """Whether a database that began to be used at `at` or before has what a revision added."""
    return at >= number


async def test_the_hub_reads_what_an_older_version_left_and_goes_on(old_url: str, tmp_path: Path, at: str) -> None:
    async with running_hub(tmp_path, config(old_url)) as hub:
        async with hub.http(Authorization=f"Bearer {ADMIN}") as admin:
            await what_waited_is_done(hub, admin)
        async with hub.http(Authorization=f"Bearer {ANN}") as ann:
            await a_program_goes_on(ann)
            await what_it_left_is_there(ann, at)
            if since("0012", at):
                poet = {"model": "poet", "messages": [{"role": "user", "content": "system"}]}
                assert "Speak in verse." in (await ann.post("/v1/chat/completions", json=poet)).text
                saved = hub.engine.config.models["saved"]
                assert saved.api_key.get_secret_value() == "sk-upstream"
        await units_read_the_rest(hub.store, at)


async def what_waited_is_done(hub: Here, admin: httpx.AsyncClient) -> None:
    """What a kill cut off is answered and delivered, behind what was said before; what was dead stays dead."""

    async def texts() -> list[str]:
        posts = await admin.get("/api/v1/messages", params={"channel": "web", "chat_id": "lobby"})
        return [post["text"] for post in posts.json()["messages"]]

    async def all_there() -> bool:
        return {"1 2 3", "The build is finished."} <= set(await texts())

    await hub.store.until(all_there)
    assert (await texts())[:4] == ["where is the teapot", "On the shelf.", "count to 3", "In a thread."]
    assert sorted((await texts())[4:]) == ["1 2 3", "The build is finished."]
    deliveries = [(await admin.get(f"/v1/deliveries/{each}")).json() for each in ("web_1.reply", "dlv_waits")]
    assert [delivery["status"] for delivery in deliveries] == ["delivered", "delivered"]
    assert deliveries[0]["parts"][0]["platform_id"] == "2"
    assert [one.id for one in await hub.store.read(lambda c: deadletters.newest(c, None, 10))] == ["web_3"]


async def a_program_goes_on(ann: httpx.AsyncClient) -> None:
    """Her key is good, her turns are there, and her session goes on where it was."""
    turn = (await ann.get("/api/v1/turns/t1")).json()
    assert (turn["status"], turn["response"], turn["session_id"]) == (
        "completed",
        "One moment.\n\nIt is noted.",
        "notes",
    )
    assert (await ann.get("/api/v1/turns/t0")).json()["status"] == "failed"
    asked = {"model": "assistant", "session_id": "notes", "messages": [{"role": "user", "content": "what did I say"}]}
    answer = (await ann.post("/v1/chat/completions", json=asked)).json()
    assert answer["choices"][0]["message"]["content"] == "- I keep a teapot\n- what did I say"


async def what_it_left_is_there(ann: httpx.AsyncClient, at: str) -> None:
    sessions = (await ann.get("/api/v1/sessions")).json()["data"]
    assert {one["title"] for one in sessions} == ({None, "Recipes"} if since("0006", at) else {None})
    if since("0002", at):
        assert (await ann.get("/api/v1/turns/t2")).json()["response"] == "It is a long"
    files = (await ann.get("/v1/files")).json()["data"]
    assert [file["filename"] for file in files] == (["kettle.txt"] if since("0007", at) else [])
    if since("0008", at):
        response = (await ann.get("/v1/responses/resp_t1")).json()
        assert response["status"] == "completed"
        said = [item["content"][0]["text"] for item in response["output"] if item["type"] == "message"]
        assert "".join(said) == "One moment.\n\nIt is noted."
        assert (await ann.get("/v1/responses/resp_r2")).json()["output"][0]["content"][0]["text"] == "You said: hello"
    if since("0010", at):
        assert (await ann.get("/api/v1/turns/t10")).json()["response"] == "You said: hello"


async def units_read_the_rest(store: Store, at: str) -> None:
    """What no route shows."""

    hits = await store.read(lambda c: memory.recall(c, "assistant", Address("web", "lobby"), "teapot", without=""))
    assert "where is the teapot" in [one.text for one in hits]
    assert (await store.read(health.of_channels))["support"].error == "Telegram refuses the token."
    assert (await store.read(lambda c: c.execute(select(gone)).one())).why == "blocked by the user"
    strangers = await store.read(lambda c: access.pending(c, "support", time.time()))
    assert [stranger.code for stranger in strangers] == ["ABCD2345"]
    claim = await store.write(lambda c: idempotency.begin(c, 2, "once", "abc", 0.0))
    assert (claim.status, claim.body) == (200, b'{"done":true}')
    if since("0003", at):
        hits = await store.read(
            lambda c: memory.recall(c, "assistant", Address("web", "kitchen"), "kettle", without="")
        )
        assert [one.text for one in hits] == ["the kettle boils"]
        place = Place(agent="assistant", chat="api:2", person="api:2", private=True)
        assert [fact.text for fact in await store.read(lambda c: facts.visible(c, place))] == ["likes tea"]
    if since("0004", at):
        assert (await store.read(lambda c: c.execute(select(schedules)).one())).text == "Drink tea"
    if since("0005", at):
        assert (await store.read(lambda c: c.execute(select(choices)).one())).agent == "assistant"
    if since("0009", at):
        account = await store.read(lambda c: keyring.account(c, 3, 0.0))
        assert (account.key.name, account.balance, account.held) == ("bob", 700, 300)
        payments = (await store.read(lambda c: keyring.paid(c, 3, Part(limit=10)))).items
        assert [payment.amount for payment in payments][-1] == 700
    if since("0011", at):
        [change] = (await store.read(lambda c: audit.listed(c, Part(limit=10), what="recharge"))).items
        assert (change.by, change.after) == ("bootstrap", {"balance": 700})
