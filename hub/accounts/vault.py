"""Secrets at rest: encrypted with a key that the database does not hold."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hub.accounts.private import write_once
from hub.errors import ConfigError, HubError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

VARIABLE = "BOTHUB_SECRET_KEY"
FILE = "secret-key"


class Unreadable(HubError):
    """What was encrypted cannot be read with the key there is."""


class Vault:
    """Encrypts with the given key, or else with the one in a file of `data_dir` that is made at first use."""

    def __init__(self, data_dir: Path, given: str) -> None:
        self._given = given
        self._path = data_dir / FILE

    def seal(self, value: dict[str, Any]) -> bytes:
        """Encrypt; raises ConfigError where no key can be made or read."""
        if not self._given and not self._path.exists():
            try:
                write_once(self._path, secrets.token_urlsafe(32).encode() + b"\n")
            except OSError as error:
                raise ConfigError([f"data_dir: cannot write {self._path}: {error.strerror}"]) from error
        return self._fernet.encrypt(msgspec.json.encode(value))

    def unseal(self, sealed: bytes) -> dict[str, Any]:
        """Decrypt; raises Unreadable."""
        from cryptography.fernet import InvalidToken

        if not self._given and not self._path.exists():
            raise Unreadable(f"its secrets cannot be read: there is neither {VARIABLE} nor {self._path}")
        try:
            return msgspec.json.decode(self._fernet.decrypt(sealed), type=dict[str, Any])
        except (InvalidToken, ConfigError):
            where = VARIABLE if self._given else str(self._path)
            raise Unreadable(f"its secrets cannot be read: they were saved under another key than {where}") from None

    @cached_property
    def _fernet(self) -> Fernet:
        from cryptography.fernet import Fernet
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        try:
            secret = self._given or self._path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError([f"{self._path}: cannot be read ({type(error).__name__})"]) from error
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"bothub secrets at rest")
        return Fernet(urlsafe_b64encode(derived.derive(secret.encode())))
