"""What the environment adds to the file: overrides `BOTHUB_API__PORT=9000`, and `${NAME}` inside values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

from hub.accounts import KEY_VARIABLES
from hub.config.problems import Problem, guess
from hub.config.tree import Key, is_list, is_mapping
from hub.errors import ConfigError

PREFIX = "BOTHUB_"
DELIMITER = "__"
STANDARD: dict[str, Key] = {"OTEL_EXPORTER_OTLP_ENDPOINT": ("otel", "endpoint")}
"""Variables that others have named, and the keys they set."""
REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def with_dotenv(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment, and below it what a `.env` in the folder says."""
    file = folder / ".env"
    try:
        said = dotenv_values(file, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{file}: cannot be read ({type(error).__name__})"]) from None
    return {name: value for name, value in said.items() if value is not None} | dict(environ)


class Overrides(EnvSettingsSource):
    """The keys that the environment sets; `variables` tells which variable set which.

    `BOTHUB_CHANNELS__MY_BOT__TOKEN` finds the channel `my-bot`, because a variable's name cannot hold a dash.
    A value that is a JSON list or object is read as one; every other is a text.
    """

    def __init__(self, settings: type[BaseSettings], environ: Mapping[str, str], tree: Mapping[str, Any]) -> None:
        self.variables: dict[Key, str] = {}
        self.problems: list[Problem] = []
        self._known = list(settings.model_fields)
        self._environ = environ
        self._tree = tree
        super().__init__(settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        found: dict[str, str | None] = {}
        for name, value in self._environ.items():
            if not name.upper().startswith(PREFIX):
                continue
            key = _existing(self._tree, name[len(PREFIX) :].lower().split(DELIMITER))
            if key[0] in self._known:
                self.variables[key] = name
                found[PREFIX.lower() + DELIMITER.join(key)] = value
            else:
                self._doubt(name, key)
        return self._standard() | found

    def _standard(self) -> dict[str, str | None]:
        """What a variable sets that is not ours; one of ours for the same key beats it."""
        found: dict[str, str | None] = {}
        for name, key in STANDARD.items():
            if (value := self._environ.get(name)) and key[0] in self._known and key not in self.variables:
                self.variables[key] = name
                found[PREFIX.lower() + DELIMITER.join(key)] = value
        return found

    def _doubt(self, name: str, key: Key) -> None:
        """Refuse what looks like a slip; leave alone the admin key, and what others (Kubernetes) call BOTHUB_..."""
        if name in KEY_VARIABLES:
            return
        hint = guess(key[0], self._known)
        if len(key) > 1 or hint.startswith("did you mean"):
            self.variables[key] = name
            self.problems.append(Problem(key, f"unknown key; {hint}"))

    def decode_complex_value(self, field_name: str, field: FieldInfo | None, value: Any) -> Any:  # noqa: ARG002
        if str(value).lstrip().startswith(("[", "{")):
            with suppress(json.JSONDecodeError):
                return json.loads(value)
        return value


def _existing(tree: object, words: list[str]) -> Key:
    """The key that a variable's words mean, spelled as the file spells it."""
    key: list[str] = []
    for word in words:
        inside = tree if is_mapping(tree) else {}
        key.append(next((name for name in inside if name.lower().replace("-", "_") == word), word))
        tree = inside.get(key[-1])
    return tuple(key)


class References:
    """Replaces `${NAME}` by the environment's value; `$${` stands for a plain `${`."""

    def __init__(self, environ: Mapping[str, str], variables: Mapping[Key, str]) -> None:
        self.problems: list[Problem] = []
        self._environ = environ
        self._variables = variables

    def resolve(self, value: Any, key: Key) -> Any:
        """The value with its references replaced; what came from the environment itself has none."""
        if key in self._variables:
            return value
        if is_mapping(value):
            return {name: self.resolve(inner, (*key, name)) for name, inner in value.items()}
        if is_list(value):
            return [self.resolve(inner, (*key, str(index))) for index, inner in enumerate(value)]
        return self._text(value, key) if isinstance(value, str) else value

    def _text(self, text: str, key: Key) -> str:
        for problem in self._wrong(text, key):
            self.problems.append(problem)
        return REFERENCE.sub(lambda found: "${" if found[1] is None else self._environ.get(found[1], ""), text)

    def _wrong(self, text: str, key: Key) -> Iterator[Problem]:
        for name in (found[1] for found in REFERENCE.finditer(text) if found[1] is not None):
            if not _NAME.fullmatch(name):
                yield Problem(key, f"'${{{name}}}' does not name an environment variable; '$${{' is a plain '${{'")
            elif name not in self._environ:
                hint = "; set it, or give this entry 'enabled: false'" if len(key) > 2 else ""
                yield Problem(key, f"needs the environment variable {name}, which is not set{hint}")
