"""Chat completions as forms with files (N5)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from api import uploads
from hub.model import Chunk
from hub.store import Store
from tests.api.content import PDF, PNG, data_url, image, told
from tests.api.facade import CHAT, Facade, running

CHART, REPORT = ("chart.png", "image/png", PNG), ("report.pdf", "application/pdf", PDF)


@pytest.fixture
async def facade(store: Store, tmp_path: Path) -> AsyncIterator[Facade]:
    async with running(store, files=tmp_path / "files") as started:
        started.fake.models.chunks = (Chunk(text="ok", finish="stop"),)
        yield started


async def post(facade: Facade, files: Any = (), headers: Any = None, **fields: Any) -> httpx.Response:
    """Send a form; files are (name, type, content)."""
    async with facade.http() as client:
        parts = [("files", (name, content, kind)) for name, kind, content in files]
        return await client.post(CHAT, data=fields, files=parts or {"none": ("", b"")}, headers=headers)


async def test_N5_a_message_and_files_in_their_order(facade: Facade) -> None:
    answer = await post(facade, [CHART, REPORT], message="Compare these files")
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "Hello, you."
    assert await told(facade) == ["Compare these files", CHART, REPORT]
    assert facade.fake.turns.asks[0].session_id == "default"


async def test_N5_session_model_and_stream(facade: Facade) -> None:
    answer = await post(facade, [CHART], message="hi", session_id="42", model="assistant", stream="true")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.text.endswith("data: [DONE]\n\n")
    assert (facade.fake.turns.asks[0].session_id, facade.fake.turns.asks[0].agent) == ("42", "assistant")
    whole = await post(facade, message="hi", stream="False")
    assert whole.json()["object"] == "chat.completion"


async def test_other_fields_are_parameters_and_are_checked(facade: Facade) -> None:
    assert (await post(facade, message="hi", temperature="0.5", stop="END", whatever="x")).status_code == 200
    assert facade.fake.turns.asks[0].params == {"temperature": 0.5, "stop": "END"}
    wrong = await post(facade, message="hi", temperature="7")
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "temperature")


async def test_a_file_without_a_message_is_something_said(facade: Facade) -> None:
    assert (await post(facade, [REPORT])).status_code == 200
    assert await told(facade) == [REPORT]


@pytest.mark.parametrize("fields", [{}, {"message": " "}, {"model": "assistant"}])
async def test_nothing_said_is_a_400(facade: Facade, fields: dict[str, str]) -> None:
    answer = await post(facade, **fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "message")
    assert not facade.fake.turns.asks


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"stream": "maybe"}, "stream"), ({"session_id": "a\x00"}, "session_id")],
)
async def test_a_wrong_field_is_named(facade: Facade, fields: dict[str, str], param: str) -> None:
    answer = await post(facade, message="hi", **fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_a_text_is_no_file(facade: Facade) -> None:
    async with facade.http() as client:
        answer = await client.post(CHAT, data={"message": "hi"}, files={"files": (None, b"x")})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "files")


async def test_N5_a_file_over_10_MB_is_a_413_that_names_it(facade: Facade) -> None:
    answer = await post(facade, [CHART, ("film.bin", "video/x", bytes(10 * 2**20 + 1))], message="see")
    assert (answer.status_code, answer.json()["error"]["param"]) == (413, "files")
    assert "'film.bin' is over the limit of 10 MB" in answer.json()["error"]["message"]
    assert not facade.fake.turns.asks


async def test_N5_a_body_over_20_MB_is_a_413(facade: Facade) -> None:
    half = bytes(9 * 2**20)
    answer = await post(facade, [("a", "a/b", half)] * 3, message="see")
    assert answer.status_code == 413
    assert "20 MB" in answer.json()["error"]["message"]


async def test_too_many_files_are_a_400(facade: Facade) -> None:
    answer = await post(facade, [CHART] * (uploads.MOST + 1))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "files")


async def test_a_long_message_is_taken(facade: Facade) -> None:
    assert (await post(facade, message="word " * 200_000)).status_code == 200


@pytest.mark.parametrize("head", ["multipart/form-data", "multipart/form-data; boundary=x"])
async def test_what_is_no_form_is_a_400(facade: Facade, head: str) -> None:
    async with facade.http() as client:
        answer = await client.post(CHAT, content=b'{"messages": []}', headers={"Content-Type": head})
    assert answer.status_code == 400


async def test_models_are_sent_the_files_too(facade: Facade) -> None:
    notes = ("notes.txt", "text/plain", b"tea")
    assert (await post(facade, [CHART, notes], message="see", model="eyes")).status_code == 200
    [message] = facade.fake.models.calls[0].completion.messages
    assert message["content"] == [
        {"type": "text", "text": "see"},
        image(data_url(PNG, "image/png")),
        {"type": "text", "text": "[notes.txt, text/plain, 3 bytes]\n\nread: tea"},
    ]
    refused = await post(facade, [CHART], message="see", model="gpt")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_part")


async def test_a_form_sent_again_is_known_by_what_it_says(facade: Facade) -> None:
    """The boundary between its parts is another one each time."""
    first, again, other = [
        await post(facade, [CHART], {"X-Stainless-Retry-Count": count}, message=said)
        for count, said in (("0", "hi"), ("1", "hi"), ("1", "ho"))
    ]
    assert {first.status_code, again.status_code, other.status_code} == {200}
    one, same, another = facade.fake.turns.asks
    assert one.fingerprint == same.fingerprint != another.fingerprint
    assert same.repeats


async def test_an_sdk_posts_a_form(facade: Facade) -> None:
    async with facade.openai() as client:
        got = await client.post(
            "/chat/completions",
            cast_to=httpx.Response,
            body={"message": "look", "session_id": "s"},
            files=[("files", ("chart.png", PNG))],
            options={"headers": {"Content-Type": "multipart/form-data"}},
        )
        assert got.json()["object"] == "chat.completion"
        with pytest.raises(openai.BadRequestError, match="message is missing"):
            await client.post(
                "/chat/completions",
                cast_to=httpx.Response,
                body={"session_id": "s"},
                files=[("files", ("", b""))],
                options={"headers": {"Content-Type": "multipart/form-data"}},
            )
    assert await told(facade) == ["look", CHART]
