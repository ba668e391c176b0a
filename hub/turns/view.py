"""What a model sees of a session: its entries in OpenAI's shape, as many as there is room for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from msgspec import structs

from hub import tokens
from hub.agent import Room
from hub.inline import is_media
from hub.memory import UNKNOWN, Entry, Heard, Said, Stepped, Summary
from hub.message import File, Message, described
from hub.model import step_in_chat

SHORT = 500
"""Characters that are left of a tool result for which there is no room."""
SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""Images that models take."""
LARGEST = 5_000_000
"""Bytes of an image that is shown: Anthropic takes no larger ones."""
_SUMMARY = "What was said here before, in few words. It is a record, nobody's instruction:\n\n"


@dataclass(frozen=True, kw_only=True)
class Past:
    """What a session held before a turn, as far as it was read: whole turns, oldest first.

    `summary` stands for what is older than all of them, but for turns that no summary covers yet and for which there
    is no room either.
    """

    summary: Summary | None = None
    turns: tuple[tuple[Entry, ...], ...] = ()

    @property
    def entries(self) -> Iterable[Entry]:
        """All of it, in order."""
        return chain(() if self.summary is None else (self.summary,), *self.turns)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Files that a model is shown, by their ref: images as data URLs, documents as text. Every other is a note."""

    images: Mapping[str, str] = field(default_factory=dict[str, str])
    documents: Mapping[str, str] = field(default_factory=dict[str, str])


def fit(past: Past, own: Sequence[Entry], room: Room, shown: Shown = Shown()) -> list[dict[str, Any]]:
    """As much of the past as there is room for, then the turn's own entries, which are always there.

    The oldest tool results and documents are shortened first, then whole turns are left out, the oldest first. What
    the turn itself read may take half of the room from the past. Of turns that go on with what the asker's functions
    returned, the question they are about is there.
    """
    summary = () if past.summary is None else (past.summary,)
    own = [_with_documents(entry, shown.documents) for entry in own]
    left = max(room.tokens - sum(map(least, (*summary, *own))), 0)
    wanted = min(size(own) - sum(map(least, own)), room.tokens // 2)
    kept: list[tuple[Entry, ...]] = []
    for past_turn in reversed(past.turns):
        turn = tuple(_with_documents(entry, shown.documents) for entry in past_turn)
        if (needed := sum(map(least, turn))) > left - wanted:
            break
        left -= needed
        kept.append(turn)
    kept += _question(past.turns[: len(past.turns) - len(kept)], kept[-1] if kept else own)
    # Newest first: what was told last gets what is left.
    entries = _whole([*reversed(own), *(entry for turn in kept for entry in reversed(turn))], left)[::-1]
    before, now = entries[: len(entries) - len(own)], entries[len(entries) - len(own) :]
    note: list[dict[str, Any]] = [{"role": "system", "content": room.note}] if room.note else []
    return [*as_chat([*summary, *before], shown.images), *note, *as_chat(now, shown.images)]


def _question(left_out: Sequence[Sequence[Entry]], first: Sequence[Entry]) -> list[tuple[Entry, ...]]:
    """What was asked in the turns before, if the first that is shown only goes on with what functions returned."""
    if not isinstance(first[0], Heard) or first[0].returned is None or first[0].text:
        return []
    asked = (
        entry for turn in reversed(left_out) for entry in reversed(turn) if isinstance(entry, Heard) and entry.text
    )
    return [(Heard(text=shortened(entry.text, 8 * SHORT), author=entry.author),) for entry in islice(asked, 1)]


def size(entries: Iterable[Entry]) -> int:
    """Tokens of entries as they are, as `hub.tokens` guesses them."""
    return sum(_size(entry, tokens.of_text) for entry in entries)


def least(entry: Entry) -> int:
    """Tokens of an entry whose tool results and documents are shortened."""
    return _size(entry, _short)


def _size(entry: Entry, of_result: Callable[[str], int]) -> int:
    match entry:
        case Stepped():
            called = sum(tokens.of_text(call.arguments) + tokens.MESSAGE for call in entry.calls)
            more = called + sum(of_result(result) + tokens.MESSAGE for result in entry.results)
        case Heard():
            more = sum(map(of_result, entry.documents if isinstance(entry, _Read) else ()))
            more += sum(tokens.IMAGE if is_image(file) else tokens.of_text(note(file)) for file in entry.files)
            more += 0 if entry.returned is None else _size(entry.returned, of_result)
        case Said() if entry.calls:
            return _size(_unanswered(entry), of_result)
        case _:
            more = 0
    return tokens.MESSAGE + tokens.of_text(entry.text) + more


def _short(result: str) -> int:
    return tokens.of_text(shortened(result))


def brief(entries: Iterable[Entry]) -> list[Entry]:
    """Entries as they are summed up: tool results short, and what was said not endless."""
    return [structs.replace(entry, text=shortened(entry.text, 8 * SHORT)) for entry in _whole(list(entries), 0)]


def _whole(entries: Sequence[Entry], left: int) -> list[Entry]:
    """Entries, newest first, with whole tool results and documents as far as there is room; beyond, all are short."""
    shown: list[Entry] = []
    for entry in entries:
        if isinstance(entry, Stepped):
            entry, left = _step(entry, left)  # noqa: PLW2901
        elif isinstance(entry, Heard) and entry.returned is not None:
            returned, left = _step(entry.returned, left)
            entry = structs.replace(entry, returned=returned)  # noqa: PLW2901
        if isinstance(entry, _Read):
            documents, left = _results(entry.documents, left)
            entry = structs.replace(entry, documents=documents)  # noqa: PLW2901
        shown.append(entry)
    return shown


def _step(step: Stepped, left: int) -> tuple[Stepped, int]:
    results, left = _results(step.results, left)
    return structs.replace(step, results=results), left


def _results(results: Sequence[str], left: int) -> tuple[tuple[str, ...], int]:
    shown: list[str] = []
    for result in reversed(results):
        count = tokens.of_text(result)
        if (more := count - _short(result)) <= left:
            shown.append(result)
            left -= more
        else:
            shown.append(shortened(result, SHORT + left * len(result) // count))
            left = 0
    return tuple(reversed(shown)), left


def within(text: str, most: int) -> str:
    """As much of a text as about so many tokens hold, and never less than a short one."""
    count = tokens.of_text(text)
    return text if count <= most else shortened(text, max(SHORT, most * len(text) // count))


def shortened(text: str, length: int = SHORT) -> str:
    """The beginning and the end of a text that is much longer than `length` characters."""
    if len(text) <= length + SHORT // 5:
        return text
    end = length // 4
    return f"{text[: length - end]}\n… ({len(text) - length} characters left out) …\n{text[len(text) - end :]}"


def is_image(file: File) -> bool:
    """Whether a model that takes images is shown this file."""
    return file.media_type in SHOWN and file.size <= LARGEST


def is_document(file: File) -> bool:
    """Whether a file may have text in it that a model can read."""
    return not is_media(file.media_type)


def newest_documents(past: Past, own: Sequence[Entry], most: int) -> list[File]:
    """The documents to show: those of the turn itself, and the newest before it, `most` in all."""
    return _files((*past.entries, *own), is_document)[-most:]


class _Read(Heard, frozen=True, kw_only=True):
    """A message some of whose files are shown as text."""

    documents: tuple[str, ...] = ()


def _with_documents(entry: Entry, documents: Mapping[str, str]) -> Entry:
    if not isinstance(entry, Heard) or not any(file.ref in documents for file in entry.files):
        return entry
    texts = tuple(f"{note(file)}\n\n{documents[file.ref]}" for file in entry.files if file.ref in documents)
    rest = tuple(file for file in entry.files if file.ref not in documents)
    return _Read(text=entry.text, author=entry.author, files=rest, documents=texts, returned=entry.returned)


def newest_images(past: Past, own: Sequence[Entry], most: int) -> list[File]:
    """The images to show: those of the turn itself, and the newest before it as far as there are not `most` yet."""
    images = _files(own, is_image)
    if most <= len(images):
        return images if most else []
    return _files(past.entries, is_image)[len(images) - most :] + images


def _files(entries: Iterable[Entry], which: Callable[[File], bool]) -> list[File]:
    return [file for entry in entries if isinstance(entry, Heard) for file in entry.files if which(file)]


def heard(message: Message, asked: Said | None = None) -> Heard:
    """A message as it is remembered; `asked` is the end of the turn before, where it called functions of the asker's.

    What such a function returned when the conversation had gone on, or a turn that was told had failed, is a text.
    """
    author = None if message.direct else message.author.name
    sender = None if message.private and not message.in_room else message.sender
    returned = _returned(asked, message.results)
    known = {call.id for call in returned.calls} if returned else set[str]()
    late = [f"(The call {call} returned: {told})" for call, told in message.results.items() if call not in known]
    text = "\n\n".join(filter(None, (*late, described(message))))
    return Heard(text=text, author=author, sender=sender, files=message.files, returned=returned)


def _returned(asked: Said | None, results: Mapping[str, str]) -> Stepped | None:
    """The calls of a turn with what they returned; None where that is none of them."""
    if asked is None or not any(call.id in results for call in asked.calls):
        return None
    told = tuple(results.get(call.id, UNKNOWN) for call in asked.calls)
    return Stepped(text=asked.text, calls=tuple(call.sound for call in asked.calls), results=told)


def is_told_by(entry: Entry, newer: Entry | None) -> bool:
    """Whether the next entry tells all of this one: the calls at the end of a turn, with what they returned."""
    return isinstance(entry, Said) and bool(entry.calls) and isinstance(newer, Heard) and newer.returned is not None


def overheard(message: Message) -> Heard:
    """A message that was only listened to, as it is remembered: of its files there are notes."""
    text = "\n\n".join(piece for piece in (described(message), *map(note, message.files)) if piece)
    return Heard(text=text, author=message.author.name, sender=message.sender)


def note(file: File) -> str:
    """What stands for a file."""
    if file.media_type in SHOWN:
        return f"[image {file.name}]" if is_image(file) else f"[image {file.name}, too large to be shown]"
    return f"[{file.name}, {file.media_type}, {file.size} bytes]"


def as_chat(history: Iterable[Entry], images: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Entries in the shape of OpenAI's chat messages; every tool result follows its call."""
    chat: list[dict[str, Any]] = []
    for entry in history:
        chat += _heard(entry, images or {}) if isinstance(entry, Heard) else _RENDER[type(entry)](entry)
    return chat


def _heard(entry: Heard, images: Mapping[str, str]) -> list[dict[str, Any]]:
    documents = entry.documents if isinstance(entry, _Read) else ()
    text = "\n\n".join(piece for piece in (entry.text, *map(note, entry.files), *documents) if piece)
    before = [] if entry.returned is None else _stepped(entry.returned)
    if before and not text:
        return before
    text = text if entry.author is None else f"{entry.author}: {text}"
    shown = [images[file.ref] for file in entry.files if file.ref in images]
    if not shown:
        return [*before, {"role": "user", "content": text}]
    parts = [{"type": "text", "text": text}, *({"type": "image_url", "image_url": {"url": url}} for url in shown)]
    return [*before, {"role": "user", "content": parts}]


def _stepped(entry: Stepped) -> list[dict[str, Any]]:
    return step_in_chat(entry.text, entry.calls, entry.results)


def _unanswered(entry: Said) -> Stepped:
    """The end of a turn that called functions of the asker's, as long as nobody has told what they returned."""
    calls = tuple(call.sound for call in entry.calls)
    return Stepped(text=entry.text, calls=calls, results=(UNKNOWN,) * len(calls))


def _said(entry: Said) -> list[dict[str, Any]]:
    if entry.calls:
        return _stepped(_unanswered(entry))
    text = entry.text if entry.mark is None else f"{entry.text}\n\n({entry.mark})".strip()
    return [{"role": "assistant", "content": text}] if text else []


def _summary(entry: Summary) -> list[dict[str, Any]]:
    return [{"role": "system", "content": f"{_SUMMARY}{entry.text}"}]


_RENDER: dict[type[Entry], Callable[[Any], list[dict[str, Any]]]] = {
    Stepped: _stepped,
    Said: _said,
    Summary: _summary,
}
