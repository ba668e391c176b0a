"""How rows are written: JSON lines, or CSV that a spreadsheet can open without harm."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

Format = Literal["jsonl", "csv"]
Row = Mapping[str, Any]
MEDIA_TYPES: dict[Format, str] = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8"}
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A spreadsheet takes a text that begins so for a formula, and a formula may send what is in the table anywhere."""


def head(columns: Sequence[str], format: Format) -> bytes:
    """What a file begins with: the names of the columns, in CSV."""
    return _lines([columns]) if format == "csv" else b""


def write(rows: Sequence[Row], columns: Sequence[str], format: Format) -> bytes:
    """Some rows, each with these columns; those that are nothing are null in JSON, and empty in CSV.

    In CSV times (the columns `at` and `*_at`) are ISO 8601 in UTC, and a text that might be a formula has an apostrophe
    before it. In JSON they are Unix seconds, and texts as they are.
    """
    if format == "csv":
        return _lines([[_cell(name, row.get(name)) for name in columns] for row in rows])
    encode = msgspec.json.encode
    return b"".join(encode({name: row.get(name) for name in columns}) + b"\n" for row in rows)


def _lines(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(name: str, value: Any) -> str | int | float:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if name == "at" or name.endswith("_at"):
            return datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case int() | float():
            return value
        case str():
            return f"'{value}" if value.startswith(FORMULAS) else value
        case _:
            return msgspec.json.encode(value).decode()
