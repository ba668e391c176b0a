"""Models: what there is, saved here or declared in config.yaml; each can be tested."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, cast

from quart import Response
from werkzeug.datastructures import MultiDict

from api import wire
from api.admin.models import SavedModel, keep
from api.panel import meanwhile, saved
from api.panel.forms import NAME, UNUSABLE, Form, number, trimmed, wrong
from api.panel.pages import Page
from api.panel.view import View
from api.panel.words import N_
from hub.accounts.definitions import Shown, Stale
from hub.accounts.turns import Call
from hub.errors import HubError, ModelError, RequestError
from hub.message import Value
from hub.model import Chunk, Completion, Usage

page = Page("models", N_("Models"), icon="model", admin=True)
ID = "/<int(max=2147483647):id>"
PATIENCE = 60.0
"""Seconds that a test waits for the whole answer."""
ASKED = "Say hello in one short sentence."
PRICES = ("price_in", "price_out", "price_cached")
SECRETS = ("api_key", "access_key_id", "secret_access_key")
TEXTS = ("base_url", "model", "region")
NUMBERS = ("context", "max_output")
CHECKS = ("enabled", "multiple", "one_system")
_PRICE = N_("An amount such as 0.25.")
_TOKENS = N_("A whole number of tokens, or nothing where it is not known.")
WRONG = {
    "name": NAME,
    "provider": UNUSABLE,
    "base_url": N_("An address that begins with http:// or https://, or nothing for the provider's own."),
    "model": N_("What the provider calls the model has to be given."),
    "region": N_("Amazon Bedrock needs a region, such as eu-central-1."),
    "api_key": N_(
        "A key is missing: only a server of your own, which has a base URL, may do without. For Amazon Bedrock the two "
        "keys below take its place."
    ),
    **dict.fromkeys(SECRETS[1:], N_("Give both keys, or neither to use those that this machine has.")),
    **dict.fromkeys(PRICES, _PRICE),
    "context": _TOKENS,
    "max_output": N_("A whole number of tokens that leaves room in the context for what is asked, or nothing."),
}
"""What to say of each field where it is wrong."""
MEND: Mapping[int | None, str] = {
    None: N_("Nobody answered there. Check the base URL, and whether the server runs."),
    400: N_("The provider does not take such a request. Check what it calls the model."),
    401: N_("The provider does not accept the API key. Give another one."),
    403: N_("The provider does not let this API key use the model. Give another one, or ask for access there."),
    404: N_("There is nothing at this address, or no such model. Check the base URL and what the provider calls it."),
    429: N_("The provider wants you to wait, or to pay: look at your account there."),
}
"""What to mend, by the status that the provider gave."""
LATER = N_("The provider has trouble of its own. Try again in a while.")


class Tested(Value, frozen=True, kw_only=True):
    """How a model answered: in so many seconds this text, or the error and what to mend."""

    seconds: float
    text: str = ""
    usage: Usage = Usage()
    error: str = ""
    mend: str = ""


@page.shows("models.html")
async def state(view: View) -> dict[str, Any]:
    """All models, by their ids."""
    return {"models": await view.hub.definitions.list("model"), "state_of": saved.state_of}


@page.get("/new")
async def new(view: View) -> Response:
    """Where a model is described that is to be saved."""
    return await _page(view, Form(values={"provider": "openai", "enabled": True}))


@page.post("/new")
async def create(view: View) -> Response:
    """Save it."""
    return await _save(view, None)


@page.get(ID)
async def show(view: View, id: int) -> Response:
    """One model, and how it may be changed."""
    one = await view.hub.definitions.get("model", id)
    return await _page(view, _made_from(one), one)


@page.post(ID)
async def update(view: View, id: int) -> Response:
    """Change it."""
    return await _save(view, await view.hub.definitions.get("model", id))


@page.post(f"{ID}/test")
async def test(view: View, id: int) -> Response:
    """Ask one that config.yaml declares; one that is saved here is saved first."""
    one = await view.hub.definitions.get("model", id)
    return await _page(view, _made_from(one), one, tested=await ask(view, one.name))


@page.post(f"{ID}/delete")
async def delete(view: View, id: int) -> Response:
    """Forget it."""
    await saved.forget("model", id)
    return view.done(view.say("The model is deleted."), page.path)


async def ask(view: View, name: str) -> Tested:
    """One short answer of a model, as it is saved; it is counted as any other one of the viewer's key."""
    loop = asyncio.get_running_loop()
    begun, text, usage = loop.time(), "", Usage()
    completion = Completion(messages=[{"role": "user", "content": ASKED}], hurry=True)
    call = Call(
        id=uuid.uuid4().hex,
        name=name,
        key_id=view.key.id,
        payer=view.key.pays,
        keeps_text=False,
        completion=completion,
    )
    answer = cast(AsyncGenerator[Chunk, None], view.hub.models.complete(call))
    try:
        async with asyncio.timeout(PATIENCE), aclosing(answer) as chunks:
            async for chunk in chunks:
                text += chunk.text
                usage = chunk.usage or usage
    except TimeoutError:
        error = view.say("No answer within {span}.", span=view.words.duration(PATIENCE))
        return Tested(seconds=loop.time() - begun, error=error, mend=view.say(MEND[None]))
    except HubError as error:
        mend = MEND.get(error.status, LATER) if isinstance(error, ModelError) else ""
        return Tested(seconds=loop.time() - begun, error=str(error), mend=view.say(mend))
    return Tested(seconds=loop.time() - begun, text=text, usage=usage)


async def _save(view: View, one: Shown | None) -> Response:
    form = await view.form()
    typed, secrets = _typed(form), (*SECRETS, "forget")
    if one is not None and (both := meanwhile.overtaken(form, typed, _known(one), one.updated_at, secrets)):
        return await _page(view, both, one, status=409)
    try:
        kept = await keep(wire.fit(_said(form, one), SavedModel, strict=False), one and one.updated_at)
    except Stale:
        assert one is not None, "what is new is not overtaken"
        return await update(view, one.id)
    except RequestError as error:
        shown = Form(values=typed, wrong=wrong(view.words, error, WRONG), was=form.get(meanwhile.FIELD, ""))
        return await _page(view, shown, one, status=400)
    if form.get("do") == "test":
        return await _page(view, _made_from(kept), kept, tested=await ask(view, kept.name))
    return view.done(view.say("The model is saved, and in use."), f"{page.path}/{kept.id}")


async def _page(
    view: View, form: Form, one: Shown | None = None, *, status: int = 200, tested: Tested | None = None
) -> Response:
    return view.render(
        "model.html",
        status,
        page=page,
        form=form,
        model=one,
        held=[name for name in SECRETS if one and saved.is_secret(one.settings.get(name))],
        providers=view.hub.providers,
        agents=await saved.asking(view, one.name) if one else (),
        granted=await saved.granted(view, "model", one.id) if one else 0,
        state_of=saved.state_of,
        tested=tested,
    )


def _made_from(one: Shown) -> Form:
    return meanwhile.made_from(_known(one), one.updated_at)


def _known(one: Shown) -> dict[str, Any]:
    settings = one.settings
    shown = {name: settings.get(name) for name in ("provider", *TEXTS, *NUMBERS, "multiple", "one_system")}
    prices = {name: trimmed(settings.get(name)) for name in PRICES}
    return {**shown, **prices, "name": one.name, "enabled": settings.get("enabled", True)}


def _typed(form: MultiDict[str, str]) -> dict[str, Any]:
    """The fields as they were sent, but secrets, which no page shows."""
    told = {name: value for name, value in form.items() if name not in SECRETS}
    return {**told, **{name: name in form for name in CHECKS}}


def _said(form: MultiDict[str, str], one: Shown | None) -> dict[str, Any]:
    """The form as /admin/model/save takes it; an empty secret stays what it was, unless it is to be forgotten."""
    given = {name: form.get(name, "").strip() for name in (*TEXTS, *SECRETS, *PRICES)}
    config: dict[str, Any] = {name: given[name] or None for name in TEXTS}
    config |= {name: number(form, name) for name in NUMBERS}
    config |= {name: given[name] or None for name in SECRETS if given[name] or name in form.getlist("forget")}
    config["one_system"] = "one_system" in form
    return {
        "id": one and one.id,
        "name": form.get("name", "").strip(),
        "provider": form.get("provider", ""),
        "multiple": "multiple" in form,
        "enabled": "enabled" in form,
        "config": config,
        **{name: given[name] or None for name in PRICES},
    }
