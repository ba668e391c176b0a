"""GET /admin/trace/{id}: what happened to a message, for admins alone."""

from __future__ import annotations

import msgspec

from hub.accounts.turns import TurnRecord, save
from hub.model import Usage
from hub.store import Store
from tests.api.facade import ADMIN, USER, Facade
from tests.api.fake_hub import NOW

RECORD = TurnRecord(
    id="t1",
    address="api:1",
    status="completed",
    model="demo",
    key_id=1,
    response="a secret answer",
    usage=Usage(prompt=3, completion=2),
    created_at=NOW,
    started_at=NOW,
    finished_at=NOW + 1.5,
    request_id="builds/41",
)


async def keep(store: Store, *ids: str) -> None:
    for each in ids:
        record = msgspec.structs.replace(RECORD, id=each)
        await store.write(lambda connection, one=record: save(connection, one))


async def test_an_admin_sees_what_happened_and_nothing_of_what_was_said(facade: Facade, store: Store) -> None:
    await keep(store, "t1")
    async with facade.http(ADMIN) as client:
        by_id = await client.get("/admin/trace/t1")
        by_request = await client.get("/admin/trace/builds/41")
    assert by_id.status_code == 200
    found = by_id.json()["data"]
    assert [event["what"] for event in found["events"]] == ["accepted", "model", "ended"]
    assert (found["id"], found["status"], found["usage"]["prompt"]) == ("t1", "completed", 3)
    assert "secret" not in by_id.text
    assert by_request.json() == by_id.json()


async def test_an_id_that_nobody_knows_and_one_of_several_are_refused(facade: Facade, store: Store) -> None:
    await keep(store, "t1", "t2")
    async with facade.http(ADMIN) as client:
        unknown = await client.get("/admin/trace/nonsense")
        several = await client.get("/admin/trace/builds/41")
    assert (unknown.status_code, several.status_code) == (404, 400)
    assert "Nothing is known of 'nonsense'" in unknown.json()["data"]
    assert {"t1", "t2"} <= set(several.json()["data"].replace(",", " ").replace(".", " ").split())


async def test_nobody_else_sees_it(facade: Facade, store: Store) -> None:
    await keep(store, "t1")
    async with facade.http(USER) as client:
        assert (await client.get("/admin/trace/t1")).status_code == 403
