"""Settings: the configuration in effect with where it came from, backups, work in the background, the audit log."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
import yaml
from playwright.async_api import Browser, Locator, expect

from hub import logs
from hub.accounts.audit import Act, By
from hub.accounts.definitions import Change
from hub.records import jobs
from hub.records.jobs import Job
from hub.store import Connection
from tests.e2e.here import running_hub
from tests.e2e.hub import demo_config
from tests.hub.held import held
from tests.panel.desk import NARROW, Desk, Sitting

pytestmark = pytest.mark.asyncio(loop_scope="package")
PAGE = "/panel/settings"
ENVIRON = {"BOTHUB_API__TURN_TIMEOUT": "2m", "UPSTREAM_KEY": "sk-hush-of-the-environment"}
UPSTREAM = {
    "provider": "openai",
    "model": "gpt",
    "api_key": "${UPSTREAM_KEY}",
    "base_url": "http://me:hush-url@host/v1",
}


def row(sitting: Sitting, group: str, key: str) -> Locator:
    """The row of a key in the configuration."""
    card = sitting.page.locator(".card").filter(has=sitting.page.get_by_role("heading", name=group, exact=True))
    return card.locator("tbody tr").filter(has=sitting.page.get_by_text(key, exact=True))


async def test_the_configuration_tells_where_each_value_came_from_and_no_secret(
    browser: Browser, tmp_path: Path
) -> None:
    models = {"demo": {"provider": "demo"}, "upstream": UPSTREAM}
    async with running_hub(tmp_path, demo_config(models=models, bus={}), environ=ENVIRON) as here:
        kept = {"provider": "openai", "model": "other", "base_url": "http://x/v1", "api_key": "hush-of-the-store"}
        await here.live.save(Change(kind="model", name="kept", settings=kept), by=By())
        async with Desk(here, browser, {"admin": here.key}).sit() as sitting:
            await sitting.open(f"{PAGE}/config")
            for group, key, value, origin in (
                ("api", "port", "0", "config.yaml:"),
                ("api", "turn_timeout", "2m", "BOTHUB_API__TURN_TIMEOUT"),
                ("bus", "tries", "5", "Default"),
                ("models.upstream", "api_key", "${UPSTREAM_KEY}", "config.yaml:"),
                ("models.upstream", "base_url", "http://me:***@host/v1", "config.yaml:"),
                ("models.kept", "api_key", "***", "Saved while the hub ran"),
                ("models.kept", "price_in", "0", "Default"),
                ("agents.assistant", "tools", "message", "config.yaml:"),
            ):
                cells = row(sitting, group, key).locator("td")
                await expect(cells.nth(1)).to_have_text(value)
                await expect(cells.nth(2)).to_contain_text(origin)
            assert "hush" not in await sitting.page.content()
            assert await sitting.violations() == []
        assert "hush" not in repr(logs.BOOK.__dict__)


async def test_what_is_set_is_shown_alone_and_what_fits_a_text(desk: Desk) -> None:
    async with desk.sit(javascript=False) as sitting:
        page = sitting.page
        await sitting.open(f"{PAGE}/config")
        await expect(row(sitting, "bus", "tries")).to_be_visible()
        await page.get_by_role("link", name="Only what is set").click()
        await expect(page.locator("tbody tr").first).to_be_visible()
        await expect(page.locator(".as-default")).to_have_count(0)
        await page.get_by_label("Text").fill("posts_to")
        await page.get_by_role("button", name="Show").click()
        await expect(page.locator("tbody tr").filter(has_not_text="posts_to")).to_have_count(0)
        await expect(row(sitting, "agents.assistant", "posts_to").locator("td").nth(1)).to_have_text("*")
        await page.get_by_label("Part").select_option("channels")
        await page.get_by_role("button", name="Show").click()
        await expect(page.get_by_role("heading", name="Nothing fits")).to_be_visible()
        sitting.errors.clear()


@pytest.mark.parametrize("path", ["/config", "/jobs", "/backup", "/audit"])
async def test_each_tab_fits_in_chinese_on_a_phone(desk: Desk, path: str) -> None:
    async with desk.sit(language="zh-CN", theme="dark", size=NARROW) as sitting:
        await sitting.open(f"{PAGE}{path}")
        await expect(sitting.page.locator("h1")).to_have_text("设置")
        assert await sitting.overflow() is None
        assert await sitting.violations() == []


async def the_job(desk: Desk, kind: str) -> Job:
    """The last one of a kind that was asked for."""
    job = await desk.here.store.read(lambda connection: jobs.newest(connection, kind))
    assert job is not None
    return job


async def test_a_backup_is_made_now_downloaded_and_restored_into_another_hub(desk: Desk, tmp_path: Path) -> None:
    secret = await desk.key()
    async with desk.sit() as sitting:
        page = sitting.page
        await sitting.open(f"{PAGE}/backup")
        with held(desk.here.engine.config.data_dir):
            await page.get_by_role("button", name="Back up now").click()
            await expect(page.get_by_role("status").filter(has_text="is being made")).to_be_visible()
            await expect(page.get_by_role("progressbar")).to_be_visible()
            await expect(page.locator(".progress")).to_contain_text("Packing")
        async with page.expect_download() as found:
            await page.locator("tbody tr").first.get_by_role("link", name="Download").click()
        await (await found.value).save_as(tmp_path / "backup.zip")
        await expect(page.locator("tbody tr").first).to_contain_text("kept for a day")
        assert await sitting.violations() == []
        await sitting.open(f"{PAGE}/audit")
        told = page.locator("tbody tr").filter(has_text="backup.create").first
        await expect(told).to_contain_text("bootstrap")
    (tmp_path / "new").mkdir()
    config = tmp_path / "new" / "config.yaml"
    config.write_text(yaml.safe_dump({"data_dir": str(tmp_path / "new" / "data")}))
    command = (sys.executable, "-m", "hub", "--config", str(config), "restore", str(tmp_path / "backup.zip"))
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0
    async with running_hub(tmp_path / "new", demo_config(bus={})) as here:
        new = Desk(here, desk.browser, {})
        async with new.sit(secret=secret) as sitting:
            await sitting.open("/panel/keys")


async def test_work_tells_who_asked_how_far_it_is_and_is_stopped(desk: Desk) -> None:
    with held(desk.here.engine.config.data_dir):
        async with desk.sit() as sitting:
            page = sitting.page
            await sitting.open(f"{PAGE}/backup")
            await page.get_by_role("button", name="Back up now").click()
            number = (await the_job(desk, "backup")).id
            await sitting.open(f"{PAGE}/jobs")
            line = page.locator("tbody tr").filter(has_text=f"No. {number}")
            await expect(line).to_contain_text("bootstrap")
            await expect(line.get_by_role("progressbar")).to_be_visible()
            assert await sitting.violations() == []
            await line.get_by_role("button", name="Stop", exact=True).click()
            await line.get_by_role("button", name="Stop it").click()
            await expect(page.get_by_role("status").filter(has_text="It is stopped.")).to_be_visible()
            await expect(line).to_contain_text("Cancelled")
            await expect(line.get_by_role("link", name="Download")).to_have_count(0)


async def test_who_does_not_stop_work_after_all_sees_it_go_on(desk: Desk) -> None:
    store, now = desk.here.store, desk.here.engine.clock()
    async with desk.sit() as sitting:
        page = sitting.page
        with held(desk.here.engine.config.data_dir):
            await sitting.open(f"{PAGE}/backup")
            await page.get_by_role("button", name="Back up now").click()
            number = (await the_job(desk, "backup")).id
            await sitting.open(f"{PAGE}/jobs")
            stop = page.locator(f"#job-{number}").get_by_role("button", name="Stop", exact=True)
            await stop.click()
            await page.keyboard.press("Escape")
            await expect(stop).to_be_focused()
            await store.write(lambda connection: jobs.create(connection, "came-next", {}, None, now))
            await expect(page.locator("tbody tr").filter(has_text="came-next")).to_be_visible()
            await expect(stop).to_be_focused()
        await page.keyboard.press("Tab")
        await expect(page.locator(f"#job-{number}").get_by_role("link", name="Download")).to_be_visible()


async def test_work_that_failed_says_why_and_what_is_over_cannot_be_stopped(desk: Desk) -> None:
    store, now = desk.here.store, desk.here.engine.clock()
    job, _ = await store.write(lambda connection: jobs.create(connection, "<b>odd</b>", {}, None, now))

    async def over() -> bool:
        return (await store.read(lambda connection: jobs.get(connection, job.id))).over

    await store.until(over)
    async with desk.sit(javascript=False) as sitting:
        await sitting.open(f"{PAGE}/jobs")
        line = sitting.page.locator("tbody tr").filter(has_text=f"No. {job.id}")
        await expect(line).to_contain_text("This version of bothub knows no job '<b>odd</b>'.")
        await expect(line).to_contain_text("the hub itself")
        await expect(line.get_by_role("button")).to_have_count(0)
        token = await sitting.page.locator("[name=token]").first.get_attribute("value")
        url = f"{desk.here.url}{PAGE}/jobs/{job.id}"
        posted: dict[str, str | float | bool] = {"token": token or ""}
        answer = await sitting.page.request.post(f"{url}/cancel", form=posted)
        assert f"Job {job.id} is over" in await answer.text()
        assert (await sitting.page.request.get(f"{url}/file")).status == 404


@pytest.mark.parametrize("path", ["", "/config", "/jobs", "/backup", "/audit", "/jobs/1/file"])
async def test_it_is_for_admins(desk: Desk, path: str) -> None:
    async with desk.sit("user", javascript=False) as sitting:
        await sitting.open(f"{PAGE}{path}", 403)


async def test_the_audit_leads_to_what_was_changed_and_tells_times_as_times(desk: Desk) -> None:
    async with desk.here.http() as client:
        made = {"name": "audited", "expires_at": 1_999_999_999}
        answer = await client.post("/admin/api-key/apply", json=made)
    number, now = answer.raise_for_status().json()["data"]["id"], desk.here.engine.clock()

    def note(connection: Connection) -> None:
        by = Act(connection=connection, what="dead.discard", now=now, by=By(called="somebody"))
        by.note("key:4242", after={"message": "led#1", "key_id": number})

    await desk.here.store.write(note)
    async with desk.sit() as sitting:
        await sitting.open(f"{PAGE}/audit")
        row = sitting.page.get_by_role("row").filter(has_text="audited")
        await expect(row.locator("ins time").last).to_have_attribute("datetime", "2033-05-18T03:33:19Z")
        await expect(row).not_to_contain_text("owner_id")
        other = sitting.page.get_by_role("row").filter(has_text="somebody")
        await expect(other.get_by_role("link", name="led#1")).to_have_attribute("href", "/panel/trace?id=led%231")
        await expect(other.get_by_role("link", name=str(number))).to_have_attribute("href", f"/panel/keys/{number}")
        await expect(other.get_by_role("link", name="key:4242")).to_have_count(0)
        await row.get_by_role("link", name=f"key:{number}").click()
        await expect(sitting.page.locator("h1")).to_have_text("audited")
