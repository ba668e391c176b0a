"""Long work in the background, as pages show it: what it is called, how far it is, what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.panel.words import N_
from hub.records.jobs import ITSELF, Job, State

STATES: Mapping[State, tuple[str, str]] = {
    "waiting": (N_("Waiting"), ""),
    "running": (N_("Running"), "warn"),
    "done": (N_("Done"), "good"),
    "failed": (N_("Failed"), "bad"),
    "cancelled": (N_("Cancelled"), ""),
}
"""What the states of a job are called, and their colour."""
KINDS = {
    "export": N_("Export"),
    "backup": N_("Backup"),
    "erase": N_("Erase a person"),
    "retention": N_("Forget what is too old"),
    "sweep": N_("Remove files that nothing needs"),
}
STEPS = {
    "copying the database": N_("Copying the database"),
    "checking the copy": N_("Checking the copy"),
    "packing": N_("Packing"),
    "sessions": N_("Sessions"),
    "turns": N_("Turns"),
    "usage": N_("Usage"),
    "entries": N_("Messages and steps"),
    "index": N_("Search index"),
    "rows": N_("Looking for files in use"),
    "files": N_("Files"),
}
COUNTS = {
    "rows": N_("Rows"),
    "files": N_("Files"),
    "entries": N_("Messages and steps"),
    "turns": N_("Turns"),
    "sessions": N_("Sessions"),
    "messages": N_("Messages"),
    "posts": N_("Posts"),
    "facts": N_("Facts"),
    "schedules": N_("Reminders"),
}
"""What a job counts; else it is said as it is stored."""
IN_SIZE = ("copying the database", "packing")
"""Steps whose numbers mean nothing to people; their share does."""


def counts(job: Job) -> dict[str, int]:
    """What a job did so many of."""
    found = {name: value for name, value in (job.result or {}).items() if name != "bytes" and isinstance(value, int)}
    return {name: value for name, value in found.items() if value}


WORDS: Mapping[str, Any] = {
    "job_states": STATES,
    "job_kinds": KINDS,
    "job_steps": STEPS,
    "job_counts": COUNTS,
    "in_size": IN_SIZE,
    "counts_of": counts,
    "itself": ITSELF,
    "keeps_files": ("export", "backup"),
}
"""What templates/work_parts.html needs."""
