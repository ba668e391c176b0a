"""The newest lines of the log: which are kept, what is never in them, and who hears of them."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import threading
from typing import Any

import msgspec
import pytest

from hub import logbook
from hub.logbook import BARE, LONGEST, LONGEST_TRACEBACK, MASK, Logbook, LogLine, Wanted, mask
from tests.patience import PATIENCE

BOT_TOKEN = "123456789:AAF-fake_token_of_a_bot_that_is_none1"
SAID = """
import logging
import msgspec, structlog
from hub import logs

logs.configure("info", terminal=False)
structlog.contextvars.bind_contextvars(id="support.77.3", address="support:77")
log = structlog.get_logger()
log.debug("nobody wants this")
log.info("turn", agent="assistant", api_key="br-0123456789abcdefghij")
try:
    diary = "my " + "diary"
    raise ValueError("no")
except ValueError:
    log.exception("handler failed")
logging.getLogger("aiogram").error("cannot reach %s", "https://api.telegram.org/bot123456789:AAF-fake_token_of_a_bot_that_is_none1/getMe")
print(msgspec.json.encode(logs.BOOK.lines()).decode())
"""


def write(book: Logbook, event: str = "turn", level: str = "info", **fields: Any) -> None:
    book.keep(None, level, {"event": event, "level": level, **fields})


def line(event: str = "turn", level: str = "info", **fields: Any) -> LogLine:
    book = Logbook()
    write(book, event, level, **fields)
    return book.lines()[0]


def masked(**fields: Any) -> dict[str, Any]:
    return dict(mask(None, "info", dict(fields)))


def test_what_the_hub_and_its_libraries_log_is_kept_without_secrets_and_what_people_said() -> None:
    done = subprocess.run([sys.executable, "-c", SAID], capture_output=True, text=True, check=True)
    turn, failed, library = msgspec.json.decode(done.stdout, type=list[LogLine])
    bound = {"id": "support.77.3", "address": "support:77"}
    assert (turn.event, turn.level, turn.logger) == ("turn", "info", None)
    assert turn.fields == {**bound, "agent": "assistant", "api_key": MASK}
    assert (failed.level, failed.fields) == ("error", bound)
    assert failed.exception is not None
    assert failed.exception.endswith("ValueError: no")
    assert (library.logger, library.level) == ("aiogram", "error")
    assert library.event == f"cannot reach https://api.telegram.org/bot{MASK}/getMe"
    for told in (done.stdout, done.stderr):
        assert not any(secret in told for secret in ("my diary", "br-0123", "AAF-fake"))


def test_the_oldest_lines_go_first() -> None:
    book = Logbook(most_lines=3)
    for n in range(5):
        write(book, str(n))
    assert [each.event for each in book.lines()] == ["2", "3", "4"]
    assert [each.id for each in book.lines()] == [book.first + n for n in (2, 3, 4)]


def test_the_bytes_of_all_lines_are_bounded_and_the_newest_line_is_always_kept() -> None:
    book = Logbook(most_bytes=3 * (BARE + LONGEST))
    for n in range(50):
        write(book, str(n), error="x" * LONGEST)
    assert [each.event for each in book.lines()] == ["48", "49"]
    small = Logbook(most_bytes=1)
    write(small, "1")
    write(small, "2")
    assert [each.event for each in small.lines()] == ["2"]


def test_a_line_is_bounded_whatever_is_written() -> None:
    many: dict[str, Any] = {f"f{n}": n for n in range(99)}
    kept = line("e" * 2 * LONGEST, text="x" * 2 * LONGEST, items=list(range(10_000)), **many)
    assert len(kept.event) == len(str(kept.fields["text"])) == len(str(kept.fields["items"])) == LONGEST + 1
    assert len(kept.fields) <= logbook.MOST_FIELDS
    try:
        raise ValueError("y" * 2 * LONGEST_TRACEBACK)
    except ValueError as error:
        told = line("failed", exc_info=error).exception
    assert told is not None
    assert (told[0], len(told)) == ("…", LONGEST_TRACEBACK + 1)


def test_a_value_that_cannot_be_shown_is_named_by_its_error() -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError

    assert line(odd=Odd(), pair=(1, None)).fields == {"odd": "(RuntimeError)", "pair": "(1, None)"}


@pytest.mark.parametrize(
    "name", ["token", "app_secret", "password", "Authorization", "api-key", "encrypt_key", "apikey"]
)
def test_a_field_that_is_called_a_secret_is_masked(name: str) -> None:
    assert masked(**{name: "correct horse"}) == {name: MASK}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"POST /bot{BOT_TOKEN}/sendMessage", f"POST /bot{MASK}/sendMessage"),
        ("401 for sk-0123456789abcdefghij.", f"401 for {MASK}."),
        ("Authorization: Bearer abcdef.ghi-jkl", f"Authorization: Bearer {MASK}"),
        ("postgresql://bot:pa55@db/bothub", f"postgresql://{MASK}@db/bothub"),
        ("GET /hook?token=abc&x=1", f"GET /hook?token={MASK}&x=1"),
        ("MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcDe.0123456789-_0123456789-_012", MASK),
    ],
)
def test_what_looks_like_a_secret_is_masked_wherever_it_stands(text: str, shown: str) -> None:
    assert masked(error=text) == {"error": shown}


@pytest.mark.parametrize(
    "fields",
    [
        {
            "id": "support.77.3",
            "address": "support:77",
            "tokens": 12,
            "request_id": "0b7f3c1e-7c52-4c0e-9d53-8f6f3f1b2a44",
        },
        {"error": "ModelUnavailable: upstream said 500 at https://models.example/v1/chat", "token": None},
        {"event": "signals away: this process looks for itself", "server": "nats://10.0.0.7:4222"},
    ],
)
def test_everything_else_stays(fields: dict[str, Any]) -> None:
    assert masked(**fields) == fields


@pytest.mark.parametrize(
    ("wanted", "events"),
    [
        (Wanted(), ["turn", "delivery", "not claimed", "channel lost"]),
        (Wanted(level="warning"), ["not claimed", "channel lost"]),
        (Wanted(level="error"), ["channel lost"]),
        (Wanted(channel="support"), ["turn", "delivery", "channel lost"]),
        (Wanted(channel="supp"), []),
        (Wanted(agent="assistant"), ["turn", "not claimed"]),
        (Wanted(message="support.77.3"), ["turn", "delivery"]),
        (Wanted(message="support.77.30"), []),
        (Wanted(message="support.7"), []),
        (Wanted(message="build-41"), ["turn"]),
        (Wanted(q="TOKEN REFUSED"), ["channel lost"]),
        (Wanted(q="lost", level="error", channel="support"), ["channel lost"]),
    ],
)
def test_lines_are_found_by_what_they_are_about(wanted: Wanted, events: list[str]) -> None:
    book = Logbook()
    write(book, id="support.77.3", address="support:77", agent="assistant", request_id="build-41")
    write(book, "delivery", id="support.77.3.reply", address="support:77:1")
    write(book, "not claimed", "warning", inbox="agent:assistant")
    write(book, "channel lost", "error", channel="support", error="token refused")
    assert [each.event for each in book.lines() if wanted.fits(each)] == events


def test_reading_goes_on_after_a_number_and_tells_what_is_gone() -> None:
    book = Logbook(most_lines=3)
    start = book.newest
    assert book.after(start, 10) == ((), 0)
    for n in range(5):
        write(book, str(n))
    events, gone = book.after(start, 2)
    assert ([each.event for each in events], gone) == (["2", "3"], 2)
    events, gone = book.after(events[-1].id, 2)
    assert ([each.event for each in events], gone) == (["4"], 0)
    assert (book.wrote(start), book.wrote(start - 1), book.wrote(book.newest + 1)) == (True, False, False)


def test_a_later_process_has_greater_numbers() -> None:
    times = itertools.count(1_795_000_000.0)
    first = Logbook(clock=lambda: next(times))
    for _ in range(1000):
        write(first)
    assert Logbook(clock=lambda: next(times)).first > first.newest


async def test_who_watches_hears_of_lines_of_every_thread() -> None:
    book = Logbook()
    with book.watch() as news:
        for _ in range(2):
            thread = threading.Thread(target=write, args=(book, "elsewhere"))
            thread.start()
            assert await news.wait(PATIENCE)
            thread.join()
        assert not await news.wait(0.0)
    write(book, "nobody watches")
    assert not await news.wait(0.0)


async def test_writers_of_many_threads_lose_nothing() -> None:
    book = Logbook()
    await asyncio.gather(*(asyncio.to_thread(lambda: [write(book) for _ in range(200)]) for _ in range(8)))
    assert [each.id for each in book.lines()] == list(range(book.first, book.first + 1600))
