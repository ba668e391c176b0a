"""Answers shown while they are written, on a real process and a local Telegram."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.hub import HubProcess, demo_config, telegram_channel
from tests.platforms.telegram import TelegramServer

TEXT = "one two three four five six"


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        server.fail("sendMessageDraft", code=404, times=None)  # as servers do that are older than drafts
        yield server


@pytest.fixture
async def hub(tmp_path: Path, telegram: TelegramServer) -> AsyncIterator[HubProcess]:
    config = demo_config()
    config["channels"]["support"] = telegram_channel(telegram.base_url, telegram.token)
    async with HubProcess(tmp_path, config) as process:
        yield process


def texts(telegram: TelegramServer) -> list[Any]:
    return [message.get("text") for message in telegram.sent()]


async def test_an_answer_grows_in_its_message(hub: HubProcess, telegram: TelegramServer) -> None:
    telegram.say(f"slowly 4 {TEXT}")
    await telegram.wait_for(lambda: texts(telegram) not in ([], [TEXT]))
    await telegram.wait_text(TEXT)
    assert texts(telegram) == [TEXT]


async def test_a_kill_in_the_middle_leaves_one_answer(hub: HubProcess, telegram: TelegramServer) -> None:
    telegram.say(f"slowly 4 {TEXT}")
    await telegram.wait_for(lambda: bool(telegram.called("editMessageText")))
    await hub.kill()
    await hub.start()
    await telegram.wait_text(TEXT)
    assert texts(telegram) == [TEXT]


async def test_the_button_below_an_answer_stops_it_and_goes(hub: HubProcess, telegram: TelegramServer) -> None:
    telegram.say(f"slowly 30 {TEXT}")
    await telegram.wait_for(lambda: any(buttons_of(one) for one in telegram.sent()))
    [shown] = telegram.sent()
    assert buttons_of(shown) == ["/stop"]
    telegram.press(shown, "/stop")
    await telegram.wait_for(lambda: "(stopped)" in (texts(telegram)[0] or ""))
    assert buttons_of(telegram.sent()[0]) == []


def buttons_of(message: dict[str, Any]) -> list[str]:
    markup: dict[str, list[list[dict[str, str]]]] = message.get("reply_markup") or {"inline_keyboard": []}
    return [button["callback_data"] for row in markup["inline_keyboard"] for button in row]


async def test_stop_ends_what_was_shown(hub: HubProcess, telegram: TelegramServer) -> None:
    telegram.say(f"slowly 20 {TEXT}")
    await telegram.wait_for(lambda: bool(telegram.sent()))
    telegram.say("/stop")
    await telegram.wait_text("Stopped.")
    await telegram.wait_for(lambda: "(stopped)" in (texts(telegram)[0] or ""))
    assert len(texts(telegram)) == 2
