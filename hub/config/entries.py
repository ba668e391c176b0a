"""The entries of `models`, `agents` and `channels`: each checked by the model of its kind."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

import agents
import channels
from agents.config import AgentSettings
from agents.models.config import ModelSettings
from channels.config import ChannelSettings
from hub.config.environment import References
from hub.config.problems import Problem, check, guess
from hub.config.tree import Key, is_mapping
from hub.message import API, NAME

Name = Literal["models", "agents", "channels"]
SECTIONS: tuple[Name, ...] = ("models", "agents", "channels")
Entry = TypeVar("Entry", ModelSettings, AgentSettings, ChannelSettings)
_TRUTH = TypeAdapter(bool)


def is_enabled(entry: object) -> bool:
    """Whether an entry as written is to run; one that says it unclearly is, so that it gets checked."""
    try:
        return _TRUTH.validate_python(entry.get("enabled", True) if is_mapping(entry) else True)
    except ValidationError:
        return True


class Entries:
    """Reads the three sections; what is wrong is added to `problems`."""

    def __init__(self, tree: Mapping[str, Any], document: Mapping[str, Any], references: References) -> None:
        self.problems: list[Problem] = []
        self._document = document
        self._references = references
        self.written = {section: self._written(section, tree.get(section)) for section in SECTIONS}

    def _written(self, section: Name, entries: Any) -> dict[str, Any]:
        if entries is None:
            return {}
        if not is_mapping(entries):
            self.problems.append(Problem((section,), "must hold names, each with keys of its own"))
            return {}
        return {name: self._with_switch(entry, (section, name)) for name, entry in entries.items()}

    def _with_switch(self, entry: Any, key: Key) -> Any:
        """The entry with a reference in `enabled` resolved: it decides about all others."""
        if not is_mapping(entry) or "enabled" not in entry:
            return entry
        return {**entry, "enabled": self._references.resolve(entry["enabled"], (*key, "enabled"))}

    def running(self, section: Name) -> list[str]:
        """The names of enabled entries, in the file's order."""
        return [name for name, entry in self.written[section].items() if is_enabled(entry)]

    def models(self) -> dict[str, ModelSettings]:
        return self._checked("models", lambda _key, _entry: ModelSettings)

    def agents(self) -> dict[str, AgentSettings]:
        return self._checked("agents", self._agent_kind)

    def channels(self) -> dict[str, ChannelSettings]:
        return self._checked("channels", self._channel_kind)

    def _checked(
        self, section: Name, model_of: Callable[[Key, dict[str, Any]], type[Entry] | None]
    ) -> dict[str, Entry]:
        checked: dict[str, Entry] = {}
        for name, entry in self.written[section].items():
            key = (section, name)
            self._check_name(key)
            if not is_mapping(entry):
                self.problems.append(Problem(key, "must hold keys with values"))
            elif (model := model_of(key, entry)) and (settings := self._entry(key, entry, model)):
                checked[name] = settings
        return checked

    def _check_name(self, key: Key) -> None:
        section, name = key
        if not NAME.fullmatch(name):
            self.problems.append(Problem(key, "is not a name: use the characters a-z 0-9 _ -"))
        elif section == "channels" and name == API:
            self.problems.append(Problem(key, "'api' is reserved for conversations over HTTP; choose another name"))

    def _entry(self, key: Key, entry: dict[str, Any], model: type[Entry]) -> Entry | None:
        running = is_enabled(entry)
        values = self._references.resolve(entry, key) if running else entry
        values = {name: value for name, value in values.items() if value is not None or name not in model.model_fields}
        settings, wrong = check(model, values, key, self._document, running=running)
        self.problems += wrong
        if settings and running:
            self.problems += [Problem((*key, name), text) for name, text in settings.faults()]
        return settings

    def _agent_kind(self, key: Key, entry: dict[str, Any]) -> type[AgentSettings] | None:
        kind, where = entry.get("kind") or agents.RUNNER, (*key, "kind")
        if not isinstance(kind, str) or (":" not in kind and kind not in agents.names()):
            self.problems.append(Problem(where, f"no such kind; {guess(str(kind), agents.names())}"))
            return None
        if kind != agents.RUNNER and is_enabled(entry):
            try:
                agents.own(kind)
            except agents.Unusable as error:
                self.problems.append(Problem(where, str(error)))
        return AgentSettings

    def _channel_kind(self, key: Key, entry: dict[str, Any]) -> type[ChannelSettings] | None:
        kind, where = entry.get("kind"), (*key, "kind")
        if kind is None:
            self.problems.append(Problem(where, f"is missing; {guess('', channels.names())}"))
            return None
        if not isinstance(kind, str) or kind not in channels.names():
            self.problems.append(Problem(where, f"no such kind; {guess(str(kind), channels.names())}"))
            return None
        try:
            found = channels.kind(kind)
        except channels.Unusable as error:
            self.problems.append(Problem(where, str(error)))
            return None
        if is_enabled(entry) and (why := _why_not(found)):
            self.problems.append(Problem(where, why))
        return channels.load(found.config)


def _why_not(kind: channels.Kind) -> str | None:
    """Why no channel of this kind can run here, or None."""
    if kind.sdk and importlib.util.find_spec(kind.sdk) is None:
        how = f'pip install "bothub[{kind.extra}]"' if kind.extra else f"the one of which Python imports '{kind.sdk}'"
        return f"needs a package that is not installed: {how}"
    return None
