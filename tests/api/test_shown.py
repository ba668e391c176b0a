"""What a model is sent that nobody remembers anything for, with the official SDK over a real socket."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest

from api.openai import files, shown
from api.uploads import Upload
from hub.fetch import Fetcher
from hub.model import Chunk
from hub.store import Store
from tests.api.content import PDF, PNG, WEBP, Site, allowed, audio, data_url, doc, file, image, serving
from tests.api.facade import Facade, running

CAT = image(data_url(PNG, "image/png"))
NOTES = file(filename="notes.txt", file_data=data_url(b"tea", "text/plain"))
READ = {"type": "text", "text": "[notes.txt, text/plain, 3 bytes]\n\nread: tea"}


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving() as site:
        yield site


@pytest.fixture
async def facade(store: Store, tmp_path: Path) -> AsyncIterator[Facade]:
    async with running(store, files=tmp_path / "files", fetch=Fetcher(allow=allowed)) as started:
        started.fake.models.chunks = (Chunk(text="ok", finish="stop"),)
        yield started


async def sent(facade: Facade, model: str, *content: dict[str, Any]) -> list[Any]:
    """What reaches the model of this content."""
    said: Any = [{"role": "system", "content": "be brief"}, {"role": "user", "content": list(content)}]
    async with facade.openai() as client:
        answer = await client.chat.completions.create(model=model, messages=said)
    assert answer.choices[0].message.content == "ok"
    system, user = facade.fake.models.calls[-1].completion.messages
    assert system == said[0]
    assert user["role"] == "user"
    return user["content"]


async def refused(facade: Facade, model: str, *content: dict[str, Any]) -> openai.APIStatusError:
    said: Any = [{"role": "user", "content": list(content)}]
    async with facade.openai() as client:
        with pytest.raises(openai.APIStatusError) as failed:
            await client.chat.completions.create(model=model, messages=said)
    assert not facade.fake.models.calls
    return failed.value


class TestModelsThatTakeMore:
    async def test_B1_pictures_and_sound_pass_as_they_are(self, facade: Facade) -> None:
        detailed = {"type": "image_url", "image_url": {"url": CAT["image_url"]["url"], "detail": "low"}}
        content = ({"type": "text", "text": " "}, detailed, audio("aGk="), CAT)
        assert await sent(facade, "eyes", *content) == list(content)

    async def test_B1_a_url_is_fetched_and_sent_inline(self, facade: Facade, site: Site) -> None:
        linked = {"type": "image_url", "image_url": {"url": f"{site.root}/moved", "detail": "high"}}
        got = await sent(facade, "eyes", linked, image(f"{site.root}/typeless"), linked)
        cat = {"type": "image_url", "image_url": {"url": data_url(PNG, "image/png"), "detail": "high"}}
        assert got == [cat, image(data_url(WEBP, "image/webp")), cat]
        assert sorted(site.paths) == ["/cat.png", "/moved", "/typeless"]

    @pytest.mark.parametrize("url", ["http://127.0.0.2/cat.png", "{site}/inside", "{site}/none"])
    async def test_B1_what_must_not_be_fetched_is_not(self, facade: Facade, site: Site, url: str) -> None:
        error = await refused(facade, "eyes", image(url.format(site=site.root)))
        assert (error.status_code, error.param) == (400, "messages[0].content[0].image_url.url")

    async def test_a_type_that_is_often_misspelt_is_mended(self, facade: Facade) -> None:
        [part] = await sent(facade, "eyes", image(data_url(b"\xff\xd8\xff", "image/jpg")))
        assert part == image(data_url(b"\xff\xd8\xff", "image/jpeg"))

    async def test_a_picture_in_a_file_part_is_shown(self, facade: Facade) -> None:
        assert await sent(facade, "eyes", file(file_data=data_url(PNG, "image/png"))) == [CAT]

    async def test_a_pdf_passes_and_other_documents_are_read(self, facade: Facade) -> None:
        pdf = file(filename="a.pdf", file_data=data_url(PDF, "application/pdf"))
        assert await sent(facade, "eyes", pdf, NOTES) == [pdf, READ]


class TestModelsThatTakeText:
    @pytest.mark.parametrize("model", ["gpt", "drafter"])
    @pytest.mark.parametrize(
        "part",
        [
            NOTES,
            file(filename="notes.txt", file_data=b64encode(b"tea").decode()),
            doc(list(b"tea"), "notes", "txt"),
            doc(dict(enumerate(b"tea")), "notes", "txt"),
        ],
    )
    async def test_B1_documents_are_sent_as_text(self, facade: Facade, model: str, part: dict[str, Any]) -> None:
        hello = {"type": "text", "text": "hello"}
        assert await sent(facade, model, hello, part, hello) == [hello, READ, hello]

    async def test_N4_also_those_in_an_image_url(self, facade: Facade) -> None:
        [part] = await sent(facade, "gpt", image(data_url(b"tea", "text/plain")))
        assert part["text"] == "[file.txt, text/plain, 3 bytes]\n\nread: tea"

    async def test_a_file_that_was_uploaded_is_read(self, facade: Facade, monkeypatch: pytest.MonkeyPatch) -> None:
        async def uploaded(id: str) -> Upload:
            return Upload("notes.txt", "text/plain", b"tea")

        monkeypatch.setattr(files, "uploaded", uploaded)
        assert await sent(facade, "gpt", file(file_id="file-1")) == [READ]

    @pytest.mark.parametrize(
        "part",
        [CAT, image("https://example.org/a.png"), audio("aGk="), file(file_data=data_url(PNG, "image/png"))],
    )
    async def test_pictures_and_sound_are_refused(self, facade: Facade, part: dict[str, Any]) -> None:
        error = await refused(facade, "gpt", part)
        assert (error.status_code, error.code, error.param) == (400, "unsupported_part", "messages[0].content[0]")

    async def test_a_document_that_cannot_be_read_is_a_400_that_says_why(self, facade: Facade) -> None:
        error = await refused(facade, "gpt", file(filename="a.pdf", file_data=data_url(b"broken", "application/pdf")))
        assert (error.status_code, error.code, error.param) == (400, "unreadable_document", "messages[0].content[0]")
        assert "'a.pdf' is broken" in error.message

    async def test_too_many_documents_are_refused(self, facade: Facade) -> None:
        assert (await refused(facade, "gpt", *[NOTES] * (shown.DOCUMENTS + 1))).status_code == 400


async def test_what_others_said_stays_as_it_is(facade: Facade) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said: list[Any] = [
        {"role": "developer", "content": [{"type": "text", "text": "be brief"}]},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "4"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"role": "user", "content": [NOTES]},
    ]
    async with facade.openai() as client:
        await client.chat.completions.create(model="gpt", messages=said)
    assert facade.fake.models.calls[0].completion.messages == [*said[:-1], {"role": "user", "content": [READ]}]
