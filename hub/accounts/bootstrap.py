"""The admin key of the first start: given by the operator, or made once and kept in a file only its owner reads."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec

from hub.accounts import KEY_VARIABLES, keys
from hub.accounts.audit import Act
from hub.accounts.keys import new_secret
from hub.accounts.private import write_once
from hub.errors import ConfigError
from hub.message import Value

FILE = "api-key.json"
SHORTEST = 16
_BEGINS = r"(?:(?:br|sk)[-_])?[<\[{]?(?:change|your|example|sample|insert|replace|enter|put|todo|xxx|\.\.\.)"
_HAS = r"placeholder|changeme|change[-_]me|your[-_]?api|api[-_]key|password|secret|example|qwerty|asdfgh"
_WORDS = re.compile(rf"{_BEGINS}|.*(?:{_HAS})", re.IGNORECASE)
_REPEATS = re.compile(r"(?:(?:br|sk)[-_])?(.{1,16}?)\1+$", re.IGNORECASE)
VARIED = 24
"""Different characters from which on words mean nothing: a short one comes about by chance in every 16,000th key."""


class Bootstrap(Value, frozen=True, kw_only=True):
    """The secret, and the file it is kept in if the operator did not give it; `made` just now."""

    secret: str
    path: Path | None = None
    made: bool = False


def keep(act: Act, first: Bootstrap, local: str | None) -> None:
    """A unit: have the store know the secret, and the key that local clients act as; what that changes is noted."""
    connection = act.connection
    before = keys.declared(connection, first.secret)
    keys.ensure_bootstrap(connection, first.secret, act.now, only=first.path is None)
    if local is not None:
        keys.ensure_local(connection, local, act.now)
    for id, after in keys.declared(connection, first.secret).items():  # noqa: A001 - a key's
        if before.get(id) != after:
            what = "key.update" if id in before else "key.create"
            replace(act, what=what).note(f"key:{id}", before.get(id), after)


class _File(msgspec.Struct, frozen=True, rename="camel"):
    api_key: str


def bootstrap(data_dir: Path, given: str | None) -> Bootstrap:
    """The given secret, else the one in `data_dir`, else a new one that is saved there; raises ConfigError."""
    if given:
        return Bootstrap(secret=_strong(given, KEY_VARIABLES[0]))
    path = data_dir / FILE
    if path.exists():
        return Bootstrap(secret=_read(path), path=path)
    try:
        made = write_once(path, msgspec.json.encode(_File(api_key=new_secret())) + b"\n")
    except OSError as error:
        raise ConfigError([f"data_dir: cannot write {path}: {error.strerror}"]) from error
    return Bootstrap(secret=_read(path), path=path, made=made)


def _strong(secret: str, where: str) -> str:
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ConfigError([f"{where}: an API key is made of ASCII characters without spaces"])
    if _is_weak(secret):
        raise ConfigError(
            [f"{where}: this API key is weak or a placeholder; give none, or one of `openssl rand -hex 32`"]
        )
    return secret


def _is_weak(secret: str) -> bool:
    different = len(set(secret))
    if len(secret) < SHORTEST or different < SHORTEST // 2:
        return True
    says = different < VARIED and _WORDS.match(secret)
    return bool(says or _REPEATS.match(secret) or _counts(secret))


def _counts(secret: str) -> bool:
    """Whether most of it counts up or down, as `0123456789` does."""
    steps = [abs(ord(one) - ord(other)) for one, other in pairwise(secret)]
    return sum(step == 1 for step in steps) > len(steps) / 2


def _read(path: Path) -> str:
    try:
        return _strong(msgspec.json.decode(path.read_bytes(), type=_File).api_key, str(path))
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError([f'{path}: cannot read {{"apiKey": "..."}}: {error}']) from error
