"""What stands in a message for an agent: each kind of part, with the official SDK over a real socket."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest

from api import uploads
from api.openai import files, parts
from api.uploads import Upload
from hub.fetch import Fetcher
from hub.store import Store
from tests.api.content import GIF, JPEG, PDF, PNG, WEBP, Site, allowed, audio, data_url, doc, file, image, serving, told
from tests.api.facade import CHAT, Facade, body, running


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving() as site:
        yield site


@pytest.fixture
async def facade(store: Store, tmp_path: Path) -> AsyncIterator[Facade]:
    fetch = Fetcher(most=2**20, allow=allowed)
    async with running(store, files=tmp_path / "files", fetch=fetch) as started:
        yield started


async def ask(facade: Facade, *content: dict[str, Any]) -> None:
    """Say this to the agent with the SDK."""
    said: Any = [{"role": "user", "content": list(content)}]
    async with facade.openai() as client:
        answer = await client.chat.completions.create(model="assistant", messages=said)
    assert answer.choices[0].message.content == "Hello, you."


async def refused(facade: Facade, *content: Any) -> openai.APIStatusError:
    """The SDK's error for this content."""
    said: Any = [{"role": "user", "content": list(content)}]
    async with facade.openai() as client:
        with pytest.raises(openai.APIStatusError) as failed:
            await client.chat.completions.create(model="assistant", messages=said)
    assert not facade.fake.turns.asks
    return failed.value


class TestPictures:
    @pytest.mark.parametrize(
        ("content", "kind", "name"),
        [
            (PNG, "image/png", "file.png"),
            (JPEG, "image/jpeg", "file.jpg"),
            (GIF, "image/gif", "file.gif"),
            (WEBP, "image/webp", "file.webp"),
        ],
    )
    async def test_N4_inline_in_the_four_formats(self, facade: Facade, content: bytes, kind: str, name: str) -> None:
        await ask(facade, image(data_url(content, kind)))
        assert await told(facade) == [(name, kind, content)]

    @pytest.mark.parametrize("kind", ["image/jpg", "image/png", "application/octet-stream", ""])
    async def test_the_type_is_what_the_content_says(self, facade: Facade, kind: str) -> None:
        await ask(facade, image(data_url(JPEG, kind)))
        assert await told(facade) == [("file.jpg", "image/jpeg", JPEG)]

    async def test_B1_in_bare_base64(self, facade: Facade) -> None:
        await ask(facade, image(b64encode(PNG).decode()))
        assert await told(facade) == [("file.png", "image/png", PNG)]

    async def test_N4_a_document_there_is_a_document(self, facade: Facade) -> None:
        await ask(facade, image(data_url(PDF, "application/pdf")))
        assert await told(facade) == [("file.pdf", "application/pdf", PDF)]

    async def test_an_agent_that_does_not_see_it_says_so(self, facade: Facade) -> None:
        facade.fake.names = [replace(named, multiple=named.name == "eyes") for named in facade.fake.names]
        pieces = [image(data_url(PNG, "image/png")), file(filename="a.txt", file_data="aGk=")]
        async with facade.http() as client:
            warned = [
                (await client.post(CHAT, json=body(messages=[{"role": "user", "content": [piece]}]))).headers
                for piece in pieces
            ]
            facade.fake.names = [replace(named, multiple=True) for named in facade.fake.names]
            seen = await client.post(CHAT, json=body(messages=[{"role": "user", "content": pieces}]))
        assert "takes no pictures" in warned[0]["Warning"]
        assert "Warning" not in warned[1]
        assert "Warning" not in seen.headers

    async def test_one_of_another_format_is_refused(self, facade: Facade) -> None:
        error = await refused(facade, image(data_url(b"<svg/>", "image/svg+xml")))
        assert (error.status_code, error.code, error.param) == (
            400,
            "invalid_image_format",
            "messages[0].content[0].image_url.url",
        )
        assert "PNG, JPEG, GIF, WEBP" in error.message


class TestUrls:
    async def test_B1_a_picture_is_fetched_once_and_stored(self, facade: Facade, site: Site) -> None:
        await ask(facade, image(f"{site.root}/moved"), image(f"{site.root}/typeless"), image(f"{site.root}/moved"))
        cat = ("moved", "image/png", PNG)
        assert [part if isinstance(part, str) else part[1:] for part in await told(facade)] == [
            cat[1:],
            ("image/webp", WEBP),
            cat[1:],
        ]
        assert sorted(site.paths) == ["/cat.png", "/moved", "/typeless"]

    @pytest.mark.parametrize(
        ("url", "status", "code"),
        [
            ("http://127.0.0.2/cat.png", 400, "not_public"),
            ("http://169.254.169.254/latest/meta-data", 400, "not_public"),
            ("http://[::1]/cat.png", 400, "not_public"),
            ("http://user:pass@127.0.0.1/cat.png", 400, "bad_url"),
            ("{site}/inside", 400, "not_public"),
            ("{site}/none", 400, "fetch_failed"),
            ("{site}/drawing", 400, "invalid_image_format"),
            ("{site}/huge", 413, "too_large"),
            ("file:///etc/passwd", 400, "invalid_value"),
            ("ftp://example.org/cat.png", 400, "invalid_value"),
        ],
    )
    async def test_B1_what_must_not_be_fetched_is_refused_by_its_place(
        self, facade: Facade, site: Site, url: str, status: int, code: str
    ) -> None:
        error = await refused(facade, {"type": "text", "text": "see"}, image(url.format(site=site.root)))
        assert (error.status_code, error.code) == (status, code), error.message
        assert error.param == "messages[0].content[1].image_url.url"

    async def test_too_many_are_refused(self, facade: Facade, site: Site) -> None:
        error = await refused(facade, *(image(f"{site.root}/{n}") for n in range(uploads.MOST + 1)))
        assert (error.status_code, site.paths) == (400, [])

    async def test_what_they_send_is_bounded_together(
        self, facade: Facade, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parts, "FETCHED", 2 * len(PNG) - 1)
        site.pages["/dog.png"] = site.pages["/cat.png"]
        error = await refused(facade, image(f"{site.root}/cat.png"), image(f"{site.root}/dog.png"))
        assert error.status_code == 413


class TestFiles:
    @pytest.mark.parametrize("data", [data_url(PDF, "application/pdf"), b64encode(PDF).decode()])
    async def test_N4_a_document_inline(self, facade: Facade, data: str) -> None:
        await ask(facade, file(filename="plan.pdf", file_data=data))
        assert await told(facade) == [("plan.pdf", "application/pdf", PDF)]

    async def test_names_are_made_safe(self, facade: Facade) -> None:
        await ask(facade, file(filename="../../etc/a\r\n.txt", file_data="data:text/plain,hi"))
        assert await told(facade) == [("a.txt", "text/plain", b"hi")]

    async def test_sound(self, facade: Facade) -> None:
        await ask(facade, audio(b64encode(b"RIFF sound").decode()), audio(b64encode(b"ID3").decode(), "mp3"))
        assert await told(facade) == [("audio.wav", "audio/wav", b"RIFF sound"), ("audio.mp3", "audio/mpeg", b"ID3")]

    async def test_one_that_was_uploaded(self, facade: Facade, monkeypatch: pytest.MonkeyPatch) -> None:
        async def uploaded(id: str) -> Upload:
            assert id == "file-1"
            return Upload("plan.pdf", "application/pdf", PDF)

        monkeypatch.setattr(files, "uploaded", uploaded)
        await ask(facade, file(file_id="file-1"))
        assert await told(facade) == [("plan.pdf", "application/pdf", PDF)]

    async def test_one_that_was_not_is_a_404(self, facade: Facade) -> None:
        error = await refused(facade, file(file_id="file-2"))
        assert (error.status_code, error.param) == (404, "messages[0].content[0].file.file_id")

    @pytest.mark.parametrize(
        "part",
        [
            file(filename="big.bin", file_data=data_url(b"x" * (2**20 + 1), "application/x-big")),
            doc("eHh4" * 400_000, "big", "bin"),
        ],
    )
    async def test_N5_one_over_the_limit_is_a_413_that_names_it(
        self, facade: Facade, monkeypatch: pytest.MonkeyPatch, part: dict[str, Any]
    ) -> None:
        monkeypatch.setattr(uploads, "FILE_LIMIT", 2**20)
        error = await refused(facade, part)
        assert (error.status_code, error.code) == (413, "too_large")
        assert "'big.bin' is over the limit of 1 MB" in error.message

    async def test_the_limit_is_10_MB(self, facade: Facade) -> None:
        assert uploads.FILE_LIMIT == 10 * 2**20
        error = await refused(facade, file(filename="a.bin", file_data=data_url(bytes(10 * 2**20 + 1), "a/b")))
        assert (error.status_code, error.param) == (413, "messages[0].content[0].file.file_data")

    async def test_too_many_are_refused(self, facade: Facade) -> None:
        error = await refused(facade, *(file(filename=f"{n}.txt", file_data="eA==") for n in range(uploads.MOST + 1)))
        assert (error.status_code, error.param) == (400, "messages[0].content[0]")


class TestDoc:
    @pytest.mark.parametrize(
        "value",
        [
            list(PDF),
            dict(enumerate(PDF)),
            dict(reversed(list(enumerate(PDF)))),
            {"type": "Buffer", "data": list(PDF)},
            b64encode(PDF).decode(),
        ],
    )
    async def test_B1_in_every_way_that_javascript_writes_bytes(self, facade: Facade, value: Any) -> None:
        await ask(facade, {"type": "text", "text": "Describe this document."}, doc(value))
        assert await told(facade) == ["Describe this document.", ("plan.pdf", "application/pdf", PDF)]

    @pytest.mark.parametrize(
        ("name", "kind", "kept"),
        [
            ("Plan.PDF", "pdf", ("Plan.PDF", "application/pdf")),
            ("notes", "txt", ("notes.txt", "text/plain")),
            ("notes.md", None, ("notes.md", "text/markdown")),
        ],
    )
    async def test_its_format_is_the_ending_of_its_name(
        self, facade: Facade, name: str, kind: Any, kept: tuple[str, str]
    ) -> None:
        await ask(facade, doc("aGk=", name, kind))
        assert await told(facade) == [(*kept, b"hi")]

    @pytest.mark.parametrize(
        "value",
        [[256], [-1], [1.5], ["a"], [[]], {"1": 1}, {"0": 1, "2": 1}, {"0": "a"}, {"0": 300}, "%%", 7, None, True],
    )
    async def test_B1_what_are_no_bytes_is_refused(self, facade: Facade, value: Any) -> None:
        error = await refused(facade, doc(value))
        assert (error.status_code, error.param) == (400, "messages[0].content[0].doc.source.bytes")


async def test_the_order_of_parts_is_kept(facade: Facade) -> None:
    text = {"type": "text", "text": "and"}
    await ask(facade, image(data_url(PNG, "image/png")), text, file(filename="a.txt", file_data="aGk="), text)
    assert await told(facade) == [
        ("file.png", "image/png", PNG),
        "and",
        ("a.txt", "text/plain", b"hi"),
        "and",
    ]


async def test_a_file_alone_is_something_said(facade: Facade) -> None:
    await ask(facade, {"type": "text", "text": " "}, file(filename="a.txt", file_data="aGk="))
    assert await told(facade) == [("a.txt", "text/plain", b"hi")]


async def test_the_sync_sdk_and_a_stream(facade: Facade) -> None:
    def say() -> str:
        said: Any = [{"role": "user", "content": [{"type": "text", "text": "look"}, image(data_url(PNG, "image/png"))]}]
        with facade.openai_sync() as client:
            chunks = client.chat.completions.create(model="assistant", messages=said, stream=True)
            return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    assert await asyncio.to_thread(say) == "Hello, you."
    assert await told(facade) == ["look", ("file.png", "image/png", PNG)]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ("text", ""),
        (7, ""),
        ({}, ""),
        ({"type": "video_url", "video_url": {"url": "x"}}, ""),
        ({"type": ["text"], "text": "x"}, ""),
        ({"type": "refusal", "refusal": "no"}, ""),
        ({"type": "text"}, ".text"),
        ({"type": "text", "text": None}, ".text"),
        ({"type": "image_url"}, ".image_url"),
        ({"type": "image_url", "image_url": "https://example.org/a.png"}, ".image_url"),
        ({"type": "image_url", "image_url": {}}, ".image_url.url"),
        (image("data:image/png;base64,%%%"), ".image_url.url"),
        (image("data:image/png"), ".image_url.url"),
        (image("nothing of the kind"), ".image_url.url"),
        ({"type": "file"}, ".file"),
        (file(), ".file.file_data"),
        (file(file_data=7), ".file.file_data"),
        (file(file_data="https://example.org/a.png"), ".file.file_data"),
        (file(file_data="aGk=", filename=7), ".file.filename"),
        (file(file_id=7), ".file.file_id"),
        ({"type": "input_audio"}, ".input_audio"),
        (audio("aGk=", "exe"), ".input_audio.format"),
        (audio("%%%"), ".input_audio.data"),
        ({"type": "doc"}, ".doc"),
        ({"type": "doc", "doc": {"name": "a"}}, ".doc.source"),
        ({"type": "doc", "doc": {"name": 7, "source": {"bytes": []}}}, ".doc.name"),
        ({"type": "doc", "doc": {"name": "a", "format": 7, "source": {"bytes": []}}}, ".doc.format"),
    ],
)
async def test_what_is_wrong_in_a_part_is_named(facade: Facade, part: Any, param: str) -> None:
    error = await refused(facade, {"type": "text", "text": "hi"}, part)
    assert (error.status_code, error.param) == (400, f"messages[0].content[1]{param}"), error.message
    assert error.code in (("invalid_value", "missing_parameter") if param else ("unsupported_part",))


async def test_too_many_parts_are_refused(facade: Facade) -> None:
    error = await refused(facade, *([{"type": "text", "text": "x"}] * (parts.PARTS + 1)))
    assert (error.status_code, error.param) == (400, "messages[0].content")


@pytest.mark.parametrize("content", [[], [{"type": "text", "text": ""}], "", " \n"])
async def test_a_message_that_says_nothing_is_refused(facade: Facade, content: Any) -> None:
    async with facade.http() as client:
        answer = await client.post(CHAT, content=json.dumps(body(messages=[{"role": "user", "content": content}])))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "messages[0].content")
