"""What the functions of a client's returned: held against the calls that wait for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from api.openai.responses import items
from api.openai.responses.items import Placed
from api.openai.responses.past import remembered
from hub import memory
from hub.errors import RequestError
from hub.memory import Entry, Said, Stepped
from hub.message import Address
from hub.model import ToolCall
from hub.store import Connection

Told = Mapping[str, Placed]
"""Outputs by the ids of their calls."""


def outputs(given: Sequence[Placed]) -> Told:
    """The outputs among items; raises RequestError where a call has two."""
    told: dict[str, Placed] = {}
    for one in given:
        if one.item["type"] == "function_call_output":
            if one.item["call_id"] in told:
                param = f"{one.where}.call_id"
                raise RequestError(f"{param}: a second output of this call", param=param, code="invalid_value")
            told[one.item["call_id"]] = one
    return told


def texts(told: Told) -> dict[str, str]:
    """What each call returned."""
    return {call: items.output(one) for call, one in told.items()}


def check_session(connection: Connection, agent: str, address: Address, told: Told) -> None:
    """A unit: raise RequestError unless these are the outputs that the agent waits for in a session of its own."""
    session = memory.current_session(connection, agent, address) if told else None
    _check(told, () if session is None else memory.wanted(connection, session))


async def begun(before: Sequence[Placed], told: Told) -> tuple[list[Entry], Told]:
    """What a client says was said before, and the outputs of the calls that it ends with.

    Raises RequestError for outputs of calls that are not there, and for a call that is left without one.
    """
    entries = await remembered(before, told)
    calls = {one.item["call_id"] for one in before if one.item["type"] == "function_call"}
    for call, one in told.items():
        if call not in calls:
            raise items.no_call(one)
    last = entries[-1] if entries else None
    if not isinstance(last, Stepped) or not any(call.id in told for call in last.calls):
        return entries, {}
    newest = {call.id: told[call.id] for call in last.calls if call.id in told}
    _check(newest, last.calls)
    return [*entries[:-1], Said(text=last.text, calls=last.calls)], newest


def _check(told: Told, calls: Sequence[ToolCall]) -> None:
    waiting = [call.id for call in calls]
    for call, one in told.items():
        if call not in waiting:
            raise items.no_call(one, " It may have an output already, or the conversation went on without one.")
    for call in waiting:
        if told and call not in told:
            problem = f"No tool output found for function call {call}."
            raise RequestError(problem, param="input", code="invalid_value")
