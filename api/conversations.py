"""`session`: a request goes on with a chat's conversation that its key was granted, instead of one of its own."""

from __future__ import annotations

from api import current
from api.acts import by
from hub.accounts import conversations
from hub.accounts.turns import Visit
from hub.errors import RequestError
from hub.message import API, Address
from hub.store import Connection


def address(session: str) -> Address:
    """The chat that `session` names; raises RequestError for what is no address, written as addresses are."""
    try:
        found = Address.parse(session)
    except RequestError as error:
        raise RequestError(f"session: {error}", param="session", code="invalid_value") from error
    if str(found) != session:
        raise RequestError(f"session: write {found}", param="session", code="invalid_value")
    return found


def is_own(where: str) -> bool:
    """Whether an address is a session of a key, and no chat."""
    return where.startswith(f"{API}:")


async def visit(session: str | None, agent: str, *named: str | None) -> Visit | None:
    """Where a request with this `session` goes; `named` is what else it says about its conversation.

    Raises Forbidden without the grant, NotFound where nobody has spoken with the agent yet, RequestError.
    """
    if session is None:
        return None
    where, key = address(session), current.key()
    if any(named):
        problem = "session: not together with another conversation; both say what went before"
        raise RequestError(problem, param="session", code="mutually_exclusive_parameters")

    def unit(connection: Connection) -> None:
        conversations.check(connection, key.id, agent, where)
        conversations.check_begun(connection, agent, where)

    await current.hub().store.read(unit)
    return Visit(address=where, by=by())


async def refuse(session: str | None, name: str) -> None:
    """Raise what `visit` does, and else RequestError: what answers here goes on with no conversation."""
    if await visit(session, name) is not None:
        problem = f"session: '{name}' remembers no conversation to go on with"
        raise RequestError(problem, param="session", code="invalid_value")


async def check(agent: str | None, where: str) -> None:
    """Raise Forbidden for what was asked in a chat's conversation that the key is no longer granted."""
    chat, key = Address.parse(where), current.key()
    if not is_own(where) and (chat.own_room is None or chat.own_room.key != key.payer):
        await current.hub().store.read(lambda connection: conversations.check(connection, key.id, agent, chat))
