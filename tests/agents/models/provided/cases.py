"""The providers that pydantic-ai speaks to, each with its local upstream."""

from collections.abc import Callable
from typing import Any, Protocol

from agents.models.anthropic import Anthropic
from agents.models.bedrock import Bedrock
from agents.models.provided import Provided
from tests.agents.models.given import KEY
from tests.platforms import anthropic, bedrock
from tests.platforms.openai import Failure
from tests.platforms.served import Served

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg=="
BUDGET = {"type": "enabled", "budget_tokens": 1024}


class Make(Protocol):
    def __call__(self, base_url: str, **settings: Any) -> Provided: ...


class Case:
    """A provider: its upstream, how a model of it is made, and its words for some errors."""

    def __init__(self, served: Callable[[], Served], make: Make, overloaded: Failure, limited: Failure) -> None:
        self.served = served
        self.make = make
        self.overloaded = overloaded
        self.limited = limited


def claude(base_url: str, **settings: Any) -> Anthropic:
    return Anthropic(model="claude-test", api_key=KEY, base_url=base_url, **settings)


def converse(base_url: str, **settings: Any) -> Bedrock:
    named: dict[str, Any] = {"model": bedrock.MODEL, "access_key_id": "AKIA-not-so-secret", "secret_access_key": KEY}
    return Bedrock(region=bedrock.REGION, base_url=base_url, **named | settings)


CASES = {
    "anthropic": Case(anthropic.Anthropic, claude, anthropic.fail(529), anthropic.fail(429, retry_after=7)),
    "bedrock": Case(
        bedrock.Bedrock,
        converse,
        bedrock.fail("ServiceUnavailableException"),
        bedrock.fail("ThrottlingException", retry_after=7),
    ),
}
