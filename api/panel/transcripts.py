"""What was said in a session as the panel shows it: who said it, what tools did, what each turn took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from api.downloads import PICTURES
from api.panel import talk
from api.panel.talk import Called
from api.panel.words import N_
from hub.accounts.turns import TurnRecord
from hub.memory import Heard, Said, Stepped
from hub.message import API, Address, File
from hub.records import listed
from hub.records.listed import Asked, Line, SessionTotals
from hub.records.sessions import Written

MARKS = {
    "queued": (N_("Waiting"), "warn"),
    "running": (N_("Running"), "warn"),
    "cancelled": (N_("Stopped"), "warn"),
    "failed": (N_("Failed"), "bad"),
}
"""What is said of a turn that did not end as it should, and its colour."""


@dataclass(kw_only=True)
class Bubble:
    """Something that was said; `turn` is there below the last one of it, `summary` what stands for all before."""

    id: int
    at: float
    day: str
    who: str
    mine: bool = False
    text: str = ""
    summary: bool = False
    calls: Sequence[Called] = ()
    files: Sequence[tuple[File, str, bool]] = ()
    turn: TurnRecord | None = None
    new_day: bool = False
    goes_on: bool = False
    open: bool = field(default=False, repr=False)
    """Its calls are the asker's, and what they returned is heard next."""

    @property
    def time(self) -> datetime:
        """When it was said."""
        return datetime.fromtimestamp(self.at, UTC)

    @property
    def first(self) -> float | None:
        """After how many seconds the first word of its turn came."""
        return None if self.turn is None else _since(self.turn, self.turn.first_token_at)

    @property
    def seconds(self) -> float | None:
        """How long its turn took in all."""
        return None if self.turn is None else _since(self.turn, self.turn.finished_at)


def bubbles(session: SessionTotals, lines: Sequence[Line], path: str, speakers: Mapping[str, str]) -> list[Bubble]:
    """What some lines say, the oldest first; files are below a path, `speakers` names those who spoke in a web room."""
    shown: list[Bubble] = []
    last: dict[str, tuple[Asked, Bubble]] = {}
    for line in lines:
        shown += [*_of(session, line.written, shown, path, speakers)]
        if line.turn is not None and shown:
            last[line.written.turn] = (line.turn, shown[-1])
    for turn, bubble in last.values():
        bubble.turn = turn.record
    _arrange(shown)
    return shown


def _arrange(shown: Sequence[Bubble]) -> None:
    """Mark where a day begins, and where somebody goes on who said something just before."""
    before: Bubble | None = None
    for bubble in shown:
        bubble.new_day = before is None or before.day != bubble.day
        same = before is not None and (before.who, before.mine, before.turn) == (bubble.who, bubble.mine, None)
        bubble.goes_on = same and not bubble.new_day and not bubble.summary
        before = bubble


def _of(
    session: SessionTotals, written: Written, shown: Sequence[Bubble], path: str, speakers: Mapping[str, str]
) -> Iterator[Bubble]:
    agent = session.session.agent
    match written.entry:
        case Heard() as heard:
            if heard.returned is not None:
                asking = next((one for one in reversed(shown) if one.open), None) or _bubble(written, agent)
                asking.calls, is_known = talk.calls([heard.returned]), asking.open
                asking.open = False
                if not is_known:
                    yield asking
            if heard.text or heard.files or heard.returned is None:
                who = heard.author or speakers.get(heard.sender or "") or listed.asker(session)
                yield _heard(written, heard, path, who)
        case Stepped() as step:
            yield _bubble(written, agent, text=step.text, calls=talk.calls([step]))
        case Said() as said:
            calls = [talk.called(call) for call in said.calls]
            yield _bubble(written, agent, text=said.text, calls=calls, open=bool(calls))
        case summary:
            yield _bubble(written, agent, text=summary.text, summary=True)


def _heard(written: Written, heard: Heard, path: str, who: str) -> Bubble:
    files = [
        (file, f"{path}/{written.id}/{index}", file.media_type in PICTURES) for index, file in enumerate(heard.files)
    ]
    return _bubble(written, who, mine=True, text=heard.text, files=files)


def _bubble(
    written: Written,
    who: str,
    *,
    mine: bool = False,
    text: str = "",
    summary: bool = False,
    calls: Sequence[Called] = (),
    files: Sequence[tuple[File, str, bool]] = (),
    open: bool = False,
) -> Bubble:
    return Bubble(
        id=written.id,
        at=written.at,
        day=f"{datetime.fromtimestamp(written.at, UTC):%Y-%m-%d}",
        who=who,
        mine=mine,
        text=text,
        summary=summary,
        calls=calls,
        files=files,
        open=open,
    )


def title(session: SessionTotals, opening: str | None) -> str | None:
    """What a session is called: by its title, else by its first words."""
    return session.session.title or (" ".join(opening.split())[:120] if opening and opening.strip() else None)


def place(session: SessionTotals) -> str:
    """Where it is: a key's own name of it, or the chat."""
    here = Address.parse(session.session.address)
    if here.channel == API:
        return here.thread_id or ""
    return here.chat_id if here.thread_id is None else f"{here.chat_id}:{here.thread_id}"


def _since(turn: TurnRecord, at: float | None) -> float | None:
    return None if at is None else max(0.0, at - turn.created_at)
