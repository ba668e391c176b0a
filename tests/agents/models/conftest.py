"""What the tests of the providers share."""

import pytest

from tests.agents.models.given import Naps


@pytest.fixture
def naps() -> Naps:
    """Where a model sleeps: no time passes."""
    return Naps()
