"""The numbers of `/metrics`: counters grow where things happen, the inboxes' gauges are read at each scrape.

The residue is counted once a minute (hub/upkeep.py). Counters are this process's; a scraper adds up the processes.
"""

from __future__ import annotations

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
    generate_latest,
)

disable_created_metrics()
CONTENT_TYPE = CONTENT_TYPE_LATEST
REGISTRY = CollectorRegistry()

OUTCOMES = Counter("bothub_outcomes_total", "Messages that got an outcome.", ["inbox", "outcome"], registry=REGISTRY)
TURNS = Counter("bothub_turns_total", "Turns that ended.", ["agent", "status"], registry=REGISTRY)
DELIVERIES = Counter("bothub_deliveries_total", "Deliveries that ended.", ["channel", "status"], registry=REGISTRY)
WAITING = Gauge("bothub_inbox_waiting", "Messages that have no outcome yet.", ["inbox"], registry=REGISTRY)
OLDEST = Gauge("bothub_inbox_oldest_seconds", "Age of the oldest of them.", ["inbox"], registry=REGISTRY)
RESIDUE = Gauge("bothub_residue", "Messages of the last hour that neither wait nor have an outcome.", registry=REGISTRY)


def text() -> bytes:
    """Everything, as Prometheus reads it."""
    return generate_latest(REGISTRY)


def residue() -> int:
    """What the residue was when it was counted last."""
    return int(REGISTRY.get_sample_value("bothub_residue") or 0)
