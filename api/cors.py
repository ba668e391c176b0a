"""Which pages of other origins may use the API from a browser: those that the config names, and no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from quart import Quart, Request, Response, request

_ORIGINS = "bothub.cors"
PREFLIGHT = {
    "Access-Control-Allow-Methods": "*",
    # The asterisk stands for every header but this one.
    "Access-Control-Allow-Headers": "*, Authorization",
    "Access-Control-Max-Age": "600",
}


def register(app: Quart, origins: Sequence[str]) -> None:
    """Let pages of these origins ask first what they may; without any, nothing is added."""
    app.extensions[_ORIGINS] = frozenset(origins)
    if not origins:
        return

    @app.before_request
    async def preflight() -> Response | None:  # pyright: ignore[reportUnusedFunction] - registered above
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        return Response(status=204, headers=PREFLIGHT) if asks and _allowed(app, request) else None


def mark(app: Quart, asked: Request, response: Response) -> None:
    """Let the page that asked read the response, all of its headers too, if it is one of these."""
    if not app.extensions[_ORIGINS]:
        return
    response.vary.add("Origin")
    if _allowed(app, asked):
        response.headers["Access-Control-Allow-Origin"] = asked.headers["Origin"]
        response.headers["Access-Control-Expose-Headers"] = "*"


def _allowed(app: Quart, asked: Request) -> bool:
    return asked.headers.get("Origin") in cast(frozenset[str], app.extensions[_ORIGINS])
