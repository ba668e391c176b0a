"""POST /v1/audio/transcriptions, by the official SDK."""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from api.uploads import FILE_LIMIT
from hub.inline import audio_type
from hub.model import Usage
from tests.e2e.here import Here, running_hub
from tests.e2e.hub import demo_config
from tests.platforms.openai import Upstream, fail


def silence() -> bytes:
    """A moment of it, as WAV."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(160))
    return file.getvalue()


WAV = silence()


@pytest.fixture
async def hub(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Here]:
    models = {
        "demo": {"provider": "demo"},
        "whisper": {"provider": "openai", "base_url": upstream.base_url, "model": "whisper-x"},
        "claude": {"provider": "anthropic", "api_key": "k", "model": "c"},
    }
    async with running_hub(tmp_path, demo_config(models=models, bus={})) as hub:
        yield hub


async def test_a_recording_is_written_down(hub: Here, client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.script("good morning")
    answer = await client.audio.transcriptions.with_raw_response.create(
        model="whisper",
        file=("voice.note.mp3", WAV),
        language="en",
        prompt="bothub",
        temperature=0.2,
        extra_headers={"Session-Id": "calls"},
    )
    said = answer.parse()
    assert said.text == "good morning"
    assert said.usage
    assert said.usage.type == "tokens"
    assert upstream.requests[0].body == {
        "model": "whisper-x",
        "file": {"name": "voice_note.wav", "type": "audio/wav", "content": WAV},
        "language": "en",
        "prompt": "bothub",
        "temperature": "0.2",
    }
    record = await hub.over(answer.headers["X-Turn-Id"])
    assert (record.model, record.response, record.session_id) == ("whisper", "good morning", "calls")
    assert record.usage == Usage(prompt=7, completion=2)


async def test_the_demo_model_tells_offline_how_long_it_is(client: AsyncOpenAI) -> None:
    said = await client.audio.transcriptions.create(model="demo", file=("a.wav", WAV))
    assert said.text == f"a recording of {len(WAV)} bytes"
    text: Any = await client.audio.transcriptions.create(model="demo", file=("a.wav", WAV), response_format="text")
    assert text == f"{said.text}\n"


async def test_times_are_told_where_the_upstream_tells_them(client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.script("good morning")
    said: Any = await client.audio.transcriptions.create(
        model="whisper",
        file=("a.wav", WAV),
        response_format="verbose_json",
        timestamp_granularities=["segment", "word"],
    )
    assert (said.duration, said.segments[0].end) == (1.5, 1.5)
    with pytest.raises(openai.BadRequestError, match="does not know when"):
        await client.audio.transcriptions.create(model="demo", file=("a.wav", WAV), response_format="verbose_json")


async def test_what_cannot_hear_is_named_with_those_that_can(client: AsyncOpenAI) -> None:
    for model in ("assistant", "claude"):
        with pytest.raises(openai.BadRequestError, match=f"'{model}' cannot transcribe .* demo, whisper can") as raised:
            await client.audio.transcriptions.create(model=model, file=("a.wav", WAV))
        assert (raised.value.param, raised.value.code) == ("model", "unsupported_model")


async def test_an_upstream_that_fails_is_told(client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.script(fail(400, "too short"))
    with pytest.raises(openai.BadRequestError, match="too short"):
        await client.audio.transcriptions.create(model="whisper", file=("a.wav", WAV))


async def test_a_recording_is_written_down_once_under_an_idempotency_key(
    client: AsyncOpenAI, upstream: Upstream
) -> None:
    upstream.script("one")
    headers = {"Idempotency-Key": "k"}
    for _ in range(2):
        said = await client.audio.transcriptions.create(model="whisper", file=("a.wav", WAV), extra_headers=headers)
        assert said.text == "one"
    assert len(upstream.requests) == 1


async def test_what_is_wrong_is_named(hub: Here) -> None:
    wav = {"file": ("a.wav", WAV)}
    cases: list[tuple[dict[str, Any], dict[str, Any], int, str]] = [
        ({"model": "demo"}, {"x": (None, "x")}, 400, "file"),
        ({}, wav, 400, "model"),
        ({"model": "nobody"}, wav, 404, "model"),
        ({"model": "demo"}, {"file": ("a.mp3", b"a text")}, 400, "file"),
        ({"model": "demo"}, {"file": ("a.wav", WAV + bytes(FILE_LIMIT))}, 413, "file"),
        ({"model": "demo", "temperature": "2"}, wav, 400, "temperature"),
        ({"model": "demo", "response_format": "srt"}, wav, 400, "response_format"),
        ({"model": "demo", "language": "en/us"}, wav, 400, "language"),
        ({"model": "demo", "stream": "true"}, wav, 400, "stream"),
        ({"model": "demo", "include[]": "logprobs"}, wav, 400, "include[]"),
        ({"model": "demo", "timestamp_granularities[]": "word"}, wav, 400, "timestamp_granularities[]"),
    ]
    async with hub.http() as http:
        for fields, files, status, param in cases:
            answer = await http.post("/v1/audio/transcriptions", data=fields, files=files)
            assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (WAV, "audio/wav"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"\xff\xf1\x50", "audio/aac"),
        (b"OggS\0", "audio/ogg"),
        (b"fLaC\0", "audio/flac"),
        (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
        (b"\x1aE\xdf\xa3", "audio/webm"),
        (b"\xff\xd8\xff\xe0", None),
        (b"\xff\xfeh\0i\0", None),
        (b"\xff", None),
        (b"", None),
    ],
)
def test_what_a_recording_is_stands_at_its_beginning(content: bytes, kind: str | None) -> None:
    assert audio_type(content) == kind
