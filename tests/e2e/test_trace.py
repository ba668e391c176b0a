"""What happened to a message, told by a hub's rows: of agents, of models, of chats, on both engines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import delete, update

from hub.bus import Publish
from hub.errors import NotFound, RequestError
from hub.message import Address, Author, Message, Text, agent_inbox
from hub.records import timeline
from hub.records.timeline import Event, Timeline
from hub.store.tables import messages, turns
from tests.e2e.here import Here, running_hub
from tests.e2e.hub import demo_config

POST = 'call message {"content": "hello", "channel": "web", "chat_id": "lobby"}'


@pytest.fixture
async def hub(tmp_path: Path, store_url: str) -> AsyncIterator[Here]:
    config = demo_config(store={"url": store_url})
    config["agents"]["typist"] = {"model": "demo", "history": "client", "tools": ["message"]}
    async with running_hub(tmp_path, config) as hub:
        yield hub


async def ask(hub: Here, model: str, text: str, request: str = "build-41") -> str:
    """The id of a turn that is over."""
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    async with hub.http(**{"X-Request-Id": request}) as http:
        answer = await http.post("/v1/chat/completions", json=body)
    return answer.headers["X-Turn-Id"]


async def trace(hub: Here, id: str) -> Timeline:
    return await hub.store.read(lambda connection: timeline.find(connection, id))


async def delivered(hub: Here, id: str) -> Timeline:
    """What happened to something whose only delivery has arrived."""
    found: list[Timeline] = []

    async def has_arrived() -> bool:
        found[:] = [await trace(hub, id)]
        return [sent.outcome for sent in found[0].deliveries] == ["delivered"]

    await hub.store.until(has_arrived)
    return found[0]


def order(found: Timeline) -> list[str]:
    return [event.what for event in found.events]


def only(found: Timeline, what: str) -> Event:
    [event] = [event for event in found.events if event.what == what]
    return event


async def test_a_turn_with_a_post_is_told_from_its_request_to_the_platforms_id(hub: Here) -> None:
    id = await ask(hub, "assistant", POST)  # noqa: A001
    found = await delivered(hub, id)
    assert (found.id, found.status, found.outcome, found.agent) == (id, "completed", "answered", "assistant")
    assert (found.request_id, found.key_id, found.session_id) == ("build-41", 1, "default")
    assert set(order(found)) == {
        *("accepted", "claimed", "model", "tool", "posted", "sending", "part", "settled", "ended"),
    }
    assert order(found)[:3] == ["accepted", "claimed", "model"]
    assert [event.at for event in found.events] == sorted(event.at for event in found.events)
    asked = [event for event in found.events if event.what == "model"]
    assert [(event.step, event.name) for event in asked] == [(1, "demo"), (2, "demo")]
    assert found.usage is not None
    assert found.usage.prompt == sum(event.usage.prompt for event in asked if event.usage is not None)
    assert all(event.seconds is not None for event in asked)
    tool = only(found, "tool")
    assert (tool.name, tool.step) == ("message", 1)
    assert tool.seconds is not None
    part = only(found, "part")
    assert (part.delivery, part.part, part.edits) == (f"{id}.0.0", 1, 0)
    assert part.platform_id is not None
    assert only(found, "claimed").tries == 1
    assert only(found, "ended").outcome == "answered"


async def test_every_id_of_it_leads_to_the_same_turn(hub: Here) -> None:
    id = await ask(hub, "assistant", POST)  # noqa: A001
    found = await delivered(hub, id)
    platform_id = only(found, "part").platform_id or ""
    for name in (f"chatcmpl-{id}", f"{id}.0.0", "build-41", platform_id):
        assert await trace(hub, name) == found


async def test_an_id_that_may_be_several_is_refused_with_their_names(hub: Here) -> None:
    ids = [await ask(hub, "demo", "hello", "again") for _ in range(2)]
    with pytest.raises(RequestError, match="'again' may be each of these") as refused:
        await trace(hub, "again")
    assert all(each in str(refused.value) for each in ids)


async def test_what_nobody_knows_is_not_found(hub: Here) -> None:
    with pytest.raises(NotFound, match="Nothing is known of 'nonsense'"):
        await trace(hub, "nonsense")


async def test_a_model_that_is_called_without_an_agent_is_one_call(hub: Here) -> None:
    found = await trace(hub, await ask(hub, "demo", "count to 3"))
    assert order(found) == ["accepted", "model", "ended"]
    asked = only(found, "model")
    assert asked.usage == found.usage
    assert asked.usage is not None
    assert asked.usage.completion == 3
    assert asked.first is not None
    assert (found.agent, found.status, found.request_id) == (None, "completed", "build-41")


async def test_an_agent_whose_client_keeps_the_history_has_its_steps_too(hub: Here) -> None:
    found = await delivered(hub, await ask(hub, "typist", POST))
    asked = [event for event in found.events if event.what == "model"]
    assert [event.step for event in asked] == [1, 2]
    assert found.usage is not None
    assert found.usage.completion == sum(event.usage.completion for event in asked if event.usage is not None)
    assert only(found, "tool").name == "message"
    assert only(found, "part").platform_id is not None


async def test_a_turn_that_failed_says_why(hub: Here) -> None:
    found = await trace(hub, await ask(hub, "assistant", "fail"))
    assert (found.status, found.outcome) == ("failed", "dead")
    assert only(found, "ended").error == found.error == "The demo model failed, as it was told to."


async def test_a_chat_is_told_from_what_was_said_to_the_reply(hub: Here) -> None:
    async with hub.http(**{"X-Request-Id": "said-1"}) as http:
        said = (await http.post("/api/v1/web/lobby", json={"text": "hello"})).json()["message_id"]

    async def is_answered() -> bool:
        found = await trace(hub, said)
        return [sent.outcome for sent in found.deliveries] == ["delivered"]

    await hub.store.until(is_answered)
    found = await trace(hub, f"{said}.reply")
    assert (found.id, found.address, found.request_id) == (said, "web:lobby", "said-1")
    assert sorted(order(found)) == sorted(
        ["said", "accepted", "claimed", "model", "ended", "posted", "sending", "part", "settled"]
    )


async def test_a_post_without_a_turn_is_told_by_itself(hub: Here) -> None:
    async with hub.http() as http:
        post = {"channel": "web", "chat_id": "x", "text": "hi", "wait": True}
        sent = (await http.post("/v1/deliveries", json=post)).json()
    found = await delivered(hub, sent["id"])
    assert (found.kind, found.status, found.address) == ("delivery", "delivered", "web:x")
    assert order(found) == ["posted", "sending", "part", "settled"]
    assert await trace(hub, sent["parts"][0]["platform_id"]) == found


async def test_what_was_swept_is_told_by_turn_entries_and_receipts(hub: Here) -> None:
    id = await ask(hub, "assistant", POST)  # noqa: A001
    before = await delivered(hub, id)
    await hub.store.write(lambda connection: connection.execute(delete(messages)))
    found = await trace(hub, id)
    assert found.status == "completed"
    assert order(found) == [what for what in order(before) if what not in ("posted", "sending", "settled")]
    assert await trace(hub, f"{id}.0.0") == found


async def test_turns_from_before_there_were_times_are_told_as_far_as_they_are_known(hub: Here) -> None:
    id = await ask(hub, "assistant", "hello")  # noqa: A001
    gone = {"accepted_at": None, "tries": None, "request_id": None}
    await hub.store.write(lambda connection: connection.execute(update(turns).values(gone)))
    found = await trace(hub, id)
    assert order(found) == ["accepted", "claimed", "model", "ended"]


async def test_what_waits_says_so_and_nothing_of_what_was_said_is_shown(hub: Here) -> None:
    said = Message(
        id="m1",
        address=Address("support", "1"),
        author=Author(id="ann", name="Ann"),
        parts=(Text(text="a secret"),),
        at=hub.engine.clock(),
    )
    body = msgspec.json.encode(said)
    await hub.engine.bus.commit(Publish(inbox=agent_inbox("nobody"), lane="support:1", id="m1", body=body))
    found = await trace(hub, "m1")
    assert (found.status, found.agent, order(found)) == ("queued", "nobody", ["said", "accepted"])
    assert b"secret" not in msgspec.json.encode(found)
