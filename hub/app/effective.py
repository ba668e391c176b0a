"""The configuration in effect, key by key, as people may see it: each value, and where it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel, SecretStr

from api.ports import Effective, Layer, Setting
from hub.config import Config
from hub.config.entries import SECTIONS
from hub.config.masking import Masks, has_reference, is_secret
from hub.config.origins import stated
from hub.config.stored import Written
from hub.config.tree import Key, is_list, is_mapping

URLS = (("store", "url"), ("signals", "url"))
"""Secrets because of the password in them, of which the rest may be seen."""


def effective(config: Config, saved: Iterable[Written]) -> Effective:
    """All of a configuration, of which some entries were saved in the store."""
    kept: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for one in saved:
        kept[one.section][one.name] = one.settings
    return Effective(path=str(config.origins.path.absolute()), settings=[*_Walk(config, kept).all()])


class _Walk:
    """Goes through a configuration; what was saved is never declared too."""

    def __init__(self, config: Config, saved: Mapping[str, Any]) -> None:
        self._config = config
        self._saved = saved
        apart = {config.store_url, config.signals_url}
        known = {one.get_secret_value() for one in _secrets(config)} - apart
        self._masks = {refers: Masks(known, refers=refers) for refers in (True, False)}

    def all(self) -> Iterator[Setting]:
        for name in Config.model_fields:
            if name not in SECTIONS:
                yield from self._value((name,), getattr(self._config, name))
        for section in SECTIONS:
            for name, entry in getattr(self._config, section).items():
                yield from self._value((section, name), entry)

    def _value(self, key: Key, value: Any, *, hidden: bool = False) -> Iterator[Setting]:
        if isinstance(value, BaseModel):
            for name in type(value).model_fields:
                yield from self._value((*key, name), getattr(value, name), hidden=is_secret(name))
            return
        below: list[Setting] = []
        if is_mapping(value):
            for name, one in value.items():
                if self._origin((*key, name)) != ("default", "", None):  # else it was gathered from a key beside this
                    below += self._value((*key, name), one, hidden=hidden or is_secret(name))
        elif isinstance(value, tuple):
            for index, one in enumerate(cast(Sequence[object], value)):
                if isinstance(one, BaseModel):
                    below += self._value((*key, str(index)), one)
        yield from below or [self._leaf(key, value, hidden)]

    def _leaf(self, key: Key, value: Any, hidden: bool) -> Setting:
        origin, where, written = self._origin(key)
        refers = origin == "file"  # nothing else does
        if isinstance(value, SecretStr):
            value, hidden = value.get_secret_value() or None, key not in URLS
        if is_list(written) or _tells_more(written, value, refers):
            value = written
        shown = self._masks[refers].shown({} if is_mapping(value) else value, hidden=hidden)
        return Setting(key=key, value=shown, origin=origin, where=where)

    def _origin(self, key: Key) -> tuple[Layer, str, object]:
        """Where a value came from, the place there, and how it is written."""
        origins = self._config.origins
        if found := stated(origins.environment, key):
            name = origins.variable(key) or ""
            return "environment", f".env: {name}" if name in origins.dotenv else name, found[0]
        if found := stated(origins.file, key):
            return "file", f"{origins.path.name}:{origins.line(key)}", found[0]
        if found := stated(self._saved, key):
            return "saved", "", found[0]
        return "default", "", None


def _tells_more(written: object, value: object, refers: bool) -> bool:
    """Whether a text is better shown as it is written: with the name of a variable, or `90d` instead of seconds."""
    return isinstance(written, str) and ((refers and has_reference(written)) or isinstance(value, float))


def _secrets(value: object) -> Iterator[SecretStr]:
    if isinstance(value, SecretStr):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif is_mapping(value):
        for one in value.values():
            yield from _secrets(one)
