"""Pages of other origins: only those that the config names, and these may read everything."""

from __future__ import annotations

import pytest

from hub.store import Store
from tests.api.facade import CHAT, Facade, body, running

MODELS = "/v1/models"
PAGE = "https://page.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,idempotency-key"}


@pytest.mark.parametrize("origin", [PAGE, "null", "http://localhost"])
async def test_without_any_none_is_let_in(facade: Facade, origin: str) -> None:
    async with facade.http(Origin=origin) as client:
        for answer in (await client.get(MODELS), await client.options(MODELS, headers=PREFLIGHT)):
            assert not [name for name in answer.headers if name.lower().startswith("access-control")]
            assert "Vary" not in answer.headers


@pytest.mark.parametrize("origin", ["https://other.example", "null", "http://page.example", f"{PAGE}:4"])
async def test_others_are_not_reflected(store: Store, origin: str) -> None:
    async with running(store, cors=(PAGE,)) as facade, facade.http(Origin=origin) as client:
        answer, preflight = await client.get(MODELS), await client.options(CHAT, headers=PREFLIGHT)
    assert (answer.status_code, preflight.status_code) == (200, 405)
    for each in (answer, preflight):
        assert each.headers["Vary"] == "Origin"
        assert not [name for name in each.headers if name.lower().startswith("access-control")]


async def test_a_page_asks_first_without_a_key_and_may_send_any_header(store: Store) -> None:
    async with running(store, cors=("https://else.example", PAGE)) as facade, facade.http(None, Origin=PAGE) as client:
        answer = await client.options(CHAT, headers=PREFLIGHT)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Vary"] == "Origin"
    assert answer.headers["Access-Control-Allow-Methods"] == "*"
    # A browser takes the asterisk for every header but Authorization.
    assert answer.headers["Access-Control-Allow-Headers"] == "*, Authorization"
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", MODELS, 200), ("GET", "/nowhere", 404), ("PUT", MODELS, 405), ("POST", CHAT, 400)],
)
async def test_a_page_may_read_every_answer_and_all_of_its_headers(
    store: Store, method: str, path: str, status: int
) -> None:
    async with running(store, cors=(PAGE,)) as facade, facade.http(Origin=PAGE) as client:
        answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Access-Control-Expose-Headers"] == "*"


async def test_it_may_read_streams_and_what_it_is_told_without_a_key(store: Store) -> None:
    async with running(store, cors=(PAGE,)) as facade:
        async with facade.http(Origin=PAGE) as client:
            stream = await client.post(CHAT, json=body(stream=True))
        async with facade.http(None, Origin=PAGE) as client:
            refused = await client.get(MODELS)
    assert (stream.status_code, refused.status_code) == (200, 401)
    assert {answer.headers["Access-Control-Allow-Origin"] for answer in (stream, refused)} == {PAGE}
