"""The pages, and what they have in common: who may see them, how forms are checked, what keeps them up to date."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, wraps
from http import HTTPStatus
from importlib import import_module
from typing import Any
from urllib.parse import quote, urlencode

from quart import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from api import current, errors, sse
from api.auth import without_key
from api.panel import guard
from api.panel.shared import Shared
from api.panel.view import ANSWERED, SHOWN_SECONDS, Guest, View, fields, guest, parts, set_cookie, view
from api.panel.words import N_
from hub.errors import Forbidden, NotFound, RequestError, StoreUnavailable, Unauthorized
from hub.signals import Signals

PAGES = (
    "api.panel.overview",
    "api.panel.chat",
    "api.panel.channels",
    "api.panel.agents",
    "api.panel.models",
    "api.panel.keys",
    "api.panel.groups",
    "api.panel.sessions",
    "api.panel.deliveries",
    "api.panel.trace",
    "api.panel.logs",
    "api.panel.settings",
)
"""In the order of the navigation."""
EVERY = 2.0
"""How long a live page waits before it looks again, in seconds."""
WAKES = "definitions"
"""The signal that has it look at once: a model, an agent or a channel was saved."""
GONE = N_("It is not there any more")
LONG = {"system_prompt": N_("Prompt"), "text": N_("Text")}
"""Fields whose text somebody wrote with care: it is shown again where it cannot be saved any more."""
State = Mapping[str, Any]
Show = Callable[..., Awaitable[State]]
Answer = Callable[..., Awaitable[Response]]


class Page:
    """A page of the navigation, and the routes below it; see api/panel/__init__.py."""

    def __init__(self, name: str, title: str, *, icon: str, admin: bool = False) -> None:
        self.name = name
        self.title = title
        self.icon = icon
        self.admin = admin
        self.path = f"{guard.PATH}/{name}"
        self.routes = Blueprint(f"panel-{name}", __name__, url_prefix=self.path)
        self.routes.register_error_handler(Exception, failed)
        self.routes.register_error_handler(HTTPException, failed)
        self.routes.after_request(_protected)

    def open_to(self, key: Any) -> bool:
        """Whether a key sees it."""
        return not self.admin or key.role == "admin"

    def get(self, rule: str = "") -> Callable[[Answer], Answer]:
        """Something to look at: the view of whoever is logged in, then the rule's parameters."""
        return self._route("GET", rule)

    def post(self, rule: str = "") -> Callable[[Answer], Answer]:
        """Something to do: a form of this panel's, checked before."""
        return self._route("POST", rule)

    def shows(self, template: str, *, rule: str = "", live: Sequence[str] = (), every: float = EVERY) -> Any:
        """The page of a template with what a function of the view returns; `live` blocks are sent as they change."""

        def decorate(state: Show) -> Show:
            async def index(view: View, **names: Any) -> Response:
                return view.render(template, page=self, live=bool(live), **await state(view, **names))

            async def follow(view: View, **names: Any) -> Response:
                async def now() -> dict[str, str]:
                    context = {"page": self, **await state(view, **names)}
                    return {name: view.block(template, name, **context) for name in live}

                shared = parts().shared
                shared.check()
                return sse.stream(_live(view, shared, now, every, current.keep_alive()))

            index.__name__ = state.__name__
            self.get(rule)(index)
            if live:
                follow.__name__ = f"{state.__name__}_live"
                self.get(f"{rule}/live")(follow)
            return state

        return decorate

    def _route(self, method: str, rule: str) -> Callable[[Answer], Answer]:
        def decorate(answer: Answer) -> Answer:
            @wraps(answer)
            async def checked(**names: Any) -> Response:
                who = await view()
                if not self.open_to(who.key):
                    raise Forbidden(who.say("This page is for admins."))
                if method != "POST":
                    return await answer(who, **names)
                given = request.headers.get(guard.HEADER) or (await fields()).get(guard.FIELD, "")
                guard.check_form(request, who.token, given)
                made = await answer(replace(who, answers=request.path, is_sent=True), **names)
                if made.status_code == HTTPStatus.SEE_OTHER:
                    set_cookie(made, ANSWERED, quote(request.path), SHOWN_SECONDS)
                return made

            endpoint = f"{answer.__name__}_{method.lower()}"
            self.routes.add_url_rule(rule, endpoint, without_key(checked), methods=[method])
            return answer

        return decorate


async def _live(
    view: View, shared: Shared, now: Callable[[], Awaitable[dict[str, str]]], every: float, silence: float
) -> AsyncIterator[bytes]:
    """The blocks of a page, all of them first and then those that changed, until the login ends."""
    signals: Signals = view.hub.signals
    with shared.watching(), signals.listen(WAKES) as listener:
        sent: dict[str, str] = {}
        quiet = 0.0
        while True:
            try:
                if not await view.holds():
                    yield sse.event({}, "ended")
                    return
                found = await now()
            except NotFound:
                found = sent  # it was deleted: the page stays as it was until somebody leaves it
            except StoreUnavailable:
                yield sse.event({}, "away")
                found = {}  # what is sent again then tells that it is back
            changed = {name: html for name, html in found.items() if sent.get(name) != html}
            sent = found
            if changed:
                yield sse.event(changed, "blocks")
            quiet = 0.0 if changed else quiet + every
            if quiet >= silence:
                quiet = 0.0
                yield sse.KEEP_ALIVE
            await listener.next(every)
            listener.clear()


@cache
def pages() -> tuple[Page, ...]:
    """All of them."""
    return tuple(import_module(name).page for name in PAGES)


async def _protected(response: Response) -> Response:
    return guard.protect(response)


async def failed(error: Exception) -> Response | HTTPException:
    """What a person is told of an exception: a page, a message where a form was sent, or to log in."""
    if isinstance(error, HTTPException) and (error.code is None or error.code < 400):
        return error
    try:
        who: Guest = await view()
    except (Unauthorized, StoreUnavailable):
        who = guest()
    wants_page = "text/html" in request.headers.get("Accept", "text/html") and not request.path.endswith("/live")
    problem = errors.describe(error)
    if isinstance(error, Unauthorized) and request.method == "GET" and sse.asked_for():
        return sse.stream(_ended())  # a browser does not tell its page of a status, and would ask for ever
    if not wants_page:
        return errors.response(request.path, problem)
    if isinstance(error, Unauthorized):
        asked = {"next": who.path}
        if request.method == "POST" or guard.COOKIE in request.cookies:
            asked["ended"] = "1"
        return who.go(f"{guard.PATH}/login?{urlencode(asked)}")
    is_told = isinstance(error, RequestError) and not isinstance(error, Forbidden | NotFound)
    if request.method == "POST" and is_told and who.key is not None:
        return who.done(str(error), kind="bad")
    gone = request.method == "POST" and isinstance(error, NotFound) and who.key is not None
    answer = who.render(
        "problem.html",
        problem.status,
        title=GONE if gone else _titles(problem.status),
        text=problem.message,
        typed=await _lost() if gone else {},
        **_here(who),
    )
    answer.headers.update(problem.headers)
    return answer


async def _ended() -> AsyncIterator[bytes]:
    yield sse.event({}, "ended")


async def _lost() -> Mapping[str, str]:
    """The long texts of a form that cannot be saved, by what their fields are called."""
    sent = await fields()
    return {label: sent[name] for name, label in LONG.items() if sent.get(name, "").strip()}


def _here(who: Guest) -> State:
    """The page that something went wrong below, where the viewer may go back to it."""
    found = next((each for each in pages() if each.routes.name == request.blueprint), None)
    return {"page": found} if found is not None and who.key is not None and found.open_to(who.key) else {}


def _titles(status: int) -> str:
    known = {
        403: N_("You may not do this"),
        404: N_("There is no such page"),
        429: N_("Not so fast"),
        503: N_("The database is away"),
    }
    return known.get(status, N_("Something went wrong"))
