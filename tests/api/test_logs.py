"""/admin/log: the newest lines of the log, and those that come, for admins alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from hub.logbook import Logbook
from hub.store import Store
from tests.api.asking import Events
from tests.api.facade import ADMIN, USER, Facade, running


def write(book: Logbook, event: str, level: str = "info", **fields: Any) -> None:
    book.keep(None, level, {"event": event, "level": level, **fields})


@pytest.fixture
def book() -> Logbook:
    return Logbook(most_lines=10)


@pytest.fixture
async def facade(store: Store, book: Logbook) -> AsyncGenerator[Facade]:
    async with running(store, logbook=book) as started:
        yield started


@asynccontextmanager
async def following(facade: Facade, query: str = "", **headers: str) -> AsyncGenerator[Events]:
    async with (
        facade.http(ADMIN, **headers) as client,
        client.stream("GET", f"/admin/log/tail{query}") as response,
    ):
        assert response.status_code == 200
        yield Events(response)


async def listed(facade: Facade, query: str = "") -> dict[str, Any]:
    async with facade.http(ADMIN) as client:
        answer = await client.get(f"/admin/log/list{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_the_newest_lines_come_first_in_pages(facade: Facade, book: Logbook) -> None:
    for n in range(5):
        write(book, str(n), id=f"t{n}", address="web:lobby")
    page = await listed(facade, "?limit=2")
    assert [line["event"] for line in page["items"]] == ["4", "3"]
    assert (page["total"], page["next"]) == (5, book.newest - 1)
    write(book, "new")
    later = await listed(facade, f"?limit=9&after={page['next']}")
    assert ([line["event"] for line in later["items"]], later["next"]) == (["2", "1", "0"], None)
    assert page["items"][0]["fields"] == {"id": "t4", "address": "web:lobby"}
    assert (page["process"]["level"], page["process"]["since"]) == ("info", book.since)


async def test_they_are_filtered(facade: Facade, book: Logbook) -> None:
    write(book, "turn", id="support.1", address="support:1", agent="assistant")
    write(book, "channel lost", "error", channel="team", error="no route to host")
    for query in ("level=warning", "channel=team", "q=ROUTE"):
        assert [line["event"] for line in (await listed(facade, f"?{query}"))["items"]] == ["channel lost"], query
    for query in ("channel=support", "agent=assistant", "message=support.1", "level=info&q=turn"):
        assert [line["event"] for line in (await listed(facade, f"?{query}"))["items"]] == ["turn"], query


async def test_lines_come_as_they_are_written(facade: Facade, book: Logbook) -> None:
    write(book, "before")
    async with following(facade, "?level=warning") as events:
        assert await events.next() == {"": "keep-alive"}
        write(book, "a turn")
        write(book, "lost", "warning")
        fields = await events.next()
        assert (fields["event"], fields["id"]) == ("line", str(book.newest))
        write(book, "failed", "error")
        assert (await events.named("line"))["event"] == "failed"


async def test_after_a_break_nothing_is_missed(facade: Facade, book: Logbook) -> None:
    for n in range(4):
        write(book, str(n))
    async with following(facade, **{"Last-Event-ID": str(book.first)}) as events:
        assert [(await events.named("line"))["event"] for _ in range(3)] == ["1", "2", "3"]
    async with following(facade, f"?after={book.first + 2}") as events:
        assert (await events.named("line"))["event"] == "3"


async def test_what_is_not_kept_any_more_is_told(facade: Facade, book: Logbook) -> None:
    seen = str(book.newest)
    for n in range(14):
        write(book, str(n))
    async with following(facade, **{"Last-Event-ID": seen}) as events:
        assert await events.named("missed") == {"missed": 4}
        assert (await events.named("line"))["event"] == "4"


async def test_after_a_restart_the_reader_is_told_and_begins_with_the_first_line(facade: Facade, book: Logbook) -> None:
    write(book, "started")
    for last in (book.first - 1_000_000, book.newest + 1_000_000):
        async with following(facade, **{"Last-Event-ID": str(last)}) as events:
            assert await events.named("missed") == {"missed": None}
            assert (await events.named("line"))["event"] == "started"


async def test_silence_is_said(store: Store) -> None:
    async with running(store, keep_alive=0.01) as facade, following(facade) as events:
        assert [await events.next() for _ in range(3)] == [{"": "keep-alive"}] * 3


@pytest.mark.parametrize("query", ["level=loud", "after=-1", "limit=0"])
async def test_a_wrong_question_is_refused(facade: Facade, query: str) -> None:
    async with facade.http(ADMIN) as client:
        answer = await client.get(f"/admin/log/list?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["data"]


async def test_a_wrong_number_of_a_line_is_refused(facade: Facade) -> None:
    async with facade.http(ADMIN, **{"Last-Event-ID": "x"}) as client:
        answer = await client.get("/admin/log/tail")
    assert (answer.status_code, answer.json()["data"]) == (400, "Last-Event-ID must be the id of a line.")


@pytest.mark.parametrize("route", ["list", "tail"])
async def test_nobody_else_sees_it(facade: Facade, route: str) -> None:
    async with facade.http(USER) as client:
        answer: httpx.Response = await client.get(f"/admin/log/{route}")
    assert answer.status_code == 403
