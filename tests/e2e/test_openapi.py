"""What /openapi.json says is so: schemathesis asks every route of a real hub whatever the document lets it ask.

It finds answers of 500 and above, and statuses, media types, headers and shapes that are not in the document; and
routes that take what the document forbids, or answer without a key. The same questions are asked in every run.
"""

from __future__ import annotations

import asyncio
import io
import re
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests
import schemathesis
from requests.adapters import HTTPAdapter
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks
from urllib3 import HTTPResponse

from api import openapi
from api.app import create_app
from api.ports import Hub
from tests.e2e.hub import HubProcess, demo_config

pytestmark = pytest.mark.slow

CONFIG: dict[str, Any] = {
    "generation": {"deterministic": True, "max-examples": 10},
    # How long a question takes to think of says nothing on a busy machine.
    "suppress-health-check": ["all"],
    # What answers teach would make a run's questions depend on its answers, and these have new ids in every run.
    "phases": {"fuzzing": {"error-feedback": {"enabled": False}, "extra-data-sources": {"responses": False}}},
    # Much that a schema allows makes no sense; examples are sent below.
    "checks": {"positive_data_acceptance": {"enabled": False}},
}
ASSISTANT = "0b6f5c1e-5d0e-4f0a-9a53-1d2c3b4a5968"
THERE = {"id": ASSISTANT, "room": "lobby"}
"""Names in paths that the examples can be sent to."""
DOCUMENT = openapi.build(create_app(cast(Hub, SimpleNamespace(cors=()))))
EXAMPLES: list[tuple[str, str, Any]] = [
    (method, path, body["example"])
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if "example" in (body := operation.get("requestBody", {}).get("content", {}).get(openapi.JSON, {}))
]
# Its types leave their parameters open.
api: Any = cast(Any, schemathesis.openapi).from_dict(DOCUMENT, config=cast(Any, SchemathesisConfig).from_dict(CONFIG))


class Once(HTTPAdapter):
    """Reads of a stream what comes first, for some have no end."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        response = super().send(request, *args, **{**kwargs, "stream": True})
        if response.headers.get("Content-Type", "").startswith(openapi.EVENTS):
            first = next(response.iter_content(None), b"")
            response.close()
            response.raw = HTTPResponse(io.BytesIO(first), response.raw.headers, preload_content=False)
        return response


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub in a process of its own; what it logs is read meanwhile."""
    config = demo_config()
    config["agents"]["assistant"]["id"] = ASSISTANT
    process = HubProcess(tmp_path_factory.mktemp("hub"), config)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(process.start(), loop).result()
        yield process
    finally:
        asyncio.run_coroutine_threadsafe(process.kill(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def session(hub: HubProcess) -> Iterator[requests.Session]:
    """Connections to it."""
    with requests.Session() as session:
        session.mount(hub.url, Once())
        yield session


def ask(case: Any, hub: HubProcess, session: requests.Session) -> requests.Response:
    """The answer, after it was compared with the document."""
    # In a form everything is a text, and behind the `?` a list without items is nothing: what is meant to be wrong is
    # right then.
    right = case.media_type == openapi.FORM or [] in (case.query or {}).values()
    excluded = [cast(Any, checks).negative_data_rejection] if right else []
    key = {"Authorization": f"Bearer {hub.key}"}
    return case.call_and_validate(hub.url, session, key, excluded_checks=excluded)


# First, for what follows deletes whatever it may.
@pytest.mark.parametrize(("method", "path", "body"), EXAMPLES)
def test_its_examples_are_taken(method: str, path: str, body: Any, hub: HubProcess, session: requests.Session) -> None:
    names = {name: THERE[name] for name in re.findall("{(.*?)}", path)}
    case = api[path][method].Case(body=body, path_parameters=names, media_type=openapi.JSON)
    answer = ask(case, hub, session)
    assert 200 <= answer.status_code < 300, answer.text


@api.parametrize()
def test_it_answers_as_it_says(case: Any, hub: HubProcess, session: requests.Session) -> None:
    ask(case, hub, session)
