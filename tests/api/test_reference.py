"""/openapi.json, /docs, and that they tell of every route."""

from __future__ import annotations

import re
from typing import Any

import pytest
from quart import Blueprint, Quart, Response

from api import cors, openapi
from api.app import create_app
from api.auth import require, without_key
from api.connection import Connection
from api.document import document, documented
from api.wire import answer
from hub.store import Store
from tests.api.facade import Facade
from tests.api.fake_hub import FakeHub


@pytest.fixture
async def api(facade: Facade) -> Any:
    async with facade.http(None) as client:
        return (await client.get("/openapi.json")).json()


def operations(api: Any) -> list[tuple[str, str, Any]]:
    """Method, path and description of all there are."""
    return [
        (method, path, operation) for path, methods in api["paths"].items() for method, operation in methods.items()
    ]


class TestDocument:
    def test_every_route_says_what_it_takes_and_answers(self, store: Store) -> None:
        app = create_app(FakeHub(store).hub())
        for rule in app.url_map.iter_rules():
            told = openapi.for_people(rule.rule) or documented(app.view_functions[rule.endpoint]) is not None
            assert told, f"{rule.rule} lacks @document"

    async def test_it_is_there_for_everybody_and_the_same_every_time(self, facade: Facade) -> None:
        async with facade.http(None) as client:
            first, again = await client.get("/openapi.json"), await client.get("/openapi.json")
        assert first.status_code == 200
        assert first.headers["Content-Type"] == "application/json"
        assert first.content == again.content
        assert first.json()["openapi"].startswith("3.1.")

    def test_every_operation_has_its_own_name_and_a_sentence(self, api: Any) -> None:
        found = operations(api)
        assert len({operation["operationId"] for _, _, operation in found}) == len(found)
        for method, path, operation in found:
            assert operation["summary"], f"{method} {path} has no docstring"

    def test_whatever_makes_something_takes_an_idempotency_key(self, api: Any) -> None:
        acts = ("/cancel", "/restart", "/approve", "/webhooks/{kind}/{channel}")
        # What an admin saves is named and not made twice; the secret of a key is not remembered for a repetition.
        acts += ("/apply", "/update", "/save", "/delete", "/reset-key", "/api-keys", "/rotate")
        acts += ("-model", "-agent", "-conversation")
        for method, path, operation in operations(api):
            taken = {parameter.get("name") for parameter in operation["parameters"]}
            if method == "post" and not path.endswith(acts):
                assert "Idempotency-Key" in taken, path

    def test_every_tag_says_what_it_is_about(self, api: Any) -> None:
        assert all(tag["description"] for tag in api["tags"])

    def test_no_two_shapes_have_the_same_name(self, api: Any) -> None:
        assert not [name for name in api["components"]["schemas"] if "." in name], "rename one of the two"

    def test_what_it_points_at_is_there(self, api: Any) -> None:
        for name in re.findall(r"'\$ref': '#/components/schemas/([^']+)'", str(api)):
            assert name in api["components"]["schemas"]

    def test_it_says_which_routes_need_no_key(self, api: Any) -> None:
        opened = {path for _, path, operation in operations(api) if operation.get("security") == []}
        assert opened == {"/health", "/ready", "/docs", "/openapi.json", "/webhooks/{kind}/{channel}"}

    @pytest.mark.parametrize(
        ("path", "shape"), [("/v1/deliveries", "Error"), ("/api/v1/messages", "FlatError"), ("/health", "Error")]
    )
    def test_errors_have_the_shape_of_their_path(self, api: Any, path: str, shape: str) -> None:
        answers = next(iter(api["paths"][path].values()))["responses"]
        assert answers["500"]["content"]["application/json"]["schema"]["$ref"].endswith(f"/{shape}")

    def test_no_pattern_needs_python(self, api: Any) -> None:
        assert not re.search(r"\\+[AZ]", str(api))


class TestRoute:
    async def test_what_follows_from_the_rest_is_not_said_twice(self) -> None:
        app = made("/api/v1/web/<room>/<int:n>", document({202: dict[str, Any]}, body=dict[str, Any], once=True))
        operation = openapi.build(app)["paths"]["/api/v1/web/{room}/{n}"]["post"]
        assert set(operation["responses"]) == {"202", *["400", "401", "403", "404", "408", "409", "413", "500", "503"]}
        assert [
            (each["name"], each["in"], each["schema"]["type"]) for each in operation["parameters"] if "name" in each
        ] == [
            ("room", "path", "string"),
            ("n", "path", "integer"),
            ("Idempotency-Key", "header", "string"),
        ]
        assert operation["responses"]["409"]["content"]["application/json"]["schema"]["$ref"].endswith("/FlatError")

    async def test_one_that_says_nothing_is_named(self) -> None:
        with pytest.raises(TypeError, match="/x says nothing"):
            openapi.build(made("/x", noted_nothing))

    @pytest.mark.parametrize(
        ("status", "body", "problem"),
        [
            (200, {"n": 1}, None),
            (201, {"n": 1}, "201 is not announced"),
            (200, {"n": "1"}, "200 is not as announced: '1' is not of type 'integer'"),
        ],
    )
    async def test_an_answer_that_is_not_announced_is_noticed(
        self, announced: list[str], status: int, body: dict[str, Any], problem: str | None
    ) -> None:
        async def view() -> Response:
            """Count."""
            return answer(body, status)

        app = made("/x", document({200: dict[str, int]}), view)
        await app.test_client().get("/x")
        found, announced[:] = list(announced), []
        assert found == ([] if problem is None else [f"GET /x: {problem}"])


def noted_nothing(view: Any) -> Any:
    """What a route without `@document` has instead."""
    return view


def made(rule: str, note: Any, view: Any = None) -> Quart:
    """An app with one route."""

    async def nothing(**_: str) -> None:
        """Do nothing."""

    app = Quart(__name__, static_folder=None)
    app.asgi_http_class = Connection
    cors.register(app, ())
    routes = Blueprint("x", __name__)
    if view is None:
        routes.post(rule)(require("chat")(note(nothing)))
    else:
        routes.get(rule)(without_key(note(view)))
    app.register_blueprint(routes)
    return app


class TestPage:
    async def test_it_tells_of_every_route_and_loads_nothing(self, facade: Facade, api: Any) -> None:
        async with facade.http(None) as client:
            page = await client.get("/docs")
        assert page.status_code == 200
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        for method, path, operation in operations(api):
            assert f'id="{operation["operationId"]}"' in page.text, f"{method} {path}"
        assert not re.search(r"<(?:script|link|img|iframe)|@import|url\(|https?://", page.text)

    async def test_its_links_lead_somewhere(self, facade: Facade) -> None:
        async with facade.http(None) as client:
            page = (await client.get("/docs")).text
        there = set(re.findall(r'id="([^"]+)"', page))
        assert set(re.findall(r'href="#([^"]+)"', page)) <= there
