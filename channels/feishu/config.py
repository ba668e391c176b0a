"""What a Feishu (or Lark) app can be told in config.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import SecretStr

from channels.config import MISSING, NO_SECRET, ChannelSettings


class Feishu(ChannelSettings):
    """One Feishu app; `base_url` stands in for the platform's own domain."""

    kind: str = "feishu"
    app_id: str = ""
    app_secret: SecretStr = NO_SECRET
    domain: Literal["feishu", "lark"] = "feishu"
    mode: Literal["socket", "webhook"] = "socket"
    verification_token: SecretStr = NO_SECRET
    encrypt_key: SecretStr = NO_SECRET

    def faults(self) -> Iterator[tuple[str, str]]:
        if not self.app_id:
            yield "app_id", MISSING
        if not self.app_secret.get_secret_value():
            yield "app_secret", MISSING
        if self.mode == "webhook" and not self.encrypt_key.get_secret_value():
            yield "encrypt_key", MISSING
