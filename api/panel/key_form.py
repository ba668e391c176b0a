"""The form of a key: what its fields show, and what they say."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from werkzeug.datastructures import MultiDict

from api.panel.forms import exact, number
from api.panel.view import View
from api.panel.words import N_
from hub.accounts import keyring
from hub.accounts.keyring import Account
from hub.accounts.keys import USER_SCOPES

SCOPES = (
    ("chat", N_("Ask agents and models")),
    ("read", N_("Read what was said, and the metrics")),
    ("deliver", N_("Post to chats")),
    ("admin", N_("Use the admin routes of the API")),
)
_WHOLE = N_("A whole number, or nothing for no limit.")
_NAMES = N_("Names with spaces between them.")
WRONG = {
    "name": N_("A name of up to 200 characters."),
    "email": N_("Up to 200 characters."),
    "month_quota": N_("An amount such as 12.50, or nothing for no limit."),
    "balance": N_("An amount such as 12.50."),
    "requests_minute": _WHOLE,
    "requests_day": _WHOLE,
    "tokens_minute": _WHOLE,
    "tokens_day": _WHOLE,
    "expires_at": N_("A day such as 2027-01-31, or nothing."),
    "agents": _NAMES,
    "models": _NAMES,
    "scopes": N_("Addresses such as support:12345 or support:*, with spaces between them."),
    "group_id": N_("There is no such group any more."),
    "role": "",
}
"""What to say of each field where it is wrong."""
LIMITS = ("requests_minute", "requests_day", "tokens_minute", "tokens_day")
LIMITED = "deliver="


def scopes(view: View) -> list[tuple[str, str]]:
    """The rights that the viewer may give, as far as there is a choice."""
    return [(name, said) for name, said in SCOPES if view.is_admin or (name != "admin" and view.key.has(name))]  # pyright: ignore[reportArgumentType]


def fresh(view: View) -> dict[str, Any]:
    """The fields of a key that is to be made."""
    held = [name for name in USER_SCOPES if view.key.may(name)]
    return {"role": "user", "scope": held, "active": True}


def known(account: Account) -> dict[str, Any]:
    """The fields of a key that there is."""
    key = account.key
    limits = {name: getattr(key.limits, name) for name in LIMITS}
    return {
        "name": key.name,
        "role": key.role,
        "email": account.email,
        "group_id": key.group_id or 0,
        "month_quota": exact(account.month_quota),
        "scope": [name for name in key.scopes if not name.startswith(LIMITED)],
        "posts_to": " ".join(name.removeprefix(LIMITED) for name in key.scopes if name.startswith(LIMITED)),
        "agents": _joined(key.agents),
        "models": _joined(key.models),
        "expires_at": "" if key.expires_at is None else f"{datetime.fromtimestamp(key.expires_at, UTC):%Y-%m-%d}",
        "active": key.active,
        **limits,
    }


def typed(form: MultiDict[str, str]) -> dict[str, Any]:
    """The fields as they were sent."""
    return {**dict(form), "scope": form.getlist("scope"), "active": "active" in form}


def of_user(form: MultiDict[str, str]) -> dict[str, Any]:
    """What a user says of a key to be made."""
    return {"name": form.get("name", "").strip(), **_rights(form)}


def of_admin(form: MultiDict[str, str]) -> dict[str, Any]:
    """What an admin says of one."""
    balance = form.get("balance", "").strip()
    return {
        "name": form.get("name", "").strip(),
        **_rights(form),
        **_account(form),
        **({"balance": balance} if balance else {}),
    }


def changes(form: MultiDict[str, str], account: Account) -> dict[str, Any]:
    """What an admin says of a key that there is, of what may be said of it."""
    if account.source in keyring.THEIRS:
        return {name: _account(form)[name] for name in sorted(keyring.CHANGEABLE)}
    said = {**of_admin(form), "active": "active" in form}
    said.pop("balance", None)
    if form.get("expires_at", "").strip() == known(account)["expires_at"]:
        del said["expires_at"]  # its hour stays, too
    if account.key.owner_id is not None:
        return {name: value for name, value in said.items() if name not in keyring.NOT_OF_OWNED}
    return said


def _rights(form: MultiDict[str, str]) -> dict[str, Any]:
    limited = [f"{LIMITED}{pattern}" for pattern in form.get("posts_to", "").split()]
    held = [name for name in form.getlist("scope") if name != "deliver" or not limited]
    return {
        "scopes": held + limited,
        "agents": form.get("agents", "").split() or None,
        "models": form.get("models", "").split() or None,
        "expires_at": _day(form.get("expires_at", "").strip()),
    }


def _account(form: MultiDict[str, str]) -> dict[str, Any]:
    group = number(form, "group_id")
    return {
        "role": form.get("role", "user"),
        "email": form.get("email", "").strip() or None,
        "group_id": group or None,
        "month_quota": form.get("month_quota", "").strip() or None,
        **{name: number(form, name) for name in LIMITS},
    }


def _day(said: str) -> int | str | None:
    """The end of a key, at the beginning of a day (UTC); what is no day is left for who checks it to name."""
    try:
        return int(datetime.strptime(said, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) if said else None
    except ValueError:
        return said


def _joined(names: Iterable[str] | None) -> str:
    return "" if names is None else " ".join(names)
