"""`bothub keys`: API keys are made, listed, given new secrets and ended."""

from __future__ import annotations

import re
from typing import Any

from pydantic import TypeAdapter, ValidationError
from rich.console import RenderableType
from rich.text import Text

from api import wire
from api.keys import Named, end, make, rotate, shown
from channels.config import Seconds
from hub.accounts import keyring, money
from hub.accounts.audit import Act
from hub.accounts.keyring import Account, Wanted
from hub.accounts.keys import SCOPE, Role
from hub.cli.call import Call
from hub.cli.desk import Desk, act, work
from hub.cli.output import FOLDED, NUMBER, ago, done, short, table, tell
from hub.errors import NotFound, RequestError
from hub.store import Connection
from hub.store.listing import Part

ALL = Part(limit=100_000)
DAY = 86_400.0
_SECONDS: TypeAdapter[float] = TypeAdapter(Seconds)


def create(call: Call, name: str, **options: Any) -> None:
    """Make a key and print its secret, this once."""
    wire.fit({"name": name}, Named)
    values = _values(**options)
    lasts = _seconds(options["expires"], "--expires")

    def unit(act: Act) -> tuple[Account, str]:
        expires = {} if lasts is None else {"expires_at": act.now + lasts}
        return make(act, name, {**values, **expires})

    account, secret = act(call, "key.create", unit)
    tell(shown(account, secret), *_secret(account, secret, "made"), json=call.json)


def show(call: Call) -> None:
    """Print every key."""

    async def look(desk: Desk) -> tuple[list[Account], float]:
        now = desk.now
        found = await desk.store.read(lambda connection: keyring.listed(connection, Wanted(), now, ALL))
        return list(found.items), now

    found, now = work(call, look)
    tell([shown(account) for account in found], *_listed(found, now), json=call.json)


def renew(call: Call, which: str, grace: str) -> None:
    """Give a key another secret and print it, this once; raises Failed where there is no such key."""
    lasts = _seconds(grace, "--grace") or 0.0
    account, secret = act(call, "key.rotate", lambda act: rotate(act, find(act.connection, which, act.now), lasts))
    old = "the one before is void" if not lasts else f"the one before is good for {grace} more"
    tell(shown(account, secret), *_secret(account, secret, "has a new secret", f"; {old}"), json=call.json)


def revoke(call: Call, which: str) -> None:
    """End a key for good; raises Failed where there is no such key."""

    def unit(act: Act) -> Account:
        account = find(act.connection, which, act.now)
        end(act, account)
        return account

    key = act(call, "key.delete", unit).key
    sentence = done("revoked", f"the key {key.id} '{key.name}', and those made with it")
    tell({"success": True, "id": key.id, "name": key.name}, sentence, json=call.json)


def find(connection: Connection, which: str, now: float) -> Account:
    """A unit: a key by its id or its name; raises NotFound, RequestError where the name is that of several."""
    if (number := number_of(which)) is not None:
        return keyring.account(connection, number, now)
    found = keyring.listed(connection, Wanted(name=which), now, Part(limit=10)).items
    if len(found) > 1:
        ids = ", ".join(str(account.key.id) for account in found)
        raise RequestError(f"Several keys are called '{which}': say its id, one of {ids}.")
    if not found:
        raise NotFound(f"There is no API key '{which}'.")
    return found[0]


def number_of(which: str) -> int | None:
    """The id that was said where an id or a name may be."""
    return int(which) if which.isdecimal() and int(which) < 2**31 else None


def _values(
    role: Role,
    scopes: tuple[str, ...],
    quota: str | None,
    group: int | None,
    agents: tuple[str, ...],
    models: tuple[str, ...],
    email: str | None,
    **_: Any,
) -> dict[str, Any]:
    """The columns that the options of `create` give; raises RequestError."""
    for scope in scopes:
        if not re.fullmatch(SCOPE, scope):
            raise RequestError(f"--scope: chat, read, deliver, deliver=PATTERN or admin, not '{scope}'")
    named = {"agents": agents, "models": models, "scopes": scopes}
    return {
        "role": role,
        "month_quota": None if quota is None else money.amount(quota, "--quota"),
        "group_id": group,
        "email": email,
        **{name: " ".join(words) for name, words in named.items() if words},
    }


def _seconds(text: str | None, option: str) -> float | None:
    if text is None:
        return None
    days = re.fullmatch(r"([0-9]{1,5})d", text)
    try:
        return int(days[1]) * DAY if days else _SECONDS.validate_python(text)
    except ValidationError:
        raise RequestError(f"{option}: a time such as 30d, 12h or 5m, not '{text}'") from None


def _secret(account: Account, secret: str, what: str, more: str = "") -> list[RenderableType]:
    about = Text.assemble((account.key.name, "bold"), f" (id {account.key.id}) {what}{more}")
    return [about, Text(secret, style="bold cyan"), Text("Keep it now: it is shown this once.", style="dim")]


def _listed(found: list[Account], now: float) -> list[RenderableType]:
    if not found:
        return [Text("There are no keys yet; the first is made when the hub starts.", style="yellow")]
    balances, states = any(each.balance for each in found), any(_state(each, now) != "active" for each in found)
    made = table(
        ("id", NUMBER),
        ("name", FOLDED),
        ("key", {"no_wrap": True}),
        ("may", FOLDED),
        ("this month", NUMBER),
        *([("balance", NUMBER)] if balances else []),
        ("used", {"no_wrap": True}),
        *(["state"] if states else []),
    )
    for each in found:
        key = each.key
        made.add_row(
            str(key.id),
            Text(short(key.name, 24)),
            f"{key.prefix}…" if key.prefix else "none",
            Text("everything", style="magenta") if key.role == "admin" else Text(" ".join(key.scopes)),
            _amount(each.spent) + ("" if each.month_quota is None else f" of {_amount(each.month_quota)}"),
            *([_amount(each.balance)] if balances else []),
            "never" if each.last_used_at is None else ago(now - each.last_used_at),
            *([Text(_state(each, now), style="" if _state(each, now) == "active" else "red")] if states else []),
        )
    return [made]


def _amount(value: int) -> str:
    return f"{value / money.UNIT:.2f}"


def _state(account: Account, now: float) -> str:
    if not account.key.active:
        return "disabled"
    return "active" if account.key.usable(now) else "expired"
