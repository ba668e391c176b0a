"""What a page is given: who looks, in which language, and the ways to answer."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, Protocol, TypeVar, cast
from urllib.parse import quote, unquote, urlencode, urlsplit

import msgspec
from markupsafe import Markup
from quart import Quart, Response, current_app, g, redirect, request
from quart.datastructures import FileStorage
from werkzeug.datastructures import MultiDict

from api import current, wire
from api.panel import guard, render
from api.panel.shared import FRESH, Shared
from api.panel.words import LANGUAGES, Language, Words, preferred, words
from api.ports import Hub
from hub.accounts import logins
from hub.accounts.keys import Key
from hub.errors import RequestError, Unauthorized
from hub.store import Connection
from hub.store.listing import Part

T = TypeVar("T")
Theme = Literal["auto", "light", "dark"]
THEMES: tuple[Theme, ...] = ("auto", "light", "dark")
FLASH = "bothub_flash"
LANGUAGE = "bothub_language"
THEME = "bothub_theme"
ANSWERED = "bothub_answered"
"""Tells the page that a form leads to where that was sent: the browser keeps what was typed until then (forms.js)."""
SHOWN_SECONDS = 60
"""How long a message waits for the page that shows it."""
LONGEST_FLASH = 500
SEPARATOR = "~"
"""Between the parts of a key that a list goes on after."""
PAGES = "bothub.panel.pages"
"""Under which an app keeps the pages of its panel."""
_PARTS = "bothub.panel"


class Flash(msgspec.Struct, frozen=True):
    """A message that the next page shows once."""

    text: str
    kind: Literal["good", "bad"] = "good"


def whole(word: str) -> int:
    """A whole number that the database's integers hold, from 0 on; raises ValueError."""
    found = int(word)
    if not 0 <= found < 2**63:
        raise ValueError(word)
    return found


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What all requests of an app's panel have in common."""

    throttle: guard.Throttle
    shared: Shared


def parts() -> Parts:
    """Those of this app."""
    app: Quart = current_app
    if _PARTS not in app.extensions:
        hub = current.hub()
        app.extensions[_PARTS] = Parts(throttle=guard.Throttle(hub.clock), shared=Shared(hub.store))
    return cast(Parts, app.extensions[_PARTS])


class Entry(Protocol):
    """A page as the navigation offers it."""

    name: str
    title: str
    icon: str
    path: str

    def open_to(self, key: Key) -> bool:
        """Whether a key sees it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Guest:
    """Somebody who looks, perhaps without a login; what needs no request is still good after it."""

    hub: Hub
    language: Language
    theme: Theme
    path: str
    """Of the page, with what stands behind the `?`; of the one that the form is on, where one was sent."""
    query: Mapping[str, str]
    """What stands behind the `?`."""
    pages: Sequence[Entry]
    """All that there are."""
    flash: Flash | None = None
    key: Key | None = None
    form_token: str = ""
    answers: str = ""
    """Where the form was sent that this page answers, if it answers one."""
    is_sent: bool = False
    """Whether it was sent to this page, and has not led to it."""

    @property
    def words(self) -> Words:
        return words(self.language)

    @property
    def live_path(self) -> str:
        """Where the parts of the page come from that change."""
        path, mark, query = self.path.partition("?")
        return f"{path}/live{mark}{query}"

    def with_query(self, **changed: str | None) -> str:
        """The same page with other words behind the `?`; None takes one away."""
        query = {name: value for name, value in {**self.query, **changed}.items() if value is not None}
        path = self.path.partition("?")[0]
        return f"{path}?{urlencode(query)}" if query else path

    def part(self, limit: int, *kinds: Callable[[str], Any]) -> Part:
        """Which part of a list is asked for, by `after`; `kinds` read the list's key, which is an id unless given."""
        after = self.query.get("after")
        if not after:
            return Part(limit=limit)
        words = after.split(SEPARATOR)
        try:
            key = tuple(kind(word) for kind, word in zip(kinds or (whole,), words, strict=True))
        except ValueError:
            raise RequestError("This is no place in the list.", param="after") from None
        return Part(limit=limit, after=key)

    def say(self, sentence: str, /, **values: object) -> str:
        """A sentence in the viewer's language."""
        return self.words.say(sentence, **values)

    def count(self, one: str, many: str, n: int, /, **values: object) -> str:
        """A sentence about `{n}` things."""
        return self.words.count(one, many, n, **values)

    def choices(
        self, name: str, known: Mapping[str, str], chosen: str | None, none: str = ""
    ) -> list[tuple[str, str, bool]]:
        """Links that change one word behind the `?`: label, address, and whether it is chosen."""
        every = [(none, self.with_query(**{name: None}), chosen is None)] if none else []
        links = ((self.say(label), self.with_query(**{name: one}), one == chosen) for one, label in known.items())
        return [*every, *links]

    def html(self, template: str, /, **context: Any) -> str:
        """What a template says to this viewer."""
        return render.page(self.language, template, self._context(context))

    def block(self, template: str, name: str, /, **context: Any) -> str:
        """What one block of it says."""
        return render.block(self.language, template, name, self._context(context))

    def _context(self, context: Mapping[str, Any]) -> dict[str, Any]:
        now = self.hub.clock()

        def when(at: float | None) -> Markup | str:
            return self.words.when(at, now)

        return {"view": self, "now": now, "when": when, **context}

    def render(self, template: str, status: int = 200, /, **context: Any) -> Response:
        """A page, which shows the message that waits."""
        answer = Response(self.html(template, **context), status, content_type="text/html; charset=utf-8")
        if self.flash is not None:
            answer.delete_cookie(FLASH, path=guard.PATH)
        if self.answers:
            answer.delete_cookie(ANSWERED, path=guard.PATH)
        return answer

    def json(self, value: Any, status: int = 200) -> Response:
        """What a module asked for."""
        return wire.answer(value, status)

    def go(self, path: str) -> Response:
        """On to another page, with a GET."""
        return cast(Response, redirect(path, 303))

    def done(self, sentence: str, path: str | None = None, *, kind: Literal["good", "bad"] = "good") -> Response:
        """On to a page, else back to the one the form is on, which says this; never a secret."""
        answer = self.go(back() if path is None else path)
        flash = msgspec.json.encode(Flash(sentence[:LONGEST_FLASH], kind))
        set_cookie(answer, FLASH, base64.urlsafe_b64encode(flash).decode(), SHOWN_SECONDS)
        return answer

    async def form(self) -> MultiDict[str, str]:
        """The fields of the form that was sent."""
        return await fields()

    async def once(self) -> str:
        """What names the form that was sent, however often it is sent: 32 hex digits, for what is done once by them."""
        form = await fields()
        given = form.get("once") or uuid.uuid4().hex
        # With what it says: who goes back to it and says something else means another thing to be done.
        said = sorted(form.items(multi=True))
        return sha256(f"{self.key and self.key.id} {request.path} {given} {said}".encode()).hexdigest()[:32]

    async def files(self) -> MultiDict[str, FileStorage]:
        """The files that were sent with it."""
        return await request.files


@dataclass(frozen=True, kw_only=True)
class View(Guest):
    """Somebody who is logged in."""

    key: Key  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues] - narrower, and frozen
    token: str
    _shared: Shared

    @property
    def is_admin(self) -> bool:
        return self.key.role == "admin"

    async def shared(self, name: str, unit: Callable[[Connection], T], *, fresh: float = FRESH) -> T:
        """What a unit reads, read once for all who ask for it within `fresh` seconds; the name says what it is."""
        return await self._shared.read(name, unit, fresh)

    async def holds(self) -> bool:
        """Whether the login still is one; this counts as using it."""
        return await _login(self.hub, self.token) is not None


async def fields() -> MultiDict[str, str]:
    """Those of the form that was sent."""
    return cast(MultiDict[str, str], await request.form)  # pyright: ignore[reportUnknownMemberType] - Quart's


def guest() -> Guest:
    """Whoever asks."""
    return Guest(**_common())


async def view() -> View:
    """Who is logged in; raises Unauthorized."""
    hub, token = current.hub(), request.cookies.get(guard.COOKIE, "")
    key = await _login(hub, token) if token else None
    if key is None:
        raise Unauthorized("You are not logged in.", code="login")
    g.key = key
    hub.used(key.id)
    return View(**_common(), key=key, token=token, form_token=guard.form_token(token), _shared=parts().shared)


async def _login(hub: Hub, token: str) -> Key | None:
    """The key of a login, whose end moves away as it is used."""
    now = hub.clock()
    found = await hub.store.read(lambda connection: logins.find(connection, token, now))
    if found is None:
        return None
    key, until = found
    if until < now + logins.LASTS - logins.NOTED:
        await hub.store.write(lambda connection: logins.extend(connection, token, now))
    return key


def _common() -> dict[str, Any]:
    theme, sent = request.cookies.get(THEME), request.method == "POST"
    return {
        "hub": current.hub(),
        "language": preferred(request.cookies.get(LANGUAGE), request.headers.get("Accept-Language", "")),
        "theme": theme if theme in THEMES else "auto",
        "path": back() if sent else _path(),
        "query": dict(request.args),
        "pages": current_app.extensions[PAGES],
        # These are for the page that a form leads to, which may be in another tab.
        "flash": None if sent else _flash(request.cookies.get(FLASH)),
        "answers": "" if sent else unquote(request.cookies.get(ANSWERED, "")),
    }


def _path() -> str:
    """What was asked for as it stands in an address: Quart has read what was written as %23 or the like."""
    path, query = quote(request.path, safe="/:@"), request.query_string.decode()
    return f"{path}?{query}" if query else path


def _flash(cookie: str | None) -> Flash | None:
    try:
        return None if not cookie else msgspec.json.decode(base64.urlsafe_b64decode(cookie), type=Flash)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return None


def back() -> str:
    """The page that a form was sent from, as far as the browser says."""
    came = urlsplit(request.headers.get("Referer", ""))
    is_ours = came.netloc == request.host  # a proxy before us may have the scheme differ
    return guard.local(came._replace(scheme="", netloc="", fragment="").geturl() if is_ours else None)


def set_cookie(answer: Response, name: str, value: str, seconds: int) -> None:
    """A cookie that no script reads and no other site sends along."""
    secure = guard.is_https(request)
    answer.set_cookie(name, value, seconds, path=guard.PATH, httponly=True, secure=secure, samesite="Strict")


__all__ = ["LANGUAGES", "Flash", "Guest", "Theme", "View", "back", "guest", "parts", "set_cookie", "view", "whole"]
