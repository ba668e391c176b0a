"""A provider that pydantic-ai knows by name keeps the laws of models; the others of its kind are taken on trust."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agents.models.config import OTHERS, ModelSettings
from agents.models.other import Other
from hub.errors import ConfigError
from tests.agents.models.given import Naps
from tests.agents.models.test_openai import OpenAISubject
from tests.contracts.model import ModelLaws
from tests.platforms.openai import Upstream

pytestmark = pytest.mark.slow


@pytest.fixture
async def model(upstream: Upstream, naps: Naps) -> AsyncIterator[Other]:
    """One whose provider speaks OpenAI's protocol and may be somewhere else."""
    base_url = upstream.base_url
    model = Other(provider="moonshotai", model="gpt-test", api_key="sk-secret", base_url=base_url, sleep=naps)
    yield model
    await model.close()


class TestOtherLaws(ModelLaws):
    """A model by its provider's name."""

    @pytest.fixture
    def subject(self, upstream: Upstream, model: Other) -> OpenAISubject:
        return OpenAISubject(upstream, model)


def test_a_provider_with_one_place_takes_no_url() -> None:
    with pytest.raises(ConfigError, match="leave out base_url"):
        Other(provider="deepseek", model="m", api_key="k", base_url="http://127.0.0.1:9/v1")


@pytest.mark.parametrize("provider", OTHERS)
def test_each_is_there_or_says_what_to_install(provider: str) -> None:
    settings = ModelSettings.model_validate({"provider": provider, "model": "m", "api_key": "k"})
    faults = dict(settings.faults())
    if faults:
        assert list(faults) == ["provider"]
        assert faults["provider"].endswith(f'is not installed: pip install "pydantic-ai-slim[{provider}]"')
    else:
        assert Other(provider=provider, model="openai/m", api_key="k").model == "openai/m"


def test_a_key_is_needed() -> None:
    settings = ModelSettings.model_validate({"provider": "deepseek", "model": "m"})
    assert "api_key" in dict(settings.faults())
