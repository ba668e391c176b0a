"""Who asks, and what they may: every route says `@require(scope)` or `@without_key`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from ipaddress import ip_address
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

from quart import Quart, g, request

from api import current
from api.ports import Hub
from hub.accounts import keys
from hub.accounts.keys import Key, Scope
from hub.errors import Forbidden, Unauthorized

P = ParamSpec("P")
R = TypeVar("R")
View = Callable[P, Awaitable[R]]
_CHECKED = "_bothub_checked"


def require(*scopes: Scope) -> Callable[[View[P, R]], View[P, R]]:
    """The route answers keys that have one of these scopes, and nobody else."""

    def decorate(view: View[P, R]) -> View[P, R]:
        @wraps(view)
        async def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            key = await identify()
            if not any(key.has(scope) for scope in scopes):
                raise Forbidden(f"This key lacks the scope '{scopes[0]}'.", code="missing_scope")
            g.key = key
            return await view(*args, **kwargs)

        setattr(checked, _CHECKED, scopes)
        return checked

    return decorate


def without_key(view: View[P, R]) -> View[P, R]:
    """The route answers everybody."""
    setattr(view, _CHECKED, None)
    return view


def scopes(view: Callable[..., object]) -> tuple[Scope, ...] | None:
    """The scopes of which a route asks for one; None where it answers everybody."""
    return getattr(view, _CHECKED)


def refuse_unchecked(app: Quart) -> None:
    """Fail when a route says neither `@require` nor `@without_key`."""
    for rule in app.url_map.iter_rules():
        if not hasattr(app.view_functions[rule.endpoint], _CHECKED):
            raise TypeError(f"{rule.rule} says neither @require nor @without_key")


async def identify() -> Key:
    """The key of the current request; raises Unauthorized."""
    hub = current.hub()
    secret = _secret()
    local = hub.local_key if hub.local_key is not None and _is_local() else None
    now = hub.clock()
    key = await hub.store.read(lambda connection: keys.identify(connection, secret, local, now))
    if key is None or not key.usable(now):
        raise Unauthorized(_why_not(hub, secret), code="invalid_api_key")
    hub.used(key.id)
    return key


def _secret() -> str:
    """What the request says its key is; empty when it says nothing."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    secret = bearer if scheme.lower() == "bearer" else request.headers.get("X-Api-Key", "")
    return secret.strip()


def _is_local() -> bool:
    """Whether both Host and, if there is one, Origin name this machine."""
    origin = request.headers.get("Origin")
    hosts = ["//" + request.headers.get("Host", "")] + ([] if origin is None else [origin])
    return all(_is_loopback(host) for host in hosts)


def _is_loopback(url: str) -> bool:
    try:
        name = urlsplit(url).hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _why_not(hub: Hub, secret: str) -> str:
    wrong = (
        "This API key is not valid." if secret else "Send an API key: 'Authorization: Bearer ...' or 'X-Api-Key: ...'."
    )
    if secret.startswith(keys.PREFIXES):
        return wrong
    if hub.local_key is None:
        return f"{wrong} For clients on this machine that have none, set api.local_key in config.yaml."
    return f"{wrong} Clients without one (api.local_key) must use a loopback address, in Host and in Origin."
