"""`bothub models`: models are listed, saved and deleted; a hub that runs uses what is saved within seconds."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.text import Text

from hub.accounts import definitions
from hub.accounts.audit import By
from hub.accounts.definitions import Change
from hub.accounts.vault import Vault
from hub.app.saved import Saved, read
from hub.cli.call import Call
from hub.cli.desk import Desk, work
from hub.cli.output import Failed, table, tell
from hub.config.stored import told
from hub.errors import RequestError

STDIN = "-"


def show(call: Call) -> None:
    """Print every model, those of config.yaml too, and why one is not in use."""
    saved = work(call, _read)
    config, problems = saved.merged
    rows = [
        {
            "id": row.id,
            "name": row.name,
            "provider": settings.provider if settings else (row.settings or {}).get("provider", ""),
            "model": settings.model if settings else (row.settings or {}).get("model", ""),
            "source": "config" if saved.declares("model", row.name) else "admin",
            "enabled": settings.enabled if settings else False,
            "error": "; ".join(map(told, problems.get(("models", row.name), ()))) or None,
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
    settings = {key: _value(key, value) for key, value in map(_pair, given)}
    id = _change(call, name, settings)  # noqa: A001
    sentence = Text.assemble(("saved", "green"), f"  the model {id} '{name}'; a hub that runs uses it within seconds")
    tell({"success": True, "id": id, "name": name}, sentence, json=call.json)


def delete(call: Call, name: str) -> None:
    """Forget a model; raises Failed where there is none, Conflict where an agent needs it."""
    id = _change(call, name, None)  # noqa: A001
    tell({"success": True, "id": id, "name": name}, Text.assemble(("deleted", "green"), f"  '{name}'"), json=call.json)


def _change(call: Call, name: str, settings: dict[str, str | None] | None) -> int:
    async def task(desk: Desk) -> int:
        saved = await _read(desk)
        known = next((row.id for row in saved.listed("model") if row.name == name), None)
        if known is None and settings is None:
            raise Failed(f"There is no model '{name}'.")
        drafts = saved.drafts([Change(kind="model", id=known, name=name, settings=settings)])
        now, by = desk.now, By()
        [written] = await desk.store.write(lambda c: definitions.write(c, drafts, saved.version, now, by))
        return written

    return work(call, task)


async def _read(desk: Desk) -> Saved:
    vault = Vault(desk.declared.data_dir, desk.declared.secret_key.get_secret_value())
    return await read(desk.store, desk.declared, vault, desk.now)


def _pair(given: str) -> tuple[str, str]:
    key, equals, value = given.partition("=")
    if not key or not equals:
        raise RequestError(f"'{given}' is not KEY=VALUE, such as provider=openai")
    return key, value


def _value(key: str, value: str) -> str | None:
    """What is given; a secret need not stand on the command line, where others see it."""
    if value == STDIN:
        value = sys.stdin.readline().rstrip("\n")
        if not value:
            raise RequestError(f"{key}: nothing came on the standard input", param=key)
    return value or None
