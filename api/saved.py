"""What the routes of models, agents and bots share: definitions are changed, found and listed in one way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from quart import Response

from api import current
from api.acts import by
from api.envelope import Paging, page
from api.wire import decode
from hub.accounts.definitions import Change, Shown
from hub.errors import RequestError
from hub.store.listing import sliced


async def save(*changes: Change) -> Sequence[Shown]:
    """Save definitions, or delete them, as the request's key."""
    return await current.hub().definitions.save(*changes, by=by())


def listed(asked: Paging, all_: Sequence[Shown], shown: Callable[[Shown], Any]) -> Response:
    """A page of them, by their ids."""
    return page(asked, sliced(all_, lambda one: one.id, asked.part), shown)


def config_of(given: dict[str, Any] | str) -> dict[str, Any]:
    """Settings by our names for them; BRConnector's clients send an object or its JSON as a text, and say `appId`."""
    value: Any = given
    if isinstance(given, str):
        value = decode(given.encode()) if given.strip() else {}
    if not isinstance(value, dict):
        raise RequestError("config: an object, or one as JSON text", param="config", code="invalid_value")
    return {snake(name): one for name, one in cast(dict[str, Any], value).items()}


def snake(name: str) -> str:
    """`appId` as `app_id`, `baseURL` as `base_url`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def camel(name: str) -> str:
    """`app_id` as `appId`."""
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


def told(settings: Mapping[str, Any], *without: str) -> dict[str, Any]:
    """Settings by the names that BRConnector's clients know; secrets are masked."""
    return {camel(name): value for name, value in settings.items() if name not in without}
