"""GET /health, /ready and /metrics: for who runs the hub."""

from __future__ import annotations

from quart import Blueprint, Response

from api import current
from api.auth import require, without_key
from api.wire import answer
from hub import counts, metrics
from hub.counts import InboxCount

routes = Blueprint("ops", __name__)


@routes.get("/health")
@without_key
async def health() -> Response:
    """The process answers."""
    return answer({"status": "ok"})


@routes.get("/ready")
@without_key
async def ready() -> Response:
    """Whether the hub can do its work, and how its parts are."""
    readiness = await current.hub().ready()
    body = {
        "status": "ready" if readiness.ok else "not ready",
        "store": readiness.store,
        "migrations": readiness.migrations,
        "roles": list(readiness.roles),
        "channels": readiness.channels,
    }
    return answer(body, 200 if readiness.ok else 503)


@routes.get("/metrics")
@require("read")
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
