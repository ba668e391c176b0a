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
from tests.e2e.here import Here, running_hub
from tests.e2e.hub import demo_config
from tests.panel import chromium
from tests.panel.desk import NARROW, WIDE, Desk, Language, Role

FOLDER = Path(__file__).parents[2] / "docs" / "images" / "panel"
SIZES = {"wide": WIDE, "narrow": NARROW}


async def draw(folder: Path) -> None:
    """Every page into a folder that is there."""
    with tempfile.TemporaryDirectory() as scratch:
        async with running_hub(Path(scratch), demo_config(bus={})) as here, chromium.running() as browser:
            desk = Desk(here, browser, {"admin": here.key})
            desk.secrets["user"] = await desk.key()
            await live_a_little(here)
            for theme in ("light", "dark"):
                for name, size in SIZES.items():
                    await one(desk, None, "/panel/login", folder / f"login-{theme}-{name}", theme, size)
                    for page in pages():
                        await one(desk, "admin", page.path, folder / f"{page.name}-{theme}-{name}", theme, size)
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


if __name__ == "__main__":
    to = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    to.mkdir(parents=True, exist_ok=True)
    logs.configure("info", terminal=False)
    with patch("socket.gethostname", return_value="hub"), patch("os.getpid", return_value=4711):
        asyncio.run(draw(to))
