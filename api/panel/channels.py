"""Channels: how they are and what to do about it; added, changed, stopped; and who asks to be let in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from quart import Response

from api import deliveries, posting
from api.acts import acting, change
from api.admin.bots import removal
from api.panel import channel_form, channel_rows, meanwhile, mends
from api.panel.channel_form import PLATFORMS, Platform
from api.panel.channel_rows import DAY, Row
from api.panel.forms import Form, options, wrong
from api.panel.pages import Page
from api.panel.view import View
from api.panel.words import N_
from api.saved import save
from hub import access, chats
from hub.access import Paired, PairingRequest
from hub.accounts.audit import Act
from hub.accounts.definitions import Change, Shown, Stale
from hub.errors import NotFound, RequestError
from hub.message import channel_inbox
from hub.store import Connection

page = Page("channels", N_("Channels"), icon="channel", admin=True)
TEST_WAIT = 10.0
"""How long the page waits to see what becomes of a test message, in seconds."""
MOST_CHATS = 50
_CHAT = N_("The id of a chat, without blanks, such as 12345; one of its topics stands after a colon, as in 12345:7.")
TEST_WRONG = {"chat": _CHAT, "thread_id": _CHAT, "text": N_("Something to say, of up to 100,000 characters.")}
"""What to say of each field of a test message where it is wrong."""
ROUTE = "/<int(max=2147483647):id>"


@page.shows("channels.html", live=("list",))
async def state(view: View) -> dict[str, Any]:
    """All there are, and how one comes by those there are not."""
    rows = await channel_rows.every(view)
    there = {row.kind for row in rows}
    missing = {kind: one for kind, one in _platforms(view).items() if kind not in there}
    return {"rows": rows, "missing": missing, "platforms": PLATFORMS}


@page.get("/new")
async def choose(view: View) -> Response:
    """Of which kind a new one is to be."""
    return view.render("channel_kinds.html", page=page, platforms=_platforms(view))


@page.get("/new/<kind>")
async def new(view: View, kind: str) -> Response:
    """Where a channel is described that is to be made."""
    platform = _platform(view, kind)
    taken = {one.name for one in await view.hub.definitions.list("channel")}
    values = channel_form.fresh(kind, next(iter(_agents(view)), ""), taken)
    return _form(view, kind, platform, Form(values=values))


@page.post("/new/<kind>")
async def create(view: View, kind: str) -> Response:
    """Save it; it connects at once."""
    platform = _platform(view, kind)
    form = await view.form()
    name = form.get("name", "").strip()
    try:
        if not channel_form.NAMES.fullmatch(name):
            raise RequestError("name: is no name", param="name")
        settings = channel_form.settings(kind, form, None)
        [made] = await save(Change(kind="channel", name=name, settings=settings))
    except RequestError as error:
        told = wrong(view.words, error, channel_form.wrong(kind))
        return _form(view, kind, platform, Form(values=channel_form.typed(kind, form), wrong=told), status=400)
    return view.done(view.say("The channel is added, and connects now."), f"{page.path}/{made.id}")


@page.shows("channel.html", rule=ROUTE, live=("now", "strangers"))
async def detail(view: View, id: int) -> dict[str, Any]:
    """One channel."""
    form = Form(values={"text": view.say("Hello, this is a test.")})
    return await _shown(view, await channel_rows.find(view, id), form)


@page.get(f"{ROUTE}/edit")
async def edit(view: View, id: int) -> Response:
    """Where it is changed."""
    one = await _editable(view, id)
    kind = str(one.settings["kind"])
    shown = meanwhile.made_from(channel_form.known(one), one.updated_at)
    return _form(view, kind, _platform(view, kind), shown, one)


@page.post(f"{ROUTE}/edit")
async def update(view: View, id: int) -> Response:
    """Change it; it connects anew if that is needed."""
    one = await _editable(view, id)
    kind = str(one.settings["kind"])
    form = await view.form()
    typed = {**channel_form.typed(kind, form), "name": one.name}
    secrets = channel_form.secrets(kind)
    if both := meanwhile.overtaken(form, typed, channel_form.known(one), one.updated_at, secrets):
        return _form(view, kind, _platform(view, kind), both, one, status=409)
    try:
        settings = channel_form.settings(kind, form, one)
        await save(Change(kind="channel", id=id, settings=settings, since=one.updated_at))
    except Stale:
        return await update(view, id)
    except RequestError as error:
        told = wrong(view.words, error, channel_form.wrong(kind))
        shown = Form(values=typed, wrong=told, was=form.get(meanwhile.FIELD, ""))
        return _form(view, kind, _platform(view, kind), shown, one, status=400)
    return view.done(view.say("The channel is saved."), f"{page.path}/{id}")


@page.post(f"{ROUTE}/restart")
async def restart(view: View, id: int) -> Response:
    """Have it connect anew, whichever process holds it."""
    name = (await _one(view, id)).name
    await view.hub.restart(name, acting("channel.restart", lambda act: act.note(channel_inbox(name))))
    return view.done(view.say("The channel connects anew."))


@page.post(f"{ROUTE}/stop")
async def stop(view: View, id: int) -> Response:
    """Have it hear and send nothing until it is started again."""
    await save(Change(kind="channel", id=id, settings={"enabled": False}))
    return view.done(view.say("The channel is stopped. What is to be sent waits."))


@page.post(f"{ROUTE}/start")
async def start(view: View, id: int) -> Response:
    """Have it connect again."""
    await save(Change(kind="channel", id=id, settings={"enabled": True}))
    return view.done(view.say("The channel is started."))


@page.post(f"{ROUTE}/delete")
async def delete(view: View, id: int) -> Response:
    """Stop it and forget it, with its secrets."""
    await save(*await removal(await _one(view, id)))
    return view.done(view.say("The channel is deleted."), page.path)


@page.post(f"{ROUTE}/approve")
async def approve(view: View, id: int) -> Response:
    """Let a stranger in."""
    name, code = (await _one(view, id)).name, (await view.form()).get("code", "")

    def unit(act: Act) -> str | None:
        sender = access.approve(act, name, code)
        return None if sender is None else _name_of(act, name, sender)

    approved = await change("pairing.approve", unit)
    if approved is None:
        raise RequestError(view.say("This code is not waiting any more: it holds for an hour."), param="code")
    return view.done(view.say("{name} may talk to the bot now.", name=approved))


@page.post(f"{ROUTE}/unpair")
async def unpair(view: View, id: int) -> Response:
    """Take back what was approved."""
    name, sender = (await _one(view, id)).name, (await view.form()).get("sender", "")

    def unit(act: Act) -> str:
        called = _name_of(act, name, sender)
        access.revoke(act, name, sender)
        return called

    stranger = await change("pairing.revoke", unit)
    return view.done(view.say("{name} is a stranger again.", name=stranger))


@page.post(f"{ROUTE}/test")
async def test(view: View, id: int) -> Response:
    """Send a message to a chat, and say what becomes of it; none where the channel is not connected."""
    row, form = await channel_rows.find(view, id), await view.form()
    if away := _away(view, row):
        return await _again(view, row, form, {"": away})
    name, at = row.one.name, view.hub.clock()
    chat, _, thread = form.get("chat", "").strip().removeprefix(f"{name}:").partition(":")
    try:
        to = posting.address(name, chat, thread, chat="chat")
        said = posting.parts(posting.text(form.get("text")))
        record = await deliveries.post(f"dlv_{await view.once()}", to, said, TEST_WAIT, at + DAY)
    except RequestError as error:
        return await _again(view, row, form, wrong(view.words, error, TEST_WRONG))
    match record.status:
        case "delivered":
            return view.done(view.say("The message arrived."), f"{page.path}/{id}")
        case "failed" | "discarded":
            why = mends.heard(record.last_error or record.reason or "", view.words)
            return await _again(view, row, form, {"chat": view.say("It could not be sent: {why}", why=why)})
        case _:
            why = view.hub.posts.waiting_because(record) or view.say("the platform has not taken it yet")
            told = view.say("It waits to be sent: {why}", why=mends.heard(why, view.words))
            return view.done(told, f"{page.path}/{id}", kind="bad")


def _away(view: View, row: Row) -> str:
    """Why a channel sends nothing now; empty where it does."""
    if row.health is not None and row.health.state == "up" and row.enabled and not row.one.error:
        return ""
    if row.trouble is not None:
        why = mends.heard(row.trouble[0], view.words)
        return view.say("This channel is not connected, so nothing was sent: {why}", why=why)
    if not row.enabled:
        return view.say("This channel is stopped, so nothing was sent. Start it first.")
    return view.say("This channel is not connected yet, so nothing was sent.")


async def _again(view: View, row: Row, form: Mapping[str, str], told: Mapping[str, str]) -> Response:
    """The page with the test message as it was typed, and why it was not sent."""
    there = replace(view, path=f"{page.path}/{row.one.id}")
    shown = await _shown(there, row, Form(values=form, wrong=told))
    return there.render("channel.html", 400, page=page, live=True, **shown)


def _name_of(act: Act, channel: str, sender: str) -> str:
    """What somebody who was approved is called, as far as that is known."""
    found = (one.name for one in access.paired(act.connection, channel) if one.sender == sender)
    return next(found, "") or sender


def _form(
    view: View, kind: str, platform: Platform, form: Form, one: Shown | None = None, *, status: int = 200
) -> Response:
    return view.render(
        "channel_form.html",
        status,
        page=page,
        kind=kind,
        platform=platform,
        fields=platform.fields,
        rules=channel_form.RULES,
        form=form,
        one=one,
        kept=channel_form.kept(one),
        agents=options(_agents(view), form.of("agent")),
    )


async def _shown(view: View, row: Row, form: Form) -> dict[str, Any]:
    """What the page of a channel shows; `form` is that of a test message."""
    name, now = row.one.name, view.hub.clock()

    def read(connection: Connection) -> tuple[list[PairingRequest], list[Paired], list[str]]:
        known = chats.written_to(connection, name, MOST_CHATS)
        return access.pending(connection, name, now), access.paired(connection, name), known

    strangers, friends, written = await view.hub.store.read(read)
    return {
        "row": row,
        "strangers": strangers,
        "friends": friends,
        "chats": _chats(name, written, friends),
        "platform": PLATFORMS.get(row.kind),
        "facts": _facts(view, row),
        "form": form,
    }


def _facts(view: View, row: Row) -> list[tuple[str, str]]:
    """How it is set up, in the words of the form; of a secret only that there is one."""
    platform = PLATFORMS.get(row.kind)
    if platform is None:
        return []
    values, secrets = channel_form.known(row.one), channel_form.kept(row.one)
    facts = [(view.say("Agent"), str(values.get("agent") or ""))]
    for field in channel_form.fields(row.kind):
        if field.name in secrets:
            facts.append((view.say(field.label), view.say("given, and shown to nobody")))
        elif value := values.get(field.name):
            said = dict(field.options).get(str(value))
            facts.append((view.say(field.label), view.say(said) if said else str(value)))
    if values.get(channel_form.ALLOW):
        facts.append((view.say("May write without being approved"), ", ".join(values[channel_form.ALLOW].split("\n"))))
    return facts


def _chats(name: str, written: list[str], friends: list[Paired]) -> list[str]:
    """Chats to send a test message to: by their ids, within the channel."""
    known = [address.removeprefix(f"{name}:") for address in written]
    return list(dict.fromkeys([*known, *(friend.sender for friend in friends)]))


def _agents(view: View) -> list[str]:
    return [one.name for one in view.hub.names() if one.kind == "agent"]


def _platforms(view: View) -> dict[str, Platform]:
    """The kinds of which one can be added here."""
    return {kind: one for kind, one in PLATFORMS.items() if kind in view.hub.kinds}


def _platform(view: View, kind: str) -> Platform:
    found = _platforms(view).get(kind)
    if found is None:
        raise NotFound(f"A channel of the kind '{kind}' can be added in config.yaml alone.", code="unknown_kind")
    return found


async def _one(view: View, id: int) -> Shown:
    return await view.hub.definitions.get("channel", id)


async def _editable(view: View, id: int) -> Shown:
    """A channel that was saved here; raises RequestError for one that config.yaml declares."""
    one = await _one(view, id)
    if one.source == "config":
        raise RequestError(view.say("This channel is declared in config.yaml; change it there."), code="declared")
    return one
