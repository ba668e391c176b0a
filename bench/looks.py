"""Every page of the panel, and what can be asked of it behind the `?`, in the words of `bench/said.py`.

A test asks the panel for its routes: each is here, but for files.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from bench.history import DAY, History

Who = Literal["nobody", "admin", "user"]
PANEL = "/panel"
LATER = 1000
"""A page far down a list."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """One page as somebody asks for it; of what is `live` the first piece."""

    who: Who
    path: str
    live: bool = False

    @property
    def name(self) -> str:
        return f"{self.path.removeprefix(PANEL)}{'' if self.who == 'admin' else f' ({self.who})'}"


Defined = Mapping[tuple[str, str], int]
"""The numbers of what is defined, by kind and name."""


def looks(history: History, defined: Defined) -> list[Look]:
    """All of them; the login page, where nobody is looked up, is the first."""
    admins = [Look(who="admin", path=PANEL + path, live=_is_live(path)) for path in _of_admins(history, defined)]
    users = [Look(who="user", path=PANEL + path, live=_is_live(path)) for path in _of_users(history)]
    return [Look(who="nobody", path=f"{PANEL}/login"), *admins, *users]


def room(history: History, key: int) -> str:
    """A web room of a key's own; the key after those of the history is an admin's."""
    begun = [s for s in range(3, history.sessions, 3) if s % 4 and s % 30 != 21]
    own = [s for s in begun if s // 3 % (history.keys + 1) + 1 == key]
    return f"own.{key}.agent{own[-1] % history.agents}.r{own[-1]}" if own else "lobby"


def _is_live(path: str) -> bool:
    return path.partition("?")[0].rpartition("/")[2] in ("live", "events", "tail")


def _of_admins(history: History, defined: Defined) -> Iterator[str]:
    for over in ("1h", "24h", "30d"):
        for by in ("", "&by=channel", "&by=agent", "&by=model"):
            yield f"/overview?over={over}{by}"
    yield "/overview/live"
    yield from ("/chat", "/chat/lobby", "/chat/lobby/events", "/chat/lobby/older?before=2000")
    yield f"/chat/{room(history, history.keys + 1)}"
    yield from ("/channels", "/channels/live", "/channels/new", "/channels/new/telegram")
    web, bot = defined["channel", "web"], defined["channel", "bot1"]
    yield from (f"/channels/{web}", f"/channels/{web}/live", f"/channels/{bot}", f"/channels/{bot}/edit")
    yield from ("/agents", "/agents/new", f"/agents/{defined['agent', 'agent0']}")
    yield from ("/models", "/models/new", f"/models/{defined['model', 'model0']}")
    yield from ("/keys", "/keys?after=150", "/keys?q=key+17", "/keys?group=1")
    yield from ("/keys/new", "/keys/1", "/keys/1/edit", "/groups", "/groups/1")
    yield from (f"/sessions{asked}" for asked in _list(history.sessions))
    yield from (f"/sessions?{asked}" for asked in _filters())
    yield from (f"/sessions/1{part}" for part in ("", "?after=1500", "/erase"))
    yield from (f"/sessions/{history.sessions - 3}{part}" for part in ("", "/export"))
    yield from ("/sessions/exports/1", "/sessions/exports/1/live")
    yield from ("/logs", "/logs?level=error", "/logs/tail?after=1")
    yield from _of_deliveries()
    said = f"turn{history.turns - 3}"
    yield from ("/trace", f"/trace?id={said}", f"/trace/live?id={said}", f"/trace?id={said}.reply", "/trace?id=p1234")
    yield from ("/trace?id=nothing", "/settings", "/settings/config", "/settings/audit", "/settings/audit?after=10000")
    yield from (f"/settings/{what}{part}" for what in ("jobs", "backup") for part in ("", "/live"))


def _of_deliveries() -> Iterator[str]:
    yield from ("/deliveries", "/deliveries/live", f"/deliveries?after={time.time() - DAY / 2}~0~0")
    yield from (f"/deliveries?state={state}" for state in ("waiting", "failing", "sending", "delivered", "dead"))
    yield from ("/deliveries?channel=bot1", "/deliveries?channel=bot1&state=dead", "/deliveries?address=web:lobby")
    yield from ("/deliveries?id=turn5", "/deliveries?id=p5", "/deliveries?id=nothing")
    yield from ("/deliveries/turn503.reply", "/deliveries/turn503.reply/live", "/deliveries/turn503.reply/edit")
    yield from ("/deliveries/incoming", "/deliveries/incoming/live", "/deliveries/incoming?agent=agent1")
    yield from (f"/deliveries/incoming/turn7{part}?inbox=agent:agent2" for part in ("", "/edit"))


def _of_users(history: History) -> Iterator[str]:
    yield from (f"/overview?over={over}" for over in ("1h", "24h", "30d"))
    yield from ("/overview/live", "/chat", f"/chat/{room(history, 1)}", "/keys", "/keys/1")
    yield from (f"/sessions{asked}" for asked in _list(history.sessions))
    yield from ("/sessions?q=weather", "/sessions?q=town5", "/sessions?q=request40", "/sessions?status=failed")
    yield from ("/sessions?agent=agent0&status=completed&q=weather", "/sessions/1")


def _list(count: int) -> Iterator[str]:
    """The beginning of a list, and a page far down."""
    yield ""
    yield f"?after={max(2, count - 25 * LATER)}"


def _filters() -> Iterator[str]:
    """Of sessions: each by itself, and some together."""
    yield from ("q=request4000", "q=town5", "q=weather", "q=weather+river5", "q=About+town7", "q=nowhere", "q=s400")
    today = time.time()
    week, year = (datetime.fromtimestamp(today - days * DAY, UTC).date() for days in (7, 300))
    yield from (f"since={week}", f"until={year}", f"since={year}&until={year}")
    yield from ("channel=bot1", "channel=api", "channel=none", "agent=agent1", "agent=none")
    yield from ("status=failed", "status=completed", "status=running", "key=1", "key=key+7")
    yield from ("person=bot1:p1", "person=api:1", "person=bot1:nobody")
    yield from ("agent=agent1&status=failed", "channel=bot1&agent=agent2", "channel=bot1&q=weather")
    yield f"channel=web&agent=agent1&status=cancelled&since={week}&q=town5"
