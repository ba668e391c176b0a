"""Draws every page of the panel, in light and dark, wide and narrow: `make screenshots`.

They are of a hub that has been talked to. Chinese needs a font: `apt-get install fonts-noto-cjk`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

from api.panel.pages import pages
from hub import logs
from hub.accounts import keys
from hub.records.health import of_channels
from hub.records.rooms import Own
from tests.e2e.here import Here, running_hub
from tests.e2e.hub import demo_config
from tests.panel import chromium
from tests.panel.desk import NARROW, WIDE, Desk, Language, Role
from tests.panel.talking import png
from tests.platforms.telegram import TelegramServer

FOLDER = Path(__file__).parents[2] / "docs" / "images" / "panel"
SIZES = {"wide": WIDE, "narrow": NARROW}


async def draw(folder: Path) -> None:
    """Every page into a folder that is there."""
    with tempfile.TemporaryDirectory() as scratch:
        async with running_hub(Path(scratch), demo_config(bus={})) as here, chromium.running() as browser:
            desk = Desk(here, browser, {"admin": here.key})
            desk.secrets["user"] = await desk.key()
            await live_a_little(here)
            await be_refused(here)
            for theme in ("light", "dark"):
                for name, size in SIZES.items():
                    await one(desk, None, "/panel/login", folder / f"login-{theme}-{name}", theme, size)
                    for page in pages():
                        await one(desk, "admin", page.path, folder / f"{page.name}-{theme}-{name}", theme, size)
            room = await talk_a_little(here)
            for theme in ("light", "dark"):
                for name, size in SIZES.items():
                    await one(desk, "admin", f"/panel/chat/{room}", folder / f"talk-{theme}-{name}", theme, size)
            await one(desk, "admin", "/panel/overview", folder / "overview-chinese", "light", WIDE, "zh-CN")
            await one(desk, "user", "/panel/overview", folder / "overview-user", "light", WIDE)


async def one(
    desk: Desk, role: Role | None, path: str, to: Path, theme: str, size: dict[str, int], language: Language = "en"
) -> None:
    """One page into one file."""
    async with desk.sit(role, theme=theme, size=size, language=language) as sitting:
        await sitting.open(path)
        picture = await sitting.page.screenshot(full_page=True, animations="disabled")
        to.with_suffix(".png").write_bytes(picture)


async def live_a_little(here: Here) -> None:
    """Something to see: a few turns, a few keys."""
    async with here.http() as client:
        for said in ("hello", "count to 5", "what did I say"):
            asked = {"model": "assistant", "messages": [{"role": "user", "content": said}]}
            (await client.post("/v1/chat/completions", json=asked)).raise_for_status()
        for name in ("laptop", "shop", "night shift"):
            (await client.post("/api/v1/user/api-keys", json={"name": name})).raise_for_status()


async def be_refused(here: Here) -> None:
    """A Telegram bot whose token is wrong."""
    async with TelegramServer() as telegram, here.http() as client:
        bot = {"name": "support", "config": {"token": "123456:none", "baseUrl": telegram.base_url}}
        (await client.post("/admin/bot/telegram/save", json=bot)).raise_for_status()
        await here.store.until(lambda: _failed(here, "support"))


async def _failed(here: Here, channel: str) -> bool:
    found = await here.store.read(of_channels)
    return channel in found and found[channel].state == "failed"


async def talk_a_little(here: Here) -> str:
    """A conversation with the agent; returns its room."""
    key = await here.store.read(lambda connection: keys.identify(connection, here.key, None, here.engine.clock()))
    assert key is not None
    room = Own(key.id, "assistant", "talk").room
    said = ("slowly 0 " + ANSWER, "post to web:lobby: It is grey.")
    async with here.http() as client:
        picture = {"file": ("grey.png", png(240, 120), "image/png")}
        (await client.post(f"/api/v1/web/{room}", data={"text": "what is this?"}, files=picture)).raise_for_status()
        await answered(here, room, 1)
        for number, text in enumerate(said, 2):
            (await client.post(f"/api/v1/web/{room}", json={"text": text})).raise_for_status()
            await answered(here, room, number)
    return room


async def answered(here: Here, room: str, times: int) -> None:
    """Wait until so many messages have their answers."""

    async def is_answered() -> bool:
        return len(await here.engine.rooms.read("web", room, 0, 20)) == 2 * times

    await here.store.until(is_answered)


ANSWER = """It is grey. In code:

```python
def grey(level: float) -> str:
    return f"rgb({level:.0%} {level:.0%} {level:.0%})"
```

| level | looks |
|---|---|
| 0 | black |
| 0.5 | as here |"""


if __name__ == "__main__":
    to = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    to.mkdir(parents=True, exist_ok=True)
    logs.configure("info", terminal=False)
    with patch("socket.gethostname", return_value="hub"), patch("os.getpid", return_value=4711):
        asyncio.run(draw(to))
