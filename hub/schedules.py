"""Turns schedules that are due into messages; runs in one process at a time, as a lane of the inbox `run`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec
import structlog

from hub import timetable
from hub.bus import Bus, Hold, Lease, Publish
from hub.message import Author, Message, Text, agent_inbox
from hub.signals import POLL
from hub.store import Connection
from hub.timetable import Rule

log = structlog.get_logger()
LANE = "schedules"


class Scheduler:
    """Fires what is due."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def run(self, lease: Lease) -> None:
        """Look each second until cancelled; raises LeaseLost when another process has taken over."""
        while True:
            await self.fire(lease)
            await asyncio.sleep(POLL)

    async def fire(self, lease: Lease) -> None:
        """Fire what is due now: once, however long ago and however often it was due."""
        now = self._bus.clock()
        for rule, waits in await self._bus.store.read(lambda connection: timetable.due(connection, now)):
            await self._fire(lease, rule, now, skip=waits)

    async def _fire(self, lease: Lease, rule: Rule, now: float, *, skip: bool) -> None:
        """One unit: the message is there exactly when the schedule has moved on."""

        def move(connection: Connection) -> None:
            if not timetable.move(connection, rule, now, fired=not skip):
                raise _Gone

        try:
            await self._bus.commit(Hold(lease=lease), *([] if skip else [_publish(rule, now)]), also=move)
        except _Gone:
            log.info("schedule was cancelled", id=rule.id)
        else:
            event = "schedule skipped: its last message still waits" if skip else "schedule fired"
            log.info(event, id=rule.id, agent=rule.agent, address=str(rule.address))


class _Gone(Exception):
    """The schedule was cancelled meanwhile."""


def _publish(rule: Rule, now: float) -> Publish:
    due = datetime.fromtimestamp(rule.next_at, UTC).isoformat(timespec="seconds")
    text = (
        f"(A reminder you set yourself: schedule {rule.id}, due {due}. Your answer goes to this chat.)\n\n{rule.text}"
    )
    message = Message(
        id=rule.message_id,
        address=rule.address,
        author=Author(id=rule.agent, name="reminder", kind="agent"),
        parts=(Text(text=text),),
        at=now,
        direct=rule.direct,
    )
    body = msgspec.json.encode(message)
    return Publish(inbox=agent_inbox(rule.agent), lane=str(rule.address), id=message.id, body=body)
