"""CommonMark in Discord's dialect: nearly the same, but for tables, pictures, rules and deep headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from unicodedata import combining, east_asian_width

WIDEST = 100
"""The widest table that is aligned, in columns: a wider one would be broken up by the screen, and grow too much."""
_FENCE = re.compile(r"^[ >]*(?:(?:[-*+]|\d{1,9}[.)]) +)*(?P<marker>`{3,}|~{3,})(?P<info>.*)$")
_ROW = re.compile(r"^ {0,3}(?=\S).*\|")
_RULER = re.compile(r"^ {0,3}\|? *:?-+:? *(?:\| *:?-+:? *)*\|? *$")
_RULE = re.compile(r"^ {0,3}(?:(?:- *){3,}|(?:\* *){3,}|(?:_ *){3,})$")
_HEADING = re.compile(r"^ {0,3}#{4,6}[ \t]+(?P<title>.+?)(?:[ \t]+#+)?[ \t]*$")
_PICTURE = re.compile(r"!\[(?P<words>[^\]\n]*)\]\((?P<link>https?://[^)\s]+)(?P<title>[ \t]+\"[^\"\n]*\")?\)")


def render(text: str) -> str:
    """The text as Discord shows it well; what is in code stays as it is."""
    return "\n".join(_lines(text.split("\n"))) if _may_differ(text) else text


def _may_differ(text: str) -> bool:
    return any(mark in text for mark in ("|", "####", "![", "---", "***", "___", "- -", "* *", "_ _"))


def _lines(lines: list[str]) -> Iterator[str]:
    at = 0
    fence = ""
    while at < len(lines):
        line = lines[at]
        found = _FENCE.match(line)
        if fence:
            fence = "" if found and _closes(found, fence) else fence
            yield line
        elif found and "`" not in found["info"]:
            fence = found["marker"]
            yield line
        elif rows := _table(lines, at):
            yield from _drawn(rows)
            at += len(rows) + 1
            continue
        else:
            yield _line(line, blank_above=at == 0 or not lines[at - 1].strip())
        at += 1


def _closes(found: re.Match[str], fence: str) -> bool:
    return found["marker"][0] == fence[0] and len(found["marker"]) >= len(fence) and not found["info"].strip()


def _line(line: str, *, blank_above: bool) -> str:
    heading = _HEADING.match(line)
    if heading:
        return f"**{heading['title'].replace('**', '')}**"
    if _RULE.match(line) and (blank_above or not line.lstrip().startswith("-")):
        return "──────────"
    return _PICTURE.sub(
        lambda picture: f"[{picture['words'] or 'image'}]({picture['link']}{picture['title'] or ''})", line
    )


def _table(lines: list[str], at: int) -> list[list[str]]:
    """The cells of the table that begins here, heading first; none where no table does."""
    if at + 1 >= len(lines) or not _ROW.match(lines[at]) or not _RULER.match(lines[at + 1]):
        return []
    heads = _cells(lines[at])
    if "|" not in lines[at + 1] or len(heads) != len(_cells(lines[at + 1])):
        return []
    rows = [heads]
    for line in lines[at + 2 :]:
        if not _ROW.match(line):
            break
        cells = _cells(line)
        rows.append([*cells, *[""] * (len(heads) - len(cells))])
    return rows


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return [_unmarked(cell) for cell in re.split(r"(?<!\\)\|", inner)]


def _unmarked(cell: str) -> str:
    """A cell as it reads in code, where nothing is bold."""
    plain = re.sub(r"(\*\*|__|~~|`)(.+?)\1", r"\2", cell.strip().replace("\\|", "|"))
    return plain.replace("```", "'''")


def _drawn(rows: list[list[str]]) -> Iterator[str]:
    """A table as a block of code: aligned, or where that would be too wide only divided."""
    count = max(len(row) for row in rows)
    widths = [max(_width(row[column]) if column < len(row) else 0 for row in rows) for column in range(count)]
    aligned = sum(widths) + 3 * (count - 1) <= WIDEST
    yield "```"
    for index, row in enumerate(rows):
        cells = [_padded(cell, width) for cell, width in zip(row, widths, strict=False)] if aligned else row
        yield " | ".join(cells).rstrip()
        if index == 0:
            yield "-+-".join("-" * width for width in widths) if aligned else "---"
    yield "```"


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))


def _width(text: str) -> int:
    """How many columns a text takes in a font of one width."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)
