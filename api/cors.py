"""Which pages of other origins may use the API from a browser: those that the config names, and no other."""

from __future__ import annotations

from collections.abc import Sequence

from quart import Quart, Response, request

PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Allow-Headers": "*, Authorization",
    "Access-Control-Max-Age": "600",
}


def register(app: Quart, origins: Sequence[str]) -> None:
    """Let pages of these origins use the app; without any, nothing is added."""
    if not origins:
        return

    @app.before_request
    async def preflight() -> Response | None:  # pyright: ignore[reportUnusedFunction] - registered above
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        return Response(status=204, headers=PREFLIGHT) if asks and _allowed(origins) else None

    @app.after_request
    async def allow(response: Response) -> Response:  # pyright: ignore[reportUnusedFunction] - registered above
        response.headers["Vary"] = "Origin"
        if _allowed(origins):
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = "*"
        return response


def _allowed(origins: Sequence[str]) -> bool:
    return request.headers.get("Origin") in origins
