"""What turns and messages come to, added up (pure): for those who write it down, and those who read it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import msgspec

from hub.message import Address
from hub.records import histogram

HISTOGRAMS = ("latency", "first_token")


class Place(NamedTuple):
    """What it was about; empty, and 0, where it was about none."""

    channel: str
    agent: str = ""
    model: str = ""
    key_id: int = 0


@dataclass(slots=True, kw_only=True)
class Sums:
    """What there was in some time; the names are those of the columns of `statistics`.

    `failed` and `cancelled` are among the `turns`, `refused` among the `received`. `fee` is an integer of 1e-9 of the
    currency's unit. Latencies are those of answered turns: from when the hub had the message to the end of the answer,
    and to its first piece; histograms, and the former as a sum of `milliseconds`, too.
    """

    turns: int = 0
    failed: int = 0
    cancelled: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    fee: int = 0
    received: int = 0
    refused: int = 0
    delivered: int = 0
    undelivered: int = 0
    milliseconds: int = 0
    latency: int = 0
    first_token: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def add(self, other: Sums) -> None:
        """Count what another one counts, too."""
        for name in NAMES:
            if more := getattr(other, name):
                setattr(self, name, getattr(self, name) + more)


NAMES = tuple(field.name for field in fields(Sums))
COUNTS = tuple(name for name in NAMES if name not in HISTOGRAMS)


def of_turn(row: Any) -> tuple[Place, Sums]:
    """What a turn that is over adds."""
    place = Place(row.address.partition(":")[0], row.agent or "", row.model or "", row.key_id or 0)
    sums = Sums(
        turns=1,
        failed=row.status == "failed",
        cancelled=row.status == "cancelled",
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        cached_tokens=row.cached_tokens,
        fee=row.fee,
    )
    if row.status == "completed":
        began = row.created_at if row.accepted_at is None else row.accepted_at
        seconds = max(0.0, row.finished_at - began)
        sums.milliseconds, sums.latency = round(seconds * 1000), histogram.one(seconds)
        if row.first_token_at is not None:
            sums.first_token = histogram.one(row.first_token_at - began)
    return place, sums


class _Said(msgspec.Struct):
    """Of the body of a message, or of a delivery, what is counted."""

    address: Address


_SAID = msgspec.json.Decoder(_Said)


def of_message(row: Any) -> tuple[Place, Sums]:
    """What a settled message of an agent's or a channel's inbox adds."""
    kind, _, name = row.inbox.partition(":")
    if kind == "channel":
        return Place(name), Sums(delivered=row.outcome == "delivered", undelivered=row.outcome == "dead")
    try:
        channel = _SAID.decode(row.body).address.channel
    except (msgspec.DecodeError, UnicodeDecodeError):
        channel = ""  # it was put aside because nobody can read it
    return Place(channel, name), Sums(received=1, refused=row.outcome == "refused")
