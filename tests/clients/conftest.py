"""The hub that clients ask."""

from tests.clients.serving import hub, key, served, upstream

__all__ = ["hub", "key", "served", "upstream"]
