"""`bothub groups`: groups of keys are listed, made, changed and forgotten."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from api import wire
from api.admin.groups import forget, keep, shown
from api.keys import Named
from hub.accounts import groups
from hub.accounts.audit import Act
from hub.accounts.groups import Group
from hub.cli.call import Call
from hub.cli.desk import Desk, act, work
from hub.cli.keys import ALL, number_of
from hub.cli.output import FOLDED, NUMBER, done, short, table, tell
from hub.errors import NotFound
from hub.store import Connection


def show(call: Call) -> None:
    """Print every group."""

    async def look(desk: Desk) -> list[Group]:
        return [*(await desk.store.read(lambda connection: groups.listed(connection, None, ALL))).items]

    found = work(call, look)
    keyed = any(group.key for group in found)
    made = table(("id", NUMBER), ("group", FOLDED), *([("key", FOLDED)] if keyed else []))
    made.add_column("keys", **NUMBER)
    for group in found:
        key = [Text(short(group.key or "", 40))] if keyed else []
        made.add_row(str(group.id), Text(short(group.name, 40)), *key, str(group.size) if group.size else "·")
    tell({"groups": [shown(group) for group in found]}, made, json=call.json)


def save(call: Call, which: str, name: str | None, key: str | None) -> None:
    """Make a group, or change the one there is; raises Failed for a name that is taken."""
    given: dict[str, Any] = {} if key is None else {"key": key or None}

    async def look(desk: Desk) -> Group | None:
        try:
            return await desk.store.read(lambda connection: find(connection, which))
        except NotFound:
            return None

    before = work(call, look)
    values = {"name": name or which} if before is None else {"name": name or before.name}
    wire.fit(values, Named)
    id = None if before is None else before.id  # noqa: A001
    group = act(call, "group.update" if before else "group.create", lambda act: keep(act, id, values | given))
    told = done("saved", f"the group {group.id} '{group.name}'")
    tell(shown(group), told, json=call.json)


def delete(call: Call, which: str) -> None:
    """Forget a group; raises Failed where there is none."""

    def unit(act: Act) -> Group:
        return forget(act, find(act.connection, which).id)

    group = act(call, "group.delete", unit)
    told = done("deleted", f"the group {group.id} '{group.name}'; its keys stay")
    tell({"success": True, "id": group.id, "name": group.name}, told, json=call.json)


def find(connection: Connection, which: str) -> Group:
    """A unit: a group by its id or its name; raises NotFound."""
    if (number := number_of(which)) is not None:
        return groups.find(connection, number)
    for group in groups.listed(connection, which, ALL).items:
        if group.name == which:
            return group
    raise NotFound(f"There is no group '{which}'.")
