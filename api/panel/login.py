"""Logging in and out, and what the panel does for everybody: static files, language and theme."""

from __future__ import annotations

from urllib.parse import quote

from quart import Blueprint, Response, current_app, request
from werkzeug.exceptions import HTTPException

from api import current
from api.auth import without_key
from api.panel import guard, render
from api.panel.pages import failed, pages
from api.panel.view import LANGUAGE, THEME, THEMES, fields, guest, parts, set_cookie, view
from api.panel.words import LANGUAGES
from hub.accounts import logins
from hub.errors import LimitReached, NotFound, Unauthorized
from hub.store import Connection

routes = Blueprint("panel", __name__, url_prefix=guard.PATH)
routes.register_error_handler(Exception, failed)
routes.register_error_handler(HTTPException, failed)
YEAR = 365 * 86_400
TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
COOKIE_SECONDS = 30 * 86_400
"""How long a browser keeps the cookie; the login itself is over when it was not used for `logins.LASTS`."""


@routes.after_request
async def _protected(response: Response) -> Response:
    return guard.protect(response)


@routes.get("")
@routes.get("/")
@without_key
async def index() -> Response:
    """The first page that there is for who asks."""
    who = await view()
    first = next(page for page in pages() if page.open_to(who.key))
    return who.go(first.path)


@routes.get("/login")
@without_key
async def show() -> Response:
    """Where one logs in."""
    return await _page()


@routes.post("/login")
@without_key
async def log_in() -> Response:
    """Begin a login with a key; it stands in a cookie that no script can read."""
    guard.check_origin(request)
    who, hub, form = guest(), current.hub(), await fields()
    address = request.remote_addr or ""
    secret = form.get("key", "").strip()
    throttle = parts().throttle
    try:
        throttle.check(address)
    except LimitReached as error:
        wait = who.words.duration(max(1.0, error.retry_after))
        answer = await _page(429, who.say("Too many wrong keys. Try again in {wait}.", wait=wait))
        answer.headers["Retry-After"] = str(int(error.retry_after) + 1)
        return answer
    now = hub.clock()

    def begin(connection: Connection) -> str | None:
        logins.sweep(connection, now)
        found = logins.begin(connection, secret, now)
        return found and found[0]

    token = await hub.store.write(begin) if secret else None
    if token is None:
        if secret:
            throttle.failed(address)
        problem = who.say("This key is not valid, or no longer.") if secret else who.say("Enter a key.")
        return await _page(401 if secret else 400, problem)
    answer = who.go(guard.local(form.get("next")))
    set_cookie(answer, guard.COOKIE, token, COOKIE_SECONDS)
    return answer


@routes.post("/logout")
@without_key
async def log_out() -> Response:
    """End the login."""
    who = await view()
    guard.check_form(request, who.token, (await fields()).get(guard.FIELD, ""))
    await who.hub.store.write(lambda connection: logins.end(connection, who.token))
    answer = who.go(f"{guard.PATH}/login")
    answer.delete_cookie(guard.COOKIE, path=guard.PATH)
    return answer


@routes.get("/prefer")
@without_key
async def prefer() -> Response:
    """Choose a language or a theme, and go back to the page."""
    who = guest()
    answer = who.go(guard.local(request.args.get("next")))
    language, theme = request.args.get("language"), request.args.get("theme")
    if language in LANGUAGES:
        set_cookie(answer, LANGUAGE, language, YEAR)
    if theme in THEMES:
        set_cookie(answer, THEME, theme, YEAR)
    return answer


@routes.get("/static/<version>/<name>")
@without_key
async def static(version: str, name: str) -> Response:
    """A static file; its URL changes with what is in it."""
    content = render.files().get(name)
    if content is None:
        raise NotFound(guest().say("This address leads nowhere."))
    answer = Response(content, content_type=TYPES[name.rpartition(".")[2]])
    kept = f"public, max-age={YEAR}, immutable" if version == render.version() else "no-cache"
    answer.headers["Cache-Control"] = kept
    return answer


@routes.route("/<path:rest>", methods=["GET", "POST"])
@without_key
async def nothing(rest: str) -> Response:  # noqa: ARG001
    """Whatever there is not; who asks for where a form was sent is led to what is above it."""
    urls = current_app.create_url_adapter(request)
    if request.method == "GET" and urls and urls.match(method="POST")[0] != request.endpoint:
        return guest().go(quote(request.path.rpartition("/")[0]))
    raise NotFound(guest().say("This address leads nowhere."))


async def _page(status: int = 200, problem: str | None = None) -> Response:
    who, hub = guest(), current.hub()
    following = guard.local((await fields()).get("next") or request.args.get("next"))
    if status == 200:
        try:
            await view()
            return who.go(following)
        except Unauthorized:
            pass
    return who.render("login.html", status, following=following, problem=problem, key_file=hub.key_file, hub=hub)
