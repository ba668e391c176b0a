"""Channels in the panel: added, seen to connect, mended, stopped and deleted; strangers who are let in."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Any

import discord
import pytest
import pytest_asyncio
from aiogram.exceptions import TelegramConflictError, TelegramUnauthorizedError
from aiogram.methods import GetMe
from aiohttp import ClientConnectionError
from playwright.async_api import expect

from api.panel import channels, mends
from api.panel.words import words
from channels.discord.errors import translated as of_discord
from channels.feishu.errors import Refusal
from channels.feishu.errors import translated as of_feishu
from channels.telegram.errors import translated as of_telegram
from hub.errors import ChannelError
from tests.panel.desk import NARROW, Desk, Sitting
from tests.panel.test_keys import posted
from tests.panel.test_once import done
from tests.patience import PATIENCE
from tests.platforms.telegram import PRIVATE, TelegramServer

pytestmark = pytest.mark.asyncio(loop_scope="package")
WRONG_TOKEN = "987654:no-such-bot"


@pytest_asyncio.fixture(loop_scope="package")
async def telegram() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What becomes of a test message is waited for, however slow the machine is."""
    monkeypatch.setattr(channels, "TEST_WAIT", PATIENCE)


@pytest.fixture
def name() -> str:
    """Of a channel that no other test has."""
    return f"bot-{secrets.token_hex(4)}"


async def add(sitting: Sitting, telegram: TelegramServer, name: str, token: str | None = None) -> None:
    """Fill in the form of a new Telegram bot, from the list of channels on."""
    page = sitting.page
    await sitting.open("/panel/channels")
    await page.locator(".head").get_by_role("link", name="Add a channel").click()
    await page.get_by_role("link", name="Add Telegram").click()
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_label("Token", exact=True).fill(telegram.token if token is None else token)
    await page.get_by_text("For experts").click()
    await page.get_by_label("Address of the platform").fill(telegram.base_url)
    await page.get_by_role("button", name="Add it").click()


async def press(sitting: Sitting, button: str) -> None:
    await sitting.page.locator(".head").get_by_role("button", name=button, exact=True).click()


async def agree(sitting: Sitting, button: str) -> None:
    """Press the button of the dialog that asks."""
    await sitting.page.locator("dialog[open]").get_by_role("button", name=button, exact=True).click()


async def send(sitting: Sitting, chat: str, text: str) -> None:
    """Send a test message."""
    await sitting.page.get_by_label("To the chat").fill(chat)
    await sitting.page.get_by_label("Text", exact=True).fill(text)
    await sitting.page.get_by_role("button", name="Send").click()


async def is_(sitting: Sitting, state: str) -> None:
    """Wait until the page says how the channel is."""
    await expect(sitting.page.locator("[data-state]")).to_have_text(state)


async def connect(sitting: Sitting, telegram: TelegramServer, name: str) -> None:
    """Add a Telegram bot, and see it connect."""
    await add(sitting, telegram, name)
    await is_(sitting, "Connected")


class TestLife:
    async def test_a_bot_is_added_connects_and_is_listed(self, desk: Desk, telegram: TelegramServer, name: str) -> None:
        async with desk.sit() as sitting:
            await add(sitting, telegram, name)
            await expect(sitting.page.get_by_text("The channel is added")).to_be_visible()
            await is_(sitting, "Connected")
            assert await sitting.violations() == []
            assert telegram.token not in await sitting.page.content()
            await sitting.open("/panel/overview")
            await sitting.page.get_by_role("link", name=name).click()
            await expect(sitting.page.locator("h1")).to_have_text(name)
            await sitting.open("/panel/channels")
            await expect(sitting.page.get_by_role("row", name=name)).to_contain_text("Connected")

    async def test_a_wrong_token_is_told_with_what_to_do_and_another_one_mends_it(
        self, desk: Desk, telegram: TelegramServer, name: str
    ) -> None:
        async with desk.sit() as sitting:
            await add(sitting, telegram, name, WRONG_TOKEN)
            await is_(sitting, "Failed")
            await expect(sitting.page.locator(".trouble")).to_contain_text("Telegram refuses the token")
            await expect(sitting.page.locator(".mend")).to_contain_text("write /token to @BotFather")
            assert await sitting.violations() == []
            await sitting.page.get_by_role("link", name="Edit").click()
            await expect(sitting.page.get_by_label("Token", exact=True)).to_have_value("")
            assert WRONG_TOKEN not in await sitting.page.content()
            await sitting.page.get_by_label("Token", exact=True).fill(telegram.token)
            await sitting.page.get_by_role("button", name="Save").click()
            await is_(sitting, "Connected")
            await expect(sitting.page.locator(".trouble")).to_have_count(0)

    async def test_a_secret_that_is_left_empty_stays(self, desk: Desk, telegram: TelegramServer, name: str) -> None:
        async with desk.sit() as sitting:
            await connect(sitting, telegram, name)
            await sitting.page.get_by_role("link", name="Edit").click()
            await sitting.page.get_by_label("Who may write to the bot in private").select_option("open")
            await sitting.page.get_by_label("May write without being approved").fill("77\n78")
            await sitting.page.get_by_role("button", name="Save").click()
            await is_(sitting, "Connected")
            settings: Any = desk.here.engine.config.channels[name]
            assert (settings.direct, settings.allow) == ("open", ("77", "78"))
            assert settings.token.get_secret_value() == telegram.token

    async def test_it_is_restarted_stopped_and_started(self, desk: Desk, telegram: TelegramServer, name: str) -> None:
        async with desk.sit() as sitting:
            await connect(sitting, telegram, name)
            before = len(telegram.called("getMe"))
            await press(sitting, "Restart")
            await telegram.wait_for(lambda: len(telegram.called("getMe")) > before)
            await is_(sitting, "Connected")
            await press(sitting, "Stop")
            await agree(sitting, "Stop")
            await is_(sitting, "Stopped")
            await press(sitting, "Start")
            await is_(sitting, "Connected")

    async def test_it_is_deleted_only_when_one_says_so_twice(
        self, desk: Desk, telegram: TelegramServer, name: str
    ) -> None:
        async with desk.sit() as sitting:
            await connect(sitting, telegram, name)
            await press(sitting, "Delete")
            await expect(sitting.page.locator("dialog[open]")).to_contain_text("cannot be undone")
            await agree(sitting, "Cancel")
            assert name in desk.here.engine.config.channels
            await press(sitting, "Delete")
            await agree(sitting, "Delete")
            await expect(sitting.page.get_by_text("The channel is deleted.")).to_be_visible()
            await expect(sitting.page.get_by_role("row", name=name)).to_have_count(0)
            assert name not in desk.here.engine.config.channels

    async def test_who_deletes_it_is_told_of_what_waits(self, desk: Desk, telegram: TelegramServer, name: str) -> None:
        async with desk.sit() as sitting, desk.here.http() as client:
            await add(sitting, telegram, name)
            await is_(sitting, "Connected")
            await press(sitting, "Stop")
            await agree(sitting, "Stop")
            await is_(sitting, "Stopped")
            await press(sitting, "Delete")
            await expect(sitting.page.locator("dialog[open]")).not_to_contain_text("to be sent")
            await agree(sitting, "Cancel")
            post = {"channel": name, "chat_id": "77", "text": "for later"}
            (await client.post("/v1/deliveries", json=post)).raise_for_status()
            waiting = sitting.page.locator(".stats > div").filter(has_text="to be sent")
            await expect(waiting).to_contain_text("1")
            await sitting.page.reload()
            await press(sitting, "Delete")
            await expect(sitting.page.locator("dialog[open]")).to_contain_text("1 message to be sent waits on")


class TestPeople:
    async def test_a_stranger_who_is_approved_gets_an_answer(
        self, desk: Desk, telegram: TelegramServer, name: str
    ) -> None:
        async with desk.sit() as sitting:
            await connect(sitting, telegram, name)
            await expect(sitting.page.get_by_text("Nobody waits")).to_be_visible()
            telegram.say("hello")
            stranger = await sitting.page.get_by_role("row", name="Approve").locator("strong").inner_text()
            await sitting.page.get_by_role("button", name="Approve").click()
            await expect(sitting.page.get_by_text(f"{stranger} may talk to the bot now.")).to_be_visible()
            telegram.say("hello again")
            await telegram.wait_text("You said: hello again")
            await sitting.page.get_by_role("button", name="Take back").click()
            await agree(sitting, "Take back")
            await expect(sitting.page.get_by_text(f"{stranger} is a stranger again.")).to_be_visible()

    async def test_a_test_message_arrives(self, desk: Desk, telegram: TelegramServer, name: str) -> None:
        async with desk.sit() as sitting:
            await connect(sitting, telegram, name)
            telegram.say("hello")  # a bot may write to whom wrote to it
            await telegram.wait_sent(PRIVATE, 1)
            await send(sitting, f"{name}:{PRIVATE}", "is anybody there?")
            await expect(sitting.page.get_by_text("The message arrived.")).to_be_visible()
            await telegram.wait_text("is anybody there?")

    async def test_a_test_message_whose_form_is_sent_twice_is_one(
        self, desk: Desk, telegram: TelegramServer, name: str
    ) -> None:
        async with desk.sit() as sitting:
            await connect(sitting, telegram, name)
            telegram.say("hello")  # a bot may write to whom wrote to it
            await telegram.wait_sent(PRIVATE, 1)
            form = sitting.page.locator("form[action$='/test']")
            path, once = await form.get_attribute("action"), await form.locator("[name=once]").input_value()
            assert path is not None
            for _ in range(2):
                assert (await posted(sitting, path, chat=str(PRIVATE), text="only once", once=once)).ok
            await telegram.wait_text("only once")
            assert await done(desk, "post", f"{name}:{PRIVATE}") == 1

    @pytest.mark.parametrize(
        ("language", "chat", "text", "field", "told"),
        [
            ("en", "a b", "still here", "chat", "The id of a chat, without blanks"),
            ("zh-CN", "a b", "still here", "chat", "请输入聊天 ID"),
            ("en", "a:b c", "still here", "chat", "stands after a colon"),
            ("zh-CN", "lobby", "   ", "text", "请输入要发送的文字"),
        ],
    )
    async def test_what_is_wrong_with_one_stands_at_its_field_and_the_rest_stays(
        self, desk: Desk, language: Any, chat: str, text: str, field: str, told: str
    ) -> None:
        async with desk.sit(language=language) as sitting:
            page = sitting.page
            await sitting.open("/panel/channels")
            await page.get_by_role("link", name="web", exact=True).click()
            await page.locator("#f-chat").fill(chat)
            await page.locator("#f-text").fill(text)
            await page.locator("form[action$='/test'] button").click()
            await expect(page.locator(f"#f-{field}-error")).to_contain_text(told)
            await expect(page.locator("#f-chat")).to_have_value(chat)
            await expect(page.locator("#f-text")).to_have_value(text)
            assert await sitting.violations() == []
            sitting.errors.clear()  # the browser tells of the 400

    async def test_one_that_a_chat_does_not_take_stays_and_says_why(
        self, desk: Desk, telegram: TelegramServer, name: str
    ) -> None:
        async with desk.sit() as sitting:
            await add(sitting, telegram, name)
            await is_(sitting, "Connected")
            telegram.say("hello")
            await telegram.wait_sent(PRIVATE, 1)
            telegram.block()
            await send(sitting, str(PRIVATE), "is anybody there?")
            await expect(sitting.page.locator("#f-chat-error")).to_contain_text("It could not be sent: Telegram")
            await expect(sitting.page.get_by_label("To the chat")).to_have_value(str(PRIVATE))
            await expect(sitting.page.get_by_label("Text", exact=True)).to_have_value("is anybody there?")
            await expect(sitting.page.locator("[data-live-state=on]")).to_be_attached()
            sitting.errors.clear()  # the browser tells of the 400

    async def test_none_is_sent_by_a_channel_that_failed_or_is_stopped(
        self, desk: Desk, telegram: TelegramServer, name: str
    ) -> None:
        async with desk.sit() as sitting:
            await add(sitting, telegram, name, WRONG_TOKEN)
            await is_(sitting, "Failed")
            note = sitting.page.locator("form[action$='/test'] .note")
            await send(sitting, "77", "is anybody there?")
            await expect(note).to_contain_text("not connected, so nothing was sent: Telegram refuses the token")
            await expect(sitting.page.get_by_label("Text", exact=True)).to_have_value("is anybody there?")
            await press(sitting, "Stop")
            await agree(sitting, "Stop")
            await is_(sitting, "Stopped")
            await send(sitting, "77", "is anybody there?")
            await expect(note).to_contain_text("This channel is stopped, so nothing was sent.")
            await expect(sitting.page.get_by_label("To the chat")).to_have_value("77")
            assert await done(desk, "post", f"{name}:77") == 0
            sitting.errors.clear()  # the browser tells of the 400


class TestForm:
    async def test_what_is_wrong_is_said_at_its_field_and_the_rest_stays(
        self, desk: Desk, telegram: TelegramServer, name: str
    ) -> None:
        async with desk.sit() as sitting:
            await add(sitting, telegram, name, "no token at all")
            await expect(sitting.page.locator("#f-bot_token-error")).to_contain_text("This is no token of a bot")
            await expect(sitting.page.get_by_label("Name", exact=True)).to_have_value(name)
            await expect(sitting.page.get_by_label("Token", exact=True)).to_have_value("")
            assert await sitting.violations() == []
            sitting.errors.clear()  # the browser tells of the 400

    async def test_a_name_that_is_taken_is_told(self, desk: Desk, telegram: TelegramServer) -> None:
        async with desk.sit() as sitting:
            await add(sitting, telegram, "web")
            await expect(sitting.page.locator("#f-name-error")).to_contain_text("no other channel has")
            sitting.errors.clear()  # the browser tells of the 400

    @pytest.mark.parametrize("kind", ["telegram", "discord", "feishu", "web"])
    @pytest.mark.parametrize("language", ["en", "zh-CN"])
    async def test_each_kind_has_one_that_everybody_can_use(self, desk: Desk, kind: str, language: Any) -> None:
        async with desk.sit(language=language) as sitting:
            await sitting.open(f"/panel/channels/new/{kind}")
            assert await sitting.violations() == []
            await sitting.page.set_viewport_size(NARROW)  # pyright: ignore[reportArgumentType] - a TypedDict
            assert await sitting.overflow() is None

    async def test_a_channel_of_config_yaml_is_shown_and_not_to_be_changed_here(self, desk: Desk) -> None:
        async with desk.sit() as sitting:
            await sitting.open("/panel/channels")
            await sitting.page.get_by_role("link", name="web", exact=True).click()
            await expect(sitting.page.locator(".note")).to_contain_text("channels.web")
            await expect(sitting.page.get_by_role("link", name="Edit")).to_have_count(0)
            await expect(sitting.page.locator(".head").get_by_role("button")).to_have_text(["Restart"])
            assert await sitting.violations() == []
            await sitting.page.set_viewport_size(NARROW)  # pyright: ignore[reportArgumentType] - a TypedDict
            assert await sitting.overflow() is None

    async def test_of_what_there_is_none_the_page_says_how_to_get_it(self, desk: Desk) -> None:
        async with desk.sit(javascript=False) as sitting:
            await sitting.open("/panel/channels")
            await expect(sitting.page.get_by_text("No Discord bot yet")).to_be_visible()
            await sitting.page.get_by_role("link", name="Add Discord").click()
            await expect(sitting.page.get_by_text("Message Content Intent").first).to_be_visible()

    async def test_it_is_for_admins(self, desk: Desk) -> None:
        async with desk.sit("user", javascript=False) as sitting:
            for path in ("/panel/channels", "/panel/channels/new", "/panel/channels/new/telegram", "/panel/channels/1"):
                await sitting.open(path, 403)


Translated = Callable[[str], AbstractContextManager[None]]


def said(translated: Translated, error: Exception) -> str:
    """What a channel says of an error of its platform."""
    with pytest.raises(ChannelError) as raised, translated("support"):
        raise error
    return str(raised.value)


KNOWN: list[tuple[str, Translated, Exception, str]] = [
    ("telegram", of_telegram, TelegramUnauthorizedError(GetMe(), "Unauthorized"), "/token"),
    ("telegram", of_telegram, TelegramConflictError(GetMe(), "terminated by other getUpdates"), "/newbot"),
    ("telegram", of_telegram, TelegramConflictError(GetMe(), "webhook is active"), "the webhook is then removed"),
    ("telegram", of_telegram, TimeoutError(), "tries again by itself"),
    ("discord", of_discord, discord.LoginFailure("Improper token"), "Reset Token"),
    ("discord", of_discord, discord.PrivilegedIntentsRequired(None), "Message Content Intent"),
    ("discord", of_discord, ClientConnectionError(), "tries again by itself"),
    ("feishu", of_feishu, Refusal(10014, "app secret invalid"), "App Secret"),
    ("feishu", of_feishu, Refusal(11205, "no bot"), "feature “Bot”"),
    ("feishu", of_feishu, Refusal(99991400, "limited"), "slower"),
    ("feishu", of_feishu, OSError(), "tries again by itself"),
]


@pytest.mark.parametrize(("kind", "translated", "error", "what"), KNOWN)
async def test_what_platforms_are_known_to_say_has_its_mend(
    kind: str, translated: Translated, error: Exception, what: str
) -> None:
    error_said = said(translated, error)
    todo = mends.mend(kind, error_said)
    assert what in todo
    assert todo != mends.OTHER
    assert "start the hub again" not in mends.heard(error_said, words("en"))


@pytest.mark.parametrize(("translated", "error"), [known[1:3] for known in KNOWN])
async def test_what_platforms_are_known_to_say_is_said_in_the_readers_language(
    translated: Translated, error: Exception
) -> None:
    in_chinese = mends.heard(said(translated, error), words("zh-CN"))
    assert re.search("[\u4e00-\u9fff]", in_chinese)
    assert "{" not in in_chinese


async def test_that_a_bot_was_blocked_is_said_in_the_readers_language() -> None:
    assert mends.heard("Telegram says: the bot was blocked or removed.", words("zh-CN")).endswith("屏蔽或移除。")


async def test_of_anything_else_the_log_is_named() -> None:
    assert mends.mend("telegram", "ValueError: whatever") == mends.OTHER
    assert mends.heard("ValueError: whatever", words("zh-CN")) == "ValueError: whatever"


async def test_all_that_a_platform_itself_said_stays() -> None:
    error = "Telegram refuses: Forbidden: bot was blocked. Try later."
    assert mends.heard(error, words("en")) == error
    assert mends.heard(error, words("zh-CN")).endswith("Forbidden: bot was blocked. Try later。")
