"""Every page there is: in both languages, for both roles, on a phone and on a desk, in light and dark."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from api.panel.pages import Page, pages
from tests.panel.desk import NARROW, Desk, Language, Role, Sitting

pytestmark = pytest.mark.asyncio(loop_scope="package")
SEEN: list[tuple[Page, Role]] = [
    (page, role) for page in pages() for role in ("admin", "user") if role == "admin" or not page.admin
]
TOO_LARGE = "99999999999999999999"
each_page = pytest.mark.parametrize(("page", "role"), SEEN, ids=[f"{page.name}-{role}" for page, role in SEEN])


async def fits(sitting: Sitting) -> None:
    """The page is as wide as its window, on a desk and on a phone."""
    assert await sitting.overflow() is None
    await sitting.page.set_viewport_size(NARROW)  # pyright: ignore[reportArgumentType] - a TypedDict
    assert await sitting.overflow() is None


@each_page
@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_it_opens_fits_and_complains_of_nothing(desk: Desk, page: Page, role: Role, language: Language) -> None:
    async with desk.sit(role, language=language) as sitting:
        await sitting.open(page.path)
        await expect(sitting.page.locator("html")).to_have_attribute("lang", language)
        current = sitting.page.locator(".nav [aria-current=page]")
        await expect(current).to_have_attribute("href", page.path)
        await expect(sitting.page.locator("h1")).to_have_count(1)
        await fits(sitting)


@each_page
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_everybody_can_use_it(desk: Desk, page: Page, role: Role, theme: str) -> None:
    async with desk.sit(role, theme=theme) as sitting:
        await sitting.open(page.path)
        assert await sitting.violations() == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_so_does_the_login(desk: Desk, theme: str, language: Language) -> None:
    async with desk.sit(None, theme=theme, language=language) as sitting:
        await sitting.open("/panel/login")
        assert await sitting.violations() == []
        await fits(sitting)


@each_page
async def test_it_works_without_javascript(desk: Desk, page: Page, role: Role) -> None:
    async with desk.sit(role, javascript=False) as sitting:
        await sitting.open(page.path)
        await expect(sitting.page.locator("main h1")).to_be_visible()


@pytest.mark.parametrize(
    "path",
    [
        f"keys?group={TOO_LARGE}",
        f"keys?after={TOO_LARGE}",
        f"groups?after={TOO_LARGE}",
        f"sessions?after={TOO_LARGE}",
        f"sessions?after=-{TOO_LARGE}",
        f"deliveries?after=1~1~{TOO_LARGE}",
        f"deliveries/incoming?after=1~{TOO_LARGE}~1",
        f"settings/config?after={TOO_LARGE}",
        f"settings/audit?after={TOO_LARGE}",
        f"settings/jobs?after={TOO_LARGE}",
        f"logs/tail?after={TOO_LARGE}",
    ],
)
async def test_a_number_that_no_database_holds_is_refused(desk: Desk, path: str) -> None:
    async with desk.sit(javascript=False) as sitting:
        await sitting.open(f"/panel/{path}", 400)


async def test_a_page_for_admins_is_refused_to_a_user_and_not_shown(desk: Desk) -> None:
    hidden = [page for page in pages() if page.admin]
    assert hidden
    async with desk.sit("user", javascript=False) as sitting:
        for page in hidden:
            await sitting.open(page.path, 403)
            await expect(sitting.page.locator(f'.nav a[href="{page.path}"]')).to_have_count(0)
