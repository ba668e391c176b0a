"""`bothub jobs`: what a hub does in the background, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.console import RenderableType
from rich.text import Text

from hub.accounts.audit import Act
from hub.cli.call import Call
from hub.cli.desk import Desk, act, work
from hub.cli.output import Failed, ago, table, tell
from hub.errors import NotFound
from hub.records import jobs
from hub.records.jobs import Job
from hub.store.listing import Part

COLOURS = {"waiting": "yellow", "running": "cyan", "done": "green", "failed": "red", "cancelled": "dim"}


def show(call: Call, limit: int) -> None:
    """Print the newest jobs."""

    async def look(desk: Desk) -> tuple[Sequence[Job], float]:
        found = await desk.store.read(lambda connection: jobs.listed(connection, Part(limit=limit)))
        return found.items, desk.now

    found, now = work(call, look)
    tell(found, *_listed(found, now), json=call.json)


def one(call: Call, id: int) -> None:
    """Print a job; raises Failed where there is none."""

    async def look(desk: Desk) -> tuple[Job, float]:
        try:
            return await desk.store.read(lambda connection: jobs.get(connection, id)), desk.now
        except NotFound as error:
            raise Failed(str(error)) from None

    _tell(call, *work(call, look))


def cancel(call: Call, id: int) -> None:
    """End a job; raises Failed for one that is over."""

    def unit(act: Act) -> tuple[Job, float]:
        job = jobs.cancel(act.connection, id, act.now)
        act.note(f"job:{id}", after={"state": job.state})
        return job, act.now

    _tell(call, *act(call, "job.cancel", unit))


def _tell(call: Call, job: Job, now: float) -> None:
    tell(job, *_listed([job], now), *_more(job), json=call.json)


def _listed(found: Sequence[Job], now: float) -> list[RenderableType]:
    if not found:
        return [Text("Nothing was done in the background yet.", style="yellow")]
    made = table(("id", {"justify": "right"}), "job", "state", "progress", "asked by", "when")
    for job in found:
        state = Text(job.state, style=COLOURS[job.state])
        made.add_row(str(job.id), job.kind, state, _progress(job), Text(job.by), ago(now - job.created_at))
    return [made]


def _progress(job: Job) -> str:
    if not job.step:
        return ""
    return f"{job.step}: {job.done}" if job.of is None else f"{job.step}: {job.done} of {job.of}"


def _more(job: Job) -> list[RenderableType]:
    told = {"asked for": job.arguments, "result": job.result}
    lines: list[RenderableType] = [
        Text(f"{name}: {msgspec.json.encode(value).decode()}") for name, value in told.items() if value
    ]
    return [*lines, Text(job.error, style="red")] if job.error else lines
