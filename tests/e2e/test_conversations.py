"""`session`: a key goes on over HTTP with a chat's conversation that it was granted, and with no other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import NotFoundError, PermissionDeniedError
from sqlalchemy import delete

from hub.store.tables import conversations
from tests.api.announced import watched
from tests.e2e.administering import Admin
from tests.e2e.here import Here, running_hub
from tests.e2e.hub import telegram_channel
from tests.platforms.openai import Call, Upstream, call
from tests.platforms.telegram import PRIVATE, TelegramServer

HERE = f"support:{PRIVATE}"
BIND = "api-key/bind-or-unbind-conversation"


@pytest.fixture(autouse=True)
def announced() -> Iterator[None]:
    with watched() as found:
        yield
    assert found == []


@dataclass
class Shared:
    """A hub with a chat in Telegram, and a program's key."""

    here: Here
    telegram: TelegramServer
    upstream: Upstream
    admin: Admin
    key_id: int
    program: Here

    async def grant(self, session: str = HERE, agent: str = "bot", bind: bool | None = True) -> bool:
        bound = await self.admin.post(BIND, key_id=self.key_id, agent=agent, session=session, bind=bind)
        return bound["is_bind"]

    async def say(self, text: str, answer: str | None = None) -> None:
        """Somebody says this in the chat, and is answered."""
        self.telegram.say(text)
        await self.telegram.wait_text(answer or f"You said: {text}")

        async def is_settled() -> bool:  # a preview shows the answer before the turn is over
            return await self.here.engine.bus.waiting("agent:bot", HERE) == 0

        await self.here.store.until(is_settled)

    async def ask(self, message: str, session: str = HERE, agent: str = "bot", **more: Any) -> httpx.Response:
        async with self.program.http() as client:
            body = {"message": message, "agent": agent, "session": session, **more}
            return await client.post("/api/v1/chat", json=body)

    async def refused(self, session: str = HERE, agent: str = "bot") -> str:
        """Why the key may not go on there."""
        answer = await self.ask("let me in", session, agent)
        assert (answer.status_code, answer.json()["code"]) == (403, "missing_grant"), answer.text
        return answer.json()["error"]

    def heard(self) -> list[str]:
        """What the model was shown of people and programs when it was last asked."""
        return [each["content"] for each in self.upstream.requests[-1].body["messages"] if each["role"] == "user"]

    def sent(self) -> list[str]:
        return [message["text"] for message in self.telegram.sent()]

    async def noted(self, what: str) -> list[dict[str, Any]]:
        return (await self.admin.get(f"audit/list?what={what}"))["items"]


@pytest.fixture
async def shared(tmp_path: Path, upstream: Upstream, store_url: str) -> AsyncIterator[Shared]:
    async with TelegramServer() as telegram:
        telegram.fail("sendMessageDraft", code=404, times=None)
        config: dict[str, Any] = {
            "store": {"url": store_url},
            "models": {"gpt": {"provider": "openai", "base_url": upstream.base_url, "model": "gpt-test"}},
            "agents": {
                "bot": {"model": "gpt", "tools": ["message", "memory", "schedule"], "posts_to": ["*"]},
                "other": {"model": "gpt"},
                "drafter": {"model": "gpt", "history": "client"},
            },
            "channels": {"support": telegram_channel(telegram.base_url, telegram.token, agent="bot")},
        }
        async with running_hub(tmp_path, config) as here:
            admin = Admin(here)
            key = await admin.post("api-key/apply", name="crm", month_quota=None, scopes=["chat", "read"])
            program = replace(here, key=key["api_key"])
            yield Shared(here, telegram, upstream, admin, key["id"], program)


async def test_a_program_and_a_chat_go_on_with_one_conversation(shared: Shared) -> None:
    await shared.say("my order is 17")
    await shared.grant()
    async with shared.program.openai() as client:
        asked = await client.chat.completions.create(
            model="bot", messages=[{"role": "user", "content": "which order?"}], extra_body={"session": HERE}
        )
    assert asked.choices[0].message.content == "You said: crm: which order?"
    assert shared.heard() == ["my order is 17", "crm: which order?"]
    await shared.say("thanks")
    assert shared.heard() == ["my order is 17", "crm: which order?", "thanks"]
    assert shared.sent() == ["You said: my order is 17", "You said: thanks"]
    record = await shared.here.over(asked.id)
    assert (record.address, record.key_id, record.session_id) == (HERE, shared.key_id, None)


async def test_its_stream_goes_to_http_alone(shared: Shared) -> None:
    await shared.say("hi")
    await shared.grant()
    async with shared.program.openai() as client:
        stream = await client.chat.completions.create(
            model="bot", messages=[{"role": "user", "content": "count"}], stream=True, extra_body={"session": HERE}
        )
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
    assert "".join(pieces) == "You said: crm: count"
    await shared.say("bye")
    assert shared.sent() == ["You said: hi", "You said: bye"]


async def test_responses_go_on_with_it_and_with_each_other(shared: Shared) -> None:
    await shared.say("my order is 17")
    await shared.grant()
    async with shared.program.openai() as client:
        first = await client.responses.create(model="bot", input="one", extra_body={"session": HERE})
        assert (first.output_text, (first.model_extra or {})["session"]) == ("You said: crm: one", HERE)
        second = await client.responses.create(model="bot", input="two", previous_response_id=first.id)
        assert shared.heard() == ["my order is 17", "crm: one", "crm: two"]
        assert (await client.responses.retrieve(second.id)).output_text == "You said: crm: two"
        await shared.grant(bind=False)
        with pytest.raises(PermissionDeniedError):
            await client.responses.create(model="bot", input="three", previous_response_id=second.id)
        with pytest.raises(PermissionDeniedError):
            await client.responses.retrieve(second.id)
    assert len(shared.upstream.requests) == 3


async def test_without_the_grant_it_is_the_same_refusal_whether_or_not_there_is_a_chat(shared: Shared) -> None:
    await shared.say("hi")
    there, nowhere = await shared.refused(), await shared.refused("support:999")
    assert there == f"This key lacks the grant of the conversation of 'bot' at {HERE}: an admin gives it."
    assert nowhere == there.replace(HERE, "support:999")
    assert await shared.refused("nobody:1")
    assert len(shared.upstream.requests) == 1
    assert await replace(shared, program=shared.here).refused() == there  # an admin's key needs it, too


async def test_a_grant_is_of_one_key_one_agent_and_one_address(shared: Shared) -> None:
    await shared.say("hi")
    await shared.grant()
    async with shared.program.http() as client:
        own = (await client.post("/api/v1/user/api-keys", json={"name": "mine"})).json()["api_key"]
    for stranger in (await shared.here.other(), replace(shared.here, key=own)):
        await replace(shared, program=stranger).refused()
    await shared.refused(agent="other")
    for near in ("support:*", "*:*", f"{HERE}:7", HERE[:-1], f"{HERE}0", f"Support:{PRIVATE}", f"telegram:{PRIVATE}"):
        await shared.refused(near)
    for theirs in ("api:1:default", "api:1"):
        await shared.refused(theirs)
    assert (await shared.ask("hi")).status_code == 200


async def test_what_is_no_address_is_refused_as_such(shared: Shared) -> None:
    await shared.say("hi")
    await shared.grant()
    for wrong in ("default", "", ":", "support:", f"{HERE}:", " "):
        answer = await shared.ask("hi", wrong)
        assert (answer.status_code, answer.json()["error"][:8]) == (400, "session:"), wrong
    both = await shared.ask("hi", session_id="mine")
    assert (both.status_code, both.json()["code"]) == (400, "mutually_exclusive_parameters")
    async with shared.program.http() as client:
        for path, body in (
            ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
            ("/v1/responses", {"input": "hi"}),
        ):
            answer = await client.post(path, json={"model": "drafter", "session": HERE, **body})
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "missing_grant")


async def test_a_session_of_the_keys_own_may_have_the_name_of_a_chat(shared: Shared) -> None:
    await shared.say("my order is 17")
    await shared.grant()
    async with shared.program.http() as client:
        body = {"message": "hi", "agent": "bot", "session_id": HERE}
        assert (await client.post("/api/v1/chat", json=body)).json()["response"] == "You said: hi"
    assert shared.heard() == ["hi"]


async def test_what_is_revoked_is_over_with_the_next_request(shared: Shared) -> None:
    await shared.say("hi")
    assert await shared.grant(bind=None) is True
    turn = (await shared.ask("one")).json()["id"]
    async with shared.program.http() as client:
        shown = (await client.get(f"/api/v1/turns/{turn}")).json()
        assert (shown["session"], shown["session_id"]) == (HERE, None)
        assert await shared.grant(bind=None) is False
        await shared.refused()
        for path in (f"turns/{turn}", f"turns/{turn}/events", f"sessions?session={HERE}"):
            assert (await client.get(f"/api/v1/{path}")).status_code == 403


async def test_grants_and_turns_are_audited(shared: Shared) -> None:
    await shared.say("hi")
    await shared.grant()
    await shared.grant()
    turn = (await shared.ask("one")).json()["id"]
    await shared.grant(bind=False)
    taken, given = await shared.noted("conversation.bind")
    about = {"key_id": shared.key_id, "agent": "bot"}
    assert (given["target"], given["after"], given["ip"]) == (HERE, {**about, "granted": True}, "127.0.0.1")
    assert taken["after"] == {**about, "granted": False}
    (made,) = await shared.noted("conversation.turn")
    assert (made["key_id"], made["by"], made["ip"]) == (shared.key_id, "crm", "127.0.0.1")
    assert (made["target"], made["after"]) == (HERE, {"agent": "bot", "turn": turn})


async def test_a_repeated_request_is_one_turn_and_one_row(shared: Shared) -> None:
    await shared.say("hi")
    await shared.grant()
    async with shared.program.http(**{"Idempotency-Key": "k"}) as client:
        body = {"message": "one", "agent": "bot", "session": HERE}
        answers = [await client.post("/api/v1/chat", json=body) for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        own = {"message": "one", "agent": "bot", "session_id": HERE}
        assert (await client.post("/api/v1/chat", json=own)).status_code == 409
    assert len(await shared.noted("conversation.turn")) == 1


async def test_the_grants_are_listed(shared: Shared) -> None:
    await shared.say("hi")
    await shared.grant()
    listed = await shared.admin.get(f"api-key/conversations?key_id={shared.key_id}")
    (item,) = listed["items"]
    assert (item["key_name"], item["agent"], item["session"], listed["total"]) == ("crm", "bot", HERE, 1)
    assert (await shared.admin.get("api-key/conversations?session=support:999"))["items"] == []


async def test_only_what_is_there_can_be_granted_and_only_by_an_admin(shared: Shared) -> None:
    await shared.say("hi")
    told = {"key_id": shared.key_id, "agent": "bot", "session": HERE}
    status, param, message = await shared.admin.refused(BIND, **{**told, "session": "support:999"})
    assert (status, param) == (404, "session")
    assert message == "There is no conversation of 'bot' at support:999: nobody has spoken with it there."
    for wrong in ({"key_id": 999}, {"agent": "other"}):
        assert (await shared.admin.refused(BIND, **{**told, **wrong}))[0] == 404
    for wrong in ({"session": "default"}, {"session": "api:1:default"}, {"session": ""}, {"bind": "yes"}):
        assert (await shared.admin.refused(BIND, **{**told, **wrong}))[0] == 400
    assert (await Admin(shared.program).refused(BIND, **told))[0] == 403


async def test_the_sessions_of_the_chat_are_listed_and_read(shared: Shared) -> None:
    await shared.say("my order is 17")
    async with shared.program.http() as client:
        path = "/api/v1/sessions"
        assert (await client.get(path, params={"session": HERE})).status_code == 403
        assert (await client.get(f"{path}/1")).status_code == 404
        await shared.grant()
        await shared.ask("which?")
        (listed,) = (await client.get(path, params={"session": HERE})).json()["data"]
        assert (listed["agent"], listed["session"], listed["session_id"]) == ("bot", HERE, None)
        one = f"{path}/{listed['id']}"
        said = [(each.get("author"), each["content"]) for each in (await client.get(one)).json()["messages"]]
        assert said == [
            (None, "my order is 17"),
            (None, "You said: my order is 17"),
            ("crm", "which?"),
            (None, "You said: crm: which?"),
        ]
        assert (await client.get(f"{one}/export")).status_code == 200
        assert (await client.get(path)).json()["data"] == []  # none of its own
        assert (await client.get(path, params={"session": HERE, "agent": "other"})).status_code == 403
        assert (await client.delete(one)).status_code == 404
        assert (await client.patch(one, json={"title": "mine"})).status_code == 404


async def test_a_new_session_of_the_chat_is_the_programs_too(shared: Shared) -> None:
    await shared.say("my order is 17")
    await shared.grant()
    await shared.say("/new", "A new session begins. I have put aside what we said before.")
    await shared.ask("which?")
    assert shared.heard() == ["crm: which?"]
    await shared.say("hello")
    assert shared.heard() == ["crm: which?", "hello"]


async def test_its_tools_post_where_the_key_may_and_not_to_the_chat(shared: Shared) -> None:
    await shared.say("hi")
    await shared.grant()
    post = Call("message", '{"content": "psst"}', id="c1")
    remind = Call("schedule", '{"action": "add", "text": "psst", "in": 60}', id="c2")
    shared.upstream.script(call(post, remind))
    await shared.ask("tell them")
    results = [m["content"] for m in shared.upstream.requests[-1].body["messages"] if m["role"] == "tool"]
    assert [f"'bot' may not post to {HERE} from here." in result for result in results] == [True, True]
    await shared.say("bye")
    assert "psst" not in shared.sent()


async def test_a_conversation_that_is_gone_is_not_begun_by_a_program(shared: Shared) -> None:
    await shared.say("hi")
    await shared.grant()
    await shared.here.store.write(lambda connection: connection.execute(delete(conversations)))
    async with shared.program.openai() as client:
        with pytest.raises(NotFoundError):
            await client.chat.completions.create(
                model="bot", messages=[{"role": "user", "content": "hi"}], extra_body={"session": HERE}
            )
