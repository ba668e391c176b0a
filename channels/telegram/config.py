"""What a Telegram bot can be told in config.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import SecretStr

from channels.config import MISSING, NO_SECRET, ChannelSettings, Url

PRIVACY = (
    "a bot sees only mentions, replies and commands in groups until its privacy mode is off: "
    "/setprivacy at @BotFather, then remove it from the group and add it again"
)


class Telegram(ChannelSettings):
    """One Telegram bot; `base_url` is a Bot API server of your own."""

    kind: str = "telegram"
    token: SecretStr = NO_SECRET
    mode: Literal["polling", "webhook"] = "polling"
    webhook_secret: SecretStr = NO_SECRET
    public_url: Url | None = None
    """Where Telegram reaches this hub's webhooks from outside."""

    def faults(self) -> Iterator[tuple[str, str]]:
        token = self.token.get_secret_value()
        if not token:
            yield "token", f"{MISSING}; @BotFather in Telegram gives one"
        elif not re.fullmatch(r"\d+:\S+", token):
            yield "token", "does not look like a bot token; @BotFather gives one such as 123456:ABC-DEF..."
        if self.mode == "webhook":
            yield from self._webhook_faults()

    def hints(self) -> Iterator[tuple[str, str]]:
        if self.hears_groups:
            yield "groups", PRIVACY

    def _webhook_faults(self) -> Iterator[tuple[str, str]]:
        secret = self.webhook_secret.get_secret_value()
        if not secret:
            yield "webhook_secret", f"{MISSING}; mode webhook takes nothing that is not signed with it"
        elif not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret):
            yield "webhook_secret", "may hold 1 to 256 of the characters A-Z a-z 0-9 _ - (a rule of Telegram's)"
        if not self.public_url:
            yield "public_url", f"{MISSING}; Telegram must reach this hub there"
        elif not self.base_url and not self.public_url.startswith("https://"):
            yield "public_url", "must start with https://: Telegram pushes to no other address"
