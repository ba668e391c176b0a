"""Logging in: with what, for how long, from where, and how often one may try."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from api.panel import guard
from api.panel.guard import COOKIE, POLICY, Throttle, local
from hub.accounts import keyring, keys, logins
from hub.errors import LimitReached
from hub.store import Connection, Store
from tests.api.facade import ADMIN, USER, Facade, running
from tests.clock import Clock
from tests.patience import PATIENCE

HTML = {"Accept": "text/html"}
PAGE = "/panel/overview"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A migrated database."""
    from hub.store import open_store
    from hub.store.migrate import migrate

    opened = await open_store(f"sqlite:///{tmp_path}/bothub.db")
    await migrate(opened)
    yield opened
    await opened.close()


@pytest.fixture
async def facade(store: Store) -> AsyncIterator[Facade]:
    """A façade on a free port."""
    async with running(store) as started:
        yield started


@asynccontextmanager
async def browser(facade: Facade, secret: str | None = None) -> AsyncGenerator[httpx.AsyncClient]:
    """A client that keeps cookies, logged in with a key."""
    async with httpx.AsyncClient(base_url=facade.root, headers=HTML, timeout=PATIENCE) as client:
        if secret is not None:
            answer = await client.post("/panel/login", data={"key": secret})
            assert answer.status_code == 303, answer.text
        yield client


async def goes_on(client: httpx.AsyncClient) -> bool:
    """Whether the client is logged in."""
    answer = await client.get(PAGE)
    assert answer.status_code in (200, 303)
    return answer.status_code == 200


class TestBegin:
    @pytest.mark.parametrize("secret", [ADMIN, USER])
    async def test_a_key_of_either_role_logs_in(self, facade: Facade, secret: str) -> None:
        async with browser(facade, secret) as client:
            assert await goes_on(client)

    async def test_the_cookie_is_for_the_panel_alone_and_no_script_reads_it(self, facade: Facade) -> None:
        async with browser(facade) as client:
            answer = await client.post("/panel/login", data={"key": USER})
            said = answer.headers["Set-Cookie"]
            assert "HttpOnly" in said
            assert "SameSite=Strict" in said
            assert "Path=/panel" in said
            assert "Secure" not in said
            assert USER not in said

    async def test_over_tls_the_cookie_stays_on_tls(self, facade: Facade) -> None:
        async with browser(facade) as client:
            answer = await client.post("/panel/login", data={"key": USER}, headers={"X-Forwarded-Proto": "https"})
            assert "Secure" in answer.headers["Set-Cookie"]

    async def test_the_cookie_opens_nothing_but_the_panel(self, facade: Facade) -> None:
        async with browser(facade, ADMIN) as client:
            token = client.cookies[COOKIE]
            answer = await client.get("/user/api-key/mine", headers={"Cookie": f"{COOKIE}={token}"})
            assert answer.status_code == 401

    async def test_what_is_stored_is_no_cookie(self, facade: Facade, store: Store) -> None:
        async with browser(facade, USER) as client:
            token = client.cookies[COOKIE]
        from sqlalchemy import select

        from hub.store.tables import logins as table

        rows = await store.read(lambda connection: connection.execute(select(table)).all())
        assert len(rows) == 1
        assert token not in str(rows[0])
        assert USER not in str(rows[0])

    @pytest.mark.parametrize(("secret", "status"), [("", 400), ("br-wrong", 401)])
    async def test_a_wrong_key_is_told_in_words(self, facade: Facade, secret: str, status: int) -> None:
        async with browser(facade) as client:
            answer = await client.post("/panel/login", data={"key": secret})
            assert answer.status_code == status
            assert 'class="error"' in answer.text
            assert "Set-Cookie" not in answer.headers
            assert "br-wrong" not in answer.text

    async def test_who_comes_without_a_login_is_asked_for_one_and_led_back(self, facade: Facade) -> None:
        async with browser(facade) as client:
            answer = await client.get(f"{PAGE}?x=1&y=2")
            assert answer.status_code == 303
            page = await client.get(answer.headers["Location"])
            assert f'value="{PAGE}?x=1&amp;y=2"' in page.text
            done = await client.post("/panel/login", data={"key": USER, "next": f"{PAGE}?x=1&y=2"})
            assert done.headers["Location"] == f"{PAGE}?x=1&y=2"

    @pytest.mark.parametrize(
        "path",
        [
            *("//evil.example", "https://evil.example", "/other", "javascript:alert(1)", "/panel/../v1", "/panelx"),
            *("/\\evil.example", "/panel\r\nX: y", "", "\\panel"),
        ],
    )
    def test_it_leads_nowhere_else(self, path: str) -> None:
        assert local(path) == "/panel"

    async def test_a_page_for_programs_is_no_page(self, facade: Facade) -> None:
        async with facade.http(None, Accept="application/json") as client:
            answer = await client.get(PAGE)
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "login"


class TestEnd:
    async def test_logging_out_ends_it_for_good(self, facade: Facade) -> None:
        async with browser(facade, USER) as client:
            token = client.cookies[COOKIE]
            answer = await client.post("/panel/logout", data={"token": guard.form_token(token)})
            assert answer.status_code == 303
            assert not await goes_on(client)
            client.cookies.set(COOKIE, token)
            assert not await goes_on(client)

    async def test_it_is_over_after_twelve_hours_without_use(self, facade: Facade) -> None:
        async with browser(facade, USER) as client:
            for _ in range(3):
                facade.fake.now += logins.LASTS - 1
                assert await goes_on(client)
            facade.fake.now += logins.LASTS
            answer = await client.get(PAGE)
            assert "You were logged out" in (await client.get(answer.headers["Location"])).text

    async def test_who_was_never_logged_in_was_not_logged_out(self, facade: Facade) -> None:
        async with browser(facade) as client:
            answer = await client.get(PAGE)
            assert "You were logged out" not in (await client.get(answer.headers["Location"])).text

    @pytest.mark.parametrize("how", ["deleted", "inactive", "expired", "rotated"])
    async def test_it_ends_with_its_key(self, facade: Facade, store: Store, how: str) -> None:
        now = facade.fake.now

        def end(connection: Connection) -> None:
            match how:
                case "deleted":
                    keyring.delete(connection, facade.user.id, now)
                case "inactive":
                    keyring.change(connection, facade.user.id, {"active": False}, now)
                case "expired":
                    keyring.change(connection, facade.user.id, {"expires_at": now}, now)
                case _:
                    keyring.rotate(connection, facade.user.id, keys.new_secret(), now, grace=0)

        async with browser(facade, USER) as client:
            assert await goes_on(client)
            await store.write(end)
            assert not await goes_on(client)


class TestForms:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
        ],
    )
    @pytest.mark.parametrize("path", ["/panel/login", "/panel/logout"])
    async def test_what_another_site_sends_is_refused(self, facade: Facade, path: str, headers: dict[str, str]) -> None:
        async with browser(facade, USER) as client:
            fields = {"key": USER, "token": guard.form_token(client.cookies[COOKIE])}
            assert (await client.post(path, data=fields, headers=headers)).status_code == 403
            assert await goes_on(client)

    @pytest.mark.parametrize("token", ["", "x", guard.form_token("another"), "\u00e9"])
    async def test_a_form_of_another_login_is_refused(self, facade: Facade, token: str) -> None:
        async with browser(facade, USER) as client:
            assert (await client.post("/panel/logout", data={"token": token})).status_code == 403
            assert await goes_on(client)


class TestThrottle:
    async def test_one_address_may_fail_so_often(self, facade: Facade) -> None:
        async with browser(facade) as client:
            for _ in range(guard.EACH):
                assert (await client.post("/panel/login", data={"key": "br-wrong"})).status_code == 401
            answer = await client.post("/panel/login", data={"key": USER})
            assert answer.status_code == 429
            assert int(answer.headers["Retry-After"]) <= guard.WINDOW + 1
            assert "Too many wrong keys." in answer.text
            facade.fake.now += guard.WINDOW
            assert (await client.post("/panel/login", data={"key": USER})).status_code == 303

    def test_all_together_may_fail_so_often(self) -> None:
        clock = Clock()
        throttle = Throttle(clock)
        for number in range(guard.ALL):
            throttle.check(f"10.0.0.{number}")
            throttle.failed(f"10.0.0.{number}")
        with pytest.raises(LimitReached):
            throttle.check("another")
        clock.forward(guard.WINDOW)
        throttle.check("another")


class TestHeaders:
    @pytest.mark.parametrize("path", ["/panel/login", PAGE, "/panel/nowhere", "/panel/static/x/panel.css"])
    async def test_every_answer_says_what_it_may_do(self, facade: Facade, path: str) -> None:
        async with browser(facade, USER) as client:
            headers = (await client.get(path)).headers
            assert headers["Content-Security-Policy"] == POLICY
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "same-origin"

    async def test_pages_are_kept_by_nobody_and_files_for_long(self, facade: Facade) -> None:
        async with browser(facade, USER) as client:
            page = await client.get(PAGE)
            assert page.headers["Cache-Control"] == "no-store"
            style = page.text.partition('rel="stylesheet" href="')[2].partition('"')[0]
            answer = await client.get(style)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["Cache-Control"]

    @pytest.mark.parametrize("name", ["..%2f__init__.py", "nothing.js", "..%2f..%2fapp.py"])
    async def test_no_other_file_is_handed_out(self, facade: Facade, name: str) -> None:
        async with browser(facade, USER) as client:
            assert (await client.get(f"/panel/static/x/{name}")).status_code == 404


async def test_the_address_of_the_hub_leads_a_browser_to_the_login(facade: Facade) -> None:
    async with httpx.AsyncClient(base_url=facade.root, headers=HTML, timeout=PATIENCE, follow_redirects=True) as client:
        answer = await client.get("/")
    assert answer.url.path == "/panel/login"
    assert "API key" in answer.text


@pytest.mark.parametrize(
    ("path", "above"),
    [
        ("/panel/channels/1/test", "/panel/channels/1"),
        ("/panel/keys/3/recharge", "/panel/keys/3"),
        ("/panel/chat/a%20room/stop", "/panel/chat/a%20room"),
        ("/panel/logout", "/panel"),
        ("/panel/nowhere", None),
        ("/panel/keys/3/nowhere", None),
    ],
)
async def test_where_a_form_was_sent_leads_to_the_page_above_it(facade: Facade, path: str, above: str | None) -> None:
    async with browser(facade, ADMIN) as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.headers.get("Location")) == ((303, above) if above else (404, None))
