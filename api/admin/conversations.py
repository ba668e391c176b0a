"""/admin/.../conversation: which key may read the conversation of a chat, and go on with it over HTTP."""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta
from quart import Blueprint, Response

from api import conversations
from api.acts import change
from api.auth import require
from api.document import document
from api.envelope import Done, Id, Listed, Paging, Text, Word, done, listing
from api.wire import query, read
from hub.accounts import conversations as grants
from hub.accounts import keyring
from hub.accounts.audit import Act
from hub.accounts.conversations import ConversationGrant
from hub.errors import RequestError

routes = Blueprint("admin-conversations", __name__)
Chat = Annotated[Text, Meta(min_length=1)]


class ConversationBinding(msgspec.Struct, kw_only=True):
    """A conversation to grant to a key: an agent at the address of a chat, `support:123` or with its thread.

    `bind` says whether it is to be granted; left out, it is granted if it was not, and taken back if it was.
    """

    key_id: Id
    agent: Word
    session: Chat
    bind: bool | None = None


class ConversationBound(TypedDict):
    """Whether it is granted now."""

    is_bind: bool


class ConversationQuery(Paging, kw_only=True):
    """Which grants to list: a key's, those of a chat."""

    key_id: Id | None = None
    session: Text | None = None


class ConversationShown(TypedDict):
    """A conversation that was granted to a key."""

    id: int
    key_id: int
    key_name: str
    agent: str
    session: str
    created_at: int


@routes.post("/admin/api-key/bind-or-unbind-conversation")
@require("admin")
@document(
    {200: Done[ConversationBound]},
    body=ConversationBinding,
    example={"key_id": 1, "agent": "assistant", "session": "support:123", "bind": False},
    errors=(404,),
)
async def bind() -> Response:
    """Let a key read a chat's conversation and go on with it, or no longer; it holds from the next request on.

    This key alone, this agent and this very address: a thread of the chat is another one.
    """
    said = await read(ConversationBinding)
    where = conversations.address(said.session)
    if conversations.is_own(said.session):
        raise RequestError("session: the session of a key cannot be granted", param="session", code="invalid_value")

    def unit(act: Act) -> bool:
        keyring.guard(act.by.key, keyring.account(act.connection, said.key_id, act.now).key)
        return grants.bind(act, said.key_id, said.agent, where, said.bind)

    return done({"is_bind": await change("conversation.bind", unit)})


@routes.get("/admin/api-key/conversations")
@require("admin")
@document({200: Listed[ConversationShown]}, query=ConversationQuery)
async def index() -> Response:
    """The conversations that keys were granted, in the order of the grants."""
    asked = query(ConversationQuery)
    return await listing(
        asked, lambda connection, part: grants.listed(connection, asked.key_id, asked.session, part), shown
    )


def shown(grant: ConversationGrant) -> ConversationShown:
    """A grant as admins see it."""
    return {
        "id": grant.id,
        "key_id": grant.key_id,
        "key_name": grant.key_name,
        "agent": grant.agent,
        "session": grant.address,
        "created_at": int(grant.created_at),
    }
