"""Sums up the oldest part of a conversation when there is soon no more room for it.

A turn that ends crowded publishes a message here; it waits for nothing. A lane is a session, so there is one summary at
a time of each, in all processes; the lease, the tries and the crash are the bus's. Without a summary the view leaves
the oldest turns out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import structlog

from hub import memory
from hub.accounts.billing import Bill, Billing
from hub.accounts.tariff import Tariff
from hub.accounts.turns import TurnRecord
from hub.agent import Agent, Reply, Summarizes
from hub.bus import Bus, Lease, Publish
from hub.errors import ModelError, PaymentRequired
from hub.memory import Summary
from hub.message import API, COMPACTION, Address, Payer, Value
from hub.store import Connection
from hub.turns import history
from hub.turns.history import Oldest
from hub.turns.running import RunningTurn
from hub.turns.view import as_chat, brief, within
from hub.worker import Done, Outcome, Retry, Why, Work

log = structlog.get_logger()
KEEP = 0.4
"""The part of the room that the newest turns may take when the older ones are summed up."""
AGAIN = 600.0
"""After one that failed the next is tried this much later, in seconds, if a turn still ends crowded."""


class Compaction(Value, frozen=True, kw_only=True):
    """What to sum up: a session of an agent that has room for so many `tokens`."""

    agent: str
    address: Address
    session: int
    tokens: int
    payer: Payer | None = None


def compaction(turn: RunningTurn, agent: str, session: int, now: float) -> Publish:
    """Ask for a summary of what is oldest in a turn's session; turns that ask for the same one ask once."""
    wanted = Compaction(
        agent=agent, address=turn.address, session=session, tokens=turn.room.tokens, payer=turn.bill.payer
    )
    after = 0 if turn.past.summary is None else turn.past.summary.upto
    return Publish(
        inbox=COMPACTION,
        lane=str(session),
        id=f"{memory.summaries(session)}:{after}:{int(now / AGAIN)}",
        body=msgspec.json.encode(wanted),
    )


class Compactor:
    """Handles the inbox of what is to be summed up; `agents` by name, and what their models cost."""

    def __init__(
        self,
        bus: Bus,
        agents: Mapping[str, Agent],
        tariffs: Callable[[str], Tariff] = lambda _: Tariff(),
        billing: Billing | None = None,
    ) -> None:
        self._bus = bus
        self._agents = agents
        self._tariffs = tariffs
        self._billing = billing or Billing(bus.store, bus.clock)

    async def handle(self, work: Work) -> Outcome:
        """Write the summary, unless another one made it superfluous."""
        wanted = _DECODER.decode(work.lease.head.body)
        agent = self._agents.get(wanted.agent)
        if not isinstance(agent, Summarizes):
            return Done(outcome="silent", reason="gone")
        keep = int(KEEP * wanted.tokens)
        part = await self._bus.store.read(lambda c: history.oldest(c, wanted.session, keep, wanted.tokens))
        if part is None:
            return Done(outcome="silent", reason="nothing to sum up")
        number = f"{memory.summaries(wanted.session)}:{part.number}"
        async with self._billing.bill(number, self._tariffs(wanted.agent), wanted.payer) as bill:
            return await self._sum_up(agent, wanted, part, bill)

    async def _sum_up(self, agent: Summarizes, wanted: Compaction, part: Oldest, bill: Bill) -> Outcome:
        began = self._bus.clock()
        before = [] if part.before is None else [{"role": "system", "content": part.before.text}]
        try:
            reply = await agent.summarize([*before, *as_chat(brief(part.entries))], bill.afford)
        except PaymentRequired as error:
            return Done(outcome="refused", reason="budget", error=str(error))
        except ModelError as error:
            return Retry(why=error)
        if not reply.text.strip():
            return Retry(why="the model wrote no summary")
        bill.used(reply.usage, reply.model)
        bill.leave()
        return self._done(wanted, part, reply, began, bill)

    async def exhausted(self, lease: Lease, why: Why) -> Done:
        """Leave it: the view goes on leaving the oldest turns out."""
        log.warning("not summed up", session=lease.lane, error=str(why))
        return Done(outcome="dead", reason="failed", error=str(why))

    def _done(self, wanted: Compaction, part: Oldest, reply: Reply, began: float, bill: Bill) -> Done:
        now = self._bus.clock()
        summary = Summary(
            text=within(reply.text, wanted.tokens // 4), upto=part.upto, usage=reply.usage, model=reply.model
        )
        asker = wanted.address if wanted.address.channel == API else None
        record = TurnRecord(
            id=f"{memory.summaries(wanted.session)}:{part.number}",
            address=str(wanted.address),
            session=wanted.session,
            session_id=asker and asker.thread_id,
            key_id=asker and int(asker.chat_id),
            status="completed",
            agent=wanted.agent,
            model=reply.model,
            usage=reply.usage,
            created_at=began,
            started_at=began,
            finished_at=now,
        )

        def write(connection: Connection) -> None:
            history.keep_summary(connection, wanted.session, part.number, summary, now)
            bill.write(connection, record)

        log.info("summed up", session=wanted.session, agent=wanted.agent, upto=part.upto, seconds=round(now - began, 3))
        return Done(outcome="answered", also=write)


_DECODER = msgspec.json.Decoder(Compaction)
