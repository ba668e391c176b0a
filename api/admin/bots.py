"""/admin/bot/<kind>: channels that are saved while the hub runs, as BRConnector's clients know bots.

What they send is `{name, config, provider}`, where `config` is an object or its JSON as a text, or one flat object.
Besides the keys of config.yaml (`appId` is `app_id`) it holds two of theirs: `modelId`, an agent or a model, and
`apiKey`, the key of this hub that pays. Around a model an agent is made that remembers, and goes with the bot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

import msgspec
from quart import Blueprint, Response

from api import current, wire
from api.auth import require
from api.document import document
from api.envelope import Done, Id, Listed, Paging, Text, done
from api.saved import config_of, listed, save, told
from api.wire import query, read
from hub.accounts import keys
from hub.accounts.definitions import MASK, Change, Shown
from hub.channel import State
from hub.errors import NotFound, RequestError
from hub.records.health import Health, of_channels

routes = Blueprint("admin-bots", __name__)
ROOTS = ("/admin/bot", "/admin/bot-connector")
APART = ("kind", "enabled", "agent", "payer")
"""What stands beside `config` in answers."""
OURS = {"bot_token": "token"}
"""What BRConnector's clients call otherwise, beside the capitals."""


class SavedBot(msgspec.Struct, kw_only=True):
    """A bot to save, or with `id`, or the `appId` of one there is, what to change of it.

    What stands in `config` may also stand here. `provider` is ignored: it is in the path.
    """

    id: Id | None = None
    name: Text | None = None
    provider: Text | None = None
    enabled: bool | None = None
    config: dict[str, Any] | str | None = None


class BotId(msgspec.Struct, kw_only=True):
    """A bot."""

    id: Id


class BotQuery(Paging, kw_only=True):
    """Which bots to list; `q` is looked for in their names."""

    q: Text | None = None


class Bot(TypedDict):
    """A bot, which is the channel called `name`; secrets in `config` are masked, times Unix seconds.

    `source` is `config` where config.yaml declares it, `key_id` the key that pays. `state` is how its connection is,
    and `error` why it is not in use, or what its platform last said.
    """

    id: int
    name: str
    provider: str
    enabled: bool
    agent: str
    config: dict[str, Any]
    key_id: int | None
    state: State
    error: str | None
    source: Literal["config", "admin"]
    created_at: int
    updated_at: int


def each(method: Literal["get", "post"], rest: str) -> Any:
    """The same route below each of the roots."""

    def decorate(view: Any) -> Any:
        for root in ROOTS:
            getattr(routes, method)(f"{root}/<kind>/{rest}", endpoint=f"{view.__name__}{root.replace('/', '-')}")(view)
        return view

    return decorate


@each("post", "save")
@require("admin")
@document({200: Done[Bot]}, body=SavedBot, errors=(409,))
async def put(kind: str) -> Response:
    """Save a bot, or change one; it runs at once."""
    _known(kind)
    body = wire.decode(await wire.body())
    said = wire.fit(body, SavedBot)
    flat = {name: value for name, value in body.items() if name not in SavedBot.__struct_fields__}
    given = {OURS.get(name, name): value for name, value in {**config_of(flat), **config_of(said.config or {})}.items()}
    if said.enabled is not None:
        given["enabled"] = said.enabled
    changes = await _changes(kind, said, given)
    saved = next(one for one in await save(*changes) if one.kind == "channel")
    return done(await _shown(saved))


@each("post", "delete")
@require("admin")
@document({200: Done[bool]}, body=BotId, errors=(409,))
async def delete(kind: str) -> Response:
    """Stop a bot and forget it; what waits to be sent waits for a day for one of its name."""
    _known(kind)
    await save(*await removal(await _found(kind, (await read(BotId)).id)))
    return done()


@each("get", "list")
@require("admin")
@document({200: Listed[Bot]}, query=BotQuery)
async def index(kind: str) -> Response:
    """Bots of a kind, those of config.yaml too, by their ids."""
    _known(kind)
    asked = query(BotQuery)
    found = [one for one in await _all(kind) if (asked.q or "").lower() in one.name]
    made, health = await current.hub().definitions.list("agent"), await current.hub().store.read(of_channels)
    return listed(asked, found, lambda one: shown(one, made, health))


@each("get", "detail/<int(max=2147483647):id>")
@require("admin")
@document({200: Done[Bot]})
async def detail(kind: str, id: int) -> Response:
    """One bot."""
    _known(kind)
    return done(await _shown(await _found(kind, id)))


def shown(one: Shown, agents: Sequence[Shown], health: Mapping[str, Health]) -> Bot:
    """A bot as BRConnector's clients know it."""
    settings, now = one.settings, health.get(one.name)
    agent, payer = settings.get("agent", ""), settings.get("payer")
    made = next((each for each in agents if each.name == agent and agent == made_name(one.name)), None)
    config = {"modelId": agent if made is None else made.settings.get("model", ""), "apiKey": MASK if payer else ""}
    enabled = settings.get("enabled", True)
    return {
        "id": one.id,
        "name": one.name,
        "provider": settings.get("kind", ""),
        "enabled": enabled,
        "agent": agent,
        "config": config | told(settings, *APART),
        "key_id": payer,
        "state": now.state if now and enabled and not one.error else "stopped",
        "error": one.error or (now.error if now and enabled else None),
        "source": one.source,
        "created_at": int(one.created_at),
        "updated_at": int(one.updated_at),
    }


def made_name(bot: str) -> str:
    """What the agent is called that is made for a bot."""
    return f"bot-{bot}"


async def removal(bot: Shown) -> list[Change]:
    """What to save to forget a bot: it, and the agent that was made for it."""
    gone = Change(kind="channel", id=bot.id, settings=None)
    made = await _made_for(bot.name)
    return [gone] if made is None else [gone, Change(kind="agent", id=made.id, settings=None)]


async def _changes(kind: str, said: SavedBot, given: dict[str, Any]) -> list[Change]:
    """What to save for a request: the bot, and before or after it the agent that is made for it."""
    before = await _before(kind, said, given)
    name = before.name if before and not said.name else _name(said.name, kind, given)
    model = given.pop("model_id", None)
    settings = given | await _payer(given) | ({"kind": kind} if before is None else {})
    settings.pop("api_key", None)
    if kind == "feishu":
        settings = _as_feishu(settings, before)
    change = Change(kind="channel", id=before and before.id, name=name, settings=settings)
    if model is None:
        return [change]
    made = await _made_for(name)
    agent = made_name(name)
    if model == agent and made is not None:
        return [change]
    if not isinstance(model, str) or (found := await _named(model)) is None:
        raise RequestError(f"modelId: there is no agent or model {model!r}", param="config.modelId")
    if found == "model":
        around = Change(kind="agent", id=made and made.id, name=agent, settings={"model": model, "public": False})
        settings["agent"] = agent
        return [around, change]
    settings["agent"] = model
    return [change] if made is None else [change, Change(kind="agent", id=made.id, settings=None)]


async def _before(kind: str, said: SavedBot, given: Mapping[str, Any]) -> Shown | None:
    """The bot that is to be changed, or None for a new one."""
    if said.id is not None:
        return await _found(kind, said.id)
    app_id = given.get("app_id")
    same = (one for one in await _all(kind) if app_id and one.settings.get("app_id") == app_id)
    return next(same, None)


def _as_feishu(settings: dict[str, Any], before: Shown | None) -> dict[str, Any]:
    """Pushed to where it has a token to check, else connected; open to whom its app is open to."""
    if "verification_token" in settings and "mode" not in settings and settings["verification_token"] != MASK:
        settings = {**settings, "mode": "webhook" if settings["verification_token"] else "socket"}
    return settings if before else {"direct": "open", **settings}


async def _payer(given: Mapping[str, Any]) -> dict[str, Any]:
    """Who pays, by the key that is given; null is nobody."""
    secret = given.get("api_key", MASK)
    if secret == MASK:
        return {}
    if not secret:
        return {"payer": None}
    hub = current.hub()
    now = hub.clock()
    key = None
    if isinstance(secret, str):
        key = await hub.store.read(lambda connection: keys.find(connection, secret, now))
    if key is None or not key.usable(now):
        raise RequestError("apiKey: is no key of this hub that is valid", param="config.apiKey")
    return {"payer": key.id}


def _name(given: str | None, kind: str, settings: Mapping[str, Any]) -> str:
    """What the channel of a new bot is called: its name as far as channels may be called so."""
    for text in (given or "", f"{kind}-{settings.get('app_id', '')}"):
        if name := re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-"):
            return name
    return kind


async def _named(name: str) -> Literal["agent", "model"] | None:
    hub = current.hub()
    return await current.known(lambda: next((one.kind for one in hub.names() if one.name == name), None))


async def _made_for(bot: str) -> Shown | None:
    """The agent that was made for a bot."""
    agents = await current.hub().definitions.list("agent")
    return next((one for one in agents if one.name == made_name(bot) and one.source == "admin"), None)


async def _all(kind: str) -> list[Shown]:
    return [one for one in await current.hub().definitions.list("channel") if one.settings.get("kind") == kind]


async def _found(kind: str, id: int) -> Shown:
    for one in await _all(kind):
        if one.id == id:
            return one
    raise NotFound(f"There is no {kind} bot {id}.", code="bot_not_found")


async def _shown(one: Shown) -> Bot:
    hub = current.hub()
    return shown(one, await hub.definitions.list("agent"), await hub.store.read(of_channels))


def _known(kind: str) -> None:
    kinds = current.hub().kinds
    if kind not in kinds:
        raise NotFound(f"There are no bots of the kind '{kind}'; there are: {', '.join(kinds)}.", code="unknown_kind")
