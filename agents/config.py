"""What an agent can be told in config.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from agents import RUNNER
from agents.context import FACTS, Fact
from hub.message import NAME
from hub.when import span

CLOSED = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, hide_input_in_errors=True)
"""Unknown keys are refused; ids may be written as numbers; errors never quote what was given."""


def _pattern(value: str) -> str:
    if value != "*" and not re.fullmatch(rf"({NAME.pattern}|\*):\S+", value):
        raise ValueError("is not an address pattern: write channel:chat_id, channel:* or *")
    return value


def _plain(amount: Any) -> Any:
    if isinstance(amount, str) and ("_" in amount or not amount.isascii()):
        raise ValueError("must be a number")  # which Python would read: 1_000, and digits of other scripts
    return amount


def _long(seconds: float) -> float:
    if not seconds >= SHORTEST:
        raise ValueError("must be 2d at least: so long every message is known, that it is not taken twice")
    return seconds


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Pattern = Annotated[str, AfterValidator(_pattern)]
"""Addresses with `*` for any text: `support:12345`, `support:*`, `*`."""
Money = Annotated[Decimal, BeforeValidator(_plain), Field(ge=0, max_digits=18, decimal_places=9)]
"""An amount, exactly as written."""
SHORTEST = 2 * 86_400.0
"""`hub.upkeep.KEEP`: what is on its way, or just was, is kept in any case."""
Retention = Annotated[float, BeforeValidator(span), Field(allow_inf_nan=False), AfterValidator(_long)]
"""How long what was said is kept: `90d`, or a number of seconds."""
Names = Annotated[tuple[str, ...], BeforeValidator(_one_or_more)]


class Closed(BaseModel):
    """A part of config.yaml."""

    model_config = CLOSED


class Limits(Closed):
    """How much one turn may use: model calls, seconds, tokens."""

    steps: int = Field(default=10, ge=1)
    seconds: float = Field(default=280.0, gt=0)
    tokens: int | None = Field(default=None, ge=1)


class Context(Closed):
    """What the model sees: at most `budget` tokens of the conversation, and some `facts` about where and when."""

    budget: int | None = Field(default=None, ge=100)
    facts: tuple[Fact, ...] = FACTS


class Mcp(Closed):
    """One MCP server: a command to start, or a URL; `tools` are the names of those it lends, with `*` for any text."""

    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, SecretStr] = {}
    url: str | None = None
    headers: dict[str, SecretStr] = {}
    tools: tuple[str, ...] = ("*",)

    @model_validator(mode="after")
    def _one_way_in(self) -> Mcp:
        if (self.command is None) == (self.url is None):
            raise ValueError("needs either 'command' or 'url'")
        return self


class Route(Closed):
    """What is said here goes to the agent; every key that is given has to fit."""

    channel: str | None = None
    chat_id: str | None = None
    thread_id: str | None = None
    sender: str | None = None
    command: str | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Route:
        if not self.model_fields_set:
            raise ValueError("must say what goes to the agent: channel, chat_id, thread_id, sender or command")
        if self.channel is None and (self.chat_id or self.thread_id or self.sender):
            raise ValueError("needs 'channel' beside chat_id, thread_id or sender: ids mean something in one only")
        if self.thread_id is not None and self.chat_id is None:
            raise ValueError("needs 'chat_id' beside thread_id")
        if self.command is not None and not re.fullmatch(r"[a-z0-9_]{1,32}", self.command):
            raise ValueError("has a command that is not a word of a-z 0-9 _, written without the slash")
        return self


class AgentSettings(Closed):
    """One agent of config.yaml."""

    kind: str = RUNNER
    """`runner`, the short name of another package's agent, or `package:MyAgent`."""
    id: UUID | None = None
    enabled: bool = True
    public: bool = True
    """Every key may use it; otherwise its owner, admins and those who were granted it."""
    active: bool = True
    """Not being so is like not being public: it is being worked on."""
    model: str = ""
    fallback: Names = ()
    """Models to try in turn when the model is unavailable."""
    transcribe: str = ""
    """The model that writes down voice messages; without one they are files like others."""
    system_prompt: str = ""
    params: dict[str, Any] = {}
    """What to ask of the model; `temperature` and `max_tokens` written beside it are in here too."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    tools: tuple[str, ...] = ()
    mcp: dict[str, Mcp] = {}
    history: Literal["server", "client"] = "server"
    posts_to: tuple[Pattern, ...] = ()
    """Where else it may post than the chat that asks."""
    learns_from: tuple[Pattern, ...] = ()
    """Where what is said may become a fact that it tells everybody."""
    busy: Literal["queue", "steer", "interrupt"] = "queue"
    debounce: float = Field(default=0.0, ge=0)
    """Seconds to wait for more before it answers."""
    show_tools: bool = False
    limits: Limits = Limits()
    context: Context = Context()
    routes: tuple[Route, ...] = ()
    """What goes to it, whoever else would answer there."""
    retention: Retention | None = None
    """How long what was said is kept, in seconds; None: until somebody erases it."""
    month_quota: Money | None = None
    """What chats may spend with it in a month, where neither they nor their channel have a budget."""

    @model_validator(mode="after")
    def _gather_params(self) -> AgentSettings:
        for name in ("temperature", "max_tokens"):
            if (value := getattr(self, name)) is not None:
                self.params[name] = value
        return self

    def faults(self) -> Iterator[tuple[str, str]]:
        """What keeps an enabled agent from running: a key and what is wrong with it."""
        if self.kind == RUNNER and not self.model:
            yield "model", "is missing"
        if self.kind != RUNNER and self.history == "client":
            yield "history", "must be server: only the runner answers callers that keep the history themselves"
