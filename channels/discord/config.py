"""What a Discord bot can be told in config.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr

from channels.config import MISSING, NO_SECRET, ChannelSettings, Seconds

KNOWN = 86400.0
"""How long the hub knows a message by its id, in seconds."""


class Discord(ChannelSettings):
    """One Discord bot; `base_url` with `ca_file` is a server that stands in for Discord's."""

    kind: str = "discord"
    token: SecretStr = NO_SECRET
    ca_file: Path | None = None
    """Certificates to trust instead of the system's, in PEM."""
    catch_up: Seconds = 3600.0
    """How far back to read what was said while the bot was away; 0 reads nothing."""

    def faults(self) -> Iterator[tuple[str, str]]:
        token = self.token.get_secret_value()
        if not token:
            yield "token", f"{MISSING}; the Discord developer portal shows one under Bot > Reset Token"
        elif any(character.isspace() for character in token):
            yield "token", "does not look like a bot token: it has blanks in it"
        if self.base_url and not self.base_url.startswith("https://"):
            yield "base_url", "must start with https://: Discord is only spoken to over TLS"
        if self.catch_up > KNOWN:
            yield "catch_up", "may be 24h at most: so long the hub knows what it has heard before"
        if self.ca_file and not self.ca_file.is_file():
            yield "ca_file", "is not there"
