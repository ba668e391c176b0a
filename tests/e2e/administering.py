"""Admins' requests to a hub in the process of the test, each held against what /openapi.json announces."""

from __future__ import annotations

from typing import Any

from tests.e2e.here import Here


class Admin:
    """Asks the routes below /admin."""

    def __init__(self, here: Here) -> None:
        self.here = here

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """The status, and the `data` of an answer or its error."""
        async with self.here.http() as client:
            answer = await client.request(method, f"/admin/{path}", json=body)
        found = answer.json()
        assert found["success"] is (answer.status_code == 200)
        return answer.status_code, found["data"] if found["success"] else found["error"]

    async def get(self, path: str) -> Any:
        """The data of an answer that succeeds."""
        status, data = await self.ask("GET", path)
        assert status == 200, data
        return data

    async def post(self, path: str, **body: Any) -> Any:
        """The data of an answer that succeeds."""
        status, data = await self.ask("POST", path, body)
        assert status == 200, data
        return data

    async def refused(self, path: str, **body: Any) -> tuple[int, str | None, str]:
        """The status, parameter and message of a refusal."""
        status, error = await self.ask("POST", path, body)
        return status, error["param"], error["message"]
