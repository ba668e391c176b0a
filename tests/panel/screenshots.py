"""Draws every page of the panel, in light and dark, wide and narrow: `make screenshots`.

They are of a hub that has been talked to. Chinese needs a font: `apt-get install fonts-noto-cjk`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

from PIL import Image
from sqlalchemy import func, select

from api.panel.pages import pages
from hub import logs
from hub.accounts import keys
from hub.records.rooms import Own
from hub.store import Connection
from hub.store.tables import turns
from tests.e2e.here import Here
from tests.panel import chromium
from tests.panel.desk import NARROW, WIDE, Desk, Language, Role
from tests.panel.story import Story, told
from tests.panel.talking import png

FOLDER = Path(__file__).parents[2] / "docs" / "images" / "panel"
TALLEST = 2400
"""Pixels of a picture; what is below them is more of the same."""
SIZES = {"wide": WIDE, "narrow": NARROW}


async def draw(folder: Path) -> None:
    """Every page into a folder that is there."""
    with tempfile.TemporaryDirectory() as scratch:
        async with told(Path(scratch)) as story, chromium.running() as browser:
            here = story.here
            desk = Desk(here, browser, {"admin": here.key, "user": story.secrets["online shop"]})
            paths = {"login": None} | {page.name: page.path for page in pages()} | await details(story)
            for name, path in paths.items():
                role = "admin" if path else None
                for theme in ("light", "dark"):
                    for called, size in SIZES.items():
                        to = folder / f"{name}-{theme}-{called}"
                        await one(desk, role, path or "/panel/login", to, theme, size)
            await one(desk, "admin", "/panel/overview", folder / "overview-chinese", "light", WIDE, "zh-CN")
            await one(desk, "user", "/panel/overview", folder / "overview-user", "light", WIDE)


async def details(story: Story) -> dict[str, str]:
    """What pages lead to, by the names of their pictures."""
    room = await talk(story)
    session = await story.here.store.read(longest)
    [channel] = [one.id for one in await story.here.live.list("channel") if one.name == "community"]
    return {
        "talk": f"/panel/chat/{room}",
        "channel": f"/panel/channels/{channel}",
        "channel-form": "/panel/channels/new/telegram",
        "agent": f"/panel/agents/{story.saved['agent']}",
        "model": f"/panel/models/{story.saved['model']}",
        "key": f"/panel/keys/{await key_of(story.here, story.secrets['online shop'])}",
        "session": f"/panel/sessions/{session}",
    }


async def one(
    desk: Desk, role: Role | None, path: str, to: Path, theme: str, size: dict[str, int], language: Language = "en"
) -> None:
    """One page into one file."""
    async with desk.sit(role, theme=theme, size=size, language=language) as sitting:
        await sitting.open(path)
        height = await sitting.page.evaluate("document.documentElement.scrollHeight")
        height = min(max(height, size["height"]), TALLEST)
        # Not a picture of the "full page": what stays on the screen while one scrolls would end in the middle of it.
        await sitting.page.set_viewport_size({"width": size["width"], "height": height})
        picture = await sitting.page.screenshot(animations="disabled")
    await asyncio.to_thread(save, picture, to.with_suffix(".webp"))


def save(picture: bytes, to: Path) -> None:
    """Write a picture as small as it can be with every pixel as it was."""
    with Image.open(BytesIO(picture)) as full:
        full.convert("RGB").save(to, lossless=True, quality=60, method=4)


async def talk(story: Story) -> str:
    """A conversation of the admin with the agent; returns its room."""
    here = story.here
    room = Own(await key_of(here, here.key), "helpdesk", "talk").room
    async with here.http() as client:
        picture = {"file": ("lamp.png", png(240, 120), "image/png")}
        asked = "How do I dim this lamp from my own program?"
        (await client.post(f"/api/v1/web/{room}", data={"text": asked}, files=picture)).raise_for_status()
        await answered(here, room, 1)
        text = "Tell the team that the olive trees are sold out."
        (await client.post(f"/api/v1/web/{room}", json={"text": text})).raise_for_status()
        await answered(here, room, 2)
    return room


async def key_of(here: Here, secret: str) -> int:
    """The id of a key."""
    found = await here.store.read(lambda connection: keys.identify(connection, secret, None, here.engine.clock()))
    assert found is not None
    return found.id


def longest(connection: Connection) -> int:
    """A unit: the session in which most was said."""
    counted = select(turns.c.session).group_by(turns.c.session).order_by(func.count().desc())
    return connection.execute(counted.where(turns.c.session.is_not(None))).scalars().first() or 0


async def answered(here: Here, room: str, times: int) -> None:
    """Wait until so many messages have their answers."""

    async def is_answered() -> bool:
        return len(await here.engine.rooms.read("web", room, 0, 20)) == 2 * times

    await here.store.until(is_answered)


if __name__ == "__main__":
    to = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    to.mkdir(parents=True, exist_ok=True)
    logs.configure("info", terminal=False)
    with patch("socket.gethostname", return_value="hub"), patch("os.getpid", return_value=4711):
        asyncio.run(draw(to))
