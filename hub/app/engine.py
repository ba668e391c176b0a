"""Everything but the façade: what receives, answers and delivers, as the configuration of the moment says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial

import channels
from agents.documents import Documents
from agents.models.tokens import estimate
from hub import schedules
from hub.accounts.billing import Billing
from hub.accounts.lastuse import LastUse
from hub.accounts.payers import Payers
from hub.accounts.tariff import FREE, Tariff
from hub.app.agents import Cast, Crew, Runners
from hub.app.channels import doors, known, lines, rules
from hub.app.models import Models
from hub.app.money import payers, quotas
from hub.asks import Asks
from hub.bus import Bus
from hub.completions import Completions, Target
from hub.config import Config
from hub.config.routes import routing
from hub.delivery.posts import Posts
from hub.files import FileStore
from hub.ingress import Ingress
from hub.inlet import Door
from hub.message import COMPACTION
from hub.records import people, retention, sweep
from hub.records.backups import Backups
from hub.records.exports import job as exports
from hub.records.jobs import runner
from hub.records.jobs.runner import Kind, Runner
from hub.records.people import People
from hub.records.retention import Retention
from hub.records.rooms import StoredRooms
from hub.records.sweep import Sweep
from hub.signals import Signals
from hub.store import Store
from hub.supervise import RUN, Supervisor
from hub.turns.compaction import Compactor
from hub.turns.errand import Desk
from hub.upkeep import Upkeep
from hub.uploads import Uploads
from hub.worker import Timing, Worker

GRACE = 1.5
"""How long running turns, then running sends, may take to end when the hub stops, in seconds."""
SUMMARIES = 4
"""Conversations that are summed up at a time, beside the turns."""


class Engine:
    """The parts of one process; `apply` has them go by another configuration while they work."""

    def __init__(self, config: Config, store: Store, signals: Signals, clock: Callable[[], float] = time.time) -> None:
        bounds = config.bus
        self.config = config
        self.store = store
        self.signals = signals
        self.clock = clock
        self.timing = Timing(lease=bounds.lease, extend=bounds.extend, tries=bounds.tries)
        self.bus = Bus(store, signals, clock, lane_limit=bounds.lane_limit, inbox_limit=bounds.inbox_limit)
        self.files = FileStore(config.data_dir / "files")
        self.uploads = Uploads(store, clock, config.data_dir / "uploads")
        self.documents = Documents()
        self.rooms = StoredRooms(store, signals, clock)
        self.last_use = LastUse(store, clock)
        self.models = Models()
        self.posts = Posts(self.bus, known(config.channels))
        self.asks = Asks(self.bus, timeout=config.api.turn_timeout)
        self.ingress = Ingress(self.bus, {})
        self.webhooks: dict[tuple[str, str], Door] = {}
        self.upkeep = Upkeep(self.bus, self.rooms, self.uploads, self.ingress.accept)
        self.runners = Runners()
        self.billing = Billing(store, clock)
        self.payers = Payers()
        self.crew = Crew(self.bus, self.posts, self.documents, self.timing, self.billing, self.payers)
        self.exports = config.data_dir / exports.FOLDER
        self.jobs = Runner(self.bus, self._kinds(), self.exports)
        self._targets: dict[str, Target] = {}
        self.completions = Completions(
            store,
            clock,
            self._targets,
            Desk(posts=self.posts, files=self.files, clock=clock),
            estimate=estimate,
            timeout=config.api.turn_timeout,
            billing=self.billing,
        )
        self.supervisor = Supervisor(
            self.bus,
            self.ingress,
            self.files,
            timing=self.timing,
            grace=GRACE,
            others={schedules.LANE: schedules.Scheduler(self.bus).run, runner.LANE: self.jobs.run},
        )
        self._compaction: Worker | None = None
        self._holder: Worker | None = None
        self._beside: list[asyncio.Task[None]] = []
        self._started = False
        self.cast = self._recast(config, ())

    def _kinds(self) -> Mapping[str, Kind]:
        """What is done in the background, because somebody asks or because it is due."""
        forget = Retention(self._retention)
        return {
            "export": Kind(do=exports.export),
            "backup": Kind(do=Backups(self.config.store_url, self.config.data_dir, self.clock)),
            "erase": Kind(do=partial(people.erase, People(self.bus, self.files, self.uploads))),
            "sweep": Kind(do=Sweep(self.files), every=sweep.EVERY),
            "retention": Kind(do=forget, every=retention.EVERY, wanted=forget.wanted),
        }

    def _retention(self) -> Mapping[str | None, float]:
        """For how many seconds what was said to each agent is kept; None is what models were asked without one."""
        kept: dict[str | None, float | None] = {name: agent.retention for name, agent in self.config.agents.items()}
        kept[None] = self.config.api.retention
        return {name: seconds for name, seconds in kept.items() if seconds is not None}

    def _recast(self, config: Config, gone: Collection[str]) -> Cast:
        """Everything that needs no waiting, and that also a process without these roles has to know."""
        enabled = {name: channel for name, channel in config.channels.items() if channel.enabled}
        self.config = config
        self.models.apply({name: model for name, model in config.models.items() if model.enabled})
        self.cast = Cast(config=config, models=self.models.live, files=self.files, clock=self.clock)
        self.runners.apply(self.cast)
        tariffs = {name: self.cast.tariff(name) for name in self.models.live}
        targets = {
            name: Target(model=model, model_name=name, tariff=tariffs[name]) for name, model in self.models.live.items()
        }
        targets |= {name: self.cast.target(name, runner) for name, runner in self.runners.live.items()}
        self._targets.clear()
        self._targets.update(targets)
        self.posts.channels = known(config.channels)
        self.ingress.apply({name: rules(channel) for name, channel in enabled.items()}, routing(config))
        self.webhooks.clear()
        self.webhooks.update(doors(enabled, self.ingress, self.files))
        self.upkeep.parked = sorted({*config.channels, *channels.names(), *gone} - set(enabled))
        return self.cast

    async def apply(self, config: Config, gone: Collection[str] = ()) -> None:
        """Go by another configuration of models, agents and channels from now on; turns that run end as they began.

        `gone` are channels that there were once.
        """
        self._recast(config, gone)
        if self._started:
            await self._set_to_work()

    async def _set_to_work(self) -> None:
        await self.payers.apply(self.store, quotas(self.config), payers(self.config), self.clock())
        if "agents" in self.config.roles:
            self.crew.apply(self.cast, self.runners.live)
        enabled = {name: channel for name, channel in self.config.channels.items() if channel.enabled}
        await self.supervisor.apply(lines(enabled, self.rooms))
        if "channels" in self.config.roles:
            await self.supervisor.announce()

    async def start(self) -> None:
        """Begin the work of this process's roles."""
        self._started = True
        await self._set_to_work()
        if "agents" in self.config.roles:
            compactor = Compactor(self.bus, self.crew.agents, self._tariff, self.billing)
            self._compaction = Worker(self.bus, COMPACTION, compactor, timing=self.timing, concurrency=SUMMARIES)
            self._compaction.start()
        if "channels" in self.config.roles:
            endless = Timing(lease=self.timing.lease, extend=self.timing.extend, tries=None)
            self._holder = Worker(self.bus, RUN, self.supervisor, timing=endless)
            self._holder.start()
        self._beside.append(asyncio.create_task(self.upkeep.run(), name="upkeep"))
        self._beside.append(asyncio.create_task(self.billing.run(), name="reservations"))
        if "api" in self.config.roles:
            self._beside.append(asyncio.create_task(self.last_use.run(), name="last use of keys"))

    def _tariff(self, agent: str) -> Tariff:
        settings = self.cast.agents.get(agent)
        return FREE if settings is None else self.cast.tariff_of(settings)

    def stop_listening(self) -> None:
        """Take nothing in from the channels any more."""
        self.supervisor.stop_listening()

    async def close(self) -> None:
        """Let running turns end, then running sends; what is left stays in the inboxes."""
        self.stop_listening()
        beside = [] if self._compaction is None else [self._compaction.close(0.0)]
        await asyncio.gather(self.crew.close(GRACE), *beside)
        self.supervisor.close()
        if self._holder is not None:
            await self._holder.close(2 * GRACE)
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        await self.last_use.flush()
        await self.asks.close()
        await self.runners.close()
        await self.models.close()
