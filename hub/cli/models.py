"""`bothub models`: models are listed and saved."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.text import Text

from hub.accounts.definitions import Change
from hub.cli.call import Call
from hub.cli.desk import work
from hub.cli.output import table, tell
from hub.cli.saved import errors_of, pairs, put, source_of, stored


def show(call: Call) -> None:
    """Print every model, those of config.yaml too, and why one is not in use."""
    saved = work(call, stored)
    config, _ = saved.merged
    rows = [
        {
            "id": row.id,
            "name": row.name,
            "provider": settings.provider if settings else (row.settings or {}).get("provider", ""),
            "model": settings.model if settings else (row.settings or {}).get("model", ""),
            "source": source_of(saved, row),
            "enabled": settings.enabled if settings else False,
            "error": errors_of(saved, row),
        }
        for row in saved.listed("model")
        for settings in [config.models.get(row.name)]
    ]
    shown = table("id", "model", "provider", "called", "source", "state", "error")
    for row in rows:
        state = Text("on", style="green") if row["enabled"] else Text("off")
        words = [str(row[name]) for name in ("id", "name", "provider", "model", "source")]
        shown.add_row(*words, state, Text(str(row["error"] or ""), style="red"))
    tell({"models": rows}, shown if rows else Text("There is no model."), json=call.json)


def save(call: Call, name: str, given: Sequence[str]) -> None:
    """Save a model, or change the one of this name; raises RequestError, Conflict."""
    # A secret need not stand on the command line, where others see it.
    settings = pairs(given, lambda: sys.stdin.readline().rstrip("\n"))
    put(call, Change(kind="model", name=name, settings=settings))
