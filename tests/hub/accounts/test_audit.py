"""The audit: rows that are only added, also by the database's own rule, and how they are found."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, delete, text, update
from sqlalchemy.exc import DBAPIError

from hub.accounts import audit
from hub.accounts.audit import Act, By
from hub.store import Store, migrate, open_store
from hub.store.listing import Part
from hub.store.tables import audit as table
from tests.auditing import act, audited


def noted(connection: Connection, *targets: str, at: float = 0.0, by: By | None = None) -> None:
    for target in targets:
        Act(connection=connection, what="post", now=at, by=by or By()).note(target, after={"delivery": "d"})


async def check_kept(store: Store) -> None:
    """Rows are added, and neither changed nor deleted, not even none of them."""
    await store.write(lambda c: noted(c, "support:1", "support:2"))
    for statement in (
        update(table).values(by="nobody"),
        update(table).where(table.c.id == 1).values(after=b"{}"),
        delete(table).where(table.c.target == "support:2"),
    ):
        with pytest.raises(DBAPIError, match="never changed"):
            await store.write(lambda c, statement=statement: c.execute(statement))
    await store.write(lambda c: noted(c, "support:3"))
    kept = [(one.target, one.by, one.after) for one in await audited(store, "post")]
    assert kept == [(f"support:{number}", "command line", {"delivery": "d"}) for number in (1, 2, 3)]


async def test_rows_are_never_changed_nor_deleted(store: Store) -> None:
    await check_kept(store)


async def test_migrations_make_the_same_rule(store_url: str) -> None:
    store = await open_store(store_url)
    await migrate.migrate(store)
    await check_kept(store)
    await store.close()


@pytest.mark.postgres
async def test_a_table_is_not_emptied_either(postgres_url: str) -> None:
    store = await open_store(postgres_url)
    await migrate.migrate(store)
    with pytest.raises(DBAPIError, match="never changed"):
        await store.write(lambda c: c.execute(text("TRUNCATE audit")))
    await store.close()


async def test_changes_are_found_by_time_kind_target_and_key(store: Store) -> None:
    asked = By(called="agent:assistant", asked=7)
    await store.write(lambda c: noted(c, "support:1", "support:2", at=100.0))
    await store.write(lambda c: noted(c, "support:1", at=200.0, by=asked))
    await store.write(lambda c: act(c, 300.0, "key.update").note("key:7", {"name": "a"}, {"name": "b"}))

    async def found(**wanted: Any) -> list[tuple[str, float]]:
        page = await store.read(lambda c: audit.listed(c, Part(limit=10), **wanted))
        assert len(page.items) == page.total
        return [(row.target, row.at) for row in page.items]

    everything = [("key:7", 300.0), ("support:1", 200.0), ("support:2", 100.0), ("support:1", 100.0)]
    assert await found() == everything
    assert await found(what="post") == everything[1:]
    assert await found(target="support:1") == [everything[1], everything[3]]
    assert await found(key_id=7) == [everything[1]]
    assert await found(since=200.0) == everything[:2]
    assert await found(until=200.0) == everything[2:]
    assert await found(since=150.0, until=300.0, what="post") == [everything[1]]


async def test_pages_follow_each_other_by_time_whatever_the_order_they_were_written_in(store: Store) -> None:
    """Processes whose clocks differ write out of order."""
    for at in (10.0, 30.0, 20.0, 20.0, 40.0):
        await store.write(lambda c, at=at: noted(c, f"at:{at:.0f}", at=at))
    seen, part = list[str](), Part(limit=2)
    for _ in range(3):
        page = await store.read(lambda c, part=part: audit.listed(c, part))
        assert page.total == 5
        seen += [row.target for row in page.items]
        part = Part(limit=2, after=page.next or ())
    assert part.after == ()
    assert seen == ["at:40", "at:30", "at:20", "at:20", "at:10"]
