"""A model of each provider, and its upstream."""

from collections.abc import AsyncIterator

import pytest

from agents.models.provided import Provided
from tests.agents.models.given import Naps
from tests.agents.models.provided.cases import CASES, Case
from tests.platforms.served import Served


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
async def upstream(case: Case) -> AsyncIterator[Served]:
    async with case.served() as upstream:
        yield upstream


@pytest.fixture
async def model(case: Case, upstream: Served, naps: Naps) -> AsyncIterator[Provided]:
    model = case.make(upstream.base_url, sleep=naps)
    yield model
    await model.close()
