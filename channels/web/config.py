"""What the web rooms can be told in config.yaml."""

from __future__ import annotations

from typing import Literal

from channels.config import ChannelSettings, Groups


class Web(ChannelSettings):
    """Chat rooms of bothub itself, reached over HTTP with a key; so everyone who gets in may talk."""

    kind: str = "web"
    direct: Literal["pairing", "allowlist", "open", "off"] = "open"
    groups: Groups = "open"
