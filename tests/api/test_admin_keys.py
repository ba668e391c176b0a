"""/admin/api-key, /admin/payment, /admin/audit: what admins do with keys, and who may not."""

from __future__ import annotations

from typing import Any

import pytest

from hub.accounts import keys
from hub.store import Store
from tests.api.facade import ADMIN, OTHER, USER, Facade
from tests.api.fake_hub import NOW

APPLY = "/admin/api-key/apply"
UPDATE = "/admin/api-key/update"
RECHARGE = "/admin/api-key/recharge"
RESET = "/admin/api-key/reset-key"
DELETE = "/admin/api-key/delete"
LIST = "/admin/api-key/list"
PAYMENTS = "/admin/payment/list"
AUDIT = "/admin/audit/list"


async def ask(facade: Facade, method: str, path: str, body: Any = None, secret: str = ADMIN, **headers: str) -> Any:
    """The status and the body of an answer; the body's `data` where it succeeded."""
    async with facade.http(secret, **headers) as client:
        answer = await client.request(method, path, json=body)
    found = answer.json()
    assert found["success"] is (answer.status_code == 200)
    if answer.status_code != 200:
        assert found["data"] == found["error"]["message"]
    return answer.status_code, found["data"] if found["success"] else found["error"]


async def post(facade: Facade, path: str, secret: str = ADMIN, **body: Any) -> Any:
    return await ask(facade, "POST", path, body, secret)


async def data(facade: Facade, path: str, **body: Any) -> Any:
    status, found = await post(facade, path, **body)
    assert status == 200, found
    return found


async def works(facade: Facade, secret: str) -> bool:
    async with facade.http(secret) as client:
        return (await client.get("/v1/models")).status_code == 200


class TestApply:
    async def test_b5_a_key_works_at_once_and_is_shown_this_once(self, facade: Facade) -> None:
        made = await data(facade, APPLY, name="jack", group_id=1, role="user", email="", month_quota=1.00)
        assert made["api_key"].startswith("br-")
        assert len(made["api_key"]) == 46
        assert (made["name"], made["email"], made["role"], made["group_id"]) == ("jack", "", "user", 1)
        assert (made["month_quota"], made["balance"]) == ("1.0000000000", "0.0000000000")
        assert await works(facade, made["api_key"])
        _, listed = await ask(facade, "GET", f"{LIST}?q=jack")
        assert [each["api_key"] for each in listed["items"]] == [made["api_key"][:8] + "***"]

    @pytest.mark.parametrize(("given", "quota"), [({}, "0.0000000000"), ({"month_quota": None}, None)])
    async def test_b5_no_quota_is_0_and_null_is_unlimited(
        self, facade: Facade, given: dict[str, Any], quota: str | None
    ) -> None:
        assert (await data(facade, APPLY, name="jack", **given))["month_quota"] == quota

    async def test_everything_can_be_said_of_it(self, facade: Facade) -> None:
        said = {"scopes": ["chat", "deliver=support:*"], "agents": ["bot"], "models": [], "expires_at": int(NOW) + 9}
        limits = {"requests_minute": 1, "requests_day": 2, "tokens_minute": 3, "tokens_day": None}
        made = await data(facade, APPLY, name="jack", balance="0.000000001", **said, **limits)
        assert {name: made[name] for name in (*said, *limits)} == {**said, **limits}
        assert made["balance"] == "0.0000000010"
        facade.fake.now = NOW + 9
        assert not await works(facade, made["api_key"])

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({}, "name"),
            ({"name": ""}, "name"),
            ({"name": "a\nb"}, "name"),
            ({"name": "x", "role": "owner"}, "role"),
            ({"name": "x", "group_id": 77}, "group_id"),
            ({"name": "x", "group_id": 2**31}, "group_id"),
            ({"name": "x", "month_quota": -1}, "month_quota"),
            ({"name": "x", "month_quota": 1e10}, "month_quota"),
            ({"name": "x", "month_quota": 1e300}, "month_quota"),
            ({"name": "x", "month_quota": "NaN"}, "month_quota"),
            ({"name": "x", "month_quota": "1e999999"}, "month_quota"),
            ({"name": "x", "month_quota": "9999999999"}, "month_quota"),
            ({"name": "x", "month_quota": "0.0000000001"}, "month_quota"),
            ({"name": "x", "balance": True}, "balance"),
            ({"name": "x", "scopes": ["chat deliver"]}, "scopes[0]"),
            ({"name": "x", "scopes": ["root"]}, "scopes[0]"),
            ({"name": "x", "agents": ["a b"]}, "agents[0]"),
        ],
    )
    async def test_what_is_wrong_is_named(self, facade: Facade, body: dict[str, Any], param: str) -> None:
        status, error = await post(facade, APPLY, **body)
        assert (status, error["param"]) == (400, param)

    @pytest.mark.parametrize("amount", [b"NaN", b"Infinity", b"1e999", b"-1e999"])
    async def test_an_amount_that_is_no_number_is_refused(self, facade: Facade, amount: bytes) -> None:
        async with facade.http(ADMIN) as client:
            answer = await client.post(APPLY, content=b'{"name": "x", "balance": ' + amount + b"}")
        assert answer.status_code == 400

    @pytest.mark.parametrize("text", [rb"\ud800", rb"\u0000", rb"a\udfff"])
    async def test_a_text_that_is_none_is_refused(self, facade: Facade, text: bytes) -> None:
        async with facade.http(ADMIN) as client:
            for path, field in ((APPLY, b"name"), (RESET, b"api_key"), (UPDATE, b"name")):
                body = b'{"' + field + b'": "' + text + b'", "id": 1}'
                assert (await client.post(path, content=body)).status_code == 400


class TestChange:
    async def test_b6_a_change_holds_from_the_next_request_on(self, facade: Facade) -> None:
        made = await data(facade, APPLY, name="jack", month_quota=1)
        changed = await data(facade, UPDATE, id=made["id"], name="john", month_quota=10.00)
        assert (changed["name"], changed["month_quota"], changed["role"]) == ("john", "10.0000000000", "user")
        assert changed["api_key"].endswith("***")
        await data(facade, UPDATE, id=made["id"], active=False)
        assert not await works(facade, made["api_key"])
        await data(facade, UPDATE, id=made["id"], active=True, group_id=None)
        assert await works(facade, made["api_key"])

    async def test_b6_a_key_gets_a_new_secret(self, facade: Facade) -> None:
        made = await data(facade, APPLY, name="jack")
        reset = await data(facade, RESET, api_key=made["api_key"])
        assert (reset["id"], await works(facade, made["api_key"]), await works(facade, reset["api_key"])) == (
            made["id"],
            False,
            True,
        )
        again = await data(facade, RESET, id=made["id"], grace=60)
        assert await works(facade, reset["api_key"])
        facade.fake.now = NOW + 60
        assert not await works(facade, reset["api_key"])
        assert await works(facade, again["api_key"])

    async def test_b6_a_deleted_key_is_gone(self, facade: Facade) -> None:
        for which in ("id", "api_key"):
            made = await data(facade, APPLY, name="jack")
            assert await data(facade, DELETE, **{which: made[which]}) is True
            assert not await works(facade, made["api_key"])
            for path in (DELETE, RESET):
                assert (await post(facade, path, **{which: made[which]}))[0] == 404
            assert (await post(facade, RECHARGE, balance=1, **{which: made[which]}))[0] == 404
            assert (await ask(facade, "GET", f"/admin/api-key/detail/{made['id']}"))[0] == 404
        _, listed = await ask(facade, "GET", f"{LIST}?name=jack")
        assert listed["items"] == []

    @pytest.mark.parametrize("path", [RESET, DELETE, RECHARGE])
    async def test_which_key_has_to_be_said(self, facade: Facade, path: str) -> None:
        status, error = await post(facade, path, balance=1)
        assert (status, error["param"]) == (400, "id")

    async def test_the_admin_key_of_the_start_stays_what_it_is(self, facade: Facade, store: Store) -> None:
        first = await store.write(lambda c: keys.ensure_bootstrap(c, "operators-own-key-7391", NOW, only=False))
        changes: list[dict[str, Any]] = [{"role": "user"}, {"active": False}, {"expires_at": 1}, {"scopes": []}]
        for change in changes:
            status, error = await post(facade, UPDATE, id=first.id, **change)
            assert (status, error["code"]) == (409, "bootstrap_key")
        for path in (DELETE, RESET):
            assert (await post(facade, path, id=first.id))[1]["code"] == "bootstrap_key"
        assert (await data(facade, UPDATE, id=first.id, email="me@x"))["email"] == "me@x"


class TestMoney:
    async def test_b7_recharges_are_listed_newest_first_and_survive_the_key(self, facade: Facade) -> None:
        made = await data(facade, APPLY, name="jack", balance=1)
        assert (await data(facade, RECHARGE, api_key=made["api_key"], balance=0.23))["balance"] == "1.2300000000"
        assert (await data(facade, RECHARGE, id=made["id"], balance="2"))["balance"] == "3.2300000000"
        await data(facade, DELETE, id=made["id"])
        _, paid = await ask(facade, "GET", f"{PAYMENTS}?key_id={made['id']}&limit=&offset=")
        assert [(each["fee"], each["balance"], each["by"]) for each in paid["items"]] == [
            ("2.0000000000", "3.2300000000", "admin"),
            ("0.2300000000", "1.2300000000", "admin"),
        ]
        assert (paid["total"], paid["limit"], paid["offset"], paid["next"]) == (2, 20, 0, None)
        _, first = await ask(facade, "GET", f"{PAYMENTS}?limit=1")
        _, second = await ask(facade, "GET", f"{PAYMENTS}?limit=1&after={first['next']}")
        assert first["items"] + second["items"] == paid["items"]

    @pytest.mark.parametrize("amount", [0, -1, "-1", "0", None, "1e3", 1e-10, [], "10000000000"])
    async def test_an_amount_that_adds_nothing_is_refused(self, facade: Facade, amount: Any) -> None:
        status, error = await post(facade, RECHARGE, id=facade.user.id, balance=amount)
        assert (status, error["param"]) == (400, "balance")

    async def test_a_recharge_that_is_sent_again_is_made_once(self, facade: Facade) -> None:
        for _ in range(2):
            body = {"id": facade.user.id, "balance": 1}
            status, found = await ask(facade, "POST", RECHARGE, body, **{"Idempotency-Key": "r1"})
            assert (status, found["balance"]) == (200, "1.0000000000")
        assert (await data(facade, RECHARGE, id=facade.user.id, balance=1))["balance"] == "2.0000000000"


class TestLists:
    async def test_b6_pages_have_a_total_and_a_cursor(self, facade: Facade) -> None:
        _, everything = await ask(facade, "GET", f"{LIST}?q=&name=&group_id=&role=&limit=10&offset=")
        assert [each["name"] for each in everything["items"]] == ["user", "other", "admin"]
        assert (everything["total"], everything["limit"], everything["offset"], everything["next"]) == (3, 10, 0, None)
        _, page = await ask(facade, "GET", f"{LIST}?limit=2")
        assert (page["items"], page["total"]) == (everything["items"][:2], 3)
        for rest in (f"after={page['next']}", "offset=2"):
            _, found = await ask(facade, "GET", f"{LIST}?limit=2&{rest}")
            assert (found["items"], found["next"]) == (everything["items"][2:], None)

    @pytest.mark.parametrize(("q", "names"), [("%25", []), ("_", []), ("SE", ["user"]), ("' or 1=1 --", [])])
    async def test_b18_a_text_is_a_text(self, facade: Facade, q: str, names: list[str]) -> None:
        _, found = await ask(facade, "GET", f"{LIST}?q={q}")
        assert [each["name"] for each in found["items"]] == names

    @pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "offset=-1", "after=-1", "role=x"])
    async def test_a_page_that_is_none_is_a_400(self, facade: Facade, query: str) -> None:
        status, error = await ask(facade, "GET", f"{LIST}?{query}")
        assert (status, error["param"]) == (400, query.partition("=")[0])


class TestRights:
    @pytest.mark.parametrize("secret", [USER, OTHER])
    async def test_b18_a_users_key_administers_nothing(self, facade: Facade, secret: str) -> None:
        for path in (APPLY, UPDATE, RECHARGE, RESET, DELETE):
            status, error = await post(facade, path, secret, id=facade.user.id, name="x", balance=1)
            assert (status, error["code"]) == (403, "missing_scope")
        for path in (LIST, PAYMENTS, AUDIT, f"/admin/api-key/detail/{facade.user.id}"):
            assert (await ask(facade, "GET", path, secret=secret))[0] == 403

    async def test_a_user_who_administers_makes_no_admins_and_takes_over_none(self, facade: Facade) -> None:
        clerk = (await data(facade, APPLY, name="clerk", scopes=["admin", "chat", "read"]))["api_key"]
        _, listed = await ask(facade, "GET", f"{LIST}?role=admin", secret=clerk)
        [admin] = listed["items"]
        for path, body in (
            (APPLY, {"name": "x", "role": "admin"}),
            (APPLY, {"name": "x", "scopes": ["deliver"]}),
            (UPDATE, {"id": facade.user.id, "role": "admin"}),
            (UPDATE, {"id": admin["id"], "name": "x"}),
            (RESET, {"id": admin["id"]}),
            (DELETE, {"id": admin["id"]}),
        ):
            assert (await post(facade, path, clerk, **body))[0] == 403, path
        assert (await post(facade, UPDATE, clerk, id=facade.user.id, name="x"))[0] == 200


class TestAudit:
    async def test_who_changed_what_is_told_without_secrets(self, facade: Facade) -> None:
        made = await data(facade, APPLY, name="jack", month_quota=1)
        await data(facade, UPDATE, id=made["id"], month_quota=2, name="jack")
        await data(facade, RESET, id=made["id"])
        _, found = await ask(facade, "GET", f"{AUDIT}?target=key:{made['id']}")
        assert [each["what"] for each in found["items"]] == ["key.rotate", "key.update", "key.create"]
        update = found["items"][1]
        assert (update["before"], update["after"]) == (
            {"month_quota": "1.0000000000"},
            {"month_quota": "2.0000000000"},
        )
        assert (update["by"], update["ip"], update["at"]) == ("admin", "127.0.0.1", int(NOW))
        assert made["api_key"][:8] not in str(found)

    async def test_what_was_refused_is_no_change(self, facade: Facade) -> None:
        assert (await post(facade, APPLY, name="x", group_id=77))[0] == 400
        assert (await ask(facade, "GET", AUDIT))[1]["total"] == 0
