"""What keeps the panel to whom it belongs: who may post a form, how often one may try a key, what a page may load."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from urllib.parse import urlsplit

from quart import Request, Response

from hub.errors import Forbidden, LimitReached

COOKIE = "bothub_panel"
PATH = "/panel"
FIELD = "token"
"""The field of each form that shows it was made for this login."""
HEADER = "X-Panel-Token"
"""The same for what a module sends."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # The origin is wanted in requests to ourselves: `no-referrer` would have browsers say `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
WINDOW = 300.0
"""Over how many seconds failed logins are counted."""
EACH = 10
"""How many of them one address may make."""
ALL = 200
"""How many all of them together may make."""


def protect(response: Response) -> Response:
    """The response with what tells browsers how far to trust it; a file's own words, which are stricter, stay."""
    for name, value in {**HEADERS, "Cache-Control": "no-store"}.items():
        response.headers.setdefault(name, value)
    return response


def form_token(token: str) -> str:
    """What forms of a login carry: it follows from the cookie, and does not tell it."""
    return sha256(f"form:{token}".encode()).hexdigest()


def check_form(request: Request, token: str, given: str) -> None:
    """Raise Forbidden for a form that this panel did not make for this login."""
    check_origin(request)
    if not compare_digest(given.encode(), form_token(token).encode()):
        raise Forbidden("This form is from another login. Load the page again.", code="form_token")


def check_origin(request: Request) -> None:
    """Raise Forbidden for what another site had the browser send."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    same = origin is None or urlsplit(origin).netloc == request.headers.get("Host")
    if site not in (None, "same-origin", "none") or (site is None and not same):
        raise Forbidden("Another site sent this form.", code="cross_site")


def is_https(request: Request) -> bool:
    """Whether the browser came over TLS, as far as we or a proxy in front of us know."""
    return "https" in (request.scheme, request.headers.get("X-Forwarded-Proto"))


def local(path: str | None) -> str:
    """A path of the panel to go on to: the given one if it is one, else its first page."""
    if path is None or "\\" in path or any(ord(letter) < 32 for letter in path):
        return PATH
    split = urlsplit(path)
    inside = split.path == PATH or split.path.startswith(f"{PATH}/")
    return path if inside and not split.scheme and not split.netloc and ".." not in split.path else PATH


class Throttle:
    """Counts failed logins by address and in total, in this process; time is `clock`'s."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failed: deque[tuple[float, str]] = deque()

    def check(self, address: str) -> None:
        """Raise LimitReached when there were too many."""
        now = self._clock()
        while self._failed and self._failed[0][0] <= now - WINDOW:
            self._failed.popleft()
        mine = [at for at, who in self._failed if who == address]
        first = mine[-EACH] if len(mine) >= EACH else self._failed[-ALL][0] if len(self._failed) >= ALL else None
        if first is not None:
            wait = first + WINDOW - now
            raise LimitReached("Too many wrong keys.", retry_after=wait)

    def failed(self, address: str) -> None:
        """Note a wrong key."""
        self._failed.append((self._clock(), address))
