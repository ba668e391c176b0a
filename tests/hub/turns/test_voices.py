"""Voice messages become text, once."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hub.errors import ModelUnavailable
from hub.files import FileStore
from hub.message import File, Message, Part, Text
from hub.model import Recording, Transcript, Usage
from hub.turns.voices import LARGEST, Voices
from tests.hub.engine import ANN, CHAT

USED = Usage(prompt=5, completion=2)


class Scribe:
    """Reads a recording as text; `failure` is raised instead, once."""

    def __init__(self) -> None:
        self.heard: list[Recording] = []
        self.failure: Exception | None = None

    async def transcribe(self, recording: Recording) -> Transcript:
        self.heard.append(recording)
        failure, self.failure = self.failure, None
        if failure:
            raise failure
        return Transcript(text=f" {recording.content.decode()} ", usage=USED)


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path)


def message(*parts: Part) -> Message:
    return Message(id="m", address=CHAT, author=ANN, parts=parts, at=0.0)


async def voice(files: FileStore, content: bytes = b"good morning") -> File:
    return await files.keep("voice.ogg", "audio/ogg", content)


async def test_what_is_said_stands_where_the_recording_was(files: FileStore) -> None:
    scribe, text = Scribe(), Text(text="Listen:")
    picture = await files.keep("a.png", "image/png", b"png")
    said, used = await Voices(scribe, "w", files).written(message(text, await voice(files), picture))
    assert said.parts == (text, Text(text="[voice] good morning"), picture)
    assert used == USED
    assert scribe.heard == [Recording(name="voice.ogg", media_type="audio/ogg", content=b"good morning")]


async def test_a_recording_is_written_down_once_by_each_model(files: FileStore) -> None:
    scribe, recording = Scribe(), await voice(files)
    first = await Voices(scribe, "w", files).written(message(recording))
    again, used = await Voices(scribe, "w", files).written(message(recording))
    assert (again, used) == (first[0], Usage())
    assert len(scribe.heard) == 1
    await Voices(scribe, "better", files).written(message(recording))
    assert len(scribe.heard) == 2
    assert await files.read(recording) == b"good morning"


@pytest.mark.parametrize("failure", [ModelUnavailable("away"), TimeoutError(), ZeroDivisionError()])
async def test_what_cannot_be_written_down_is_a_note_and_is_tried_again(files: FileStore, failure: Exception) -> None:
    scribe, recording = Scribe(), await voice(files)
    voices, scribe.failure = Voices(scribe, "w", files), failure
    with capture_logs() as logs:
        said, used = await voices.written(message(recording))
    assert (said.text, used) == ("[voice] (voice.ogg: could not be transcribed)", Usage())
    [line] = logs
    assert line["event"] == "voice message not transcribed"
    assert (await voices.written(message(recording)))[0].text == "[voice] good morning"


async def test_a_recording_that_is_gone_is_a_note(files: FileStore) -> None:
    gone = File(ref="0" * 64, name="voice.ogg", media_type="audio/ogg", size=3)
    said, _ = await Voices(Scribe(), "w", files).written(message(gone))
    assert said.text == "[voice] (voice.ogg: could not be transcribed)"


async def test_a_recording_that_is_too_large_is_not_read(files: FileStore) -> None:
    scribe = Scribe()
    large = File(ref="0" * 64, name="hours.mp3", media_type="audio/mpeg", size=LARGEST + 1)
    said, _ = await Voices(scribe, "w", files).written(message(large))
    assert said.text == "[voice] (hours.mp3: too large to be transcribed)"
    assert scribe.heard == []


async def test_silence_is_told(files: FileStore) -> None:
    said, _ = await Voices(Scribe(), "w", files).written(message(await voice(files, b" ")))
    assert said.text == "[voice] (nothing was said)"
