"""Rooms that are somebody's own: another key neither reads nor speaks there, and only their agent answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.accounts import keys
from hub.channel import Sending
from hub.message import Address, Author
from hub.records.rooms import StoredRooms
from tests.api.asking import Asking, Events, open_asking
from tests.api.fake_hub import NOW

AGENT = Author(id="assistant", name="Assistant", kind="agent")


@pytest.fixture
async def facade(tmp_path: Path) -> AsyncIterator[Asking]:
    async with open_asking(tmp_path) as facade:
        yield facade


async def room(facade: Asking, agent: str = "assistant", name: str = "ann") -> str:
    """An own room of a key with an agent."""
    await facade.key("chat", "read", name=name)
    return f"own.{facade.keys[name].id}.{agent}.x1"


async def admin(facade: Asking) -> dict[str, str]:
    await facade.store.write(lambda connection: keys.create(connection, "br-root", name="root", now=NOW, role="admin"))
    return {"Authorization": "Bearer br-root"}


async def made_by(facade: Asking, owner: int) -> tuple[dict[str, str], int]:
    """A key that a key made, and its id."""
    key = await facade.store.write(
        lambda c: keys.create(c, "br-made", name="made", now=NOW, scopes=("chat", "read"), owner_id=owner)
    )
    return {"Authorization": "Bearer br-made"}, key.id


async def test_its_agent_hears_what_is_said_alone_and_its_key_pays(facade: Asking) -> None:
    own, key = await room(facade, "drafter"), await facade.key("chat", "read")
    assert (await facade.ask("POST", f"/api/v1/web/{own}", {"text": "hi"}, key))[0] == 202
    [message] = facade.fake.accepted
    assert (message.agent, message.private, message.in_room) == ("drafter", True, True)
    assert message.payer == facade.keys["ann"].pays
    assert message.author == Author(id=str(facade.keys["ann"].id), name="ann")


async def test_it_is_with_its_key_whoever_speaks_first(facade: Asking) -> None:
    own, key = await room(facade), await facade.key("chat", "read")
    ann, root = facade.keys["ann"].id, await admin(facade)
    laptop, made = await made_by(facade, ann)
    for who, body in ((key, {"text": "hi", "name": "Ada"}), (laptop, {"text": "hi"}), (root, {"text": "hi"})):
        assert (await facade.ask("POST", f"/api/v1/web/{own}", body, who))[0] == 202
    assert [message.person for message in facade.fake.accepted] == [f"web:{ann}", f"web:{made}", f"web:{ann}"]
    assert [message.key_id for message in facade.fake.accepted[:2]] == [ann, made]
    assert facade.fake.accepted[2].key_id not in (None, ann, made)
    await facade.ask("POST", "/api/v1/web/lobby", {"text": "hi"}, key)
    assert (facade.fake.accepted[3].person, facade.fake.accepted[3].key_id) == (None, None)


async def test_what_is_said_in_everybodys_room_has_no_owner(facade: Asking) -> None:
    await facade.ask("POST", "/api/v1/web/lobby", {"text": "hi"}, await facade.key("chat"))
    [message] = facade.fake.accepted
    assert (message.agent, message.private, message.in_room, message.payer) == (None, False, True, None)


async def test_another_key_can_do_nothing_there(facade: Asking) -> None:
    own, spy = await room(facade), await facade.key("chat", "read", name="spy")
    file = await facade.hub.files.keep("secret.txt", "text/plain", b"secret")
    post = Sending(address=Address("web", own), part=file, author=AGENT, key="k")
    given = await StoredRooms(facade.store, facade.hub.signals, facade.hub.clock).post(post)
    tried = [
        ("POST", f"/api/v1/web/{own}", {"text": "hi"}),
        ("POST", f"/api/v1/web/{own}", {"press": {"message": given, "value": "Yes"}}),
        ("GET", f"/api/v1/web/{own}/events", None),
        ("GET", f"/api/v1/messages?channel=web&chat_id={own}", None),
        ("GET", f"/api/v1/messages/{given}/files/0", None),
    ]
    answers = [await facade.ask(method, path, body, spy) for method, path, body in tried]
    assert [status for status, _, _ in answers] == [404] * len(tried)
    assert facade.fake.accepted == []
    none_there = await facade.ask("GET", "/api/v1/messages/999/files/0", headers=spy)
    assert answers[-1][1]["code"] == none_there[1]["code"], "whether there is such a post is not told"


async def test_its_key_reads_it_and_so_does_an_admin(facade: Asking) -> None:
    own = await room(facade)
    file = await facade.hub.files.keep("a.txt", "text/plain", b"a")
    given = await StoredRooms(facade.store, facade.hub.signals, facade.hub.clock).post(
        Sending(address=Address("web", own), part=file, author=AGENT, key="k")
    )
    for key in (await facade.key("chat", "read"), await admin(facade)):
        async with facade.client() as client:
            read = await client.get(f"/api/v1/messages?channel=web&chat_id={own}", headers=key)
            content = await client.get(f"/api/v1/messages/{given}/files/0", headers=key)
            async with client.stream("GET", f"/api/v1/web/{own}/events?after=0", headers=key) as events:
                told = await Events(events).named("message")
        assert ([each["id"] for each in read.json()["messages"]], content.content, told["id"]) == ([given], b"a", given)


async def test_it_can_be_with_no_agent_that_the_key_may_not_use(facade: Asking) -> None:
    own = await room(facade, "hidden")
    status, body, _ = await facade.ask("POST", f"/api/v1/web/{own}", {"text": "hi"}, await facade.key("chat"))
    assert (status, body["code"], facade.fake.accepted) == (404, "agent_not_found", [])


@pytest.mark.parametrize("name", ["own.1", "own.x.assistant.1", "own.1.assistant.", "own.1.Assistant.x", "ownership"])
async def test_what_only_looks_like_one_is_everybodys(facade: Asking, name: str) -> None:
    assert (await facade.ask("POST", f"/api/v1/web/{name}", {"text": "hi"}, await facade.key("chat")))[0] == 202
    [message] = facade.fake.accepted
    assert message.agent is None
