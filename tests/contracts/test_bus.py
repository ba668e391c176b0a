"""The bus keeps its laws on both engines."""

from tests.contracts.bus import BusLaws


class TestBus(BusLaws):
    """SQLite and PostgreSQL, without a difference."""
