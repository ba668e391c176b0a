"""What a model of a provider takes of its process: no SDK before it is needed, nothing of the environment."""

import subprocess
import sys

import pytest

from tests.agents.models.provided.cases import Case
from tests.contracts.model import answer, ask
from tests.platforms.served import Served

pytestmark = pytest.mark.slow


def test_settings_of_models_load_with_every_sdk_blocked() -> None:
    program = """
import sys
for name in ("pydantic_ai", "anthropic", "boto3", "botocore", "openai"):
    sys.modules[name] = None
import hub.config, agents.models.config
agents.models.config.ModelSettings(provider="anthropic", model="m", api_key="k")
import hub.app
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("names", [["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"], ["AWS_BEARER_TOKEN_BEDROCK"]])
async def test_nothing_of_the_environment_is_sent(
    case: Case, upstream: Served, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in names:
        monkeypatch.setenv(name, "from-the-environment")
    model = case.make(upstream.base_url)
    await answer(model, ask("hello"))
    await model.close()
    assert "from-the-environment" not in str(upstream.requests[0].headers)
