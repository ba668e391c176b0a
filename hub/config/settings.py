"""The keys of config.yaml that are the hub's own, and the whole of it."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from agents.config import AgentSettings, Retention
from agents.models.config import ModelSettings
from channels.config import CLOSED, ChannelSettings, Closed, Seconds
from hub.config.environment import DELIMITER, PREFIX
from hub.config.origins import Origins

Role = Literal["channels", "api", "agents"]
SHORTEST = 32
"""Characters of a key that encrypts."""


def _by_commas(value: Any) -> Any:
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


def _address(url: SecretStr, known: tuple[str, ...], hint: str) -> SecretStr:
    if not url.get_secret_value().startswith(known):
        raise ValueError(hint)
    return url


class StoreSettings(Closed):
    """The database; `{data_dir}` in its URL is replaced."""

    url: SecretStr = SecretStr("sqlite:///{data_dir}/bothub.db")

    @field_validator("url")
    @classmethod
    def _is_supported(cls, url: SecretStr) -> SecretStr:
        hint = "is not supported; use sqlite:///PATH or postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE"
        return _address(url, ("sqlite:///", "postgresql+asyncpg://"), hint)


class SignalsSettings(Closed):
    """Wake-ups between processes."""

    url: SecretStr = SecretStr("local")

    @field_validator("url")
    @classmethod
    def _is_supported(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value() == "local":
            return url
        return _address(url, ("nats://", "tls://"), "is not supported; use local or nats://HOST:4222")


class ApiSettings(Closed):
    """The HTTP façade."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    local_key: str | None = Field(default=None, min_length=1)
    """The name of the key that requests without one act as."""
    turn_timeout: Seconds = 300.0
    retention: Retention | None = None
    """How long what models were asked without an agent is kept, in seconds; None: until somebody erases it."""
    cors: tuple[str, ...] = ()
    """Origins whose pages may call the API."""

    @property
    def is_loopback(self) -> bool:
        """Only programs on this machine can connect."""
        try:
            return self.host == "localhost" or ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False


class BusSettings(Closed):
    """Leases, tries and bounds of the inboxes."""

    lease: Seconds = Field(default=8.0, gt=0)
    extend: Seconds = Field(default=3.0, gt=0)
    tries: int = Field(default=5, ge=1)
    lane_limit: int = Field(default=100, ge=1)
    inbox_limit: int = Field(default=10000, ge=1)


class OtelSettings(Closed):
    """OpenTelemetry; everything else is said by the variables that its SDK knows."""

    endpoint: str | None = None
    """Where OTLP over HTTP is taken: spans go to `<endpoint>/v1/traces`."""

    @field_validator("endpoint")
    @classmethod
    def _is_url(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("must be the URL of a collector, such as http://127.0.0.1:4318")
        return url


class Config(BaseSettings):
    """A configuration that was checked; `hub.config.load` makes it.

    Disabled entries are in it too, with whatever `${NAME}` they hold as text.
    """

    model_config = SettingsConfigDict(**CLOSED, env_prefix=PREFIX, env_nested_delimiter=DELIMITER)

    data_dir: Path = Path("data")
    secret_key: SecretStr = SecretStr("")
    """What encrypts the secrets in the store; empty: a key in `data_dir`."""
    store: StoreSettings = StoreSettings()
    signals: SignalsSettings = SignalsSettings()
    roles: Annotated[tuple[Role, ...], BeforeValidator(_by_commas), Field(min_length=1)] = ("channels", "api", "agents")
    api: ApiSettings = ApiSettings()
    bus: BusSettings = BusSettings()
    otel: OtelSettings = OtelSettings()
    models: dict[str, ModelSettings] = {}
    agents: dict[str, AgentSettings] = {}
    channels: dict[str, ChannelSettings] = {}
    _origins: Origins = PrivateAttr(default_factory=Origins)

    @field_validator("secret_key")
    @classmethod
    def _is_strong(cls, key: SecretStr) -> SecretStr:
        secret = key.get_secret_value()
        if secret and (len(secret) < SHORTEST or len(set(secret)) < SHORTEST // 4):
            raise ValueError("is weak; make one with `openssl rand -hex 32`")
        return key

    def with_agents(self) -> Config:
        """The same with an agent for each channel that says none: the first that runs."""
        first = next((name for name, agent in self.agents.items() if agent.enabled), "")
        channels = {
            name: channel if channel.agent else channel.model_copy(update={"agent": first})
            for name, channel in self.channels.items()
        }
        return self.model_copy(update={"channels": channels})

    @property
    def origins(self) -> Origins:
        """Where its values came from; those that were saved later came from the store."""
        return self._origins

    def read_from(self, origins: Origins) -> Config:
        """The same, which knows where its values came from."""
        config = self.model_copy()
        config._origins = origins
        return config

    @property
    def store_url(self) -> str:
        """The database's URL; holds its password."""
        return self.store.url.get_secret_value()

    @property
    def signals_url(self) -> str:
        """`local`, or the URL of a NATS server; may hold its password."""
        return self.signals.url.get_secret_value()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """`load` reads the sources itself: it knows lines and variables, and resolves references in between."""
        return (init_settings,)
