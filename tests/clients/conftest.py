"""The hub that clients ask."""

from tests.clients.serving import hub, key, models, served, settings, upstream

__all__ = ["hub", "key", "models", "served", "settings", "upstream"]
