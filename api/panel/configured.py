"""The configuration in effect as the page of settings shows it: in groups, filtered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from api.panel.render import plain
from api.panel.words import N_, NOTHING
from api.ports import Layer, Setting

PARTS = {"hub": N_("The hub"), "models": N_("Models"), "agents": N_("Agents"), "channels": N_("Channels")}
ENTRIES = tuple(PARTS)[1:]
LAYERS: Mapping[Layer, str] = {
    "file": N_("File"),
    "environment": N_("Environment"),
    "saved": N_("Saved while the hub ran"),
    "default": N_("Default"),
}
LONG = 160
"""Characters of a value that is folded."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A setting within its group."""

    name: str
    value: str
    setting: Setting

    @property
    def is_long(self) -> bool:
        return len(self.value) > LONG or "\n" in self.value.strip()


@dataclass(frozen=True, kw_only=True)
class Group:
    """Settings that stand together: a section of the hub, or one model, agent or channel."""

    key: tuple[str, ...]
    rows: Sequence[Row]

    @property
    def name(self) -> str:
        return ".".join(self.key)


def grouped(settings: Iterable[Setting], *, text: str, part: str | None, only_set: bool) -> list[Group]:
    """Those that are asked for: with a text in them, of a part, and only what is not a default."""
    fitting = [
        row
        for row in map(_row, settings)
        if part in (None, _part(row.setting)) and not (only_set and row.setting.origin == "default") and _has(row, text)
    ]
    fitting.sort(key=lambda row: len(_group(row.setting)) > 0)  # what is of no section may stand between them
    return [Group(key=key, rows=list(rows)) for key, rows in groupby(fitting, lambda row: _group(row.setting))]


def _group(setting: Setting) -> tuple[str, ...]:
    key = setting.key
    return key[:2] if key[0] in ENTRIES else key[:-1][:1]


def _part(setting: Setting) -> str:
    return setting.key[0] if setting.key[0] in ENTRIES else "hub"


def _row(setting: Setting) -> Row:
    name = ".".join(setting.key[len(_group(setting)) :])
    return Row(name=name, value=plain(setting.value) or NOTHING, setting=setting)


def _has(row: Row, text: str) -> bool:
    said = (".".join(row.setting.key), row.value, row.setting.where)
    return any(text.lower() in one.lower() for one in said)
