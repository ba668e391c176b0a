"""Prices and amounts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.accounts.money import MOST, UNIT, Price, amount, month_of, shown
from hub.errors import RequestError
from hub.model import Usage

PRICES = st.builds(
    Price,
    input=st.integers(0, 10**12),
    output=st.integers(0, 10**12),
    cached=st.none() | st.integers(0, 10**12),
)
TOKENS = st.integers(0, 10**7)


def test_b17_a_fee_is_exact() -> None:
    price = Price(input=amount("0.25", "p"), output=amount("2", "p"))
    assert shown(price.fee(Usage(prompt=3, completion=7))) == "0.0000147500"
    assert price.fee(Usage(prompt=10**6, completion=10**6)) == amount("2.25", "p")


def test_cached_tokens_have_their_own_price() -> None:
    price = Price(input=amount(1, "p"), cached=amount("0.1", "p"))
    assert price.fee(Usage(prompt=10, cached=4)) == 6 * 1000 + 4 * 100
    assert Price(input=amount(1, "p")).fee(Usage(prompt=10, cached=4)) == 10 * 1000


@given(PRICES, TOKENS, TOKENS, TOKENS)
def test_no_call_within_its_tokens_costs_more_than_its_bound(price: Price, prompt: int, cached: int, said: int) -> None:
    used = Usage(prompt=prompt, cached=min(cached, prompt), completion=said)
    assert 0 <= price.fee(used) <= price.most(prompt, said)


@given(PRICES, TOKENS, TOKENS, TOKENS)
def test_a_fee_is_the_nearest_amount(price: Price, prompt: int, cached: int, said: int) -> None:
    cached = min(cached, prompt)
    paid = price.input if price.cached is None else price.cached
    exact = Decimal((prompt - cached) * price.input + cached * paid + said * price.output) / 10**6
    assert abs(price.fee(Usage(prompt=prompt, cached=cached, completion=said)) - exact) <= Decimal("0.5")


@pytest.mark.parametrize(("written", "units"), [("12.50", 12_500_000_000), (0.1, 10**8), (1e-9, 1), (0, 0)])
def test_amounts_as_people_write_them(written: str | float, units: int) -> None:
    assert amount(written, "balance") == units


@pytest.mark.parametrize(
    "wrong", ["", "much", "-1", "NaN", "Infinity", "1e-10", str(MOST + 1), "0x10", "1_000", "1e3", "٣", "."]
)
def test_what_is_no_amount_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(RequestError, match="balance: "):
        amount(wrong, "balance")


def test_amounts_are_shown_with_ten_places() -> None:
    assert shown(3 * UNIT + 1) == "3.0000000010"
    assert shown(0) == "0.0000000000"


def test_months_are_those_of_utc() -> None:
    assert month_of(1_795_000_000.0) == "2026-11"
    assert (month_of(1_796_083_199.9), month_of(1_796_083_200.0)) == ("2026-11", "2026-12")
