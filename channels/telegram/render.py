"""CommonMark as Telegram shows it: a text, and entities that mark it.

What Telegram has no mark for stays readable: tables become aligned text, HTML and formulas stay as they were written.
Links go to the web, to mail addresses and into Telegram. Nobody is pinged: an @name is shown, and is no mention.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

import pyromark
import structlog
from aiogram.types import MessageEntity
from telegramify_markdown.config import RenderConfig
from telegramify_markdown.converter import EventWalker

from hub.text import size

log = structlog.get_logger()
LENGTH = 4096
"""The longest text of a message, in UTF-16 units after rendering."""
MARKS = 100
"""How many entities Telegram reads of a message."""
OPTIONS = pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_STRIKETHROUGH | pyromark.Options.ENABLE_TASKLISTS
LINK = re.compile(r"(?:https?://|mailto:|tg://(?!user\?|emoji\?)).", re.IGNORECASE)
"""Where links may lead; `tg://user?id=` would be a mention."""
_DEFINITION = re.compile(r"^ {0,3}(?=\[[^\]\n]+\]:)", re.MULTILINE)
_AT = re.compile(r"(https?://(?:/@|[^\s@*()<>])+)|(?<!\w)@(?=\w|\Z)")
_JOINER = "@\u2060"
"""An @ that begins no mention: a character without width stands behind it."""
_WIDE = "\uff20"
"""An @ that begins no mention either, where there is no room for one more character."""


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A text for Telegram."""

    text: str
    entities: list[MessageEntity]


def render(text: str) -> Rendered:
    """The text with its marks; without any where nothing would be left of it, or too much."""
    try:
        rendered = _rendered(text)
    except UnicodeEncodeError:
        raise
    except Exception as error:  # noqa: BLE001 - a text is worth more than its marks
        log.warning("a text cannot be rendered", error=type(error).__name__)
        return plain(text)
    return rendered if rendered.text.strip() and size(rendered.text) <= LENGTH else plain(text)


def plain(text: str) -> Rendered:
    """The text as it was written, without any mark."""
    unpinged = _unpinged(text)
    return Rendered(text=unpinged if size(unpinged) <= LENGTH else unpinged.replace(_JOINER, _WIDE), entities=[])


def rendered_size(text: str) -> int:
    """The UTF-16 units of a text once it is rendered; more than fit where it has more marks than Telegram reads."""
    try:
        rendered = _rendered(text)
        marks = len(rendered.entities)
        return max(size(rendered.text), math.ceil(LENGTH * marks / MARKS) if marks > MARKS else 0)
    except Exception:  # noqa: BLE001 - it will go out as it is
        return size(_unpinged(text))


def _rendered(text: str) -> Rendered:
    rewriter = _Rewriter(text.replace("\r\n", "\n"))
    events = tuple(rewriter.events())
    walker = cast(Any, EventWalker(_config(), rewriter.source))
    shown, marks, _ = walker.walk(events)
    entities = [
        MessageEntity(
            type=mark.type, offset=mark.offset, length=mark.length, url=mark.url, language=_language(mark.language)
        )
        for mark in marks
    ]
    return Rendered(text=shown, entities=entities)


def _language(info: str | None) -> str | None:
    """The first word behind a fence, where it looks like the name of a language."""
    found = re.match(r"[\w+#.-]{1,32}(?!\S)", info or "")
    return found[0] if found else None


@cache
def _config() -> RenderConfig:
    config = RenderConfig.isolated()
    config.cite_expandable = False
    symbols = config.markdown_symbol
    for level in range(1, 5):
        setattr(symbols, f"heading_level_{level}", "")
    symbols.image, symbols.unordered_list_item = "", "•"
    symbols.task_completed, symbols.task_uncompleted = "☑", "☐"
    return config


def _unpinged(text: str) -> str:
    return _AT.sub(lambda found: cast(str | None, found[1]) or _JOINER, text) if "@" in text else text


@dataclass(kw_only=True)
class _Link:
    url: str
    said: bool = False
    """It has a text."""


@dataclass
class _Rewriter:
    """Goes through what the parser found, and puts text where the renderer would drop something."""

    source: str
    in_code: bool = False
    in_cell: bool = False
    cell_end: int = 0
    links: list[_Link] = field(default_factory=list[_Link])

    def events(self) -> Iterator[tuple[Any, Any]]:
        """The events for the renderer, with the ranges they have in the source."""
        events = list(_parse(self.source))
        if _DEFINITION.search(self.source):
            self.source = _shown_definitions(self.source, events)
            events = list(_parse(self.source))
        self.encoded = self.source.encode()
        for event, place in events:
            for rewritten in self._rewrite(event, place):
                yield rewritten, place

    def _rewrite(self, event: Any, place: dict[str, int]) -> Iterator[Any]:
        match event:
            case {"Text": str(text)} | {"InlineHtml": str(text)} | {"Html": str(text)}:
                yield from self._text(text)
            case {"Code": _}:
                self._say()
                yield event
            case {"Start": tag}:
                yield from self._start(tag, place)
            case {"End": tag}:
                yield from self._end(tag, place)
            case _:
                yield event

    def _text(self, text: str) -> Iterator[Any]:
        self._say()
        yield {"Text": text if self.in_code else _unpinged(text)}

    def _say(self) -> None:
        for link in self.links:
            link.said = True

    def _start(self, tag: Any, place: dict[str, int]) -> Iterator[Any]:
        match tag:
            case {"Link": {"dest_url": str(url), **rest}} | {"Image": {"dest_url": str(url), **rest}}:
                url = url if LINK.match(url) else ""
                self.links.append(_Link(url=url))
                yield {"Start": {"Link": {**cast(dict[str, Any], rest), "dest_url": url}}}
            case "HtmlBlock":
                yield {"Start": "Paragraph"}
            case "Strikethrough" if not self._is_struck(place):
                yield from self._text("~")
            case _:
                self.in_code = self.in_code or (isinstance(tag, dict) and "CodeBlock" in tag)
                self.in_cell = self.in_cell or tag == "TableCell"
                yield {"Start": tag}

    def _end(self, tag: Any, place: dict[str, int]) -> Iterator[Any]:
        match tag:
            case "Link" | "Image":
                yield from self._end_link(self.links.pop())
            case "HtmlBlock":
                yield {"End": "Paragraph"}
            case "Strikethrough" if not self._is_struck(place):
                yield from self._text("~")
            case "TableCell":
                self.in_cell, self.cell_end = False, place["end"]
                yield {"End": tag}
            case "TableRow":
                yield from self._further_cell(place)
                yield {"End": tag}
            case _:
                self.in_code = self.in_code and tag != "CodeBlock"
                yield {"End": tag}

    def _further_cell(self, row: dict[str, int]) -> Iterator[Any]:
        """What a row has more than the table's head: CommonMark's tables leave it out."""
        further = self.encoded[self.cell_end : row["end"]].decode().strip().strip("|").strip()
        if further:
            yield from ({"Start": "TableCell"}, {"Text": further}, {"End": "TableCell"})

    def _end_link(self, link: _Link) -> Iterator[Any]:
        """A link without a text shows where it leads, and so does one in a table, where it cannot be pressed."""
        if link.url and not link.said:
            yield {"Text": link.url}
        elif link.url and self.in_cell:
            yield {"Text": f" ({link.url})"}
        if link.url:
            yield {"End": "Link"}

    def _is_struck(self, place: dict[str, int]) -> bool:
        """One tilde reads as "about"; two strike through."""
        return self.encoded[place["start"] : place["start"] + 2] == b"~~"


def _parse(source: str) -> Iterator[tuple[Any, dict[str, int]]]:
    return cast(
        "Iterator[tuple[Any, dict[str, int]]]", pyromark.events_with_range(source, options=OPTIONS, merge_text=True)
    )


def _starts_code(event: Any) -> bool:
    match event:
        case {"Start": {"CodeBlock": _}}:
            return True
        case _:
            return False


def _shown_definitions(source: str, events: list[tuple[Any, dict[str, int]]]) -> str:
    """`[name]: url` lines as text: what refers to them may stand in another message."""
    code = [place for event, place in events if _starts_code(event)]

    def escape(found: re.Match[str]) -> str:
        at = len(source[: found.end()].encode())
        return found[0] if any(block["start"] <= at < block["end"] for block in code) else f"{found[0]}\\"

    return _DEFINITION.sub(escape, source)
