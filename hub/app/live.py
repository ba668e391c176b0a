"""Has a process go by what is saved while it runs, beside what config.yaml declares."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

import structlog

from hub.accounts import definitions
from hub.accounts.audit import By
from hub.accounts.definitions import TOPIC, Change, Definition, Kind, Shown, Stale
from hub.accounts.vault import Vault
from hub.app.engine import Engine
from hub.app.saved import Saved, read
from hub.config import Config
from hub.config.stored import KINDS, Place, Written, merged, told
from hub.errors import Conflict, StoreUnavailable

log = structlog.get_logger()
LOOK = 2.0
"""How long to wait for a signal before looking for oneself, in seconds."""
TRIES = 10
"""How often a change is planned anew because something else was saved meanwhile."""


class Live:
    """Keeps an engine at what config.yaml and the store say; does one thing at a time."""

    def __init__(self, engine: Engine) -> None:
        config = engine.config
        vault = Vault(config.data_dir, config.secret_key.get_secret_value())
        self.engine = engine
        engine.posts.refresh = self.refresh
        self._alone = asyncio.Lock()
        self._saved = Saved(declared=config, version=-1, rows=(), vault=vault)
        self._used: Sequence[Written] = ()
        self._errors: Mapping[Place, str] = {}
        self._watching: asyncio.Task[None] | None = None

    @property
    def used(self) -> Sequence[Written]:
        """What is in use of what was saved."""
        return self._used

    async def refresh(self) -> None:
        """Use what is saved now; raises StoreUnavailable."""
        async with self._alone:
            await self._refresh()

    def watch(self) -> None:
        """Use from now on what other processes save."""
        self._watching = asyncio.create_task(self._watch(), name="watch what is saved")

    async def close(self) -> None:
        """Stay with what is in use."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})

    async def list(self, kind: Kind) -> Sequence[Shown]:
        """All of a kind, those of config.yaml too, by their ids."""
        async with self._alone:
            return [self._shown(row) for row in (await self._refresh()).listed(kind)]

    async def get(self, kind: Kind, id: int) -> Shown:
        """One of them; raises NotFound."""
        async with self._alone:
            return self._shown((await self._refresh()).row(kind, id))

    async def save(self, *changes: Change, by: By) -> Sequence[Shown]:
        """Save definitions, or delete them, all or none; returns those that were saved, in use by now.

        Raises RequestError; NotFound; Conflict for a name that is taken, for what config.yaml declares, and where
        something else would be left without what it needs; Stale for what was saved after a change's `since`;
        ConfigError when there is no key for secrets.
        """
        async with self._alone:
            saved = zip(changes, await self._write(changes, by), strict=True)
            kept: list[tuple[Kind, int]] = [
                (change.kind, number) for change, number in saved if change.settings is not None
            ]
            return [self._shown(self._saved.row(kind, number)) for kind, number in kept]

    async def _write(self, changes: Sequence[Change], by: By) -> list[int]:
        store, signals, clock = self.engine.store, self.engine.signals, self.engine.clock
        for _ in range(TRIES):
            saved = await self._refresh()
            plan = partial(definitions.write, drafts=saved.drafts(changes), at=saved.version, now=clock(), by=by)
            with suppress(Stale):
                ids = await store.write(plan)
                signals.send(TOPIC)
                await self._refresh()
                return ids
        raise Conflict("Too much is being saved at once; try again.", code="busy")

    async def _watch(self) -> None:
        with self.engine.signals.listen(TOPIC) as listener:
            while True:
                await listener.next(LOOK)
                listener.clear()
                try:
                    await self.refresh()
                except StoreUnavailable as error:
                    log.warning("cannot look for what was saved", error=str(error))
                except Exception:
                    log.exception("cannot use what was saved")

    async def _refresh(self) -> Saved:
        at = await self.engine.store.read(definitions.version)
        if at != self._saved.version:
            known = self._saved
            saved = await read(self.engine.store, known.declared, known.vault, self.engine.clock())
            self._errors = await self._use(saved)
            self._saved = saved
        return self._saved

    async def _use(self, saved: Saved) -> Mapping[Place, str]:
        """Go by what is saved, and say why parts of it are left out."""
        config, problems = saved.merged
        errors = {place: "; ".join(map(told, wrong)) for place, wrong in problems.items()}
        written = [one for one in saved.written if (one.section, one.name) not in problems]
        try:
            await self._apply(config, saved)
        except StoreUnavailable:
            raise
        except Exception:
            log.exception("something that was saved cannot be used")
            written, failed = await self._use_each(saved, written)
            errors |= failed
        self._used = written
        for place, error in errors.items():
            if self._errors.get(place) != error:
                log.error("what was saved is not in use", section=place[0], name=place[1], error=error)
        return errors

    async def _use_each(self, saved: Saved, written: Sequence[Written]) -> tuple[list[Written], Mapping[Place, str]]:
        """Stay with what was in use, and add to it one after the other what does not have the engine fail."""
        used = [one for one in written if one in self._used]
        errors: dict[Place, str] = {}
        await self._apply(merged(saved.declared, used)[0], saved)
        for one in written:
            if one in used:
                continue
            try:
                await self._apply(merged(saved.declared, [*used, one])[0], saved)
                used.append(one)
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a package's own agent raises
                errors[one.section, one.name] = f"cannot be used ({type(error).__name__}: {error})"
        return used, errors

    async def _apply(self, config: Config, saved: Saved) -> None:
        """Have the engine go by a configuration, or by the one before if it cannot."""
        before = self.engine.config
        try:
            await self.engine.apply(config, saved.gone)
        except Exception:
            with suppress(Exception):
                await self.engine.apply(before, self._saved.gone)
            raise

    def _shown(self, row: Definition) -> Shown:
        section = KINDS[row.kind]
        declared = self._saved.declares(row.kind, row.name)
        entry = getattr(self._saved.merged[0], section).get(row.name)
        return Shown(
            id=row.id,
            kind=row.kind,
            name=row.name,
            source="config" if declared else "admin",
            settings=(row.settings or {}) if entry is None else entry.model_dump(mode="json", fallback=str),
            key_id=row.key_id,
            error=None if declared else self._errors.get((section, row.name)),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
