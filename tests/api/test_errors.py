"""Errors as callers get them, over real sockets."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from werkzeug.exceptions import ImATeapot

from api import errors as mapping
from api import wire
from hub import errors
from hub.store import Store
from tests.api.facade import ADMIN, CHAT, HI, USER, Facade, running
from tests.patience import PATIENCE

LIMIT = 20 * 1024 * 1024


@pytest.mark.parametrize("path", ["/nope", "/v1/nope", "/api/v1/turns", "/api/v1/assistants/x/v1/nope"])
async def test_N9_an_unknown_path_is_a_404_in_openais_shape(facade: Facade, path: str) -> None:
    async with facade.http() as client:
        answer = await client.get(path)
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "not_found_error"


async def test_N9_a_wrong_method_is_a_405_that_names_the_right_ones(facade: Facade) -> None:
    async with facade.http() as client:
        answer = await client.put(CHAT)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert answer.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/api/v1/chat/nope", "/api/v1/pairing/x/nope", "/api/v1/web/a/b/c"])
async def test_the_flat_shape(facade: Facade, path: str) -> None:
    async with facade.http() as client:
        answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.json() == {"success": False, "error": f"There is no GET {path}.", "code": "not_found"}


@pytest.mark.parametrize("path", ["/admin/nope", "/user/nope"])
async def test_the_panels_shape(facade: Facade, path: str) -> None:
    async with facade.http() as client:
        answer = (await client.get(path)).json()
    assert answer["success"] is False
    assert answer["data"] == answer["error"]["message"] == f"There is no GET {path}."


async def test_a_path_that_only_begins_alike_has_openais_shape(facade: Facade) -> None:
    async with facade.http() as client:
        assert "success" not in (await client.get("/administration")).json()


@pytest.mark.parametrize(
    ("body", "position"),
    [(b'{"model": "a",}', "byte 14"), (b"", "truncated"), (b"\xff", "JSON"), (b'{"a":"\\ud800"}', "")],
)
async def test_a_body_that_is_no_json_is_a_400_that_says_where(facade: Facade, body: bytes, position: str) -> None:
    async with facade.http() as client:
        answer = await client.post(CHAT, content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_json"
    assert position in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"7"])
async def test_a_body_that_is_no_object_is_a_400(facade: Facade, body: bytes) -> None:
    async with facade.http() as client:
        assert (await client.post(CHAT, content=body)).status_code == 400


@pytest.mark.parametrize("path", [CHAT, "/v1/deliveries", "/api/v1/web/lobby"])
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[" * 900 + b"]" * 900,
        b'{"messages":' + b"[" * (wire.DEEPEST - 1) + b"7" + b"]" * (wire.DEEPEST - 1) + b"}",
        b'{"a":' * (wire.DEEPEST + 1) + b"7" + b"}" * (wire.DEEPEST + 1),
        b'{"x":[' + b"{}," * wire.MOST + b"7]}",
    ],
)
async def test_a_body_of_too_many_levels_or_pieces_is_a_400(store: Store, path: str, body: bytes) -> None:
    async with running(store) as facade, facade.http(ADMIN) as client:
        answer = await client.post(path, content=body)
    assert answer.status_code == 400
    assert not facade.fake.turns.asks


async def test_one_of_as_many_levels_as_may_be_is_taken(facade: Facade) -> None:
    levels = wire.DEEPEST - 1
    deep = b'{"messages":[{"role":"user","content":"[{ hi"}],"x":' + b"[" * levels + b"]" * levels + b"}"
    async with facade.http() as client:
        assert (await client.post(CHAT, content=deep)).status_code == 200
        deeper = await client.post(CHAT, content=deep.replace(b"[]", b"[[]]"))
    assert (deeper.status_code, deeper.json()["error"]["code"]) == (400, "too_complex")


async def test_too_many_messages_are_a_400_that_names_them(facade: Facade) -> None:
    async with facade.http() as client:
        answer = await client.post(CHAT, json={"messages": HI * 10_001})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "messages")


@pytest.mark.parametrize(
    "value", [b"a\x00b", b"a\x01b", b"a\x7fb", b"a\x1b[2Jb", b"\xff\xfe", "ключ".encode(), b"x" * 5000]
)
@pytest.mark.parametrize("name", ["Session-Id", "X-Request-Id", "Idempotency-Key", "X-Stainless-Retry-Count", "Host"])
async def test_no_header_is_the_servers_fault(facade: Facade, name: str, value: bytes) -> None:
    body = b'{"messages":[{"role":"user","content":"hi"}]}'
    head = (
        f"POST {CHAT} HTTP/1.1\r\nAuthorization: Bearer {USER}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    )
    host = b"" if name == "Host" else b"Host: localhost\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", facade.port)
    writer.write(head.encode() + host + name.encode() + b": " + value + b"\r\n\r\n" + body)
    async with asyncio.timeout(PATIENCE):
        answer = await reader.read()
    writer.close()
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400")), answer[:200]
    assert b"\x1b" not in answer
    for ask in facade.fake.turns.asks:
        assert ask.session_id.isprintable()


@pytest.mark.parametrize("chunked", [False, True])
async def test_N9_a_body_over_the_limit_is_a_413_that_names_it(facade: Facade, chunked: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", facade.port)
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {LIMIT + 1}"
    head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {USER}\r\n{length}\r\n\r\n"
    writer.write(head.encode())
    if chunked:
        writer.write(b"%x\r\n" % (LIMIT + 1) + b" " * (LIMIT + 1) + b"\r\n")
    answer = await reader.readuntil(b"}}")
    writer.close()
    assert answer.startswith(b"HTTP/1.1 413")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"] == "The body is over the limit of 20 MB."


async def test_a_body_at_the_limit_is_taken(facade: Facade) -> None:
    text = b'{"messages":[{"role":"user","content":"' + b"x" * (LIMIT - 60) + b'"}]}'
    async with facade.http() as client:
        assert (await client.post(CHAT, content=text.ljust(LIMIT))).status_code == 200


async def test_a_store_that_is_away_is_a_503_with_retry_after(
    facade: Facade, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(unit: Any) -> Any:
        raise errors.StoreUnavailable("The database does not answer.")

    monkeypatch.setattr(store, "read", read)
    async with facade.http() as client:
        answer = await client.get("/v1/models")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.json()["error"]["code"] == "store_unavailable"


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.RequestError("x", param="p", code="c"), 400, "invalid_request_error"),
        (errors.Unauthorized("x"), 401, "authentication_error"),
        (errors.Forbidden("x"), 403, "permission_error"),
        (errors.NotFound("x"), 404, "not_found_error"),
        (errors.Conflict("x"), 409, "invalid_request_error"),
        (errors.TooLarge("x"), 413, "invalid_request_error"),
        (errors.InboxFull("x"), 429, "rate_limit_error"),
        (errors.TurnTimeout("x"), 504, "server_error"),
        (errors.StoreUnavailable("x"), 503, "server_error"),
        (errors.ModelUnavailable("x"), 502, "server_error"),
        (errors.ModelRefused("x", status=403), 502, "server_error"),
        (errors.ModelRefused("x", status=422), 422, "invalid_request_error"),
        (errors.LeaseLost("x"), 500, "server_error"),
        (ImATeapot("x"), 418, "invalid_request_error"),
        (ValueError("x"), 500, "server_error"),
    ],
)
def test_every_error_has_its_status_and_type(error: Exception, status: int, kind: str) -> None:
    problem = mapping.describe(error)
    assert (problem.status, problem.type) == (status, kind)
    assert problem.message == ("x" if status != 500 else "Something went wrong here; it was logged.")


def test_every_error_that_bothub_names_is_described() -> None:
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.RequestError):
            problem = mapping.describe(kind("x"))
            assert problem.code or kind is errors.RequestError, name
