"""How the hub is set up, and who changed what."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from api.panel.pages import Page
from api.panel.view import View
from api.panel.words import N_
from hub.accounts import audit
from hub.store.migrate import HEAD

page = Page("settings", N_("Settings"), icon="settings", admin=True)
SHOWN = 50
LIBRARIES = ("quart", "hypercorn", "sqlalchemy", "msgspec", "openai", "aiogram", "discord.py", "lark-oapi", "nats-py")
TABS = (
    (N_("This hub"), "/panel/settings"),
    (N_("Audit log"), "/panel/settings/audit"),
)


@page.shows("settings.html")
async def state(view: View) -> dict[str, Any]:
    """What runs here."""
    ready = await view.hub.ready()
    return {"tabs": TABS, "versions": _versions(), "ready": ready, "head": HEAD}


@page.shows("audit.html", rule="/audit")
async def changes(view: View) -> dict[str, Any]:
    """Who changed what, the newest first."""
    found = await view.hub.store.read(lambda connection: audit.listed(connection, view.part(SHOWN)))
    return {"tabs": TABS, "records": found}


def _versions() -> list[tuple[str, str]]:
    found = [("bothub", version("bothub")), ("Python", sys.version.partition(" ")[0])]
    for name in LIBRARIES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found
