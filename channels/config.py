"""What every channel can be told in config.yaml, whatever its platform."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from hub.channel import COMMANDS
from hub.when import span

CLOSED = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, hide_input_in_errors=True)
"""Unknown keys are refused; ids may be written as numbers; errors never quote what was given."""

Groups = Literal["mention", "listen", "open", "off"]


def _url(value: str) -> str:
    if not re.match(r"https?://[^/\s]+", value):
        raise ValueError("must be a URL that starts with http:// or https://")
    return value.rstrip("/")


Seconds = Annotated[float, BeforeValidator(span), Field(ge=0)]
"""A time span: `500ms`, `8s`, `5m`, `1h`, `1d`, or a number of seconds."""
Url = Annotated[str, AfterValidator(_url)]
Money = Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=9)]
"""An amount, exactly as written."""
NO_SECRET = SecretStr("")
MISSING = "is missing"


class Closed(BaseModel):
    """A part of config.yaml."""

    model_config = CLOSED


class Chat(Closed):
    """What is different in one chat."""

    groups: Groups | None = None
    agent: str | None = None
    month_quota: Money | None = None
    """What it may spend in a month; None: the channel's budget counts."""


class Rate(Closed):
    """How many messages one person may send; None is no limit."""

    per_minute: int | None = Field(default=None, ge=1)
    per_day: int | None = Field(default=None, ge=1)


Who = Literal["everyone", "allowlist", "off"] | frozenset[str]


def _who(value: Any) -> Any:
    if isinstance(value, bool):
        return "everyone" if value else "off"
    if isinstance(value, list | tuple | frozenset):
        ids: list[Any] = [*value]
        if all(isinstance(one, str | int) and not isinstance(one, bool) for one in ids):
            return frozenset(map(str, ids))
    elif value in ("everyone", "allowlist", "off"):
        return value
    raise ValueError("must be everyone, allowlist, off, or a list of the ids of people")


Named = Annotated[Who, BeforeValidator(_who)]


class Commands(Closed):
    """Who may use each command, of those who may talk to the bot."""

    new: Named = "everyone"
    stop: Named = "everyone"
    status: Named = "everyone"
    agent: Named = "everyone"
    memory: Named = "everyone"
    help: Named = "everyone"
    pair: Named = "everyone"

    def who(self) -> Mapping[str, Who]:
        """By the names of the commands."""
        return {name: getattr(self, name) for name in COMMANDS}

    def menu(self) -> Mapping[str, str]:
        """The commands that somebody may use, with the words for a platform's menu."""
        return {name: words for name, words in COMMANDS.items() if getattr(self, name) != "off"}


def _commands(value: Any) -> Any:
    if isinstance(value, bool):
        return dict.fromkeys(COMMANDS, value)
    if isinstance(value, dict | Commands):
        return cast(Any, value)
    raise ValueError("must be true, false, or who may use which command, such as {new: [123], stop: off}")


class ChannelSettings(Closed):
    """One channel of config.yaml."""

    kind: str
    enabled: bool = True
    agent: str = ""
    """Who answers; left out in the file, it is the first enabled agent."""
    base_url: Url | None = None
    direct: Literal["pairing", "allowlist", "open", "off"] = "pairing"
    groups: Groups = "mention"
    allow: tuple[str, ...] = ()
    """Ids of the people (and bots) who may write without being paired."""
    chats: dict[str, Chat] = {}
    rate: Rate = Rate()
    bots: Literal["ignore", "allow"] = "ignore"
    preview: bool = True
    commands: Annotated[Commands, BeforeValidator(_commands)] = Commands()
    month_quota: Money | None = None
    """What all its chats may spend in a month that have no budget of their own; None: the agent's budget counts."""
    payer: int | None = None
    """The id of the key that pays in its place."""

    @model_validator(mode="after")
    def _has_one_budget(self) -> ChannelSettings:
        if self.payer is not None and self.month_quota is not None:
            raise ValueError("has 'payer' and 'month_quota': give one of them")
        return self

    def faults(self) -> Iterator[tuple[str, str]]:
        """What keeps an enabled channel from running: a key and what is wrong with it."""
        yield from ()

    def hints(self) -> Iterator[tuple[str, str]]:
        """What has to be so on the platform for an enabled channel to do what it is told: a key, and a sentence."""
        yield from ()

    @property
    def hears_groups(self) -> bool:
        """Whether it is to hear in some group also what is not said to it."""
        return bool({self.groups, *(chat.groups for chat in self.chats.values())} & {"listen", "open"})
