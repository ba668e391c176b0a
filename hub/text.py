"""Splits CommonMark into parts that each fit a platform's limit and render on their own."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal
from unicodedata import category

Unit = Literal["utf16", "bytes", "chars"]

_SMALLEST = 4  # the widest code point, in bytes: no smaller limit could always be kept
_TRIES = 16  # cuts tried within one line before the rest is cut where it comes

_INK = re.compile(r"\S")
_BLANK_LINE = re.compile(r"\n[ \t]*(?=\n)")
_NOT_QUOTED = re.compile(r"^(?! {0,3}>)", re.MULTILINE)
# A line that matters to fences: its containers (list items, quotes), then perhaps a marker. Plain indented lines and
# blank ones are passed over. Possessive, so that a long run of spaces costs one pass.
_LINE = re.compile(
    r"^(?=\S|[ \t]++[-*+\d>`~])"
    r"(?P<prefix>[ \t]*+(?:(?:[-*+]|\d{1,9}[.)])[ \t]++|>[ \t]*+)*+)"
    r"(?:(?P<marker>`{3,}+|~{3,}+)(?P<info>[^\n]*+)$)?",
    re.MULTILINE,
)
# What would turn into a block if a line began with it: a cut in a line keeps away from these.
_BLOCK = re.compile(r"\s*(?:```|~~~|#{1,6}\s|>|[-*+]\s|\d{1,9}[.)]\s)")
_TICKS = re.compile(r"[ >]*`{3,}")
_WORD_ENDS = " \t"
_SENTENCE_ENDS = "。！？；，、"  # noqa: RUF001 - scripts without spaces are cut after these


def size(text: str, unit: Unit = "utf16") -> int:
    """How much of a limit counted in `unit` the text takes."""
    if unit == "chars" or text.isascii():
        return len(text)
    if unit == "bytes":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def split(text: str, limit: int, unit: Unit = "utf16") -> list[str]:
    """Cut CommonMark into parts of at most `limit` units, at a blank line, else a line, else a space, else hard.

    A code fence that is cut (or never closed) is closed at the end of its part and opened again, with its info
    string, in the next. No part is blank; whitespace around a cut is dropped, nothing else is. Blank text has no
    parts. Takes linear time. A limit too small to hold both fence lines and some code leaves that code unfenced.
    """
    if limit < _SMALLEST:
        raise ValueError(f"a limit of {limit} is too small to split text to: it must be at least {_SMALLEST}")
    return list(_Splitter(text.replace("\r\n", "\n").replace("\r", "\n").rstrip(), limit, unit).parts())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fence:
    """A fenced code block: where it stands in the text, and the lines that open and close a piece of it."""

    start: int  # of the opening line
    body: int  # the first offset inside at which a cut may be made
    stop: int  # of the closing line
    end: int  # of the block without its last newline; past the text's end if nothing closes it
    opener: str
    closer: str
    column: int  # indentation that a list item gives the block; a piece that is opened again stands at column 0
    deep: bool  # the opening line alone, without the list item above it, would be indented code
    quote: str

    def reopen(self, at_line_start: bool) -> str:
        return f"{self.opener}\n" if at_line_start else f"{self.opener}\n{self.quote}"

    def close(self, reopened: bool) -> str:
        return f"\n{self.closer}" if reopened else f"\n{' ' * self.column}{self.closer}"

    def outdent(self, code: str) -> str:
        return re.sub(rf"^[ \t]{{1,{self.column}}}", "", code, flags=re.MULTILINE) if self.column else code


class _Splitter:
    def __init__(self, text: str, limit: int, unit: Unit) -> None:
        self.text = text
        self.limit = limit
        self.size = partial(size, unit=unit)
        self.unit: Unit = unit
        self.fences = list(_fences(text, limit, unit))
        self.starts = [fence.start for fence in self.fences]

    def parts(self) -> Iterator[str]:
        at = self.skip(0)
        while at < len(self.text):
            inside = self.leading(at)
            head = inside.reopen(self.text[at - 1] == "\n") if inside and inside.start < at else ""
            cut = self.cut(at, self.limit - self.size(head), inside)
            if _INK.search(self.text, at, cut):
                yield head + self.body(at, cut, inside) + self.tail(cut, inside)
            at = self.skip(cut)

    def body(self, at: int, cut: int, inside: _Fence | None) -> str:
        if not inside:
            return self.text[at:cut].rstrip()
        end = min(cut, inside.end)
        return (inside.outdent(self.text[at:end]) + self.text[end:cut]).rstrip()

    def tail(self, cut: int, inside: _Fence | None) -> str:
        open_ = self.around(cut)
        return open_.close(open_ is inside) if open_ else ""

    def skip(self, cut: int) -> int:
        """Where the next part starts: past blank lines (but not past indentation) and what a cut fence has left."""
        ink = _INK.search(self.text, cut)
        if not ink:
            return len(self.text)
        line = self.text.rfind("\n", max(cut - 1, 0), ink.start()) + 1
        fence = self.around(ink.start())
        if fence and fence.start < cut and ink.start() >= fence.stop:
            return self.skip(fence.end)
        return line if line >= cut else ink.start()

    def before(self, at: int) -> _Fence | None:
        """The last fence that starts before this offset."""
        index = bisect_left(self.starts, at)
        return self.fences[index - 1] if index else None

    def around(self, at: int) -> _Fence | None:
        """The fence that a cut at this offset would break."""
        fence = self.before(at)
        return fence if fence and at < fence.end else None

    def leading(self, at: int) -> _Fence | None:
        """The block that a part starting here has to lift out of its list: it goes on, or starts too deep."""
        fence = self.before(at + 1)
        return fence if fence and at < fence.end and (at > fence.start or fence.deep) else None

    def reach(self, at: int, room: int) -> int:
        """The furthest offset such that the text from `at` up to it fits the room."""
        end = min(len(self.text), at + max(room, 0))
        if self.size(self.text[at:end]) <= room:
            return end
        return at + bisect_right(range(end - at), room, key=lambda n: self.size(self.text[at : at + n])) - 1

    def cut(self, at: int, room: int, inside: _Fence | None) -> int:
        """Where to end the part that starts at `at`: the best place that fits the room."""
        reach = self.reach(at, room)
        fence = self.around(reach)
        in_code = self.reach(at, room - self.size(fence.close(fence is inside))) if fence else reach
        if in_code == len(self.text):
            return in_code
        paragraph = self.paragraph(at + (reach - at) // 3, reach)
        if paragraph is not None:
            return paragraph
        return self.code_line(fence, at, in_code) if fence else self.line(at, reach)

    def paragraph(self, low: int, reach: int) -> int | None:
        """The last blank line outside code, or edge of a code block, past `low`."""
        fence = self.before(reach)
        if fence and reach < fence.end:
            return fence.start if fence.start > low else None
        edge = fence.end if fence else 0
        blanks = [match.start() for match in _BLANK_LINE.finditer(self.text, max(low, edge), reach + 1)]
        best = max(blanks[-1] if blanks else 0, edge)
        return best if best > low else None

    def line(self, at: int, reach: int) -> int:
        fence = self.before(reach)
        low = max(at, fence.end) if fence else at
        newline = self.text.rfind("\n", max(low, at + 1), reach + 1)
        return newline if newline > 0 else self.in_line(low, reach)

    def code_line(self, fence: _Fence, at: int, reach: int) -> int:
        low = max(at, fence.body)
        newline = self.text.rfind("\n", low, reach + 1)
        if newline > low and _INK.search(self.text, low, newline):
            return newline
        return fence.start if fence.start > at else self.in_line(low, reach)

    def in_line(self, low: int, reach: int) -> int:
        """A cut in the middle of a line: at a space, else anywhere that breaks no character."""
        ink = _INK.search(self.text, low, reach)
        low = ink.start() if ink else low
        for cut in (*self.word_ends(low, reach), *self.characters(low, reach)):
            if self.is_plain(low, cut):
                return cut
        return next(self.characters(low, reach), reach)

    def word_ends(self, low: int, reach: int) -> Iterator[int]:
        stops = "" if self.text.isascii() else _SENTENCE_ENDS
        for _ in range(_TRIES):
            spaces = [self.text.rfind(char, low + 1, reach + 1) for char in _WORD_ENDS]
            reach = max(*spaces, *[self.text.rfind(char, low, reach) + 1 for char in stops])
            if reach <= low:
                return
            yield reach
            reach -= 1

    def characters(self, low: int, reach: int) -> Iterator[int]:
        return (cut for cut in range(reach, max(low, reach - _TRIES), -1) if not _joined(self.text, cut, low))

    def is_plain(self, low: int, cut: int) -> bool:
        """Whether neither side of a cut in a line reads as the start of a block that the whole line is not."""
        if _BLOCK.match(self.text, cut):
            return False
        line = max(low, self.text.rfind("\n", low, cut) + 1)
        ticks = _TICKS.match(self.text, line, cut)
        return not ticks or self.text.find("`", ticks.end(), cut) >= 0


def _fences(text: str, limit: int, unit: Unit) -> Iterator[_Fence]:
    """The fenced blocks of a text, in order, without those whose fence lines leave no room for code."""
    if "```" not in text and "~~~" not in text:
        return
    opening: re.Match[str] | None = None
    items: list[int] = []  # how deep the content of each list item around the line is indented
    quote_end = 0
    for line in _LINE.finditer(text):
        if opening and line.start() > quote_end:
            yield from _fence(text, opening, quote_end, quote_end, limit, unit)
            opening = None
        if opening is None:
            if _opens(line, items):
                opening, quote_end = line, _quote_end(text, line)
            items = _items(line, items)
        elif _closes(opening, line):
            yield from _fence(text, opening, line.start(), line.end(), limit, unit)
            opening = None
    if opening:
        end = len(text) + 1 if quote_end >= len(text) else quote_end
        yield from _fence(text, opening, quote_end, end, limit, unit)


def _fence(text: str, opening: re.Match[str], stop: int, end: int, limit: int, unit: Unit) -> Iterator[_Fence]:
    """The block if it can be cut into parts: with its info string, else without, else not at all."""
    prefix, marker, info = opening.group("prefix", "marker", "info")
    quotes = prefix.count(">")
    quote = ">" * quotes + " " if quotes else ""
    column = 0 if quotes else _width(prefix)
    closer = quote + marker
    around = size(closer, unit) + column + 1
    for shown, body in ((info.strip(), min(opening.end() + 1, len(text))), ("", opening.end("marker"))):
        opener = closer + shown
        again = size(f"{opener}\n{quote}", unit)
        room = limit - around - max(again, size(text[opening.start() : body], unit))
        if room >= max(_SMALLEST, limit // 4):
            yield _Fence(
                start=opening.start(),
                body=body,
                stop=max(stop, body),
                end=end,
                opener=opener,
                closer=closer,
                column=column,
                deep=column > 3 and not prefix.strip(),
                quote=quote,
            )
            return


def _opens(line: re.Match[str], items: list[int]) -> bool:
    """Whether a line opens a fence; four spaces further in than its container it would be indented code."""
    if not line["marker"] or (line["marker"][0] == "`" and "`" in line["info"]):
        return False
    indent = _indent(line["prefix"])
    return indent < 4 or any(item <= indent < item + 4 for item in items)


def _items(line: re.Match[str], items: list[int]) -> list[int]:
    """The list items that the lines after this one may belong to."""
    prefix = line["prefix"]
    around = [item for item in items if item <= _indent(prefix)] if items else items
    return [*around, _width(prefix)] if prefix.strip(" \t>") else around


def _closes(opening: re.Match[str], line: re.Match[str]) -> bool:
    """Also a closing line less indented than its list item: models write those, and platforms end the code there."""
    prefix, marker = line.group("prefix", "marker")
    if not marker or line["info"].strip() or marker[0] != opening["marker"][0] or len(marker) < len(opening["marker"]):
        return False
    if prefix.strip(" \t>") or prefix.count(">") != opening["prefix"].count(">"):
        return False
    return ">" in prefix or _width(prefix) < _width(opening["prefix"]) + 4


def _quote_end(text: str, opening: re.Match[str]) -> int:
    """Where the quote around a fence ends, and the fence with it; past the text if there is no quote."""
    if ">" not in opening["prefix"]:
        return len(text)
    line = _NOT_QUOTED.search(text, opening.end() + 1)
    return line.start() - 1 if line else len(text)


def _width(prefix: str) -> int:
    return len(prefix.expandtabs(4))


def _indent(prefix: str) -> int:
    expanded = prefix.expandtabs(4)
    return len(expanded) - len(expanded.lstrip())


def _joined(text: str, at: int, low: int) -> bool:
    """Whether a cut here would break what reads as one character (near enough to UAX 29, without its tables).

    `low` is an offset before it at which a character is known to start: flags are pairs counted from there.
    """
    if at >= len(text) or text[at].isascii():
        return False
    before, after = text[at - 1], text[at]
    if _is_flag(before) and _is_flag(after):
        return _flags_before(text, at, low) % 2 == 1
    extends = category(after) in ("Mn", "Me", "Mc") or "\U0001f3fb" <= after <= "\U0001f3ff"
    tag = "\U000e0020" <= after <= "\U000e007f"
    surrogates = "\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff"
    jamo = "\u1160" <= after <= "\u11ff"
    return extends or tag or surrogates or jamo or "\u200d" in (before, after)


def _is_flag(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _flags_before(text: str, at: int, low: int) -> int:
    start = at
    while start > low and _is_flag(text[start - 1]):
        start -= 1
    return at - start
