"""`bothub dead`: messages that were given up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import click
from rich.console import RenderableType
from rich.text import Text

from hub.accounts.audit import By
from hub.cli.call import Call
from hub.cli.desk import Desk, work
from hub.cli.output import Failed, ago, short, tell
from hub.cli.output import done as line_of
from hub.errors import Conflict, RequestError
from hub.message import File, next_try
from hub.records import deadletters
from hub.records.deadletters import DeadLetter
from hub.store import Connection

FIRST_WORDS = 72
Deed = Literal["retried", "resent", "discarded"]
Act = Callable[[Desk, DeadLetter], Awaitable[str | None]]
"""Does something with a dead message; returns the id it goes on as, if any; raises Failed."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one of the messages that a command named."""

    id: str
    inbox: str | None = None
    new_id: str | None = None
    error: str | None = None


def show(call: Call, inbox: str | None, limit: int) -> None:
    """Print the newest dead messages."""
    letters, total, now = work(call, lambda desk: _newest(desk, inbox, limit))
    data = {"messages": [_data(letter) for letter in letters], "total": total}
    tell(data, *_shown(letters, total, now), json=call.json)


def retry(call: Call, ids: tuple[str, ...], *, everything: bool, inbox: str | None) -> None:
    """Publish messages again at the tail of their lanes; exits 1 when one cannot be."""
    _each(call, ids, everything, inbox, "retried", _retry)


def resend(call: Call, id: str, text: str, *, inbox: str | None) -> None:
    """Publish a message with another text at the tail of its lane; exits 1 when it cannot be."""

    async def edited(desk: Desk, letter: DeadLetter) -> str:
        return await deadletters.resend(desk.bus, letter, text, By())

    _each(call, (id,), False, inbox, "resent", edited)


def discard(call: Call, ids: tuple[str, ...], *, everything: bool, inbox: str | None) -> None:
    """Take messages off the list; exits 1 when one is not on it."""
    _each(call, ids, everything, inbox, "discarded", _discard)


async def _newest(desk: Desk, inbox: str | None, limit: int) -> tuple[list[DeadLetter], int, float]:
    def read(connection: Connection) -> tuple[list[DeadLetter], int]:
        return deadletters.newest(connection, inbox, limit), deadletters.count(connection, inbox)

    return *await desk.store.read(read), desk.now


def _each(call: Call, ids: tuple[str, ...], everything: bool, inbox: str | None, done: Deed, act: Act) -> None:
    if everything == bool(ids):
        raise RequestError("Name the messages by their ids, or say --all.")
    results = work(call, lambda desk: _all(desk, inbox, act) if everything else _named(desk, ids, inbox, act))
    tell(_results_data(results, done), *_results_shown(results, done), json=call.json)
    if ids and any(result.error for result in results):
        click.get_current_context().exit(1)


async def _named(desk: Desk, ids: tuple[str, ...], inbox: str | None, act: Act) -> list[Result]:
    return [await _one(desk, id, inbox, act) for id in dict.fromkeys(ids)]  # noqa: A001 - the word of the bus


async def _all(desk: Desk, inbox: str | None, act: Act) -> list[Result]:
    """Those that are dead now; what dies meanwhile is not tried over and over."""
    found = await desk.store.read(lambda connection: deadletters.places(connection, inbox))
    return [await _one(desk, id, place, act) for place, id in found]  # noqa: A001


async def _one(desk: Desk, id: str, inbox: str | None, act: Act) -> Result:
    try:
        letter = await _find(desk, id, inbox)
        return Result(id=id, inbox=letter.inbox, new_id=await act(desk, letter))
    except (Failed, Conflict) as error:
        return Result(id=id, inbox=inbox, error=str(error))


async def _find(desk: Desk, id: str, inbox: str | None) -> DeadLetter:
    found = await desk.store.read(lambda connection: deadletters.find(connection, id, inbox))
    open_ones = [letter for letter in found if letter.open]
    if not found:
        raise Failed(f"There is no dead message '{id}'{f' in {inbox}' if inbox else ''}.")
    if not open_ones:
        raise Failed(_closed(found[0]))
    if len(open_ones) > 1:
        inboxes = " or ".join(letter.inbox for letter in open_ones)
        raise Failed(f"'{id}' is in more than one inbox: add --inbox {inboxes}.")
    return open_ones[0]


def _closed(letter: DeadLetter) -> str:
    match letter.reason:
        case "retried":
            return f"'{letter.id}' was retried already, as '{next_try(letter.id)}'."
        case "told":
            return f"'{letter.id}' was asked over HTTP, and its caller was told; it has to ask again."
        case _:
            return f"'{letter.id}' was {letter.reason} already."


async def _retry(desk: Desk, letter: DeadLetter) -> str:
    return await deadletters.retry(desk.bus, letter, By())


async def _discard(desk: Desk, letter: DeadLetter) -> None:
    await desk.change("dead.discard", lambda act: deadletters.discard(act, letter))


def _words(letter: DeadLetter) -> str:
    said = letter.said
    if said is None:
        return letter.body.decode(errors="replace")
    return said.text or ", ".join(part.name for part in said.parts if isinstance(part, File))


def _data(letter: DeadLetter) -> dict[str, object]:
    return {
        "id": letter.id,
        "inbox": letter.inbox,
        "address": letter.place or None,
        "lane": letter.lane or None,
        "at": letter.at,
        "died_at": letter.died_at,
        "attempts": letter.attempts,
        "reason": letter.reason,
        "error": letter.error,
        "text": short(_words(letter), FIRST_WORDS),
        "can_retry": bool(letter.lane),
    }


def _shown(letters: list[DeadLetter], total: int, now: float) -> list[RenderableType]:
    if not letters:
        return [Text("Nothing was given up.", style="green")]
    shown: list[RenderableType] = [_entry(letter, now) for letter in letters]
    if total > len(letters):
        shown.append(Text(f"the newest {len(letters)} of {total}; see more with --limit", style="dim"))
    hint = Text.assemble(("bothub dead retry ID", "bold"), " tries again, ", ("bothub dead discard ID", "bold"))
    return [*shown, hint.append(" lets go.")]


def _entry(letter: DeadLetter, now: float) -> Text:
    tries = "1 try" if letter.attempts == 1 else f"{letter.attempts} tries"
    after = f" after {tries}" if letter.attempts else ""
    place = letter.place
    entry = Text.assemble((letter.id, "bold cyan"), "\n  ", letter.inbox)
    if place:
        entry.append(f"  to {place}" if letter.inbox.startswith("channel:") else f"  from {place}")
    entry.append(f"\n  {letter.reason or 'failed'}{after}", style="red").append(f", {ago(now - letter.died_at)}")
    if letter.error:
        entry.append(f": {short(letter.error, 300)}")
    entry.append(f"\n  “{short(_words(letter), FIRST_WORDS)}”\n", style="dim")
    return entry


def _results_data(results: list[Result], done: Deed) -> dict[str, object]:
    return {
        done: [
            {"id": one.id, "inbox": one.inbox, **({"new_id": one.new_id} if one.new_id else {})}
            for one in results
            if one.error is None
        ],
        "failed": [{"id": one.id, "error": one.error} for one in results if one.error is not None],
    }


def _results_shown(results: list[Result], done: Deed) -> list[RenderableType]:
    if not results:
        return [Text("Nothing was given up.", style="green")]
    return [_result(one, done) for one in results]


def _result(result: Result, done: Deed) -> Text:
    if result.error is not None:
        return Text(result.error, style="red")
    line = line_of(done, result.id)
    return line.append(f" as {result.new_id}" if result.new_id else "").append(f"  in {result.inbox}", style="dim")
