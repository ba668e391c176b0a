"""The hub that clients ask."""

from tests.clients.serving import hub, key, served, settings, upstream

__all__ = ["hub", "key", "served", "settings", "upstream"]
