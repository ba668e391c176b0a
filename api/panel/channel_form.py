"""The form of a channel: what its fields are, by its kind, what they show, and the settings that they say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from werkzeug.datastructures import MultiDict

from api.panel.forms import OWN, lines
from api.panel.words import N_
from hub.accounts.definitions import MASK, Shown


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field; `options` make it a choice. A secret is never shown: left empty it stays what it was."""

    name: str
    label: str
    help: str = ""
    wrong: str = ""
    """What to say where it is wrong; empty: what the error says."""
    kind: Literal["text", "secret"] = "text"
    options: tuple[tuple[str, str], ...] = ()
    example: str = ""
    required: bool = False
    apart: bool = False
    """For experts."""

    @property
    def input(self) -> str:
        """What it is called in the form, where `token` is the panel's own."""
        return f"{OWN}{self.name}"


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A kind of channel: how one comes by a bot there, step by step, and the fields of its own."""

    name: str
    none: str
    steps: tuple[str, ...]
    fields: tuple[Field, ...] = ()


_BASE = N_("Address of the platform")
_TOKEN = N_("Token")
_MODE = N_("How messages come")
PLATFORMS: dict[str, Platform] = {
    "telegram": Platform(
        name="Telegram",
        none=N_("No Telegram bot yet"),
        steps=(
            N_(
                "In Telegram, write /newbot to @BotFather and answer what it asks: a name, and a "
                "user name ending in “bot”."
            ),
            N_("It answers with a token such as 123456:ABC-DEF. Copy it."),
            N_("Add it here. Then write to your bot: it asks you for approval, which you give on the channel's page."),
        ),
        fields=(
            Field(
                name="token",
                label=_TOKEN,
                kind="secret",
                required=True,
                example="123456:ABC-DEF…",
                help=N_("From @BotFather in Telegram: /newbot for a new bot, /token for one that you have."),
                wrong=N_("This is no token of a bot. @BotFather gives one such as 123456:ABC-DEF…"),
            ),
            Field(
                name="mode",
                label=_MODE,
                options=(
                    ("polling", N_("The hub asks for them (works everywhere)")),
                    ("webhook", N_("Telegram pushes them")),
                ),
                apart=True,
            ),
            Field(
                name="public_url",
                label=N_("Address of this hub on the internet"),
                example="https://bots.example.org",
                help=N_("Only where Telegram pushes messages."),
                apart=True,
            ),
            Field(
                name="webhook_secret",
                label=N_("Secret of the pushes"),
                kind="secret",
                help=N_("Any word of letters and digits: Telegram signs its pushes with it."),
                apart=True,
            ),
            Field(name="base_url", label=_BASE, example="https://api.telegram.org", apart=True),
        ),
    ),
    "discord": Platform(
        name="Discord",
        none=N_("No Discord bot yet"),
        steps=(
            N_(
                "At discord.com/developers make an application; under “Bot” switch on “Message "
                "Content Intent”, and copy the token after “Reset Token”."
            ),
            N_(
                "Under “OAuth2” make a link with the scopes “bot” and “applications.commands”, "
                "open it, and add the bot to your server."
            ),
            N_("Add it here. Then write to your bot: it asks you for approval, which you give on the channel's page."),
        ),
        fields=(
            Field(
                name="token",
                label=_TOKEN,
                kind="secret",
                required=True,
                help=N_("discord.com/developers, your application, Bot, “Reset Token”."),
                wrong=N_("This is no token of a bot: it has blanks, or nothing, in it."),
            ),
            Field(name="base_url", label=_BASE, apart=True),
        ),
    ),
    "feishu": Platform(
        name=N_("Feishu"),
        none=N_("No Feishu bot yet"),
        steps=(
            N_(
                "At open.feishu.cn (Lark: open.larksuite.com) make an app of your company's, and add the feature “Bot”."
            ),
            N_(
                "Give it the permissions to read and send messages, subscribe to “Receive "
                "messages” over a long connection, and publish a version."
            ),
            N_("Copy App ID and App Secret (Credentials), and add it here."),
        ),
        fields=(
            Field(
                name="app_id",
                label="App ID",
                required=True,
                example="cli_…",
                help=N_("In the console, under Credentials."),
            ),
            Field(name="app_secret", label="App Secret", kind="secret", required=True, help=N_("Beside the App ID.")),
            Field(
                name="domain",
                label=N_("Which of the two"),
                options=(("feishu", N_("Feishu (China)")), ("lark", N_("Lark (everywhere else)"))),
            ),
            Field(
                name="mode",
                label=_MODE,
                options=(
                    ("socket", N_("Over a long connection (works everywhere)")),
                    ("webhook", N_("Feishu pushes them")),
                ),
                apart=True,
            ),
            Field(
                name="encrypt_key",
                label="Encrypt Key",
                kind="secret",
                help=N_("Only where Feishu pushes messages."),
                apart=True,
            ),
            Field(
                name="verification_token",
                label="Verification Token",
                kind="secret",
                help=N_("Only where Feishu pushes messages."),
                apart=True,
            ),
            Field(name="base_url", label=_BASE, apart=True),
        ),
    ),
    "web": Platform(
        name=N_("Web rooms"),
        none=N_("No web room yet"),
        steps=(
            N_("Rooms need no platform and no token: programs with a key, and the chat page, talk in them."),
            N_("Add it here."),
        ),
    ),
}
RULES: tuple[Field, ...] = (
    Field(
        name="direct",
        label=N_("Who may write to the bot in private"),
        options=(
            ("pairing", N_("Whom you approve: strangers get a code")),
            ("allowlist", N_("Only those listed below")),
            ("open", N_("Everybody")),
            ("off", N_("Nobody")),
        ),
        help=N_(
            "With approval, a stranger gets a code, waits on the channel's page, and is answered once you let them in."
        ),
    ),
    Field(
        name="groups",
        label=N_("In groups it answers"),
        options=(
            ("mention", N_("When it is mentioned")),
            ("listen", N_("When it is mentioned, and remembers the rest")),
            ("open", N_("Every message")),
            ("off", N_("Never")),
        ),
    ),
)
ALLOW = "allow"
NAMES = re.compile(r"[a-z0-9_-]+")
WRONG = {
    "name": N_("Small letters, digits, - and _, such as support; and a name that no other channel has."),
    ALLOW: N_("An id a line, as the platform has it."),
}


def fields(kind: str) -> Iterator[Field]:
    """Those of a kind, and those that every channel has."""
    yield from PLATFORMS[kind].fields
    yield from RULES


def secrets(kind: str) -> list[str]:
    """The inputs of its secrets."""
    return [field.input for field in fields(kind) if field.kind == "secret"]


def wrong(kind: str) -> dict[str, str]:
    """What to say of each field where it is wrong."""
    return {**WRONG, "agent": "", **{field.name: field.wrong for field in fields(kind)}}


def fresh(kind: str, agent: str, taken: set[str]) -> dict[str, Any]:
    """The fields of a channel that is to be made."""
    return {"name": "" if kind in taken else kind, "agent": agent, "direct": "open" if kind == "web" else "pairing"} | (
        {"groups": "open"} if kind == "web" else {}
    )


def known(one: Shown) -> dict[str, Any]:
    """The fields of a channel that there is; of a secret only that there is one."""
    settings = one.settings
    shown = {name: value for name, value in settings.items() if value != MASK}
    return {**shown, "name": one.name, ALLOW: "\n".join(map(str, settings.get(ALLOW, ())))}


def kept(one: Shown | None) -> set[str]:
    """The secrets that it has."""
    return set() if one is None else {name for name, value in one.settings.items() if value == MASK}


def settings(kind: str, form: MultiDict[str, str], one: Shown | None) -> dict[str, Any]:
    """What the form says, as a change of definitions: None is the default, and an empty secret is not changed."""
    said: dict[str, Any] = {} if one is not None else {"kind": kind}
    if agent := form.get("agent"):
        said["agent"] = agent
    for field in fields(kind):
        value = form.get(field.input, "").strip()
        if value or (field.kind != "secret" and one is not None):
            said[field.name] = value or None
    said[ALLOW] = lines(form.get(ALLOW, "")) or None
    return {name: value for name, value in said.items() if value is not None or one is not None}


def typed(kind: str, form: MultiDict[str, str]) -> dict[str, Any]:
    """What was typed, to be shown again; no secret."""
    own = {field.name: form.get(field.input, "") for field in fields(kind) if field.kind != "secret"}
    return {name: form.get(name, "") for name in ("name", "agent", ALLOW)} | own
