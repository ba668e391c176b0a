"""The calls the platform knows: their names, routes and what answers them."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from tests.platforms.feishu import cardkit, files, messages
from tests.platforms.feishu.state import State
from tests.platforms.feishu.wire import Call, Json, refusal

Method = Callable[[State, Call], Awaitable[Json | web.Response]]

RENEWED_BEFORE = 1800


async def get_token(state: State, call: Call) -> web.Response:
    """The app's token: the last one while it is good for half an hour more, else another beside it."""
    if (call.params.get("app_id"), call.params.get("app_secret")) != (state.app_id, state.app_secret):
        raise refusal(10014, status=200)
    now = state.clock()
    good = [token for token, until in state.tokens.items() if until - now >= RENEWED_BEFORE]
    token = good[-1] if good else state.new_id("t-")
    until = state.tokens.setdefault(token, now + state.token_seconds)
    answer = {"code": 0, "msg": "ok", "tenant_access_token": token, "expire": int(until - now)}
    return web.json_response(answer)


async def get_bot(state: State, call: Call) -> web.Response:
    return web.json_response({"code": 0, "msg": "ok", "bot": {"activate_status": 2, "avatar_url": "", **state.bot}})


ROUTES: dict[str, tuple[str, str, Method]] = {
    "token": ("POST", "/auth/v3/tenant_access_token/internal", get_token),
    "bot.info": ("GET", "/bot/v3/info", get_bot),
    "message.create": ("POST", "/im/v1/messages", messages.create),
    "message.list": ("GET", "/im/v1/messages", messages.listed),
    "message.get": ("GET", "/im/v1/messages/{message_id}", messages.get),
    "message.reply": ("POST", "/im/v1/messages/{message_id}/reply", messages.reply),
    "message.update": ("PUT", "/im/v1/messages/{message_id}", messages.update),
    "message.patch": ("PATCH", "/im/v1/messages/{message_id}", messages.patch),
    "message.delete": ("DELETE", "/im/v1/messages/{message_id}", messages.delete),
    "reaction.create": ("POST", "/im/v1/messages/{message_id}/reactions", messages.add_reaction),
    "reaction.delete": ("DELETE", "/im/v1/messages/{message_id}/reactions/{reaction_id}", messages.delete_reaction),
    "resource.get": ("GET", "/im/v1/messages/{message_id}/resources/{file_key}", files.get_resource),
    "image.create": ("POST", "/im/v1/images", files.create_image),
    "file.create": ("POST", "/im/v1/files", files.create_file),
    "chat.get": ("GET", "/im/v1/chats/{chat_id}", messages.get_chat),
    "card.create": ("POST", "/cardkit/v1/cards", cardkit.create),
    "card.id_convert": ("POST", "/cardkit/v1/cards/id_convert", cardkit.id_convert),
    "card.update": ("PUT", "/cardkit/v1/cards/{card_id}", cardkit.update),
    "card.settings": ("PATCH", "/cardkit/v1/cards/{card_id}/settings", cardkit.settings),
    "card.batch_update": ("POST", "/cardkit/v1/cards/{card_id}/batch_update", cardkit.batch_update),
    "card.content": ("PUT", "/cardkit/v1/cards/{card_id}/elements/{element_id}/content", cardkit.content),
}
"""By name: HTTP method, path below /open-apis, and the function."""
ENDPOINT = "endpoint"
"""The name of the discovery of the long connection's address."""
OPEN = {"token", ENDPOINT}
"""What needs no token."""
NAMES = {*ROUTES, ENDPOINT, "*"}
