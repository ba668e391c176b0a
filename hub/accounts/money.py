"""What calls cost: integers of 1e-9 of the currency's unit, from prices per 1,000,000 tokens (pure)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

from hub.errors import RequestError
from hub.message import Value
from hub.model import Usage

UNIT = 10**9
"""How many of ours make one of the currency."""
PER_TOKENS = 10**6
PLACES = 10
"""Decimal places of the amounts that answers show."""
MOST = 10**9
"""The largest amount that can be given, in units of the currency; sums of it fit the database's integers."""
_WRITTEN = re.compile(r"[0-9.]+")
"""What Python reads beside is no amount that people write: `1_000`, `1e3`, digits of other scripts."""


class Price(Value, frozen=True, kw_only=True):
    """What a model's tokens cost, per 1,000,000 of them; `cached` None: as much as other input."""

    input: int = 0
    output: int = 0
    cached: int | None = None

    def fee(self, usage: Usage) -> int:
        """What some tokens cost; half of the smallest amount counts as one."""
        return self._cost(usage, ROUND_HALF_UP)

    def most(self, prompt: int, completion: int) -> int:
        """The most that a call may cost which sends and gets no more tokens than these."""
        dearest = max(self.input, self.cached or 0)
        bound = Price(input=dearest, output=self.output)
        return bound._cost(Usage(prompt=prompt, completion=completion), ROUND_CEILING)

    def _cost(self, usage: Usage, rounding: str) -> int:
        cached = min(usage.cached, usage.prompt)
        cost = (usage.prompt - cached) * self.input + usage.completion * self.output
        cost += cached * (self.input if self.cached is None else self.cached)
        return int((Decimal(cost) / PER_TOKENS).quantize(Decimal(1), rounding))


def amount(value: Decimal | str | float, where: str) -> int:
    """An amount as somebody writes it, with up to 9 places; raises RequestError that names `where`."""
    try:
        if isinstance(value, str) and not _WRITTEN.fullmatch(value):
            raise ValueError(value)
        exact = Decimal(str(value)) * UNIT
        whole = int(exact)
    except (ArithmeticError, ValueError) as error:
        raise RequestError(f"{where}: an amount such as 12.50", param=where) from error
    if exact != whole:
        raise RequestError(f"{where}: at most 9 decimal places", param=where)
    if not 0 <= whole <= MOST * UNIT:
        raise RequestError(f"{where}: 0 to {MOST}", param=where, code="out_of_range")
    return whole


def shown(value: int) -> str:
    """An amount as answers show it: `12.5000000000`."""
    return f"{Decimal(value) / UNIT:.{PLACES}f}"


def month_of(now: float) -> str:
    """The UTC month of a time in Unix seconds: `2026-11`."""
    return f"{datetime.fromtimestamp(now, UTC):%Y-%m}"
