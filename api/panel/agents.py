"""Agents: what there is, saved here or declared in config.yaml; each can be tried out beside its form."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from quart import Response

from api import current, errors, sse
from api.admin.agents import keep
from api.chat import streamed
from api.openai.reply import begin
from api.panel import agent_form, meanwhile, saved
from api.panel.forms import Form, wrong
from api.panel.pages import Page
from api.panel.view import View
from api.panel.words import N_
from hub import memory
from hub.accounts.definitions import Shown, Stale
from hub.accounts.turns import Ask
from hub.errors import HubError, RequestError
from hub.message import Text, Value
from hub.model import Usage

page = Page("agents", N_("Agents"), icon="agent", admin=True)
ID = "/<int(max=2147483647):id>"
LONGEST = 100_000


class Tried(Value, frozen=True, kw_only=True):
    """What an agent answered: in so many seconds this text, or the error."""

    said: str
    seconds: float = 0.0
    text: str = ""
    usage: Usage = Usage()
    error: str = ""


@page.shows("agents.html")
async def state(view: View) -> dict[str, Any]:
    """All agents, by their ids."""
    return {"agents": await view.hub.definitions.list("agent"), "state_of": saved.state_of}


@page.get("/new")
async def new(view: View) -> Response:
    """Where an agent is described that is to be saved."""
    return await _page(view, Form(values=agent_form.FRESH))


@page.post("/new")
async def create(view: View) -> Response:
    """Save it."""
    return await _save(view, None)


@page.get(ID)
async def show(view: View, id: int) -> Response:
    """One agent, and how it may be changed."""
    one = await view.hub.definitions.get("agent", id)
    return await _page(view, meanwhile.made_from(agent_form.known(one)), one)


@page.post(ID)
async def update(view: View, id: int) -> Response:
    """Change it."""
    return await _save(view, await view.hub.definitions.get("agent", id))


@page.post(f"{ID}/try")
async def attempt(view: View, id: int) -> Response:
    """Ask it as it is saved, and show the form as it was sent; to a module the turn is told as it goes on."""
    one = await view.hub.definitions.get("agent", id)
    form = await view.form()
    said = form.get("said", "").strip()[:LONGEST]
    live = sse.asked_for()
    ask = Ask(
        agent=one.name,
        key_id=view.key.id,
        payer=view.key.pays,
        session_id=f"panel-{form.get('talk', '')[:32]}",
        parts=(Text(text=said),),
        posts_to=view.key.posts_to,
        fingerprint=uuid.uuid4().hex,
        pieces=live,
    )
    if live:
        return await begin(streamed(view.hub, ask, current.keep_alive()))
    values = agent_form.known(one) if one.source == "config" else agent_form.typed(form)
    tried = await _answer(view, ask, said) if said else None
    shown = Form(values=values, was=form.get(meanwhile.FIELD, ""))
    return await _page(view, shown, one, tried=tried, talk=form.get("talk", "")[:32])


@page.post(f"{ID}/delete")
async def delete(view: View, id: int) -> Response:
    """Forget it."""
    await saved.forget("agent", id)
    return view.done(view.say("The agent is deleted."), page.path)


async def _answer(view: View, ask: Ask, said: str) -> Tried:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    try:
        async with view.hub.turns.ask(ask) as answer:
            async for _ in answer:
                pass
            record = answer.record
            answer.began()
            answer.written()
    except HubError as error:
        return Tried(said=said, seconds=loop.time() - begun, error=str(error))
    seconds = loop.time() - begun
    if record.status != "completed":
        return Tried(said=said, seconds=seconds, error=errors.of_turn(record).message)
    return Tried(said=said, seconds=seconds, text=record.response or "", usage=record.usage)


async def _save(view: View, one: Shown | None) -> Response:
    form = await view.form()
    typed = agent_form.typed(form)
    if one is not None and (both := meanwhile.overtaken(form, typed, agent_form.known(one))):
        return await _page(view, both, one, status=409)
    try:
        kept = await keep(agent_form.said(form, one), one and one.updated_at)
    except Stale:
        assert one is not None, "what is new is not overtaken"
        return await update(view, one.id)
    except RequestError as error:
        shown = Form(values=typed, wrong=wrong(view.words, error, agent_form.WRONG), was=form.get(meanwhile.FIELD, ""))
        return await _page(view, shown, one, status=400)
    return view.done(view.say("The agent is saved, and answers so from now on."), f"{page.path}/{kept.id}")


async def _page(
    view: View,
    form: Form,
    one: Shown | None = None,
    *,
    status: int = 200,
    tried: Tried | None = None,
    talk: str = "",
) -> Response:
    models = await view.hub.definitions.list("model")
    return view.render(
        "agent.html",
        status,
        page=page,
        form=form,
        agent=one,
        models=[model.name for model in models],
        tools=view.hub.tools(),
        granted=await saved.granted(view, "agent", one.id) if one else 0,
        chats=await view.hub.store.read(lambda connection: memory.conversations_of(connection, one.name)) if one else 0,
        state_of=saved.state_of,
        busy=agent_form.BUSY,
        tried=tried,
        talk=talk or uuid.uuid4().hex[:12],
    )
