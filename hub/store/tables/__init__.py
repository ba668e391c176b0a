"""Every table bothub keeps; the migrations build exactly these (a test compares them).

Times are Unix seconds, money is an integer of 1e-9 of the currency's unit, bodies are JSON.
"""

from hub.store.tables.accounts import groups, idempotency, keys, logins, payments, rates, reservations, uploads
from hub.store.tables.answers import responses, schedules, turns
from hub.store.tables.audit import audit
from hub.store.tables.bus import lanes, messages, receipts
from hub.store.tables.chats import choices, gone, health, pairings, posts
from hub.store.tables.jobs import jobs
from hub.store.tables.memory import conversations, entries, facts, places, sessions
from hub.store.tables.metadata import Big, Time, metadata
from hub.store.tables.registry import conversation_grants, definitions, grants, settings
from hub.store.tables.statistics import statistics

__all__ = [
    "Big",
    "Time",
    "audit",
    "choices",
    "conversation_grants",
    "conversations",
    "definitions",
    "entries",
    "facts",
    "gone",
    "grants",
    "groups",
    "health",
    "idempotency",
    "jobs",
    "keys",
    "lanes",
    "logins",
    "messages",
    "metadata",
    "pairings",
    "payments",
    "places",
    "posts",
    "rates",
    "receipts",
    "reservations",
    "responses",
    "schedules",
    "sessions",
    "settings",
    "statistics",
    "turns",
    "uploads",
]
