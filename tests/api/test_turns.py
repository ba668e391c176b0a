"""GET and DELETE /api/v1/turns/ID."""

from __future__ import annotations

from typing import Any

import pytest

from hub.accounts.turns import TurnRecord
from hub.model import Usage
from tests.api.facade import ADMIN, OTHER, USER, Facade
from tests.api.fake_hub import NOW


@pytest.fixture
def record(facade: Facade) -> TurnRecord:
    """A queued turn of the user's."""
    made = TurnRecord(
        id="t1",
        address="api:1:s",
        status="queued",
        agent="assistant",
        session_id="s",
        key_id=facade.user.id,
        created_at=NOW,
    )
    facade.fake.turns.records["t1"] = made
    return made


async def get(facade: Facade, secret: str = USER, id: str = "t1") -> tuple[int, dict[str, Any]]:
    async with facade.http(secret) as client:
        answer = await client.get(f"/api/v1/turns/{id}")
    return answer.status_code, answer.json()


async def test_L11_a_turn_is_shown(facade: Facade, record: TurnRecord) -> None:
    assert await get(facade) == (
        200,
        {
            "id": "t1",
            "object": "turn",
            "status": "queued",
            "agent": "assistant",
            "session_id": "s",
            "response": None,
            "usage": {
                "prompt_tokens": 0,
                "completion_tokens": 0,
                "total_tokens": 0,
                "prompt_tokens_details": {"cached_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
            "error": None,
            "created_at": int(NOW),
            "finished_at": None,
        },
    )


async def test_a_failed_turn_says_why(facade: Facade) -> None:
    facade.fake.turns.records["t2"] = TurnRecord(
        id="t2",
        address="api:1:s",
        status="failed",
        key_id=facade.user.id,
        error="down",
        error_code="upstream_500",
        usage=Usage(prompt=1),
        created_at=NOW,
        finished_at=NOW + 1.5,
    )
    _, shown = await get(facade, id="t2")
    assert (shown["status"], shown["finished_at"], shown["usage"]["total_tokens"]) == ("failed", int(NOW) + 1, 1)
    assert shown["error"] == {"message": "down", "type": "server_error", "param": None, "code": "upstream_500"}


async def test_another_keys_turn_is_a_404_to_an_admin_too(facade: Facade, record: TurnRecord) -> None:
    status, answer = await get(facade, OTHER)
    assert (status, answer["error"]["code"]) == (404, "turn_not_found")
    assert (await get(facade, USER, "nope"))[1]["error"]["message"] == "There is no turn 'nope'."
    assert (await get(facade, ADMIN))[0] == 404
    assert (await get(facade, USER, "chatcmpl-t1"))[0] == 200, "the id that a chat completion has"
    async with facade.http(OTHER) as client:
        assert (await client.delete("/api/v1/turns/t1")).status_code == 404
    assert facade.fake.turns.records["t1"].status == "queued"


async def test_L11_a_turn_is_cancelled_and_again_is_the_same(facade: Facade, record: TurnRecord) -> None:
    async with facade.http() as client:
        first = await client.delete("/api/v1/turns/t1")
        again = await client.delete("/api/v1/turns/t1")
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert (first.json()["status"], first.json()["error"]["code"]) == ("cancelled", "turn_cancelled")
