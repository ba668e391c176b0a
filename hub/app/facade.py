"""What the HTTP façade is handed of an engine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from uuid import UUID

import agents
import channels
from agents import tools
from agents.documents import Remembered
from agents.models.config import PROVIDERS
from api.ports import ByHand, Hub, Named, Readiness
from hub import backup, logs
from hub.accounts.bootstrap import Bootstrap
from hub.accounts.ids import agent_id
from hub.app.agents import Cast
from hub.app.effective import effective
from hub.app.engine import Engine
from hub.app.live import Live
from hub.channel import State
from hub.errors import StoreUnavailable
from hub.records import deadletters
from hub.records.people import People
from hub.records.sessions import Sessions
from hub.store import sqlite_path
from hub.store.migrate import HEAD, revision


@lru_cache(maxsize=1)
def names(cast: Cast, namespace: UUID, created: int) -> Sequence[Named]:
    """What a request may name; asked by each, and another one only when the configuration is."""
    return [
        *(
            Named(
                name=name,
                kind="agent",
                created=created,
                history=agent.history,
                multiple=cast.multiple(agent),
                show_tools=agent.show_tools,
                public=agent.public and agent.active,
                id=str(agent.id or agent_id(namespace, name)) if agent.kind == agents.RUNNER else None,
            )
            for name, agent in cast.agents.items()
        ),
        *(
            Named(name=name, kind="model", created=created, multiple=model.multiple)
            for name, model in cast.config.models.items()
            if model.enabled
        ),
    ]


def facade(live: Live, namespace: UUID, key: Bootstrap) -> Hub:
    """What the HTTP façade is handed; the namespace gives ids to agents that have none of their own."""
    engine = live.engine
    created = int(engine.clock())
    return Hub(
        store=engine.store,
        signals=engine.signals,
        clock=engine.clock,
        files=engine.files,
        turns=engine.asks,
        models=engine.completions,
        posts=engine.posts,
        people=People(engine.bus, engine.files, engine.uploads),
        uploads=engine.uploads,
        exports=engine.exports,
        sessions=Sessions(engine.bus),
        names=lambda: names(engine.cast, namespace, created),
        refresh=live.refresh,
        definitions=live,
        kinds=channels.names(),
        providers=PROVIDERS,
        accept=partial(engine.ingress.accept, tell_full=True),
        stop=engine.ingress.stop,
        retry=partial(deadletters.retry, engine.bus),
        resend=partial(deadletters.resend, engine.bus),
        ready=partial(_ready, engine),
        read_document=Remembered(engine.documents.markdown),
        webhooks=engine.webhooks,
        channels=lambda: tuple(engine.supervisor.health),
        restart=engine.supervisor.restart,
        tools=tools.names,
        own_tools=engine.runners.tools,
        logbook=logs.BOOK,
        by_hand=_by_hand(engine),
        effective=lambda: effective(engine.config, live.used),
        used=engine.last_use.note,
        local_key=engine.config.api.local_key,
        cors=engine.config.api.cors,
        key_file=None if key.path is None else f"{key.path.parent.name}/{key.path.name}",
    )


def _by_hand(engine: Engine) -> ByHand | None:
    config = engine.config
    if sqlite_path(config.store_url) is not None:
        return None
    command = backup.by_hand(backup.DUMP, config.store_url, Path("bothub.dump"))
    return ByHand(command=command, folders=[str(config.data_dir / name) for name in backup.FOLDERS])


async def _ready(engine: Engine) -> Readiness:
    """Ready: the store answers and is at the newest revision; a channel that failed is told, and stops nobody else."""
    try:
        at = await engine.store.read(revision)
    except StoreUnavailable as error:
        return Readiness(ok=False, store=str(error), migrations="unknown", roles=engine.config.roles, channels={})
    migrations = "head" if at == HEAD else f"at {at}, not {HEAD}"
    states: dict[str, State] = {name: health.state for name, health in engine.supervisor.health.items()}
    return Readiness(ok=at == HEAD, store="ok", migrations=migrations, roles=engine.config.roles, channels=states)
