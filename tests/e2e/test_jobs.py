"""Jobs of a hub that runs: asked for over HTTP, killed in the middle, downloaded in the end."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from hub.accounts import logins
from hub.backup import Kept, restore
from hub.records import jobs
from tests.api.announced import watched
from tests.e2e.administering import Admin
from tests.e2e.here import running_hub
from tests.e2e.hub import HubProcess, demo_config
from tests.hub.held import held
from tests.patience import PATIENCE

CONFIG: dict[str, Any] = {"models": {"demo": {"provider": "demo"}}, "agents": {"bot": {"model": "demo"}}}
MANY = 40_000


@pytest.fixture(autouse=True)
def announced() -> Iterator[None]:
    with watched() as found:
        yield
    assert found == []


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with running_hub(tmp_path, CONFIG) as here:
        yield Admin(here)


async def ended(admin: Admin, job: Any) -> Any:
    """The job, once it is over."""
    store = admin.here.store

    async def over() -> bool:
        return (await store.read(lambda connection: jobs.get(connection, job["id"]))).over

    await store.until(over)
    return await admin.get(f"job/detail/{job['id']}")


async def download(admin: Admin, job: Any) -> httpx.Response:
    async with admin.here.http() as client:
        return await client.get(f"/admin/job/download/{job['id']}")


async def test_an_export_is_made_in_the_background_and_downloaded(admin: Admin) -> None:
    async with admin.here.openai() as client:
        await client.chat.completions.create(model="bot", messages=[{"role": "user", "content": "=hello"}])
    asked = await admin.post("export", what="sessions", format="csv", agent="bot")
    assert (asked["kind"], asked["state"], asked["arguments"]["agent"]) == ("export", "waiting", "bot")
    job = await ended(admin, asked)
    assert (job["state"], job["result"]["rows"], job["error"]) == ("done", 2, None)
    answer = await download(admin, job)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith(f"attachment; filename=job-{job['id']}-sessions.csv")
    assert len(answer.content) == job["result"]["bytes"] == int(answer.headers["Content-Length"])
    assert "'=hello" in answer.text
    assert "You said: =hello" in answer.text
    listed = await admin.get("job/list?kind=export&state=done")
    assert [one["id"] for one in listed["items"]] == [job["id"]]
    [change] = (await admin.get("audit/list?what=export.create"))["items"]
    assert (change["target"], change["after"]["what"]) == (f"job:{job['id']}", "sessions")


async def test_a_backup_is_made_in_the_background_and_downloaded(admin: Admin, tmp_path: Path) -> None:
    job = await ended(admin, await admin.post("backup"))
    assert (job["kind"], job["state"], job["arguments"]) == ("backup", "done", {})
    answer = await download(admin, job)
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"].startswith(f"attachment; filename=job-{job['id']}-backup.zip")
    assert len(answer.content) == job["result"]["bytes"]
    (tmp_path / "backup.zip").write_bytes(answer.content)
    restore(tmp_path / "backup.zip", Kept(database=tmp_path / "elsewhere" / "bothub.db"))
    [change] = (await admin.get("audit/list?what=backup.create"))["items"]
    assert change["target"] == f"job:{job['id']}"


async def test_a_hub_on_postgresql_says_how_it_is_backed_up(tmp_path: Path, postgres_url: str) -> None:
    async with running_hub(tmp_path, {**CONFIG, "store": {"url": postgres_url}}) as here:
        status, _, message = await Admin(here).refused("backup")
        assert status == 409
        now = here.engine.clock()
        begun = await here.store.write(lambda connection: logins.begin(connection, here.key, now))
        assert begun is not None
        async with here.http(Cookie=f"bothub_panel={begun[0]}") as client:
            page = (await client.get("/panel/settings/backup")).text
    password = urlsplit(postgres_url).password
    for told in (message, page):
        assert "pg_dump --format=custom --file=bothub.dump" in told
        assert str(tmp_path / "data" / "uploads") in told
        assert password is None or password not in told
    assert "Back up now" not in page


async def test_an_export_that_is_asked_again_is_the_same_job(admin: Admin) -> None:
    body = {"what": "turns"}
    async with admin.here.http(**{"Idempotency-Key": "nightly"}) as client:
        first, again = [(await client.post("/admin/export", json=body)).json()["data"]["id"] for _ in range(2)]
    assert first == again
    assert (await admin.get("job/list?kind=export"))["total"] == 1


async def test_what_cannot_be_is_refused(admin: Admin) -> None:
    assert await admin.refused("export", what="turns", since=5, until=5) == (
        400,
        "until",
        "until: must be later than since",
    )
    assert (await admin.refused("export", what="secrets"))[0] == 400
    assert (await admin.refused("job/cancel", id=99))[0] == 404
    job = await ended(admin, await admin.post("export", what="usage"))
    assert (await admin.refused("job/cancel", id=job["id"]))[0] == 409
    assert (await admin.ask("GET", "job/download/99"))[0] == 404
    cancelled = await admin.here.store.write(lambda c: jobs.create(c, "export", {"what": "nothing"}, None, 0.0)[0])
    failed = await ended(admin, {"id": cancelled.id})
    assert failed["state"] == "failed"
    assert (await admin.ask("GET", f"job/download/{cancelled.id}"))[0] == 404


async def test_a_user_sees_no_jobs(admin: Admin) -> None:
    job = await ended(admin, await admin.post("export", what="turns"))
    user = Admin(await admin.here.other())
    for method, path, body in (
        ("POST", "export", {"what": "turns"}),
        ("POST", "backup", None),
        ("GET", "job/list", None),
        ("GET", f"job/detail/{job['id']}", None),
        ("GET", f"job/download/{job['id']}", None),
        ("POST", "job/cancel", {"id": job["id"]}),
    ):
        assert (await user.ask(method, path, body))[0] == 403, path


def turn(number: int) -> tuple[Any, ...]:
    return (f"t{number:06}", "assistant", "api:1:x", "completed", f"answer {number}", 1_700_000_000 + number)


async def kill_in_the_middle(hub: HubProcess, job: int) -> int:
    """Kill the hub while the job is running and nothing can be stored; returns how far it was."""
    deadline = time.monotonic() + PATIENCE
    with closing(
        sqlite3.connect(hub.folder / "data" / "bothub.db", timeout=PATIENCE, isolation_level=None)
    ) as connection:
        while time.monotonic() < deadline:
            connection.execute("BEGIN IMMEDIATE")
            state, done = connection.execute("SELECT state, done FROM jobs WHERE id = ?", (job,)).fetchone()
            if state == "running" and done:
                await hub.kill()
                return done
            connection.execute("ROLLBACK")
            assert state in ("waiting", "running"), "it was over before it could be killed"
            await asyncio.sleep(0.001)
    raise TimeoutError


async def test_an_export_goes_on_after_a_kill(tmp_path: Path) -> None:
    async with HubProcess(tmp_path, demo_config()) as hub:
        with closing(sqlite3.connect(tmp_path / "data" / "bothub.db", timeout=PATIENCE)) as connection, connection:
            row = "INSERT INTO turns (id, agent, address, status, response, created_at) VALUES (?, ?, ?, ?, ?, ?)"
            connection.executemany(row, map(turn, range(MANY)))
        async with client_of(hub) as client:
            answer = await client.post("/admin/export", json={"what": "turns", "format": "jsonl"})
        job = answer.json()["data"]["id"]
        done = await kill_in_the_middle(hub, job)
        assert 0 < done < MANY
        await hub.start()
        async with client_of(hub) as client:
            async with asyncio.timeout(PATIENCE):
                while (found := await detail(client, job))["state"] in ("waiting", "running"):
                    assert found["done"] >= done
                    await asyncio.sleep(0.05)
            text = (await client.get(f"/admin/job/download/{job}")).text
        assert (found["state"], found["result"]["rows"]) == ("done", MANY)
        lines = text.splitlines()
        assert [line.partition('"id":"')[2][:7] for line in lines] == [turn(number)[0] for number in range(MANY)]


async def test_a_backup_is_made_anew_after_a_kill(tmp_path: Path) -> None:
    async with HubProcess(tmp_path, demo_config()) as hub:
        with held(tmp_path / "data"):
            async with client_of(hub) as client:
                job = (await client.post("/admin/backup")).json()["data"]["id"]
                await until_step(client, job, "packing")
            await hub.kill()
            assert [path.name for path in (tmp_path / "data" / "exports").glob("*.zip")] == []
        await hub.start()
        async with client_of(hub) as client:
            await until_step(client, job, "done")
            (tmp_path / "backup.zip").write_bytes((await client.get(f"/admin/job/download/{job}")).content)
    assert len([*(tmp_path / "data" / "exports").iterdir()]) == 1
    restore(tmp_path / "backup.zip", Kept(database=tmp_path / "elsewhere" / "bothub.db"))


async def until_step(client: httpx.AsyncClient, job: int, wanted: str) -> None:
    """Wait until a job is at a step, or in a state."""
    async with asyncio.timeout(PATIENCE):
        while wanted not in ((found := await detail(client, job))["step"], found["state"]):
            assert found["state"] in ("waiting", "running"), found
            await asyncio.sleep(0.05)


async def detail(client: httpx.AsyncClient, job: int) -> Any:
    return (await client.get(f"/admin/job/detail/{job}")).json()["data"]


def client_of(hub: HubProcess) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=hub.url, headers={"Authorization": f"Bearer {hub.key}"}, timeout=PATIENCE)
