"""/api/v1/people: an admin hands out, or erases, everything about a person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hub import facts
from hub.accounts import audit
from hub.bus import Bus, Publish
from hub.facts import Place
from hub.message import Address, Author, Message, agent_inbox
from hub.signals.local import LocalSignals
from hub.store.listing import Part
from tests.api.asking import Asking, open_asking
from tests.auditing import audited

ANN = Place(agent="assistant", chat="web:lobby", person="web:1/Ann", private=True)
PATH = "/api/v1/people/web:1/Ann"


@pytest.fixture
async def facade(tmp_path: Path) -> AsyncIterator[Asking]:
    async with open_asking(tmp_path) as facade:
        await facade.store.write(lambda c: facts.remember(c, ANN, "person", "likes tea", 0.0))
        yield facade


async def test_everything_about_a_person_is_handed_out_and_erased(facade: Asking) -> None:
    admin = await facade.key("admin", name="root")
    status, body, _ = await facade.ask("GET", PATH, None, admin)
    assert (status, body["person"], [fact["text"] for fact in body["facts"]]) == (200, "web:1/Ann", ["likes tea"])
    status, body, _ = await facade.ask("DELETE", PATH, None, admin)
    assert (status, body["person"], body["facts"]) == (200, "web:1/Ann", 1)
    assert (await facade.ask("GET", PATH, None, admin))[1]["facts"] == []
    status, body, _ = await facade.ask("DELETE", PATH, None, admin)
    assert (status, body["facts"]) == (200, 0)
    assert [(row.target, row.by) for row in await audited(facade.store, "person.erase")] == [("web:1/Ann", "root")] * 2


async def test_an_erase_is_asked_for_in_the_background_and_audited(facade: Asking) -> None:
    admin = await facade.key("admin", name="root")
    path, body = "/admin/people/erase", {"person": "web:1/Ann"}
    status, answer, _ = await facade.ask("POST", path, body, admin)
    job = answer["data"]
    assert (status, job["kind"], job["state"], job["arguments"]) == (200, "erase", "waiting", body)
    assert (await facade.ask("DELETE", PATH, None, admin))[0] == 200
    records = (await facade.store.read(lambda c: audit.listed(c, Part(limit=9)))).items
    told = [(one.what, one.by, one.target) for one in records]
    assert told[:2] == [("person.erase", "root", "web:1/Ann"), ("erase.create", "root", f"job:{job['id']}")]
    assert [one.after for one in records[:2]] == [{}, body]
    assert "tea" not in str(records)
    assert (await facade.ask("POST", path, {"person": "ann"}, admin))[0] == 400
    assert (await facade.ask("POST", path, body, await facade.key("chat")))[0] == 403


async def test_only_an_admin_may(facade: Asking) -> None:
    user = await facade.key("chat", "read", "deliver")
    for method in ("GET", "DELETE"):
        status, body, _ = await facade.ask(method, PATH, None, user)
        assert (status, body["error"]["code"]) == (403, "missing_scope")
        assert (await facade.ask(method, PATH))[0] == 401
    assert len(await facade.store.read(lambda c: facts.visible(c, ANN))) == 1


async def test_who_is_nobody_is_told_so(facade: Asking) -> None:
    admin = await facade.key("admin", name="root")
    for method, name in (("GET", "ann"), ("DELETE", "api:bob")):
        status, body, _ = await facade.ask(method, f"/api/v1/people/{name}", None, admin)
        assert (status, body["error"]["param"]) == (400, "person")
        assert "is nobody" in body["error"]["message"]


async def test_a_turn_that_does_not_stop_is_a_conflict(facade: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.records.people.STOP_WAIT", 0.0)
    bus = Bus(facade.store, LocalSignals(), facade.hub.clock)
    said = Message(id="m1", address=Address("web", "lobby"), author=Author(id="1/Ann", name="Ann"), parts=(), at=0.0)
    inbox = agent_inbox("assistant")
    await bus.commit(Publish(inbox=inbox, lane="web:lobby", id="m1", body=msgspec.json.encode(said)))
    [lease] = await bus.claim(inbox, 1, 60.0)
    status, body, _ = await facade.ask("DELETE", PATH, None, await facade.key("admin", name="root"))
    assert (status, body["error"]["code"], lease.head.id) == (409, "turn_running", "m1")
    assert len(await facade.store.read(lambda c: facts.visible(c, ANN))) == 1
