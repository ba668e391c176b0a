"""`bothub grants`: models and agents are granted to keys and groups, and taken back."""

from __future__ import annotations

from rich.text import Text

from api.admin.grants import bind as bound
from api.admin.grants import shown
from hub.accounts import grants
from hub.accounts.audit import Act
from hub.accounts.definitions import Definition
from hub.accounts.grants import Grant, Holder, Sought
from hub.cli.call import Call
from hub.cli.desk import Desk, act, failing, work
from hub.cli.groups import find as find_group
from hub.cli.keys import ALL
from hub.cli.keys import find as find_key
from hub.cli.output import FOLDED, Failed, done, short, table, tell
from hub.cli.saved import stored
from hub.errors import RequestError
from hub.store import Connection


def show(call: Call, group: str | None, key: str | None) -> None:
    """Print the grants of a group or a key, or all; raises Failed where there is no such one."""

    async def look(desk: Desk) -> list[Grant]:
        now = desk.now

        def unit(connection: Connection) -> list[Grant]:
            holder = _holder(connection, group, key, now) if group or key else None
            sought = Sought() if holder is None else Sought(side=holder.side, holder_id=holder.id)
            return [*grants.listed(connection, sought, ALL).items]

        with failing():
            return await desk.store.read(unit)

    found = work(call, look)
    made = table("to", ("called", FOLDED), "what", ("name", FOLDED))
    for grant in found:
        holder = grant.holder
        called = f"{short(grant.holder_name, 40)} ({holder.id})"
        made.add_row(holder.side, Text(called), grant.kind, Text(grant.name))
    nothing = Text("Nothing is granted; admins may use everything all the same.", style="yellow")
    tell({"grants": [shown(grant) for grant in found]}, made if found else nothing, json=call.json)


def bind(call: Call, name: str, group: str | None, key: str | None, *, wanted: bool) -> None:
    """Grant a model or an agent, or take it back; raises Failed, RequestError without a holder."""

    async def look(desk: Desk) -> Definition:
        saved = await stored(desk)
        for row in (*saved.listed("model"), *saved.listed("agent")):
            if row.name == name:
                return row
        raise Failed(f"There is no model or agent '{name}'.")

    found = work(call, look)

    def unit(act: Act) -> Holder:
        holder = _holder(act.connection, group, key, act.now)
        bound(act, holder, found, wanted)
        return holder

    holder = act(call, "grant", unit)
    what, to = ("granted", "to") if wanted else ("taken back", "from")
    told = done(what, f"the {found.kind} '{name}' {to} the {holder.side} {holder.id}")
    data = {"success": True, f"{holder.side}_id": holder.id, f"{found.kind}_id": found.id, "granted": wanted}
    tell(data, told, json=call.json)


def _holder(connection: Connection, group: str | None, key: str | None, now: float) -> Holder:
    """A unit: to whom; raises NotFound, RequestError."""
    if group and not key:
        return Holder(side="group", id=find_group(connection, group).id)
    if key and not group:
        return Holder(side="key", id=find_key(connection, key, now).key.id)
    raise RequestError("Say to whom: --group GROUP or --key KEY.")
