"""/health, /ready and /metrics."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.ports import Readiness
from hub import metrics
from hub.bus import Bus, Publish
from tests.api.asking import Asking, open_asking


@pytest.fixture
async def facade(tmp_path: Path) -> AsyncIterator[Asking]:
    async with open_asking(tmp_path) as facade:
        yield facade


async def scrape(facade: Asking) -> dict[tuple[str, str], float]:
    """Every sample by its name and first label."""
    client: Any = facade.app.test_client()
    response = await client.get("/metrics", headers=await facade.key("read"))
    assert response.status_code == 200
    assert response.content_type.startswith("text/plain")
    families = text_string_to_metric_families(await response.get_data(as_text=True))
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name, "/".join(sample.labels.values())): sample.value for sample in samples}


async def test_health_needs_no_key(facade: Asking) -> None:
    """Row N1."""
    status, body, _ = await facade.ask("GET", "/health")
    assert (status, body) == (200, {"status": "ok"})


async def test_ready_tells_how_the_parts_are(facade: Asking) -> None:
    facade.fake.readiness = Readiness(
        ok=True, store="ok", migrations="head", roles=("api", "channels"), channels={"web": "up", "support": "retrying"}
    )
    status, body, _ = await facade.ask("GET", "/ready")
    assert status == 200
    assert body == {
        "status": "ready",
        "store": "ok",
        "migrations": "head",
        "roles": ["api", "channels"],
        "channels": {"web": "up", "support": "retrying"},
    }


async def test_a_hub_that_cannot_work_is_a_503(facade: Asking) -> None:
    facade.fake.readiness = Readiness(ok=False, store="down", migrations="unknown", roles=("api",), channels={})
    status, body, response = await facade.ask("GET", "/ready")
    assert (status, body["status"], body["store"]) == (503, "not ready", "down")
    assert response.headers["Retry-After"] == "1"


async def test_the_metrics_take_the_scope_read(facade: Asking) -> None:
    assert (await facade.ask("GET", "/metrics"))[0] == 401
    assert (await facade.ask("GET", "/metrics", headers=await facade.key("chat", name="bob")))[0] == 403


async def test_an_inbox_shows_what_waits_and_for_how_long(facade: Asking) -> None:
    bus = Bus(facade.store, facade.hub.signals, facade.hub.clock)
    for n in range(2):
        await bus.commit(Publish(inbox="agent:assistant", lane="web:lobby", id=str(n), body=b"{}"))
    facade.fake.now += 30
    found = await scrape(facade)
    assert found["bothub_inbox_waiting", "agent:assistant"] == 2
    assert found["bothub_inbox_oldest_seconds", "agent:assistant"] == 30
    assert found["bothub_residue", ""] == 0


async def test_an_inbox_that_is_gone_is_not_shown(facade: Asking) -> None:
    metrics.WAITING.labels("agent:gone").set(7)
    assert ("bothub_inbox_waiting", "agent:gone") not in await scrape(facade)


async def test_what_the_engine_counts_is_shown(facade: Asking) -> None:
    metrics.OUTCOMES.labels("agent:ops", "answered").inc()
    metrics.TURNS.labels("ops", "completed").inc(2)
    metrics.DELIVERIES.labels("ops", "delivered").inc(3)
    found = await scrape(facade)
    assert found["bothub_outcomes_total", "agent:ops/answered"] == 1
    assert found["bothub_turns_total", "ops/completed"] == 2
    assert found["bothub_deliveries_total", "ops/delivered"] == 3
