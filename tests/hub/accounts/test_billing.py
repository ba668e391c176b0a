"""Bills of turns: whatever happens, no key spends more than it has, and turns say what was spent."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import create_engine, func, select, update
from sqlalchemy.pool import StaticPool

from hub.accounts import keys
from hub.accounts.billing import Bill, Billing
from hub.accounts.budget import HELD_SECONDS
from hub.accounts.money import UNIT, Price, month_of
from hub.accounts.tariff import LONGEST, Rate, Tariff
from hub.accounts.turns import TurnRecord, charged
from hub.errors import PaymentRequired
from hub.message import Payer
from hub.model import Completion, Recording, Usage
from hub.store import Connection
from hub.store.tables import keys as table
from hub.store.tables import metadata, reservations, turns

T = TypeVar("T")
NOW = 1_795_000_000.0
MONTH = 31 * 86_400.0
ONE = Price(output=1_000_000)
"""An amount of 1 for each token of an answer."""
ASKED = Completion(messages=[{"role": "user", "content": "hi"}])


def done(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


class SyncStore:
    """A database in memory that answers at once."""

    def __init__(self) -> None:
        self.engine = create_engine("sqlite://", poolclass=StaticPool)
        with self.engine.begin() as connection:
            metadata.create_all(connection)

    async def write(self, unit: Callable[[Connection], T]) -> T:
        with self.engine.begin() as connection:
            return unit(connection)

    async def read(self, unit: Callable[[Connection], T]) -> T:
        return await self.write(unit)

    async def close(self) -> None:
        self.engine.dispose()


def tariff(output: int | None = None) -> Tariff:
    return Tariff(rates={"m": Rate(price=ONE, output=output)})


class Turns(RuleBasedStateMachine):
    """Turns of one key that begin, ask models, are written, given up, cut off and taken up again."""

    ids = st.sampled_from(["a", "b", "c", "d"])

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.store = SyncStore()
        self.billing = self._process()
        self.bills: dict[str, Bill] = {}
        self.usage: dict[str, Usage] = {}
        self.given = 0
        self.quota = 0
        self.months = {month_of(NOW)}
        self.gone = 0
        """What has left the key's quotas and balance."""

    def _process(self) -> Billing:
        return Billing(self.store, lambda: self.now)

    @initialize(quota=st.integers(0, 60), balance=st.integers(0, 60))
    def key(self, quota: int, balance: int) -> None:
        self.quota, self.given = quota, balance
        made = self._unit(lambda c: keys.create(c, None, name="k", now=NOW, month_quota=quota, balance=balance))
        self.payer = Payer(key=made.id)
        self.before = self._row()

    def _unit(self, unit: Callable[[Connection], T]) -> T:
        return done(self.store.write(unit))

    def _row(self) -> Any:
        return self._unit(lambda c: c.execute(select(table)).one())

    def _bill(self, id: str) -> Bill:
        if id not in self.bills:
            self.bills[id] = self.billing.bill(id, tariff(), self.payer)
            self.bills[id].resume(self._unit(lambda c: charged(c, id)))
        return self.bills[id]

    @rule(id=ids, most=st.integers(1, 30), used=st.none() | st.integers(0, 40))
    def ask(self, id: str, most: int, used: int | None) -> None:
        """A model call, which may say more than it was asked for, or be cut off before it says anything."""
        bill = self._bill(id)
        try:
            asked = done(bill.afford(Completion(messages=[], params={"max_tokens": most})))
        except PaymentRequired:
            return
        assert asked.params["max_tokens"] == most
        if used is not None:
            bill.used(Usage(completion=used), "m")
            self.usage[id] = self.usage.get(id, Usage()) + Usage(completion=used)

    @rule(id=ids, noticed=st.booleans())
    def write(self, id: str, noticed: bool) -> None:
        """A step or the end of a turn; the process may not get to know that it was stored."""
        bill = self._bill(id)
        record = TurnRecord(
            id=id, address="api:1:s", status="running", created_at=NOW, usage=self.usage.get(id, Usage()), model="m"
        )
        self._unit(lambda c: bill.write(c, record))
        if noticed:
            bill.written()

    @rule(id=ids)
    def give_up(self, id: str) -> None:
        done(self._bill(id).__aexit__(None, None, None))
        del self.bills[id]

    @rule()
    def crash(self) -> None:
        self.billing, self.bills = self._process(), {}

    @rule(seconds=st.sampled_from([1.0, HELD_SECONDS, MONTH]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.months.add(month_of(self.now))

    @rule()
    def keep_and_sweep(self) -> None:
        done(self.billing.once())

    @rule(amount=st.integers(1, 20))
    def recharge(self, amount: int) -> None:
        self._unit(lambda c: c.execute(update(table).values(balance=table.c.balance + amount)))
        self.given += amount
        self.before = self._row()

    @invariant()
    def it_adds_up(self) -> None:
        if not hasattr(self, "payer"):
            return
        row = self._row()
        spent = row.spent - (self.before.spent if row.month == self.before.month else 0)
        self.gone += spent + self.before.balance - row.balance
        self.before = row
        fees = self._unit(lambda c: c.execute(select(func.coalesce(func.sum(turns.c.fee), 0))).scalar_one())
        held = self._unit(lambda c: c.execute(select(func.coalesce(func.sum(reservations.c.amount), 0))).scalar_one())
        assert fees == self.gone, "the ledger is the sum of the turns"
        assert fees <= self.quota * len(self.months) + self.given
        assert row.held == held
        assert row.balance >= 0
        assert row.spent <= row.month_quota

    def teardown(self) -> None:
        done(self.store.close())


TestTurns = Turns.TestCase
TestTurns.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_b15_the_bound_is_bytes_and_the_longest_answer_of_the_dearest_model() -> None:
    cheap = Rate(price=Price(input=UNIT, output=UNIT), output=100)
    dear = Rate(price=Price(input=2 * UNIT, output=4 * UNIT), output=10, image=7)
    size = len(b'[[{"role":"user","content":"hi"}],[],{}]')
    assert Tariff(rates={"cheap": cheap, "dear": dear}).most(ASKED) == max(
        (size + 100) * 1000, (size * 2 + 10 * 4) * 1000
    )


def test_b15_an_image_counts_as_a_number_of_tokens_however_large_it_is() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    asked = Completion(messages=[{"role": "user", "content": [image, {"type": "text", "text": "hi"}]}])
    bound = Tariff(rates={"m": Rate(price=Price(input=1_000_000), image=5000)}).most(asked)
    assert 5000 < bound < 5200


def test_b15_an_answer_without_a_limit_gets_one_that_is_sent() -> None:
    assert tariff().bounded(ASKED).params == {"max_tokens": LONGEST}
    assert tariff(10).bounded(ASKED) is ASKED, "the model's own is sent anyway"
    said = Completion(messages=[], params={"max_completion_tokens": 3})
    assert tariff(10).bounded(said) is said
    assert tariff(10).most(said) == 3


def test_a_recording_and_texts_have_bounds() -> None:
    rates = Tariff(rates={"m": Rate(price=Price(input=1_000_000, output=1_000_000))})
    assert rates.embedding(["hé", [1, 2]]) == 5
    assert rates.recording(Recording(name="a", media_type="audio/ogg", content=b"x" * 1600)) == 202


@pytest.mark.parametrize("payer", [None, Payer(key=1, unlimited=True)])
def test_who_need_not_pay_reserves_nothing(payer: Payer | None) -> None:
    billing = Billing(SyncStore(), lambda: NOW)
    assert done(billing.bill("t", tariff(), payer).afford(ASKED)) is ASKED
    assert not billing.running


def test_what_is_free_asks_the_store_nothing() -> None:
    billing = Billing(SyncStore(), lambda: NOW)
    bill = billing.bill("t", Tariff(rates={"m": Rate()}), Payer(key=1))
    assert done(bill.afford(ASKED)) is ASKED
    bill.used(Usage(prompt=5, completion=5), "m")
    assert not bill.is_open
    assert not billing.running
