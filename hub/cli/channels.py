"""`bothub channels`: how the channels are, and a fresh connection for one."""

from __future__ import annotations

from rich.text import Text

from hub.bus import Free
from hub.cli.call import Call
from hub.cli.desk import Desk, work
from hub.cli.output import Failed, ago, done, table, tell
from hub.errors import RequestError
from hub.message import channel_inbox
from hub.records.health import Health, of_channels
from hub.supervise import RUN, lane_of

COLOURS = {"up": "green", "starting": "cyan", "retrying": "yellow", "failed": "red", "stopped": "dim"}


def show(call: Call) -> None:
    """Print every configured channel with its state, as its holder last said."""

    async def task(desk: Desk) -> tuple[dict[str, Health], dict[str, str], float]:
        kinds = {name: channel.kind for name, channel in desk.config.channels.items() if channel.enabled}
        return await desk.store.read(of_channels), kinds, desk.now

    found, kinds, now = work(call, task)
    shown = table("channel", "kind", "state", "since", "reconnects", "last error")
    for name, kind in kinds.items():
        health = found.get(name, Health(state="stopped", since=now))
        state = Text(health.state, style=COLOURS[health.state])
        shown.add_row(name, kind, state, ago(now - health.since), str(health.reconnects), Text(health.error or ""))
    data = [
        {"channel": name, "kind": kind, **_data(found.get(name, Health(state="stopped", since=now)))}
        for name, kind in kinds.items()
    ]
    tell({"channels": data}, shown if kinds else Text("No channel is enabled."), json=call.json)


def restart(call: Call, name: str) -> None:
    """Have a channel connect anew; raises Failed when no process holds it."""

    async def task(desk: Desk) -> None:
        if name not in desk.config.channels:
            raise RequestError(f"There is no channel '{name}'.", param="channel")
        note = desk.acting("channel.restart", lambda act: act.note(channel_inbox(name)))
        [freed] = await desk.bus.commit(Free(inbox=RUN, lane=lane_of(name)), also=note)
        if not freed:
            raise Failed(f"No hub holds '{name}' now; it connects when one starts.")

    work(call, task)
    shown = done("restarting", f"{name} connects anew within a few seconds")
    tell({"success": True, "channel": name}, shown, json=call.json)


def _data(health: Health) -> dict[str, object]:
    return {
        "state": health.state,
        "error": health.error,
        "since": health.since,
        "reconnects": health.reconnects,
    }
