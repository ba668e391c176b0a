"""POST /v1/audio/transcriptions: recordings as text."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any, Literal, NotRequired, TypedDict, cast

import msgspec
from msgspec import Meta
from quart import Blueprint, Response, request

from api import current, repeats, uploads
from api.auth import require
from api.document import Content, FileField, document
from api.names import named
from api.openai.files import one
from api.openai.work import SENDS, SESSION, WORK_ERRORS, work_of
from api.uploads import Upload
from api.wire import TURN, answer, fit
from hub.accounts.turns import Work
from hub.errors import RequestError
from hub.inline import audio_type
from hub.model import Recording, Transcript

routes = Blueprint("audio", __name__)
GRANULARITIES = "timestamp_granularities[]"
Granularity = Literal["segment", "word"]
UNSUPPORTED = ("include[]", "chunking_strategy", "known_speaker_names[]", "known_speaker_references[]")
"""Fields that change the answer, and are refused because nothing here would heed them."""


class Wishes(msgspec.Struct, kw_only=True):
    """The fields beside the file."""

    model: str
    language: Annotated[str, Meta(max_length=35, pattern="^[A-Za-z-]*$")] | None = None
    prompt: Annotated[str, Meta(max_length=10_000)] | None = None
    response_format: Literal["json", "text", "verbose_json"] = "json"
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    granularities: list[Granularity] = msgspec.field(name=GRANULARITIES, default_factory=list[Granularity])
    stream: bool = False


class TranscriptionForm(Wishes, kw_only=True):
    """A recording (WAV, MP3, AAC, Ogg, FLAC, MP4 or WebM), and how to write it down."""

    file: FileField


class Transcription(TypedDict):
    """What was said; an upstream may add fields of its own, and does with `verbose_json`."""

    text: str
    usage: NotRequired[dict[str, Any] | None]


@routes.post("/v1/audio/transcriptions")
@require("chat")
@document(
    {200: (Transcription, Content("text/plain"))},
    form=TranscriptionForm,
    errors=WORK_ERRORS,
    headers=SESSION,
    sends=SENDS,
    once=True,
)
async def transcribe() -> Response:
    """What is said in a recording, by a model that can hear."""
    fields, files = await uploads.form()
    wishes, file = await _wishes(fields), one(files)
    recording = _recording(file, wishes)
    work = work_of(await named(wishes.model))
    asked = [work.session_id, wishes, file.name, sha256(file.content).hexdigest()]
    return await repeats.kept(asked, lambda: _written(work, recording, wishes.response_format))


async def _written(work: Work, recording: Recording, form: str) -> Response:
    said = await current.hub().models.transcribe(work, recording)
    headers = {TURN: work.id}
    if form == "text":
        return Response(f"{said.text}\n", 200, headers, content_type="text/plain; charset=utf-8")
    return answer(_ours(said) if said.raw is None else said.raw, headers=headers)


async def _wishes(fields: dict[str, Any]) -> Wishes:
    """The fields of the form, those that may come several times too; raises RequestError."""
    if GRANULARITIES in fields:
        form: Any = await cast(Any, request).form
        fields = fields | {GRANULARITIES: form.getlist(GRANULARITIES)}
    wishes = fit(fields, Wishes, strict=False)
    unheeded = [name for name in UNSUPPORTED if name in fields] + ["stream"] * wishes.stream
    if wishes.granularities and wishes.response_format != "verbose_json":
        raise RequestError(
            f"{GRANULARITIES} needs response_format 'verbose_json'.", param=GRANULARITIES, code="invalid_value"
        )
    if unheeded:
        problem = f"{unheeded[0]} is not supported by this version."
        raise RequestError(problem, param=unheeded[0], code="unsupported_parameter")
    return wishes


def _recording(file: Upload, wishes: Wishes) -> Recording:
    """The recording, of the kind that is in it whatever it is called; raises RequestError for what is none."""
    if (kind := audio_type(file.content)) is None:
        problem = f"'{file.name}' is no recording that is known here: WAV, MP3, AAC, Ogg, FLAC, MP4 or WebM."
        raise RequestError(problem, param="file", code="unsupported_file")
    return Recording(
        name=file.name.rpartition(".")[0].replace(".", "_"),
        media_type=kind,
        content=file.content,
        language=wishes.language or None,
        prompt=wishes.prompt or None,
        temperature=wishes.temperature,
        detailed=wishes.response_format == "verbose_json",
        granularities=tuple(wishes.granularities),
    )


def _ours(said: Transcript) -> Transcription:
    """An answer in OpenAI's shape."""
    used = said.usage
    counts = {"input_tokens": used.prompt, "output_tokens": used.completion}
    return {"text": said.text, "usage": {"type": "tokens", **counts, "total_tokens": used.prompt + used.completion}}
