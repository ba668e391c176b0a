"""GET /health, /ready and /metrics: for who runs the hub."""

from __future__ import annotations

from typing import Literal, TypedDict

from quart import Blueprint, Response

from api import current
from api.auth import require, without_key
from api.document import Content, document
from api.wire import answer
from hub import metrics
from hub.channel import State
from hub.records import counts
from hub.records.counts import InboxCount

routes = Blueprint("ops", __name__)


class Health(TypedDict):
    """That the process answers."""

    status: Literal["ok"]


class Ready(TypedDict):
    """How the parts of the hub are."""

    status: Literal["ready", "not ready"]
    store: str
    migrations: str
    roles: list[str]
    channels: dict[str, State]


@routes.get("/health")
@without_key
@document({200: Health})
async def health() -> Response:
    """The process answers."""
    return answer({"status": "ok"})


@routes.get("/ready")
@without_key
@document({200: Ready, 503: Ready})
async def ready() -> Response:
    """Whether the hub can do its work, and how its parts are."""
    readiness = await current.hub().ready()
    body: Ready = {
        "status": "ready" if readiness.ok else "not ready",
        "store": readiness.store,
        "migrations": readiness.migrations,
        "roles": list(readiness.roles),
        "channels": dict(readiness.channels),
    }
    return answer(body, 200 if readiness.ok else 503)


@routes.get("/metrics")
@require("read")
@document({200: Content("text/plain")})
async def show_metrics() -> Response:
    """Every number, as Prometheus reads it."""
    hub = current.hub()
    now = hub.clock()
    found = await hub.store.read(lambda connection: counts.inboxes(connection, now))
    _show(found, now)
    return Response(metrics.text(), content_type=metrics.CONTENT_TYPE)


def _show(found: list[InboxCount], now: float) -> None:
    metrics.WAITING.clear()
    metrics.OLDEST.clear()
    for count in found:
        age = 0.0 if count.oldest_at is None else max(0.0, now - count.oldest_at)
        metrics.WAITING.labels(count.inbox).set(count.open)
        metrics.OLDEST.labels(count.inbox).set(age)
