"""Bills of turns: before each model call the most it may cost is reserved, and what it did cost is charged once.

The row of a turn says what was charged for it: the unit that writes it charges what is beyond that. So a unit that is
done again, or of which nobody knows whether it got through, charges nothing twice, and the fees of all turns are what
the keys have spent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self
from uuid import uuid4

import structlog
from msgspec import structs

from hub.accounts import budget, limits, turns
from hub.accounts.budget import HELD_SECONDS, Charge
from hub.accounts.money import Price, shown
from hub.accounts.tariff import Tariff
from hub.accounts.turns import TurnRecord
from hub.errors import PaymentRequired, StoreUnavailable
from hub.message import Payer
from hub.model import Completion, Usage
from hub.store import Connection, Store

log = structlog.get_logger()
BEAT = HELD_SECONDS / 4
"""How often a process says that its calls still run, in seconds."""


class Billing:
    """What the calls of this process have reserved."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.store = store
        self.clock = clock
        self.holder = uuid4().hex
        self.running: set[str] = set()
        """The turns that have something reserved."""

    def bill(self, turn: str, tariff: Tariff, payer: Payer | None) -> Bill:
        """The bill of one turn; without a payer it is only metered."""
        return Bill(self, turn, tariff, payer)

    async def run(self) -> None:
        """Keep what is reserved here alive, and give back what others left behind, until cancelled."""
        while True:
            try:
                await self.once()
            except StoreUnavailable as error:
                log.warning("reservations not kept: store unavailable", error=str(error))
            except Exception:
                log.exception("reservations not kept")
            await asyncio.sleep(BEAT)

    async def once(self) -> None:
        """Do it now."""
        now, ids = self.clock(), sorted(self.running)
        if ids:
            await self.store.write(lambda connection: budget.keep(connection, self.holder, ids, now))
        if await self.store.read(lambda connection: budget.is_any_expired(connection, now)):
            while await self.store.write(lambda connection: budget.sweep(connection, now)):
                pass


class Bill:
    """What one turn owes; `async with` it, and what is reserved is given back however the block ends."""

    def __init__(self, billing: Billing, turn: str, tariff: Tariff, payer: Payer | None) -> None:
        self._billing = billing
        self._turn = turn
        self._tariff = tariff
        self._payer = payer
        self._cost = 0
        """Of all calls that have ended, in this process or before."""
        self._charged = 0
        """Of which its row had when it was last looked at."""
        self._reserved = False
        self._left = False

    @property
    def payer(self) -> Payer | None:
        return self._payer

    @property
    def is_free(self) -> bool:
        """Nothing it does can cost anything."""
        return self._tariff.is_free

    async def afford(self, request: Completion) -> Completion:
        """The request as it may be made, with the money for it set aside; raises PaymentRequired."""
        if not self._must_reserve or self._tariff.is_free:
            return request
        bounded = self._tariff.bounded(request)
        await self.reserve(self._tariff.most(bounded))
        return bounded

    async def reserve(self, most: int) -> None:
        """Set money aside for a call that costs no more than this; raises PaymentRequired."""
        if not self._must_reserve or most == 0:
            return
        billing, payer, now = self._billing, self._payer, self._billing.clock()
        assert payer is not None
        due = self._cost - self._charged

        def reserve(connection: Connection) -> int | None:
            """What there is, where that is not enough."""
            if budget.reserve(connection, self._turn, payer.key, due + most, billing.holder, now):
                return None
            if due:
                budget.reserve(connection, self._turn, payer.key, due, billing.holder, now)
            return budget.available(connection, payer.key, now) or 0

        billing.running.add(self._turn)
        self._reserved = True
        left = await billing.store.write(reserve)
        if left is not None:
            self._reserved = due > 0
            log.info("refused: the quota is used up", turn=self._turn, payer=payer.key, most=most, left=left)
            raise PaymentRequired(
                f"The quota does not cover this: it may cost up to {shown(most)}, and {shown(max(left, 0))} is left. "
                "Please recharge."
            )

    @property
    def _must_reserve(self) -> bool:
        return self._payer is not None and not self._payer.unlimited

    def used(self, usage: Usage, model: str | None = None, price: Price | None = None) -> None:
        """Note what a call took that has ended."""
        self._cost += (price or self._tariff.price(model)).fee(usage)

    def resume(self, charged: int) -> None:
        """Go on with the bill of a turn that was cut off."""
        self._cost = self._charged = charged

    @property
    def is_open(self) -> bool:
        """Something has to be written: a cost, or a reservation to be settled."""
        return self._reserved or self._cost > self._charged or bool(self._payer and self._payer.limited)

    def write(self, connection: Connection, record: TurnRecord) -> None:
        """A unit: write the turn's row, and charge what it cost beyond what its row says; reserves nothing any more.

        Behind the payer's row, which others may wait for, only the turn's own is written.
        """
        payer, price = self._payer, self._tariff.price(record.model)
        record = structs.replace(record, price=price, payer_id=None if payer is None else payer.key)
        if not self.is_open:
            turns.save(connection, record)
            return
        before = turns.find(connection, record.id) or TurnRecord(id="", address="", status="queued", created_at=0.0)
        due = max(0, self._cost - before.fee - before.uncollected)
        charge = Charge(fee=due)
        if payer is not None:
            new = record.usage.prompt + record.usage.completion - before.usage.prompt - before.usage.completion
            for key in payer.limited:
                limits.add_tokens(connection, key, max(0, new), self._billing.clock())
            if due or self._reserved:
                charge = budget.settle(connection, self._turn, payer.key, due, self._billing.clock())
        turns.save(
            connection,
            structs.replace(
                record,
                fee=before.fee + charge.fee,
                uncollected=before.uncollected + charge.uncollected,
                reserved=before.reserved + charge.reserved,
            ),
            charged=True,
        )

    def written(self) -> None:
        """Note that the row is stored."""
        self._charged, self._reserved = self._cost, False
        self._billing.running.discard(self._turn)

    def leave(self) -> None:
        """Let the unit that ends the turn settle it: nothing keeps alive what is reserved beyond this moment."""
        self._left = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._billing.running.discard(self._turn)
        if not self._reserved or self._left:
            return
        self._reserved = False
        try:
            await self._billing.store.write(
                lambda connection: budget.release(connection, self._turn, self._billing.holder)
            )
        except StoreUnavailable as unavailable:
            log.warning("not given back; it expires", turn=self._turn, error=str(unavailable))
