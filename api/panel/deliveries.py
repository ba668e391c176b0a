"""Deliveries: what waits, what was sent, what was given up and what to do about it; messages to agents likewise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from quart import Response

from api import current, posting
from api.acts import by, change
from api.panel import forms, markdown, mends
from api.panel.pages import Page
from api.panel.view import View, whole
from api.panel.words import N_
from hub.accounts import definitions, turns
from hub.delivery import deliveries
from hub.errors import Conflict, NotFound, RequestError
from hub.message import Delivery, File, Message, agent_inbox, turn_of
from hub.records import deadletters, outgoing
from hub.records.deadletters import DeadLetter
from hub.records.outgoing import Outgoing, State, Wanted
from hub.store import Connection
from hub.store.listing import COUNTED

page = Page("deliveries", N_("Deliveries"), icon="delivery", admin=True)
SHOWN = 25
WORDS = 160
"""Characters of a message that a list shows."""
READ = 2000
"""So many are read for them."""
LONGEST = 300
"""Characters of what is looked for."""
FRESH = 2.0
"""For how long the counts are good, in seconds."""
STATES: Mapping[State, tuple[str, str]] = {
    "waiting": (N_("Waiting"), ""),
    "failing": (N_("Tries again"), "warn"),
    "sending": (N_("Sending"), "warn"),
    "delivered": (N_("Sent"), "good"),
    "dead": (N_("Dead"), "bad"),
    "discarded": (N_("Discarded"), ""),
}
"""What the states are called, and their colour."""
REASONS = {
    "failed": N_("It could not be sent."),
    "expired": N_("It waited longer than it was to."),
    "gone": N_("The chat cannot be written to any more: somebody has to write there first."),
    "discarded": N_("Somebody let it go."),
    "retried": N_("Somebody had it tried again."),
}
UNANSWERED = {
    "failed": N_("It could not be answered."),
    "unreadable": N_("It could not be read when it came."),
}
TABS = ((N_("To chats"), page.path), (N_("To agents"), f"{page.path}/incoming"))
FILTERS = ("channel", "address", "id")


@page.shows("deliveries.html", live=("list",))
async def state(view: View) -> dict[str, Any]:
    """Those to chats, the newest first."""
    asked = {name: _given(view, name) for name in ("state", *FILTERS)}
    wanted = _wanted(view, asked)
    part = view.part(SHOWN, float, whole, whole)
    found = await view.hub.store.read(lambda connection: outgoing.list_deliveries(connection, wanted, part))
    every = Wanted(channel=wanted.channel, address=wanted.address, id=wanted.id)
    name = "\n".join(["deliveries", *(asked[each] for each in FILTERS)])
    counted = await view.shared(name, lambda connection: outgoing.count(connection, every), fresh=FRESH)
    channels = await view.shared("channel ids", lambda connection: definitions.ids(connection, "channel"))
    return {
        "found": found,
        "asked": asked,
        "tabs": TABS,
        "states": STATES,
        "switch": _switch(view, asked["state"], counted),
        "narrowed": any(asked[each] for each in FILTERS),
        "channels": forms.options(list(channels), asked["channel"]),
        "words": words,
        "why": _why(view),
        "path": path_of,
    }


@page.shows("deliveries-incoming.html", rule="/incoming", live=("list",))
async def incoming(view: View) -> dict[str, Any]:
    """Those to agents that nobody could answer, the newest first."""
    agent = _given(view, "agent")
    inbox, part = agent_inbox(agent) if agent else None, view.part(SHOWN, float, whole, whole)
    found = await view.hub.store.read(lambda connection: deadletters.list_incoming(connection, inbox, part))
    agents = [named.name for named in view.hub.names() if named.kind == "agent"]
    return {
        "found": found,
        "agent": agent,
        "agents": forms.options(agents, agent),
        "tabs": TABS,
        "words": words,
        "unanswered": UNANSWERED,
        "path": letter_path,
    }


@page.shows("incoming.html", rule="/incoming/<path:id>")
async def message(view: View, id: str) -> dict[str, Any]:
    """One of them."""
    one = await _incoming(view, id)
    turn = await view.hub.store.read(lambda connection: turns.find(connection, id))
    return {
        "one": one,
        "turn": turn,
        "unanswered": UNANSWERED,
        "reasons": REASONS,
        "files": _files(one.said),
        "path": letter_path,
    }


@page.get("/incoming/<path:id>/edit")
async def rewrite(view: View, id: str) -> Response:
    """Where its text is changed; of one that cannot be changed the page that says why."""
    one = await _incoming(view, id)
    try:
        _editable(view, _still_dead(view, one))
    except Conflict as error:
        return view.done(str(error), letter_path(one), kind="bad")
    return view.render("incoming-edit.html", page=page, one=one, files=_files(one.said), path=letter_path)


@page.post("/incoming/<path:id>/retry")
async def ask_again(view: View, id: str) -> Response:
    """Have its agent answer it after all."""
    await view.hub.retry(await _letter(view, id), by())
    return view.done(view.say("The agent is asked again."), f"{page.path}/incoming")


@page.post("/incoming/<path:id>/edit")
async def ask_otherwise(view: View, id: str) -> Response:
    """Have its agent answer another text."""
    one, said = await _incoming(view, id), await _text(view)
    try:
        await view.hub.resend(_editable(view, _still_dead(view, one)), said, by())
    except Conflict as error:
        return view.done(str(error), letter_path(one), kind="bad")
    return view.done(view.say("The agent is asked with the new text."), f"{page.path}/incoming")


@page.post("/incoming/<path:id>/discard")
async def let_go(view: View, id: str) -> Response:
    """Take it off the list."""
    letter = await _letter(view, id)
    await change("dead.discard", lambda act: deadletters.discard(act, letter))
    return view.done(view.say("The message is discarded."), f"{page.path}/incoming")


@page.shows("delivery.html", rule="/<path:id>", live=("now",))
async def detail(view: View, id: str) -> dict[str, Any]:
    """One delivery, as its newest try left it."""

    def unit(connection: Connection) -> dict[str, Any]:
        one, *earlier = _tries(connection, id)
        sent = deliveries.parts(connection, one.delivery.id) if one.delivery else ()
        asked = turn_of(one.id)
        turn = turns.find(connection, asked) if asked else None
        return {"one": one, "earlier": earlier, "taken": sent, "turn": turn}

    shown = await view.hub.store.read(unit)
    return {
        **shown,
        "states": STATES,
        "reasons": REASONS,
        "why": _why(view),
        "can_edit": _can_edit(shown["one"]),
        "files": _files(shown["one"].delivery),
        "path": path_of,
    }


@page.get("/<path:id>/edit")
async def edit(view: View, id: str) -> Response:
    """Where its text is changed; of one that cannot be changed the page that says why."""
    one = await _one(view, id)
    try:
        _editable(view, await _dead(view, one))
    except Conflict as error:
        return view.done(str(error), path_of(one.id), kind="bad")
    return view.render("delivery-edit.html", page=page, one=one, files=_files(one.delivery), path=path_of)


@page.post("/<path:id>/edit")
async def resend(view: View, id: str) -> Response:
    """Send it with another text."""
    one, said = await _one(view, id), await _text(view)
    try:
        again = await view.hub.resend(_editable(view, await _dead(view, one)), said, by())
    except Conflict as error:
        return view.done(str(error), path_of(one.id), kind="bad")
    return view.done(view.say("The new text is on its way."), path_of(again))


@page.post("/<path:id>/retry")
async def retry(view: View, id: str) -> Response:
    """Send what has not arrived."""
    again = await view.hub.retry(await _dead(view, await _one(view, id)), by())
    return view.done(view.say("It is on its way again."), path_of(again))


@page.post("/<path:id>/discard")
async def discard(view: View, id: str) -> Response:
    """Let one go that waits, or was given up."""
    one = await _one(view, id)
    if one.state == "dead":
        letter = await _dead(view, one)
        await change("dead.discard", lambda act: deadletters.discard(act, letter))
    else:
        record = await current.hub().posts.discard(one.id, by())
        if record is None or record.status != "discarded":
            raise Conflict(view.say("It is being sent, or has been: it cannot be discarded any more."))
    return view.done(view.say("The delivery is discarded."), path_of(one.id))


def dead_path(inbox: str) -> str:
    """Where the messages of an inbox are shown that want a decision."""
    kind, _, name = inbox.partition(":")
    if kind != "channel":
        return f"{page.path}/incoming"
    return f"{page.path}?{urlencode({'state': 'dead', 'channel': name})}"


def path_of(id: str) -> str:
    """Where a delivery is shown."""
    return f"{page.path}/{quote(id)}"


def letter_path(letter: DeadLetter, then: str = "") -> str:
    """Where a message to an agent is shown, or what is done with it: another inbox may have one with its id."""
    return f"{page.path}/incoming/{quote(letter.id)}{then}?inbox={quote(letter.inbox)}"


def words(said: Message | Delivery | None) -> str:
    """The first words of something, or the names of its files."""
    if said is None:
        return ""
    if isinstance(said, Delivery) and said.reaction is not None:
        return said.reaction
    shown = markdown.plain(said.text[:READ]) or ", ".join(file.name for file in _files(said))
    return shown if len(shown) <= WORDS else f"{shown[:WORDS].rstrip()}…"


def _files(said: Message | Delivery | None) -> Sequence[File]:
    return [part for part in said.parts if isinstance(part, File)] if said is not None else []


def _given(view: View, name: str) -> str:
    return view.query.get(name, "").replace("\x00", "").strip()[:LONGEST]


def _wanted(view: View, asked: Mapping[str, str]) -> Wanted:
    state: State | None = next((one for one in STATES if one == asked["state"]), None)
    if state is None and asked["state"]:
        raise RequestError(view.say("There is no such state."), param="state")
    return Wanted(state=state, **{name: asked[name] or None for name in FILTERS})


def _switch(view: View, chosen: str, counted: Mapping[State, int]) -> list[tuple[str, str, bool]]:
    """The states, with how many there are of each."""
    every = [(view.say("All"), view.with_query(state=None, after=None), not chosen)]
    for name, (said, _) in STATES.items():
        n = counted[name]
        label = f"{view.say(said)} {view.words.number(n)}{'+' if n >= COUNTED else ''}" if n else view.say(said)
        every.append((label, view.with_query(state=name, after=None), name == chosen))
    return every


def _why(view: View) -> Any:
    """What keeps a delivery, in words."""
    enabled = view.hub.channels()

    def why(one: Outgoing) -> str:
        if one.state in ("waiting", "failing") and one.channel not in enabled:
            return view.say("Its channel is stopped, or not there: it goes out once the channel runs.")
        if one.error or one.state in ("waiting", "sending", "delivered"):
            return mends.heard(one.error or "", view.words)
        return view.say(REASONS[one.reason]) if one.reason in REASONS else one.reason or ""

    return why


def _tries(connection: Connection, id: str) -> Sequence[Outgoing]:
    found = outgoing.tries(connection, id)
    if not found:
        raise NotFound(f"There is no delivery '{id}'.", code="delivery_not_found")
    return found


async def _one(view: View, id: str) -> Outgoing:
    return (await view.hub.store.read(lambda connection: _tries(connection, id)))[0]


def _can_edit(one: Outgoing) -> bool:
    return one.state == "dead" and one.delivery is not None and one.delivery.reaction is None


async def _dead(view: View, one: Outgoing) -> DeadLetter:
    """What was given up; raises Conflict for what was not, or is seen to already."""
    found = await view.hub.store.read(lambda connection: deadletters.find(connection, one.id, one.inbox))
    return _still_dead(view, next(iter(found), None))


async def _letter(view: View, id: str) -> DeadLetter:
    """A message to an agent that wants somebody; raises NotFound, Conflict where somebody has seen to it."""
    return _still_dead(view, await _incoming(view, id))


async def _incoming(view: View, id: str) -> DeadLetter:
    """A message to an agent; raises NotFound for one that nobody gave up."""
    inbox = _given(view, "inbox") or None
    found = await view.hub.store.read(lambda connection: deadletters.find(connection, id, inbox))
    known = [each for each in found if not each.inbox.startswith("channel:")]
    if not known:
        raise NotFound(view.say("There is no such message."), code="message_not_found")
    return next((each for each in known if each.open), known[0])


def _still_dead(view: View, letter: DeadLetter | None) -> DeadLetter:
    if letter is None or not letter.open:
        raise Conflict(view.say("It is not dead any more: somebody has seen to it."))
    return letter


def _editable(view: View, letter: DeadLetter) -> DeadLetter:
    if not letter.can_edit:
        raise Conflict(view.say("It has no text that could be edited."))
    return letter


async def _text(view: View) -> str:
    return posting.text((await view.form()).get("text", "").replace("\r\n", "\n"))
