"""Draws every page of the panel, in light and dark, wide and narrow: `make screenshots`.

They are of a hub that has been talked to. Chinese needs a font: `apt-get install fonts-noto-cjk`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

from PIL import Image

from hub import logs
from tests.panel import chromium
from tests.panel.desk import NARROW, WIDE, Desk, Language, Role
from tests.panel.places import places
from tests.panel.story import told

FOLDER = Path(__file__).parents[2] / "docs" / "images" / "panel"
THEMES = ("light", "dark")
OTHERS: dict[str, tuple[Role, str, Language]] = {
    "overview-chinese": ("admin", "/panel/overview", "zh-CN"),
    "channels-chinese": ("admin", "/panel/channels", "zh-CN"),
    "overview-of-a-user": ("user", "/panel/overview", "en"),
}
TALLEST = 2000
"""Pixels of a picture; what is below them is more of the same."""
SIZES = {"wide": WIDE, "narrow": NARROW}


async def draw(folder: Path) -> None:
    """Every page into a folder that is there."""
    with tempfile.TemporaryDirectory() as scratch:
        async with told(Path(scratch)) as story, chromium.running() as browser:
            here = story.here
            desk = Desk(here, browser, {"admin": here.key, "user": story.secrets["online shop"]})
            paths = {"login": None} | await places(story)
            for name, path in paths.items():
                role = "admin" if path else None
                for theme in THEMES:
                    for called, size in SIZES.items():
                        to = folder / f"{name}-{theme}-{called}"
                        await one(desk, role, path or "/panel/login", to, theme, size)
            for name, (role, path, language) in OTHERS.items():
                await one(desk, role, path, folder / name, "light", WIDE, language)
            (folder / "README.md").write_text(listed(list(paths)))


def listed(names: Sequence[str]) -> str:
    """A page that shows all pictures."""
    lines = ["# Pictures of the panel", "", "Drawn by `make screenshots`, of a hub with a day behind it.", ""]
    for name in names:
        lines += [f"## {name.replace('-', ' ').capitalize()}", ""]
        pictures = [[f"![{theme}, {size}]({name}-{theme}-{size}.webp)" for theme in THEMES] for size in SIZES]
        lines += [f"| {' | '.join(row)} |" for row in (THEMES, ["---"] * len(THEMES), *pictures)] + [""]
    for name in OTHERS:
        lines += [f"## {name.replace('-', ' ').capitalize()}", "", f"![{name}]({name}.webp)", ""]
    return "\n".join(lines)


async def one(
    desk: Desk, role: Role | None, path: str, to: Path, theme: str, size: dict[str, int], language: Language = "en"
) -> None:
    """One page into one file."""
    async with desk.sit(role, theme=theme, size=size, language=language) as sitting:
        await sitting.open(path)
        await sitting.page.evaluate(_ELSEWHERE, f"{tempfile.gettempdir()}/[^/\\s]+")
        height = await sitting.page.evaluate("document.documentElement.scrollHeight")
        height = min(max(height, size["height"]), TALLEST)
        # Not a picture of the "full page": what stays on the screen while one scrolls would end in the middle of it.
        await sitting.page.set_viewport_size({"width": size["width"], "height": height})
        picture = await sitting.page.screenshot(animations="disabled")
    await asyncio.to_thread(save, picture, to.with_suffix(".webp"))


_ELSEWHERE = """(path) => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    texts.currentNode.textContent = texts.currentNode.textContent.replace(new RegExp(path, "g"), "/srv/bothub");
  }
}"""
"""Names a usual folder for one of this machine."""


def save(picture: bytes, to: Path) -> None:
    """Write a picture as small as it can be with every pixel as it was."""
    with Image.open(BytesIO(picture)) as full:
        full.convert("RGB").save(to, lossless=True, quality=60, method=4)


if __name__ == "__main__":
    to = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    to.mkdir(parents=True, exist_ok=True)
    logs.configure("info", terminal=False)
    with patch("socket.gethostname", return_value="hub"), patch("os.getpid", return_value=4711):
        asyncio.run(draw(to))
