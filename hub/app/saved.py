"""What is saved, as it was read at one moment, and what a change would make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

from msgspec import UNSET
from pydantic import BaseModel

from agents import RUNNER
from hub.accounts import definitions
from hub.accounts.definitions import MASK, Change, Definition, Draft, Kind, Stale
from hub.accounts.vault import Unreadable, Vault
from hub.config import Config
from hub.config.problems import Problem
from hub.config.stored import KINDS, Place, Problems, Written, merged, secrets_in, told, without_secrets
from hub.config.tree import is_mapping, merge
from hub.errors import Conflict, NotFound, RequestError
from hub.store import Store

RIVALS: Mapping[Kind, tuple[Kind, ...]] = {"model": ("agent",), "agent": ("model",), "channel": ()}
"""What shares a name space."""


@dataclass(frozen=True, kw_only=True)
class Saved:
    """The rows of a version of the store beside what config.yaml declares."""

    declared: Config
    version: int
    rows: Sequence[Definition]
    gone: Sequence[str] = ()
    """Channels that were deleted."""
    vault: Vault

    def declares(self, kind: Kind, name: str) -> bool:
        """Whether config.yaml has the last word."""
        return name in getattr(self.declared, KINDS[kind])

    def row(self, kind: Kind, id: int) -> Definition:
        """A definition that there is, here or in config.yaml; raises NotFound."""
        for row in self.listed(kind):
            if row.id == id:
                return row
        raise NotFound(f"There is no {kind} {id}.", code=f"{kind}_not_found")

    def listed(self, kind: Kind) -> Sequence[Definition]:
        """Those that there are, by their ids."""
        return [row for row in self.rows if row.kind == kind and self._is_there(row)]

    def _is_there(self, row: Definition) -> bool:
        return row.settings is not None or self.declares(row.kind, row.name)

    @cached_property
    def _opened(self) -> tuple[Mapping[Place, dict[str, Any]], Mapping[Place, Sequence[Problem]]]:
        """What was saved with its secrets, and those whose secrets cannot be read."""
        opened: dict[Place, dict[str, Any]] = {}
        sealed: dict[Place, Sequence[Problem]] = {}
        for row in self.rows:
            if row.settings is None:
                continue
            place = (KINDS[row.kind], row.name)
            try:
                opened[place] = merge(row.settings, {} if row.secrets is None else self.vault.unseal(row.secrets))
            except Unreadable as error:
                sealed[place] = (Problem(place, str(error)),)
        return opened, sealed

    @property
    def written(self) -> Sequence[Written]:
        """What config.yaml would say of them, in an order in which each names only what is before it."""
        opened, _ = self._opened
        return [_written(place, opened[place]) for kind in KINDS for place in opened if place[0] == KINDS[kind]]

    @cached_property
    def merged(self) -> tuple[Config, Problems]:
        """The configuration to use, and what is wrong with those that are left out of it."""
        config, problems = merged(self.declared, self.written)
        return config, {**self._opened[1], **problems}

    def drafts(self, changes: Sequence[Change]) -> list[Draft]:
        """What to write for changes that are made one after the other.

        Raises RequestError, NotFound, Conflict, Stale for what was saved `since`, and ConfigError without a key for
        secrets.
        """
        drafts: list[Draft] = []
        at = self
        for change in changes:
            drafts.append(at._removal(change) if change.settings is None else at._draft(change, change.settings))
            at = at._after(drafts[-1])
        return drafts

    def _draft(self, change: Change, values: dict[str, Any]) -> Draft:
        before = None if change.id is None else self._ours(change.kind, change.id)
        if before is not None and change.since not in (None, before.updated_at):
            raise Stale(f"The {change.kind} '{before.name}' was saved meanwhile.")
        name = change.name or (before.name if before else "")
        if not name:
            raise RequestError("name: is missing", param="name")
        new: Place = (KINDS[change.kind], name)
        old: Place | None = (KINDS[change.kind], before.name) if before else None
        if old != new:
            self._refuse_taken(change.kind, name)
        if before is not None and old != new and change.kind != "model":
            raise RequestError(f"name: the conversations of '{before.name}' belong to its name; it stays", param="name")
        opened = {place: one for place, one in self._opened[0].items() if place != old}
        known: Mapping[str, Any] = self._opened[0].get(old, before.settings or {}) if before and old else {}
        settings = {key: value for key, value in changed(known, values).items() if value is not None}
        if change.kind == "agent":
            _refuse_code(settings)
        secrets = secrets_in(settings, self._checked(opened, new, settings))
        return Draft(
            id=self._id(change.kind, name) if before is None else before.id,
            kind=change.kind,
            name=name,
            settings=without_secrets(settings, secrets),
            secrets=self.vault.seal(secrets) if secrets else None,
            key_id=(before.key_id if before else None) if change.key_id is UNSET else change.key_id,
            before=before and _told(before),
            group_id=change.group_id,
            anew=tuple(key for key in secrets if values.get(key, MASK) != MASK),
        )

    def _removal(self, change: Change) -> Draft:
        assert change.id is not None, "what is deleted has an id"
        row = self._ours(change.kind, change.id)
        place = (KINDS[change.kind], row.name)
        _, problems = merged(self.declared, [one for one in self.written if (one.section, one.name) != place])
        self._refuse_harm(place, problems)
        return Draft(id=row.id, kind=row.kind, name=row.name, settings=None, before=_told(row))

    def _after(self, draft: Draft) -> Saved:
        """What will be saved then; what is new has an id that nothing else has."""
        others = [row for row in self.rows if row.id != draft.id]
        if draft.settings is None:
            return replace(self, rows=others)
        row = Definition(
            id=-len(others) - 1 if draft.id is None else draft.id,
            kind=draft.kind,
            name=draft.name,
            settings=draft.settings,
            secrets=draft.secrets,
            key_id=draft.key_id,
            created_at=0.0,
            updated_at=0.0,
        )
        return replace(self, rows=[*others, row])

    def _checked(self, others: Mapping[Place, dict[str, Any]], place: Place, settings: dict[str, Any]) -> BaseModel:
        """An entry's settings, known to fit all others."""
        written = [_written(*one) for one in others.items()]
        config, problems = merged(self.declared, [*written, _written(place, settings)])
        if wrong := problems.get(place):
            each = [(".".join(one.key[2:]) or "name", told(one)) for one in wrong]
            raise RequestError("; ".join(said for _, said in each), param=each[0][0], each=each)
        self._refuse_harm(place, problems)
        return getattr(config, place[0])[place[1]]

    def _refuse_harm(self, place: Place, problems: Problems) -> None:
        """Refuse a change that leaves something without what it needs."""
        _, before = self.merged
        harmed = {at: wrong for at, wrong in problems.items() if at not in before and at != place}
        if harmed:
            who = "; ".join(f"the {at[0][:-1]} '{at[1]}' ({told(wrong[0])})" for at, wrong in harmed.items())
            raise Conflict(f"'{place[1]}' is in use. It is needed by {who}.", code="in_use")

    def _ours(self, kind: Kind, id: int) -> Definition:
        row = self.row(kind, id)
        if self.declares(kind, row.name):
            where = f"{KINDS[kind]}.{row.name}"
            raise Conflict(f"'{row.name}' is declared in config.yaml ({where}); change it there.", code="declared")
        return row

    def _id(self, kind: Kind, name: str) -> int | None:
        """The id of what config.yaml declared once."""
        return next((row.id for row in self.rows if row.kind == kind and row.name == name), None)

    def _refuse_taken(self, kind: Kind, name: str) -> None:
        for other in (kind, *RIVALS[kind]):
            if self.declares(other, name) or any(row.name == name for row in self.listed(other)):
                raise Conflict(f"There is already {'an' if other == 'agent' else 'a'} {other} '{name}'.", code="exists")


async def read(store: Store, declared: Config, vault: Vault, now: float) -> Saved:
    """What is saved now, with an id for each thing that config.yaml declares."""
    names: list[tuple[Kind, str]] = [
        (kind, name) for kind, section in KINDS.items() for name in getattr(declared, section)
    ]
    version, rows, gone = await store.read(definitions.read)
    known = {(row.kind, row.name) for row in rows}
    if new := [one for one in names if one not in known]:
        await store.write(lambda connection: definitions.number(connection, new, now))
        version, rows, gone = await store.read(definitions.read)
    return Saved(declared=declared, version=version, rows=rows, gone=gone, vault=vault)


def _refuse_code(agent: Mapping[str, Any]) -> None:
    """Refuse an agent that imports or starts what it names: who saves agents shall not run programs here."""
    tools = agent.get("tools", ())
    wrong = {
        "kind": agent.get("kind", RUNNER) != RUNNER,
        "mcp": bool(agent.get("mcp")),
        "tools": isinstance(tools, (list, tuple)) and any(":" in str(tool) for tool in cast(Sequence[object], tools)),
    }
    for name in [name for name, is_so in wrong.items() if is_so]:
        what = "tools given as module:function" if name == "tools" else f"an agent with '{name}'"
        raise RequestError(f"{name}: {what} runs code of its own and can only be declared in config.yaml", param=name)


def _told(row: Definition) -> dict[str, Any]:
    return {"name": row.name, **(row.settings or {})}


def _written(place: Place, settings: dict[str, Any]) -> Written:
    return Written(section=place[0], name=place[1], settings=settings)


def changed(before: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with some of its keys given anew; a masked secret stays what it was."""
    return {**before, **{name: _kept(value, before.get(name)) for name, value in values.items()}}


def _kept(value: Any, before: Any) -> Any:
    if value == MASK:
        return before
    if not is_mapping(value):
        return value
    old = before if is_mapping(before) else {}
    return {name: kept for name, inner in value.items() if (kept := _kept(inner, old.get(name))) is not None}
