"""A hub with a browser before it, and people who are logged in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from api.panel.view import LANGUAGE, THEME
from hub.accounts import keys, logins
from hub.store import Connection
from tests.e2e.here import Here
from tests.granting import grant
from tests.patience import PATIENCE

Role = Literal["admin", "user"]
Language = Literal["en", "zh-CN"]
AXE = Path(__file__).parents[1] / "clients" / "node" / "node_modules" / "axe-core" / "axe.min.js"
NARROW, WIDE = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
SERIOUS = ("serious", "critical")
expect.set_options(timeout=PATIENCE * 1000)


@dataclass
class Sitting:
    """A page of the browser; `errors` is what its console and policy complained of, which fails the test."""

    page: Page
    here: Here
    secret: str
    errors: list[str] = field(default_factory=list[str])

    async def open(self, path: str, status: int = 200) -> None:
        """Go to a page and wait until its modules have run."""
        answer = await self.page.goto(self.here.url + path, wait_until="load")
        assert answer is not None
        assert answer.status == status, await answer.text()
        if status >= 400:
            self.errors.clear()  # the browser itself tells of the status

    async def overflow(self) -> str | None:
        """What is wider than the window, if anything is."""
        return await self.page.evaluate(_OVERFLOW)

    async def cut(self) -> list[str]:
        """Texts that end outside of their box where nothing tells of more; on a phone, tables that are no cards."""
        return await self.page.evaluate(_CUT)

    async def out_of_reach(self) -> list[str]:
        """Buttons that begin or end outside of the window."""
        return await self.page.evaluate(_OUT_OF_REACH)

    async def violations(self) -> list[str]:
        """What axe finds that keeps people from using the page."""
        if not await self.page.evaluate("typeof axe !== 'undefined'"):
            await self.page.evaluate(AXE.read_text())
        await self.page.evaluate(_STILL)
        found: Any = await self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {one['help']}: {node['html'][:200]}"
            for one in found["violations"]
            if one["impact"] in SERIOUS
            for node in one["nodes"]
        ]


_STILL = """() => Promise.allSettled(document.getAnimations()
  .filter((one) => Number.isFinite(one.effect.getComputedTiming().endTime)).map((one) => one.finished))"""
"""Waits for what moves to its place: half seen, it has less contrast than its colours."""
_OVERFLOW = """() => {
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= wide) return null;
  const most = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > wide + 1);
  return most.slice(-3).map((e) => e.outerHTML.slice(0, 150)).join(" | ") || "something";
}"""

_CUT = """() => {
  const goesOn = (box, style) => style.textOverflow === "ellipsis" || style.clipPath !== "none"
    || (/auto|scroll/.test(style.overflowX) && box.scrollWidth > box.clientWidth);
  const cut = [];
  const words = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(words.currentNode);
    const { right, width } = range.getBoundingClientRect();
    if (!width) continue;
    for (let box = words.currentNode.parentElement; box !== document.body; box = box.parentElement) {
      const style = getComputedStyle(box);
      if (goesOn(box, style)) break;
      if (style.overflowX !== "visible" && right > box.getBoundingClientRect().right + 1) {
        cut.push(words.currentNode.textContent.trim());
        break;
      }
    }
  }
  const tables = innerWidth < 640 ? [...document.querySelectorAll(".table")] : [];
  return cut.concat(tables.filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.innerText));
}"""
_OUT_OF_REACH = """() => [...document.querySelectorAll("main :is(button, .button, input, textarea)")]
  .filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest(".only-read"))
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 1 || e.getBoundingClientRect().left < -1)
  .map((e) => e.outerHTML.slice(0, 150))"""


@dataclass
class Desk:
    """The hub, the browser, and a key for each role."""

    here: Here
    browser: Browser
    secrets: dict[Role, str]
    _numbers: count[int] = field(default_factory=count)

    @asynccontextmanager
    async def sit(
        self,
        role: Role | None = "admin",
        *,
        language: Language = "en",
        theme: str = "light",
        size: dict[str, int] = WIDE,
        secret: str | None = None,
        javascript: bool = True,
    ) -> AsyncGenerator[Sitting]:
        """Somebody before the browser, logged in; fails for what the console complains of."""
        known = secret or ("" if role is None else self.secrets[role])
        context = await self.browser.new_context(viewport=size, java_script_enabled=javascript)  # pyright: ignore[reportArgumentType] - a TypedDict
        try:
            await self._cookies(context, known, language, theme)
            sitting = Sitting(await context.new_page(), self.here, known)
            sitting.page.set_default_timeout(PATIENCE * 1000)
            watch(sitting)
            yield sitting
            assert not sitting.errors, "\n".join(sitting.errors)
        finally:
            await context.close()

    async def look(self, paths: Mapping[str, str], *more: Callable[[Sitting], Awaitable[list[str]]]) -> None:
        """Open each page, wide and narrow, in either language and theme; fails for what is cut, or found by `more`."""
        async with self.sit() as desktop, self.sit(size=NARROW, theme="dark", language="zh-CN") as phone:
            for name, path in paths.items():
                for sitting in (desktop, phone):
                    await sitting.open(path)
                    assert (name, await sitting.overflow()) == (name, None)
                    for found in (Sitting.cut, *more):
                        assert (name, await found(sitting)) == (name, [])

    async def _cookies(self, context: BrowserContext, secret: str, language: str, theme: str) -> None:
        given = {LANGUAGE: language, THEME: theme}
        if secret:
            given["bothub_panel"] = await self.login(secret)
        await context.add_cookies(
            [
                {"name": name, "value": value, "url": f"{self.here.url}/panel", "httpOnly": True}
                for name, value in given.items()
            ]
        )

    async def login(self, secret: str) -> str:
        """The cookie of a new login."""
        now = self.here.engine.clock()
        begun = await self.here.store.write(lambda connection: logins.begin(connection, secret, now))
        assert begun is not None
        return begun[0]

    async def key(self, role: Role = "user", **more: Any) -> str:
        """A new key of its own for a test."""
        secret, name = keys.new_secret(), f"key-{next(self._numbers)}"
        now = self.here.engine.clock()

        def make(connection: Connection) -> None:
            made = keys.create(connection, secret, name=name, now=now, role=role, **more)
            grant(connection, made.id, models=self.here.engine.config.models)

        await self.here.store.write(make)
        return secret


def watch(sitting: Sitting) -> None:
    """Note what the page complains of: errors of modules, what its policy forbids, what it cannot load."""

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            sitting.errors.append(f"{sitting.page.url}: {message.text}")

    sitting.page.on("console", heard)
    sitting.page.on("pageerror", lambda error: sitting.errors.append(f"{sitting.page.url}: {error}"))
