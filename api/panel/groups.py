"""Groups of keys, and what they and keys alone are granted, as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from quart import Response
from werkzeug.datastructures import MultiDict

from api import wire
from api.acts import change
from api.admin.grants import bind
from api.admin.groups import SavedGroup, forget, keep, told
from api.panel import meanwhile
from api.panel.forms import Form, wrong
from api.panel.pages import Page
from api.panel.view import View
from api.panel.words import N_
from hub.accounts import grants, groups
from hub.accounts.audit import Act
from hub.accounts.definitions import Shown, Stale
from hub.accounts.grants import Grantable, Holder, Side, Sought
from hub.accounts.groups import Group
from hub.errors import RequestError
from hub.message import Value
from hub.store import Connection
from hub.store.listing import Part

page = Page("groups", N_("Groups"), icon="group", admin=True)
ID = "/<int(max=2147483647):id>"
SHOWN = 8
"""How many groups stand side by side in the matrix."""
ALL = Part(limit=10_000)
WRONG = {"name": N_("A name of up to 200 characters, which no other group has."), "key": N_("Up to 200 characters.")}


class Cell(Value, frozen=True, kw_only=True):
    """A place of the matrix, as a form says it: `group:1:model:2`."""

    holder: Holder
    kind: Grantable
    id: int

    def __str__(self) -> str:
        return f"{self.holder.side}:{self.holder.id}:{self.kind}:{self.id}"


class _Said(msgspec.Struct, frozen=True):
    side: Side
    holder: int
    kind: Grantable
    id: int


@page.shows("groups.html")
async def state(view: View) -> dict[str, Any]:
    """The groups, and what they are granted."""
    return await _shown(view)


@page.post("/new")
async def create(view: View) -> Response:
    """Make a group."""
    form = await view.form()
    try:
        values = _values(form)
        await change("group.create", lambda act: keep(act, None, values))
    except RequestError as error:
        shown = Form(values=dict(form), wrong=wrong(view.words, error, WRONG))
        return view.render("groups.html", 400, page=page, **await _shown(view, shown))
    return view.done(view.say("The group is saved."), page.path)


@page.get(ID)
async def show(view: View, id: int) -> Response:
    """Where a group gets another name."""
    group = await _group(view, id)
    return _edit(view, group, meanwhile.made_from(told(group)))


@page.post(ID)
async def update(view: View, id: int) -> Response:
    """Give it another name."""
    form, group = await view.form(), await _group(view, id)
    typed, known = dict(form), told(group)
    if both := meanwhile.overtaken(form, typed, known):
        return _edit(view, group, both, 409)

    def unit(act: Act) -> None:
        groups.hold(act.connection, id)
        if told(groups.find(act.connection, id)) != known:
            raise Stale(f"The group {id} was saved meanwhile.")
        keep(act, id, values)

    try:
        values = _values(form)
        await change("group.update", unit)
    except Stale:
        return await update(view, id)
    except RequestError as error:
        shown = Form(values=typed, wrong=wrong(view.words, error, WRONG), was=form.get(meanwhile.FIELD, ""))
        return _edit(view, group, shown, 400)
    return view.done(view.say("The group is saved."), page.path)


@page.post(f"{ID}/delete")
async def delete(view: View, id: int) -> Response:
    """Forget it; its keys stay, without what they had from it."""
    await change("group.delete", lambda act: forget(act, id))
    return view.done(view.say("The group is deleted."), page.path)


@page.post("/grants")
async def grant(view: View) -> Response:
    """Grant and take back what was changed in a matrix, and leave everything else as it is by now."""
    form = await view.form()
    now, was = set(form.getlist("grant")), set(form.getlist("was"))
    changes = [(_cell(said), said in now) for said in sorted(now ^ was)]
    found = {(cell.kind, cell.id): await view.hub.definitions.get(cell.kind, cell.id) for cell, _ in changes}

    def unit(act: Act) -> None:
        for cell, wanted in changes:
            bind(act, cell.holder, found[cell.kind, cell.id], wanted)

    if changes:
        await change("grant", unit)
    said = view.count("{n} grant is changed.", "{n} grants are changed.", len(changes))
    return view.done(said if changes else view.say("Nothing was changed."))


async def grantable(view: View) -> Sequence[Shown]:
    """What can be granted: models, and agents that not every key may ask anyway."""
    agents = [
        one
        for one in await view.hub.definitions.list("agent")
        if not (one.settings.get("public", True) and one.settings.get("active", True))
    ]
    return [*await view.hub.definitions.list("model"), *agents]


def held(connection: Connection, holder: Holder) -> set[str]:
    """A unit: the places of the matrix that are granted to a key or a group."""
    found = grants.listed(connection, Sought(side=holder.side, holder_id=holder.id), ALL)
    return {str(Cell(holder=holder, kind=one.kind, id=one.definition_id)) for one in found.items}


async def _group(view: View, id: int) -> Group:
    return await view.hub.store.read(lambda connection: groups.find(connection, id))


def _values(form: MultiDict[str, str]) -> dict[str, Any]:
    """What a form says of a group; raises RequestError."""
    said = {"name": form.get("name", "").strip(), "key": form.get("key", "").strip() or None}
    wire.fit(said, SavedGroup)
    return said


def _edit(view: View, group: Group, form: Form, status: int = 200) -> Response:
    return view.render("group.html", status, page=page, group=group, form=form)


async def _shown(view: View, form: Form | None = None) -> dict[str, Any]:
    part = view.part(SHOWN)
    found = await view.hub.store.read(lambda connection: groups.listed(connection, None, part))
    holders = [Holder(side="group", id=group.id) for group in found.items]
    cells = await view.hub.store.read(lambda connection: [held(connection, holder) for holder in holders])
    return {
        "groups": found,
        "rows": await grantable(view),
        "holders": [(f"group:{group.id}", group.name) for group in found.items],
        "held": set[str]().union(*cells),
        "form": form or Form(values={}),
    }


def _cell(said: str) -> Cell:
    """The place that a form names; raises RequestError."""
    names = ("side", "holder", "kind", "id")
    found = wire.fit(dict(zip(names, said.split(":"), strict=False)), _Said, strict=False)
    return Cell(holder=Holder(side=found.side, id=found.holder), kind=found.kind, id=found.id)
