"""`bothub agents`: agents are listed and saved."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from rich.text import Text

from agents.config import AgentSettings
from hub.accounts.definitions import Change
from hub.accounts.keyring import Wanted, listed
from hub.cli.call import Call
from hub.cli.desk import Desk, failing, work
from hub.cli.keys import ALL, find
from hub.cli.output import FOLDED, NUMBER, short, table, tell
from hub.cli.saved import errors_of, pairs, put, source_of, stored
from hub.errors import RequestError

LISTS = ("tools", "fallback", "posts_to", "learns_from")
"""Keys that take words with commas between them."""


def show(call: Call) -> None:
    """Print every agent, those of config.yaml too, who may use it, and why one is not in use."""
    rows, names = work(call, _look)
    owners, errors = any(row["owner_id"] for row in rows), any(row["error"] for row in rows)
    shown = table(
        ("id", NUMBER),
        ("agent", FOLDED),
        ("model", FOLDED),
        ("tools", FOLDED),
        "source",
        ("for", {"no_wrap": True}),
        *(["owner"] if owners else []),
        *(["error"] if errors else []),
    )
    for row in rows:
        owner = row["owner_id"]
        words = [str(row["id"]), row["name"], row["model"], " ".join(row["tools"]), row["source"]]
        more = [short(names.get(owner, str(owner)), 24) if owner else ""] if owners else []
        shown.add_row(*map(Text, words), _state(row), *map(Text, more), *_error(row, errors))
    tell({"agents": rows}, shown if rows else Text("There is no agent."), json=call.json)


def save(call: Call, name: str, given: Sequence[str], owner: str | None) -> None:
    """Save an agent, or change the one of this name; raises RequestError, Conflict, Failed for an owner unknown."""
    settings = {key: _value(key, value) for key, value in pairs(given, sys.stdin.read).items()}
    put(call, Change(kind="agent", name=name, settings=settings, key_id=_owner(call, owner)))


async def _look(desk: Desk) -> tuple[list[dict[str, Any]], dict[int, str]]:
    saved, now = await stored(desk), desk.now
    accounts = (await desk.store.read(lambda connection: listed(connection, Wanted(), now, ALL))).items
    config, _ = saved.merged
    rows = [
        {
            "id": row.id,
            "name": row.name,
            "model": entry.model if entry else (row.settings or {}).get("model", ""),
            "tools": list(entry.tools) if entry else [],
            "source": source_of(saved, row),
            **_switches(entry),
            "owner_id": row.key_id,
            "error": errors_of(saved, row),
        }
        for row in saved.listed("agent")
        for entry in [config.agents.get(row.name)]
    ]
    return rows, {account.key.id: account.key.name for account in accounts}


def _switches(entry: AgentSettings | None) -> dict[str, bool]:
    return {name: entry is not None and getattr(entry, name) for name in ("enabled", "public", "active")}


def _state(row: dict[str, Any]) -> Text:
    """For whom an agent is there."""
    if not row["enabled"]:
        return Text("nobody", style="red" if row["error"] else "")
    if not row["active"]:
        return Text("inactive", style="yellow")
    return Text("everyone", style="green") if row["public"] else Text("private", style="cyan")


def _error(row: dict[str, Any], shown: bool) -> list[Text]:
    return [Text(row["error"] or "", style="red")] if shown else []


def _value(key: str, value: str | None) -> Any:
    """What a text on the command line stands for."""
    if value and value[0] in "[{" and key != "system_prompt":
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            raise RequestError(f"{key}: is not JSON: {error}", param=key) from None
    if value and key in LISTS:
        return [word for word in (each.strip() for each in value.split(",")) if word]
    return value


def _owner(call: Call, which: str | None) -> int | UnsetType | None:
    """The id of the key that is to own it: none for an empty text, and left as it is without one."""
    if not which:
        return UNSET if which is None else None

    async def look(desk: Desk) -> int:
        now = desk.now
        with failing():
            key = (await desk.store.read(lambda connection: find(connection, which, now))).key
        if key.owner_id is not None:
            raise RequestError(f"--owner: this key counts as its owner, {key.owner_id}")
        return key.id

    return work(call, look)
