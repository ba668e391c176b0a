"""The `schedule` tool: reminders an agent sets itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from agents.tools.message import target_of
from agents.tools.tool import failure
from hub.agent import Schedule, Turn
from hub.errors import RequestError
from hub.message import Address
from hub.when import Cron, Every, Once, When, zone_of

_TEXT = {"type": "string"}
_PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "action": {"type": "string", "enum": ["add", "list", "cancel"], "description": "What to do; add by default."},
        "text": {**_TEXT, "description": "What to remind you of: all you need to know then."},
        "in": {"type": "number", "description": "Once, in so many seconds."},
        "at": {**_TEXT, "description": "Once, at an ISO 8601 time with its offset: 2026-03-01T09:00:00+01:00."},
        "every": {
            "type": "number",
            "description": "Again and again, after so many seconds (60 or more).",
        },
        "cron": {**_TEXT, "description": "Again and again: minute hour day month weekday, such as 0 9 * * 1-5."},
        "time_zone": {**_TEXT, "description": "Whose clocks count for cron and for at without offset: Europe/Paris."},
        "id": {"type": "integer", "description": "Which one to cancel."},
        "channel": {**_TEXT, "description": "The channel's name. Leave out for the chat you are in."},
        "chat_id": {**_TEXT, "description": "The chat's id there. Leave out for the chat you are in."},
        "thread_id": {**_TEXT, "description": "A thread or topic of that chat, if it has some."},
    },
    "additionalProperties": False,
}


class _Arguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename={"in_": "in"}):
    action: Literal["add", "list", "cancel"] = "add"
    text: str = ""
    in_: float | None = None
    at: str | None = None
    every: float | None = None
    cron: str | None = None
    time_zone: str | None = None
    id: int | None = None
    channel: str | None = None
    chat_id: str | int | None = None
    thread_id: str | int | None = None


class ScheduleTool:
    """Adds, lists and cancels reminders; one that is due begins a turn."""

    name = "schedule"
    description = (
        "Set yourself a reminder: when it is due you get its text as a message and answer in that chat. Give the text"
        " and one of in, at, every, cron. action=list shows your reminders of the chat, action=cancel removes one."
    )
    parameters = _PARAMETERS

    async def call(self, turn: Turn, key: str, arguments: dict[str, Any]) -> str:
        """What became of it, as JSON; raises RequestError."""
        wanted = msgspec.convert(arguments, _Arguments)
        address = target_of(wanted.channel, wanted.chat_id, wanted.thread_id, turn.address)
        if address is None:
            return failure("Name channel and chat_id: there is no chat here that could be reminded.")
        match wanted.action:
            case "add":
                when = _when(wanted, turn.schedules.now)
                return _encode(_shown(await turn.schedules.add(key, address, wanted.text, when), address))
            case "list":
                found = await turn.schedules.list(address)
                shown = [_shown(one, address) for one in found]
                return _encode({"now": _iso(turn.schedules.now), "schedules": shown})
            case "cancel":
                return await _cancel(turn, address, wanted.id)


async def _cancel(turn: Turn, address: Address, id: int | None) -> str:
    if id is None:
        return failure("Name the id of the schedule to cancel; action=list shows them.")
    if not await turn.schedules.cancel(address, id):
        return failure(f"You have no schedule {id} in {address}.")
    return _encode({"status": "cancelled", "id": id})


def _when(wanted: _Arguments, now: float) -> When:
    if [wanted.in_, wanted.at, wanted.every, wanted.cron].count(None) != 3:
        raise RequestError("Give exactly one of in, at, every and cron.")
    if wanted.in_ is not None:
        return Once(at=now + wanted.in_)
    if wanted.at is not None:
        return Once(at=_time(wanted.at, wanted.time_zone))
    if wanted.every is not None:
        return Every(seconds=wanted.every)
    if wanted.time_zone is None:
        raise RequestError("cron needs a time_zone, such as Europe/Paris.", param="time_zone")
    return Cron(expression=wanted.cron or "", zone=wanted.time_zone)


def _time(text: str, zone: str | None) -> float:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise RequestError(f"'{text}' is no ISO 8601 time such as 2026-03-01T09:00:00+01:00.", param="at") from error
    if time.tzinfo is None and zone is None:
        raise RequestError(f"'{text}' does not say its offset: add one, or a time_zone.", param="at")
    return (time if time.tzinfo or zone is None else time.replace(tzinfo=zone_of(zone))).timestamp()


def _shown(schedule: Schedule, address: Address) -> dict[str, Any]:
    return {
        "id": schedule.id,
        "text": schedule.text,
        "when": msgspec.to_builtins(schedule.when),
        "next": _iso(schedule.next_at),
        "address": str(address),
    }


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")


def _encode(answer: dict[str, Any]) -> str:
    return msgspec.json.encode(answer).decode()
