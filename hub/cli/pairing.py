"""`bothub pairing`: strangers who ask to talk to a bot."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from hub import access
from hub.access import Paired, PairingRequest
from hub.cli.call import Call
from hub.cli.desk import Desk, work
from hub.cli.output import Failed, ago, done, span, table, tell
from hub.store import Connection

Requests = dict[str, list[PairingRequest]]
People = dict[str, list[Paired]]


def show(call: Call, channel: str | None) -> None:
    """Print who waits and who is in, of one channel or of all."""
    requests, people, now = work(call, lambda desk: _look(desk, channel))
    tell(_data(requests, people), *_shown(requests, people, now), json=call.json)


def approve(call: Call, channel: str, code: str) -> None:
    """Let the holder of a code in; raises Failed for a wrong or old one."""

    async def task(desk: Desk) -> tuple[str, str]:
        name = desk.posts.channels.name(channel)
        sender = await desk.change("pairing.approve", lambda act: access.approve(act, name, code))
        if sender is None:
            raise Failed(f"'{code}' is no code that waits in '{name}': it was mistyped, used, or is over an hour old.")
        return name, sender

    name, sender = work(call, task)
    shown = done("approved", f"{sender} may talk to '{name}' now")
    tell({"success": True, "channel": name, "user_id": sender}, shown, json=call.json)


def revoke(call: Call, channel: str, sender: str) -> None:
    """Forget an approval or a request; raises Failed when there is none."""

    async def task(desk: Desk) -> str:
        name = desk.posts.channels.name(channel)
        if not await desk.change("pairing.revoke", lambda act: access.revoke(act, name, sender)):
            raise Failed(f"'{sender}' neither waits nor was approved in '{name}'.")
        return name

    name = work(call, task)
    shown = done("revoked", f"{sender} is a stranger to '{name}' again")
    tell({"success": True, "channel": name, "user_id": sender}, shown, json=call.json)


async def _look(desk: Desk, channel: str | None) -> tuple[Requests, People, float]:
    known = desk.posts.channels
    names = [known.name(channel)] if channel else sorted(desk.config.channels)
    now = desk.now

    def read(connection: Connection) -> tuple[Requests, People]:
        requests = {name: access.pending(connection, name, now) for name in names}
        return requests, {name: access.paired(connection, name) for name in names}

    return *await desk.store.read(read), now


def _data(requests: Requests, people: People) -> dict[str, object]:
    return {
        "requests": [
            {
                "channel": channel,
                "code": one.code,
                "user_id": one.sender,
                "name": one.name,
                "created_at": one.created_at,
                "expires_at": one.expires_at,
            }
            for channel, found in requests.items()
            for one in found
        ],
        "approved": [
            {"channel": channel, "user_id": one.sender, "name": one.name, "approved_at": one.approved_at}
            for channel, found in people.items()
            for one in found
        ],
    }


def _shown(requests: Requests, people: People, now: float) -> list[RenderableType]:
    shown: list[RenderableType] = []
    if any(requests.values()):
        shown += [
            _waiting(requests, now),
            Text.assemble("\n", ("bothub pairing approve CHANNEL CODE", "bold"), " lets them in."),
        ]
    else:
        shown.append(Text("Nobody waits for approval.", style="green"))
    if any(people.values()):
        shown += ["", _approved(people, now)]
    return shown


def _waiting(requests: Requests, now: float) -> Table:
    shown = table("waits for approval", "channel", "id", "code", "good for")
    for channel, found in requests.items():
        for one in found:
            code = Text(one.code, style="bold cyan", no_wrap=True)
            shown.add_row(Text(one.name), channel, Text(one.sender), code, span(one.expires_at - now))
    return shown


def _approved(people: People, now: float) -> Table:
    shown = table("approved", "channel", "id", "since")
    for channel, found in people.items():
        for one in found:
            shown.add_row(Text(one.name), channel, Text(one.sender), ago(now - one.approved_at))
    return shown
