"""What was used, added up from the turns; for people who look, since it reads every turn of the time they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection, Integer, and_, case, cast, func, select

from hub.message import Value
from hub.store.tables import keys, turns

By = Literal["day", "agent", "model", "key"]
DAY = 86_400


class Used(Value, frozen=True, kw_only=True, omit_defaults=False):
    """What one of them used: `of` is a day (`2026-11-21`, UTC), a name, or a key's id; None: it has none.

    `name` is a key's. `fee` is an integer of 1e-9 of the currency's unit, `failed` how many turns were not answered.
    """

    of: str | None
    name: str | None = None
    turns: int
    failed: int
    prompt: int
    completion: int
    fee: int

    @property
    def tokens(self) -> int:
        return self.prompt + self.completion


def usage(connection: Connection, by: By, since: float, until: float, key_id: int | None = None) -> Sequence[Used]:
    """A unit: what turns that began in a time used; by day from the first on, else the most tokens first."""
    asked = and_(turns.c.created_at >= since, turns.c.created_at < until)
    of = _OF[by]
    sums = (_sum(turns.c.prompt_tokens), _sum(turns.c.completion_tokens))
    query = (
        select(
            of.label("of"),
            func.count().label("turns"),
            _sum(case((turns.c.status == "failed", 1), else_=0)).label("failed"),
            sums[0].label("prompt"),
            sums[1].label("completion"),
            _sum(turns.c.fee).label("fee"),
        )
        .where(asked if key_id is None else and_(asked, turns.c.key_id == key_id))
        .group_by(of)
        .order_by(of if by == "day" else (sums[0] + sums[1]).desc(), of)
    )
    names = _names(connection) if by == "key" else {}
    return [_used(row, by, names) for row in connection.execute(query)]


def day_of(at: float) -> str:
    """The UTC day of a time in Unix seconds: `2026-11-21`."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def _sum(column: Any) -> Any:
    return cast(func.coalesce(func.sum(column), 0), turns.c.fee.type)


_OF: dict[By, Any] = {
    "day": cast(func.floor(turns.c.created_at / DAY), Integer),
    "agent": turns.c.agent,
    "model": turns.c.model,
    "key": turns.c.key_id,
}


def _names(connection: Connection) -> dict[int, str]:
    return {row.id: row.name for row in connection.execute(select(keys.c.id, keys.c.name))}


def _used(row: Any, by: By, names: dict[int, str]) -> Used:
    numbers = {name: getattr(row, name) for name in ("turns", "failed", "prompt", "completion", "fee")}
    if row.of is None:
        return Used(of=None, **numbers)
    return Used(of=day_of(row.of * DAY) if by == "day" else str(row.of), name=names.get(row.of), **numbers)
