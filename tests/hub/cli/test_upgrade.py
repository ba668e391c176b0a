"""`bothub serve` on the database of an older version."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

from hub.store import open_store
from tests.hub.cli.command import Bothub
from tests.hub.cli.test_serve import SERVING, Served
from tests.hub.revisions import BEFORE, bring, say


async def of_before(bothub: Bothub) -> None:
    store = await open_store(bothub.store_url)
    await bring(store, BEFORE)
    await store.write(say)
    await store.close()


def test_a_hub_says_where_the_backup_is_and_goes_back_with_it(bothub: Bothub) -> None:
    asyncio.run(of_before(bothub))
    bothub.configure(SERVING)
    assert "start it once with `bothub serve`" in bothub("inbox").stderr
    for _ in range(2):
        with closing(Served(bothub.config, "--json")) as hub:
            assert hub.log("the database will be migrated")["at"] == BEFORE
            archive = hub.log("database migrated")["backup"]
            hub.started()
            assert hub.stop() == 0
        back = bothub.json("restore", archive)
        assert (back["revision"], back["files"]) == (BEFORE, 0)
        with closing(sqlite3.connect(back["database"])) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (BEFORE,)


def test_a_hub_that_cannot_migrate_ends_with_a_sentence(bothub: Bothub) -> None:
    asyncio.run(of_before(bothub))
    with closing(sqlite3.connect(bothub.store_url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "revision 9999, which this version of bothub does not know" in bothub("inbox").stderr
    bothub.configure(SERVING)
    result = bothub("serve")
    assert result.exit_code == 1
    assert "revision 9999, which this version of bothub does not know" in result.stderr
