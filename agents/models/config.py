"""What an upstream model can be told in config.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from importlib.util import find_spec
from typing import Literal, get_args

from pydantic import Field, SecretStr, field_validator

from agents.config import Closed, Money

PROVIDED = {"anthropic": "anthropic", "bedrock-converse": "boto3"}
"""Providers that need the extra `providers`, and the SDK each is asked with."""

Provider = Literal[
    "demo",
    "openai",
    "anthropic",
    "bedrock-converse",
    "cohere",
    "deepseek",
    "google",
    "groq",
    "huggingface",
    "mistral",
    "moonshotai",
    "openrouter",
    "xai",
    "zai",
]
PROVIDERS: tuple[str, ...] = get_args(Provider)
OTHERS = PROVIDERS[4:]
"""Providers by the names that pydantic-ai gives them, taken on trust: no test of ours speaks their protocols."""
_SDKS = {
    "cohere": "cohere",
    "google": "google.genai",
    "groq": "groq",
    "huggingface": "huggingface_hub",
    "mistral": "mistralai",
    "xai": "xai_sdk",
}
"""What those of them need that do not speak OpenAI's protocol."""


class ModelSettings(Closed):
    """One model of config.yaml."""

    provider: Provider
    enabled: bool = True
    base_url: str | None = None
    api_key: SecretStr = SecretStr("")
    model: str = ""
    """What the provider calls it."""
    price_in: Money = Decimal(0)
    price_out: Money = Decimal(0)
    price_cached: Money | None = None
    """None: cached tokens cost what others do. All three are per 1,000,000 tokens."""
    image_tokens: int = Field(default=4096, ge=0)
    """The most tokens that an image may be counted as."""
    context: int | None = Field(default=None, ge=1)
    max_output: int | None = Field(default=None, ge=1)
    multiple: bool = False
    """Takes images and the like beside text."""
    one_system: bool = False
    """Takes a system message at the top and nowhere else."""
    region: str | None = None
    access_key_id: SecretStr = SecretStr("")
    secret_access_key: SecretStr = SecretStr("")

    @property
    def transcribes(self) -> bool:
        """Whether its provider can write down what is said."""
        return self.provider in ("demo", "openai")

    @field_validator("base_url")
    @classmethod
    def _is_a_url(cls, url: str | None) -> str | None:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("must be a URL that starts with http:// or https://")
        return url.rstrip("/") if url else None

    def faults(self) -> Iterator[tuple[str, str]]:
        """What keeps an enabled model from being called: a key and what is wrong with it."""
        if self.provider != "demo" and not self.model:
            yield "model", "is missing; what does the provider call it?"
        needs_key = self.provider in ("anthropic", *OTHERS) or (self.provider == "openai" and not self.base_url)
        if needs_key and not self.api_key.get_secret_value():
            yield "api_key", "is missing; only a server of your own (base_url) may do without"
        if self.context and self.max_output and self.max_output >= self.context:
            yield "max_output", "leaves no room in 'context' for what is asked"
        if self.provider == "bedrock-converse":
            yield from self._aws_faults()
        if not all(map(_is_installed, self._packages)):
            package = "bothub[providers]" if self.provider in PROVIDED else f"pydantic-ai-slim[{self.provider}]"
            yield "provider", f'needs a package that is not installed: pip install "{package}"'

    @property
    def _packages(self) -> tuple[str, ...]:
        """The modules that its provider is asked with, beside those that are always there."""
        if self.provider in PROVIDED:
            return "pydantic_ai", PROVIDED[self.provider]
        return ("pydantic_ai", _SDKS.get(self.provider, "openai")) if self.provider in OTHERS else ()

    def hints(self) -> Iterator[tuple[str, str]]:
        """What an operator should know of an enabled model: a key, and a sentence."""
        if self.price_out and self.max_output is None:
            yield "max_output", "is missing; answers that a quota pays for get at most 4096 tokens"
        if self.provider in OTHERS:
            yield "provider", f"'{self.provider}' is asked through pydantic-ai and not tested with bothub"

    def _aws_faults(self) -> Iterator[tuple[str, str]]:
        if not self.region:
            yield "region", "is missing"
        if bool(self.access_key_id.get_secret_value()) != bool(self.secret_access_key.get_secret_value()):
            yield "access_key_id", "goes with 'secret_access_key': give both, or neither to use this machine's own"
        if self.api_key.get_secret_value() and not self.access_key_id.get_secret_value():
            yield "api_key", "is not for Bedrock: give 'access_key_id' and 'secret_access_key'"


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nor the package it would be in
        return False
