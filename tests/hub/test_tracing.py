"""What work carries from process to process, and spans where nobody wants any."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from structlog.contextvars import clear_contextvars, get_contextvars

from hub import tracing
from hub.message import Delivery
from hub.tracing import Attributes, Kind
from tests.hub.engine import ANN, CHAT, message

PARENT = f"00-{'4' * 32}-{'7' * 16}-01"


class Made:
    """A span that notes how it ended."""

    def __init__(self, name: str, parent: str | None, number: int) -> None:
        self.name = name
        self.parent = parent
        self.traceparent = f"00-{'4' * 32}-{number:016x}-01"
        self.ended: list[BaseException | None] = []

    def set(self, attributes: Attributes) -> None:
        """Forget it."""

    def rename(self, name: str) -> None:
        self.name = name

    def end(self, error: BaseException | None = None, at: float | None = None) -> None:
        self.ended.append(error)


class Notes:
    """A tracer that keeps its spans."""

    def __init__(self) -> None:
        self.made: list[Made] = []

    def begin(self, name: str, kind: Kind, parent: str | None, attributes: Attributes, at: float | None) -> Made:
        self.made.append(Made(name, parent, len(self.made) + 1))
        return self.made[-1]


@pytest.fixture
def notes() -> Iterator[Notes]:
    notes = Notes()
    tracing.install(notes)
    yield notes
    tracing.install(None)


async def in_a_task(work: object) -> None:
    """Run something where it leaves nothing behind."""
    assert callable(work)

    async def run() -> None:
        clear_contextvars()
        work()

    await asyncio.create_task(run())


def delivery() -> Delivery:
    return Delivery(id="d", address=CHAT, parts=(), author=ANN)


async def test_what_is_made_for_a_request_carries_its_name_to_whoever_takes_it_up() -> None:
    made: list[Delivery] = []

    def asked() -> None:
        assert tracing.marked(delivery()) == delivery()
        tracing.name_request("build-41")
        made.append(tracing.marked(delivery()))

    def taken_up() -> None:
        tracing.resume(made[0])
        assert tracing.request_id() == get_contextvars()["request_id"] == "build-41"
        assert tracing.marked(message("m")).request_id == "build-41"

    await in_a_task(asked)
    assert (made[0].request_id, made[0].trace) == ("build-41", None)
    await in_a_task(taken_up)
    assert tracing.request_id() is None


async def test_without_a_tracer_spans_are_nothing() -> None:
    assert not tracing.is_on()
    with tracing.span("one", {"a": 1}) as span:
        span.set({"b": 2})
        span.rename("two")
        assert tracing.traceparent() is None
        assert tracing.marked(delivery()).trace is None
    assert tracing.span("one") is tracing.span("two"), "nothing is made"
    tracing.past("queue", 1.0, 2.0, {})


async def test_a_span_is_below_the_one_under_way_also_in_another_process(notes: Notes) -> None:
    carried: list[Delivery] = []

    def here() -> None:
        with tracing.span("turn", parent=PARENT), tracing.span("tool"):
            carried.append(tracing.marked(delivery()))
        assert tracing.traceparent() is None

    def there() -> None:
        tracing.resume(carried[0])
        with tracing.span("deliver"):
            assert tracing.stamp(None, "", {})["trace_id"] == "4" * 32

    await in_a_task(here)
    await in_a_task(there)
    turn, tool, sent = notes.made
    assert [each.parent for each in notes.made] == [PARENT, turn.traceparent, tool.traceparent]
    assert [each.ended for each in (turn, tool, sent)] == [[None]] * 3


def test_an_error_ends_its_span_and_goes_on(notes: Notes) -> None:
    with pytest.raises(ValueError, match="no"), tracing.span("turn"):
        raise ValueError("no")
    [made] = notes.made
    assert [type(error) for error in made.ended] == [ValueError]


def test_a_span_that_is_made_in_pieces_is_under_way_only_where_it_says_so(notes: Notes) -> None:
    made = tracing.begin("chat", {})
    assert tracing.traceparent() is None
    with tracing.under(made):
        assert tracing.traceparent() == made.traceparent
    assert tracing.traceparent() is None


@pytest.mark.parametrize(
    "header",
    [None, "", "nonsense", f"00-{'0' * 32}-{'7' * 16}-01", f"00-{'4' * 32}-{'0' * 16}-01", f"{PARENT}-more"],
)
def test_a_header_that_nobody_can_read_is_none(header: str | None) -> None:
    assert tracing.asked_by(header) is None
    assert tracing.asked_by(PARENT) == PARENT
