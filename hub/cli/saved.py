"""Models and agents that are saved and deleted at the command line; a hub that runs goes by it within seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from hub.accounts import definitions
from hub.accounts.audit import By
from hub.accounts.definitions import Change, Definition, Kind
from hub.accounts.vault import Vault
from hub.app.saved import Saved, read
from hub.cli.call import Call
from hub.cli.desk import Desk, work
from hub.cli.output import Failed, done, tell
from hub.config.stored import KINDS, told
from hub.errors import RequestError

STDIN = "-"


def put(call: Call, change: Change) -> None:
    """Save what has this name, or change it; raises RequestError, Conflict."""
    id, kind, name = _write(call, change), change.kind, change.name  # noqa: A001
    sentence = done("saved", f"the {kind} {id} '{name}'; a hub that runs uses it within seconds")
    tell({"success": True, "id": id, "name": name}, sentence, json=call.json)


def delete(call: Call, kind: Kind, name: str) -> None:
    """Forget what has this name; raises Failed where there is nothing, Conflict where something needs it."""
    id = _write(call, Change(kind=kind, name=name, settings=None))  # noqa: A001
    tell({"success": True, "id": id, "name": name}, done("deleted", f"'{name}'"), json=call.json)


def _write(call: Call, change: Change) -> int:
    async def task(desk: Desk) -> int:
        saved = await stored(desk)
        known = next((row.id for row in saved.listed(change.kind) if row.name == change.name), None)
        if known is None and change.settings is None:
            raise Failed(f"There is no {change.kind} '{change.name}'.")
        drafts = saved.drafts([msgspec.structs.replace(change, id=known)])
        now, by = desk.now, By()
        [written] = await desk.store.write(lambda c: definitions.write(c, drafts, saved.version, now, by))
        return written

    return work(call, task)


async def stored(desk: Desk) -> Saved:
    """What is saved beside what config.yaml declares."""
    vault = Vault(desk.declared.data_dir, desk.declared.secret_key.get_secret_value())
    return await read(desk.store, desk.declared, vault, desk.now)


def source_of(saved: Saved, row: Definition) -> str:
    """Where it is declared."""
    return "config" if saved.declares(row.kind, row.name) else "admin"


def errors_of(saved: Saved, row: Definition) -> str | None:
    """Why it is not in use."""
    _, problems = saved.merged
    return "; ".join(map(told, problems.get((KINDS[row.kind], row.name), ()))) or None


def pairs(given: Sequence[str], read: Callable[[], str]) -> dict[str, str | None]:
    """What KEY=VALUE says: `-` is what is read from standard input, nothing the default; raises RequestError."""
    found: dict[str, str | None] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not key or not equals:
            raise RequestError(f"'{one}' is not KEY=VALUE, such as model=gpt")
        if value == STDIN and not (value := read()):
            raise RequestError(f"{key}: nothing came on the standard input", param=key)
        found[key] = value or None
    return found
