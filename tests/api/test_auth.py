"""Who may ask."""

from __future__ import annotations

import asyncio
import re

import openai
import pytest
from quart import Blueprint, Quart

from api import auth
from api.app import create_app
from hub.accounts import keys
from hub.store import Store
from tests.api.facade import ADMIN, USER, Facade, running
from tests.api.fake_hub import NOW, FakeHub
from tests.patience import PATIENCE

MODELS = "/v1/models"
EXPIRED = "sk-expired-0123456789abcdefghijklmnop"


async def status(facade: Facade, **headers: str) -> int:
    async with facade.http(None) as client:
        return (await client.get(MODELS, headers=headers)).status_code


class TestKey:
    async def test_L2_N11_both_headers_and_any_case_of_bearer(self, facade: Facade) -> None:
        for scheme in ("Bearer", "bearer", "BEARER"):
            assert await status(facade, Authorization=f"{scheme} {USER}") == 200
        assert await status(facade, **{"X-Api-Key": USER}) == 200
        assert await status(facade, **{"Authorization": "Basic eDp5", "X-Api-Key": USER}) == 200

    @pytest.mark.parametrize("header", ["", "Bearer", f"Basic {USER}", USER, "Bearer sk-wrong"])
    async def test_L2_anything_else_is_a_401(self, facade: Facade, header: str) -> None:
        async with facade.http(None) as client:
            answer = await client.get(MODELS, headers={"Authorization": header})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["error"]["type"] == "authentication_error"

    async def test_N11_a_key_that_is_not_ascii_is_a_401(self, facade: Facade) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", facade.port)
        for key in ("sk-ключ".encode(), b"sk-\xff\xfe"):
            writer.write(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + key + b"\r\n\r\n")
            assert (await reader.readuntil(b"}}")).startswith(b"HTTP/1.1 401")
        writer.close()

    @pytest.mark.parametrize("key", [b"sk-\x01", b"sk-\x7f", b"sk-a\x00", b"sk-" + b"a" * 9000, b"\t", b"sk-a b"])
    async def test_N11_a_key_of_other_characters_lets_nobody_in(self, facade: Facade, key: bytes) -> None:
        """Control characters are refused by the server itself, as no header may have them."""
        reader, writer = await asyncio.open_connection("127.0.0.1", facade.port)
        writer.write(
            b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Api-Key: " + key + b"\r\n\r\n"
        )
        async with asyncio.timeout(PATIENCE):
            assert (await reader.read()).startswith((b"HTTP/1.1 401", b"HTTP/1.1 400"))
        writer.close()

    async def test_N13_without_a_key_the_message_names_the_setting(self, facade: Facade) -> None:
        async with facade.openai("dummy") as client:
            with pytest.raises(openai.AuthenticationError, match=r"api\.local_key"):
                await client.models.list()
        async with facade.http(None) as client:
            assert "api.local_key" in (await client.get(MODELS)).text

    async def test_an_expired_key_is_a_401_from_its_last_moment(self, facade: Facade, store: Store) -> None:
        await store.write(lambda c: keys.create(c, EXPIRED, name="e", now=NOW, expires_at=NOW + 1))
        assert await status(facade, **{"X-Api-Key": EXPIRED}) == 200
        facade.fake.now = NOW + 1
        assert await status(facade, **{"X-Api-Key": EXPIRED}) == 401

    async def test_a_revoked_key_stops_at_once(self, facade: Facade, store: Store) -> None:
        await store.write(lambda c: keys.ensure_bootstrap(c, "first-bootstrap-key-1", NOW, only=True))
        assert await status(facade, **{"X-Api-Key": "first-bootstrap-key-1"}) == 200
        await store.write(lambda c: keys.ensure_bootstrap(c, "second-bootstrap-key", NOW, only=True))
        assert await status(facade, **{"X-Api-Key": "first-bootstrap-key-1"}) == 401


class TestScope:
    async def test_a_key_without_the_scope_is_a_403_that_names_it(self, facade: Facade, store: Store) -> None:
        await store.write(lambda c: keys.create(c, "sk-reader-only-key", name="r", now=NOW, scopes=("read",)))
        async with facade.http("sk-reader-only-key") as client:
            assert (await client.get(MODELS)).status_code == 200
            answer = await client.post("/v1/chat/completions", json={})
        assert answer.status_code == 403
        assert "'chat'" in answer.json()["error"]["message"]
        assert answer.json()["error"]["type"] == "permission_error"

    async def test_an_admin_may_everything(self, facade: Facade) -> None:
        assert await status(facade, **{"X-Api-Key": ADMIN}) == 200


class TestLocalKey:
    @pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080"])
    @pytest.mark.parametrize("secret", [None, "dummy", "ключ"])
    async def test_N13_local_clients_need_no_key(self, store: Store, host: str, secret: str | None) -> None:
        async with running(store, local_key="demo") as facade:
            await store.write(lambda c: keys.ensure_local(c, "demo", NOW))
            sent = {"Host": host} if secret is None else {"Host": host, "X-Api-Key": secret}
            async with facade.http(None) as client:
                headers = [(name.encode(), value.encode()) for name, value in sent.items()]
                assert (await client.get(MODELS, headers=headers)).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "bothub.example.com"},
            {"Host": "192.168.0.7"},
            {"Host": "localhost.example.com"},
            {"Host": "localhost@example.com"},
            {"Host": "["},
            {"Host": ""},
            {"Origin": "https://example.com"},
            {"Origin": "null"},
            {"Origin": ""},
            {"Host": "localhost", "Origin": "http://127.0.0.1.example.com"},
        ],
    )
    async def test_N13_others_are_refused(self, store: Store, headers: dict[str, str]) -> None:
        async with running(store, local_key="demo") as facade:
            await store.write(lambda c: keys.ensure_local(c, "demo", NOW))
            assert await status(facade, **headers) == 401
            assert await status(facade, **headers, Authorization="Bearer dummy") == 401
            assert await status(facade, **headers, Authorization=f"Bearer {USER}") == 200

    async def test_N13_a_local_page_may(self, store: Store) -> None:
        async with running(store, local_key="demo") as facade:
            await store.write(lambda c: keys.ensure_local(c, "demo", NOW))
            assert await status(facade, Origin="http://localhost:3000") == 200

    @pytest.mark.parametrize("secret", ["br-wrong", "sk-wrong"])
    async def test_N13_a_wrong_key_of_our_kind_is_a_401(self, store: Store, secret: str) -> None:
        async with running(store, local_key="demo") as facade:
            await store.write(lambda c: keys.ensure_local(c, "demo", NOW))
            assert await status(facade, Authorization=f"Bearer {secret}") == 401

    async def test_N13_it_acts_as_the_key_of_that_name_and_no_more(self, store: Store) -> None:
        async with running(store, local_key="demo") as facade:
            local = await store.write(lambda c: keys.ensure_local(c, "demo", NOW))
            body = {"messages": [{"role": "user", "content": "hi"}]}
            async with facade.http(None) as client:
                assert (await client.post("/v1/chat/completions", json=body)).status_code == 200
            assert facade.fake.turns.asks[0].key_id == local.id
            assert facade.fake.turns.asks[0].posts_to == ("*",)

    async def test_N13_the_bootstrap_key_stays_itself_whatever_it_begins_with(self, store: Store) -> None:
        secret = "operators-own-key-7391"
        async with running(store, local_key="demo") as facade:
            await store.write(lambda c: keys.ensure_local(c, "demo", NOW))
            admin = await store.write(lambda c: keys.ensure_bootstrap(c, secret, NOW, only=True))
            body = {"messages": [{"role": "user", "content": "hi"}]}
            async with facade.http(secret) as client:
                await client.post("/v1/chat/completions", json=body)
            assert facade.fake.turns.asks[0].key_id == admin.id

    async def test_N13_without_its_row_nobody_gets_in(self, store: Store) -> None:
        async with running(store, local_key="demo") as facade:
            assert await status(facade) == 401


class TestRoutes:
    async def test_L2_no_route_answers_without_a_key_but_those_that_say_so(self, facade: Facade, store: Store) -> None:
        app = create_app(FakeHub(store).hub())
        opened = {"/health", "/ready", "/docs", "/openapi.json", "/webhooks/<kind>/<channel>"}
        opened |= {"/", "/panel/login", "/panel/prefer", "/panel/static/<version>/<name>", "/panel/<path:rest>"}
        async with facade.http(None) as client:
            for rule in app.url_map.iter_rules():
                if rule.rule in opened:
                    continue
                path = re.sub(r"<(int)?[^>]*>", lambda part: "1" if part[1] else "x", rule.rule)
                for method in rule.methods or ():
                    answer = await client.request(method, path)
                    assert answer.status_code == 401, f"{method} {path}"

    def test_a_route_that_does_not_say_who_may_is_refused_at_start(self) -> None:
        async def view() -> str:
            return ""

        app = Quart(__name__, static_folder=None)
        routes = Blueprint("x", __name__)
        routes.get("/x")(view)
        app.register_blueprint(routes)
        with pytest.raises(TypeError, match="/x says neither"):
            auth.refuse_unchecked(app)
