"""API keys: made, looked at, given money, changed and ended; users see their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from quart import Response, request

from api import keys as units
from api import own_keys, wire
from api.acts import change
from api.admin.keys import KeyChange, NewKey
from api.keys import Grace
from api.own_keys import NewOwnKey
from api.panel import groups as matrix
from api.panel import guard, key_form, meanwhile
from api.panel.forms import Form, wrong
from api.panel.pages import Page
from api.panel.view import View
from api.panel.words import N_
from hub.accounts import groups, idempotency, keyring, money, permits
from hub.accounts.audit import Act
from hub.accounts.definitions import Stale
from hub.accounts.grants import Holder
from hub.accounts.keyring import Account, Payment, Wanted
from hub.accounts.keys import Key
from hub.errors import Forbidden, NotFound, RequestError
from hub.records import statistics
from hub.records.statistics import Asked, Of
from hub.records.tally import Sums
from hub.store import Connection, listing
from hub.store.listing import Part

page = Page("keys", N_("API Keys"), icon="key")
SHOWN = 50
DIGITS = 9
"""The most that the id of a group is looked for with: the database's integers hold no more."""
FEW = 10
"""How many recharges, and own keys, the page of a key shows."""
NO_AMOUNT = N_("An amount above 0, such as 12.50.")
TOO_MUCH = N_("This is too much: at most 1,000,000,000 at a time.")
ROLES = {"admin": N_("Admin"), "user": N_("User")}
SOURCES = {
    "config": N_(
        "This key is declared in config.yaml. Its quota and its e-mail address can be changed here, the rest there."
    ),
    "bootstrap": N_(
        "This is the admin key of the first start, so that there always is one. To replace it, start the hub with "
        "another BOTHUB_API_KEY."
    ),
}
"""Why some keys can be neither rotated nor revoked here."""


@dataclass(frozen=True, kw_only=True)
class Detail:
    """A key, and all that its page tells of it."""

    account: Account
    owner: Account | None
    payments: listing.Page[Payment]
    own: listing.Page[Account]
    group: str | None


@page.shows("keys.html")
async def state(view: View) -> dict[str, Any]:
    """An admin sees all keys, a user their own one and those made with it."""
    hub, now, mine = view.hub, view.hub.clock(), view.key
    part = view.part(SHOWN)
    if not view.is_admin:
        own = await hub.store.read(lambda connection: keyring.listed(connection, Wanted(owner_id=mine.id), now, part))
        return {"accounts": own, "groups": {}, **await _shown(view, mine.id)}
    text, group = view.query.get("q", "").replace("\x00", ""), view.query.get("group", "")
    if group and not (group.isascii() and group.isdecimal() and len(group) <= DIGITS):
        raise RequestError(view.say("There is no such group."), param="group")
    wanted = Wanted(text=text or None, group_id=int(group) if group else None)
    found = await hub.store.read(lambda connection: keyring.listed(connection, wanted, now, part))
    return {"accounts": found, "groups": await _groups(view), "state_of": state_of, "month": month_end(now)}


@page.get("/new")
async def new(view: View) -> Response:
    """Where a key is described that is to be made."""
    _maker(view)
    return await _form(view, Form(values=key_form.fresh(view)))


@page.post("/new")
async def create(view: View) -> Response:
    """Make the key, and show its secret this once."""
    owner = _maker(view)
    form = await view.form()
    try:
        if view.is_admin:
            said = wire.fit(key_form.of_admin(form), NewKey, strict=False)
            values = said.columns()
            made = await _once(view, "key.create", lambda act: units.make(act, said.name, values))
        else:
            new = wire.fit(key_form.of_user(form), NewOwnKey, strict=False)
            values = own_keys.rights(new, owner)
            made = await _once(view, "key.create", lambda act: units.make(act, new.name, values, owner.id))
    except RequestError as error:
        return await _form(view, Form(values=key_form.typed(form), wrong=wrong(view.words, error, key_form.WRONG)), 400)
    return _secret(view, *made)


@page.shows("key.html", rule="/<int(max=2147483647):id>")
async def detail(view: View, id: int) -> dict[str, Any]:
    """One key."""
    return await _shown(view, id)


@page.get("/<int(max=2147483647):id>/edit")
async def edit(view: View, id: int) -> Response:
    """Where an admin changes a key."""
    account = await _account(view, id)
    _admin(view)
    return await _form(view, meanwhile.made_from(key_form.known(account)), account=account)


@page.post("/<int(max=2147483647):id>/edit")
async def update(view: View, id: int) -> Response:
    """Change it; it holds from the next request on."""
    account = await _account(view, id)
    _admin(view)
    form = await view.form()
    typed, known = key_form.typed(form), key_form.known(account)
    if both := meanwhile.overtaken(form, typed, known):
        return await _form(view, both, 409, account=account)

    def unit(act: Act) -> None:
        keyring.hold(act.connection, id)
        if key_form.known(units.found(act, id)) != known:
            raise Stale(f"The key {id} was saved meanwhile.")
        units.update(act, id, values)

    try:
        said = wire.fit({"id": id, **key_form.changes(form, account)}, KeyChange, strict=False)
        values = units.columns(said)
        del values["id"]
        await change("key.update", unit)
    except Stale:
        return await update(view, id)
    except RequestError as error:
        shown = Form(values=typed, wrong=wrong(view.words, error, key_form.WRONG), was=form.get(meanwhile.FIELD, ""))
        return await _form(view, shown, 400, account=account)
    return view.done(view.say("The key is saved."), f"{page.path}/{id}")


@page.post("/<int(max=2147483647):id>/recharge")
async def recharge(view: View, id: int) -> Response:
    """Add to its balance, once for each form."""
    _admin(view)
    form, once = await view.form(), await view.once()
    try:
        amount = money.amount(form.get("balance", "").strip(), "balance")
        await change("key.recharge", lambda act: units.recharge(act, id, amount, once))
    except RequestError as error:
        told = wrong(view.words, error, {"balance": TOO_MUCH if error.code == "out_of_range" else NO_AMOUNT})
        return view.render("key.html", 400, page=page, **await _shown(view, id, Form(values=dict(form), wrong=told)))
    return view.done(
        view.say("{amount} were added to the balance.", amount=view.words.money(amount)), f"{page.path}/{id}"
    )


@page.post("/<int(max=2147483647):id>/rotate")
async def rotate(view: View, id: int) -> Response:
    """Give it another secret, and show that this once."""
    grace = msgspec.convert((await view.form()).get("grace", "0"), Grace, strict=False)
    owner = _maker(view)
    made = await _once(view, "key.rotate", lambda act: units.rotate(act, _handled(owner, act, id), grace))
    return _secret(view, *made)


@page.post("/<int(max=2147483647):id>/revoke")
async def revoke(view: View, id: int) -> Response:
    """End it for good, and those made with it."""
    owner = _maker(view)
    await change("key.delete", lambda act: units.end(act, _handled(owner, act, id)))
    return view.done(view.say("The key is revoked: nothing that uses it is answered any more."), page.path)


async def _form(view: View, form: Form, status: int = 200, account: Account | None = None) -> Response:
    return view.render(
        "key_form.html",
        status,
        page=page,
        form=form,
        account=account,
        groups=await _groups(view) if view.is_admin else {},
        scopes=key_form.scopes(view),
        roles=ROLES,
        fixed=account is not None and account.source in keyring.THEIRS,
    )


async def _once(view: View, what: str, unit: Callable[[Act], tuple[Account, str]]) -> tuple[Account, str | None]:
    """The key that a unit gives a secret, and that secret; a form that is sent again gives none, and gets the key."""
    once = await view.once()

    def first(act: Act) -> tuple[Account, str | None]:
        claim = idempotency.begin(act.connection, view.key.id, f"panel:{once}", what, act.now)
        if claim.body is not None:
            return keyring.account(act.connection, int(claim.body), act.now), None
        account, secret = unit(act)
        idempotency.finish(act.connection, claim, 200, str(account.key.id).encode())
        return account, secret

    return await change(what, first)


def _secret(view: View, account: Account, secret: str | None) -> Response:
    if secret is None:
        told = view.say(
            "This was done when the form was first sent. The secret was shown then; rotate it if you lack it."
        )
        return view.done(told, f"{page.path}/{account.key.id}")
    usable = (
        each.name for each in view.hub.names() if permits.may_use(account.key, each.kind, each.name, public=each.public)
    )
    scheme = "https" if guard.is_https(request) else "http"
    url = f"{scheme}://{request.host}/v1"
    return view.render("key_secret.html", page=page, account=account, secret=secret, url=url, model=next(usable, ""))


async def _shown(view: View, id: int, form: Form | None = None) -> dict[str, Any]:
    """What the page of a key shows."""
    hub, now = view.hub, view.hub.clock()
    account = await _account(view, id)

    def read(connection: Connection) -> Detail:
        owner = account.key.owner_id
        group = account.key.group_id
        return Detail(
            account=account,
            owner=None if owner is None or not view.is_admin else keyring.account(connection, owner, now),
            payments=keyring.paid(connection, id, Part(limit=FEW)),
            own=keyring.listed(connection, Wanted(owner_id=id), now, Part(limit=FEW)),
            group=None if group is None else groups.find(connection, group).name,
        )

    month = datetime.fromtimestamp(now, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    asked = Asked(since=month.timestamp(), key_id=id)
    used = await hub.store.read(lambda connection: statistics.measure(connection, asked, by="model", timed=False))
    mine = Holder(side="key", id=id)
    grants = view.is_admin and account.key.owner_id is None and account.key.role != "admin"
    return {
        "rows": await matrix.grantable(view) if grants else (),
        "held": await hub.store.read(lambda connection: matrix.held(connection, mine)) if grants else (),
        "detail": await hub.store.read(read),
        "used": _by_model(used),
        "total": statistics.total(used),
        "month": month_end(now),
        "state_of": state_of,
        "theirs": SOURCES,
        "roles": ROLES,
        "form": form or Form(values={}),
    }


def _by_model(found: statistics.Found) -> list[tuple[Of, Sums]]:
    """The models that were used, the dearest first."""
    each = [(of, sums) for (_, of), sums in found.items() if sums.turns]
    return sorted(each, key=lambda one: (-one[1].fee, -one[1].tokens, str(one[0])))


async def _groups(view: View) -> dict[int, str]:
    found = await view.hub.store.read(lambda connection: groups.listed(connection, None, Part(limit=1000)))
    return {group.id: group.name for group in found.items}


async def _account(view: View, id: int) -> Account:
    """A key that the viewer may see: any for an admin, else the own one and those made with it."""
    now = view.hub.clock()
    account = await view.hub.store.read(lambda connection: keyring.account(connection, id, now))
    if not view.is_admin and view.key.id not in (account.key.id, account.key.owner_id):
        raise NotFound(f"There is no API key {id}.", code="key_not_found")
    return account


def _handled(by: Key, act: Act, id: int) -> Account:
    """A key that this one may rotate and revoke: any for an admin's, else one made with it."""
    return units.found(act, id) if by.role == "admin" else own_keys.own(act, id, by)


def _maker(view: View) -> Key:
    """Whoever may make keys; raises Forbidden for a key that was made with another one."""
    return view.key if view.is_admin else own_keys.maker()


def _admin(view: View) -> None:
    if not view.is_admin:
        raise Forbidden(view.say("This page is for admins."))


def state_of(account: Account, now: float) -> tuple[str, str]:
    """Whether a key works: what to say, and its colour."""
    if not account.key.active:
        return N_("Switched off"), "bad"
    if not account.key.usable(now):
        return N_("Expired"), "warn"
    return N_("Works"), "good"


def month_end(now: float) -> float:
    """When the month is over, in UTC as all quotas."""
    today = datetime.fromtimestamp(now, UTC)
    year, month = divmod(today.year * 12 + today.month, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC).timestamp()
