"""A hub with a day behind it: people wrote to its bots, programs asked, one bot and one person cannot be reached.

All of it is real, from the platforms' updates to what stands in the store; only the clock is told to go on.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openai import APIStatusError, AsyncOpenAI

from hub.accounts import keys
from hub.accounts.money import UNIT
from hub.records import deadletters
from hub.records.health import of_channels
from hub.records.rollup import roll_up
from tests.channels.discord.test_e2e import discord_channel
from tests.e2e.here import Here, running_hub
from tests.e2e.hub import demo_config, telegram_channel
from tests.patience import PATIENCE
from tests.platforms.discord import BORIS, DiscordServer
from tests.platforms.openai import Answer, Call, Request, Step, Upstream, fail, say
from tests.platforms.telegram import TelegramServer

DAY = 24
"""Hours that it tells of; the last of them is this one."""
SPEED = 45.0
"""Characters that the model writes in a second."""
GONE = 9104
"""The chat of somebody who blocked the bot."""
TOO_MUCH = "Here are all orders of the year"
POST = "The new olive trees are sold out; the next ones come on Thursday."
ANSWERS = {
    "Where is my parcel": "It left our shop on Friday and is in **Basel** now. It should be with you tomorrow.",
    "return a lamp": "Within 30 days, yes. Put it in its box, print the [label](https://example.org/return), and drop "
    "it at any post office. The money is back on your card three days after it arrives.",
    "open on Sunday": "On Sundays we are open from 10 to 16.",
    "fern has brown tips": "That is dry air. Try this:\n\n1. spray it every morning,\n2. keep it away from the heater,"
    "\n3. water it when the top of the soil is dry.",
    "invoice for order 4411": "Here is what I found:\n\n| order | date | sum |\n|---|---|---|\n| 4411 | 3 Nov | 84.50 |"
    "\n\nThe invoice was sent to the address you ordered with.",
    "dim this lamp": "With the app or with any dimmer for LEDs. In code it is one call:\n\n```python\n"
    'lamp = Lamp("hall")\nlamp.dim(level=0.4, seconds=2)\n```',
    "发票": "可以。请告诉我订单号和公司抬头。我马上为您开具电子发票。",
    "gift for someone": "A small olive tree: hard to kill, and it looks well on any table. With the pot it is 39.",
    "two orders in one box": "Yes, as long as neither has left. I have joined them, and you pay the postage once.",
    "summary of the week": "- 214 orders, 12 more than last week\n- 3 returns, all of them lamps\n"
    "- the new olive trees sold out",
    "sold out": "The team knows: I wrote to the lobby.",
    "Please translate": "The parcel was left with your neighbour.",
}
IN_TELEGRAM = (
    "Where is my parcel? It was to come yesterday.",
    "Can I return a lamp that I have had for two weeks?",
    "Are you open on Sunday?",
    "My fern has brown tips. What can I do?",
    "I need the invoice for order 4411, please.",
    "发票可以开公司抬头吗?",
    "I look for a gift for someone who has no garden.",
    "Can you send two orders in one box?",
)
IN_DISCORD = ("How do I dim this lamp from my own program?", "My fern has brown tips, anyone?")
BY_PROGRAMS = (
    "Write a summary of the week for the team.",
    "Tell the team that the olive trees are sold out.",
    "Please translate: Das Paket liegt beim Nachbarn.",
)
KEYS: dict[str, tuple[str, dict[str, Any]]] = {
    "online shop": (
        "staff",
        {"month_quota": 20 * UNIT, "email": "shop@example.org", "scopes": (*keys.USER_SCOPES, "deliver")},
    ),
    "night shift": ("staff", {"month_quota": 2 * UNIT, "balance": 12 * UNIT}),
    "partner in Basel": ("partners", {"balance": UNIT // 2}),
}
GROUPS = ("staff", "partners")
PROMPT = """You answer customers of a shop for lamps and plants.
Be short and kind. What you do not know you ask the team in web:lobby."""
TRANSLATOR = """Translate what you are given into English.
Keep names, numbers and line breaks as they are. Answer with the translation alone."""


@dataclass
class Days:
    """A clock that is behind, runs as clocks do, and is told to go on until it is not behind any more."""

    behind: float

    def __call__(self) -> float:
        return time.time() - self.behind

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.behind = max(0.0, self.behind - seconds)


@dataclass
class Story:
    """The hub, who writes to it, and what happened so far."""

    here: Here
    clock: Days
    telegram: TelegramServer
    discord: DiscordServer
    model: str
    """Where the model is asked."""
    saved: dict[str, int] = field(default_factory=dict[str, int])
    """The ids of what is saved in the hub, by kind."""
    secrets: dict[str, str] = field(default_factory=dict[str, str])
    _answered: Counter[int] = field(default_factory=Counter[int])

    async def begin(self) -> None:
        """Keys and groups, two bots that listen, and one whose token is wrong."""
        found = {name: await self._save("group", name=name) for name in GROUPS}
        self.secrets = {
            name: await self._key(name, {**more, "group_id": found[group]}) for name, (group, more) in KEYS.items()
        }
        where = self.telegram.base_url
        await self._save("bot/telegram", name="events", config={"token": "123456:none", "baseUrl": where})
        config = {"modelId": "large-chat", "apiKey": "none", "baseURL": self.model}
        self.saved["model"] = await self._save("model", name="large-chat", provider="openai", config=config, price_in=2)
        self.saved["agent"] = await self._save("agent", name="translator", model="large-chat", system_prompt=TRANSLATOR)
        for name, state in (("events", "failed"), ("support", "up"), ("community", "up")):
            await self.here.store.until(lambda name=name, state=state: self._is(name, state))

        granted = {"group_id": found["partners"], "model_id": self.saved["model"], "bind": True}
        async with self.here.http() as client:
            (await client.post("/admin/group/bind-or-unbind-model", json=granted)).raise_for_status()

    async def live(self) -> None:
        """A day, with more to do at noon and in the evening than at night."""
        number = 0
        for hour in range(DAY):
            times = max(1, round(4 + 3 * math.sin(hour / 3.2) + 2 * math.cos(hour / 1.7)))
            for _ in range(times):
                await self._somebody(number)
                number += 1
                self.clock.forward(3600 / times - 20)
        self.clock.behind = min(60.0, self.clock.behind)

    async def end(self) -> None:
        """What is left to be seen to: an answer that cannot be delivered, and a stranger who asks to be let in."""
        self.telegram.fail("sendMessage", 403, "Forbidden: bot was blocked by the user", chat=GONE)
        self.telegram.say("Where is my parcel?", chat=GONE)
        self.discord.dm("Hello, may I ask something?")
        await self.discord.wait_sent(self.discord.dm_channel(), 1)
        await self.here.store.until(self._refused)
        self.clock.behind = 0.0
        async with self.here.http() as client:
            (await client.post("/admin/backup")).raise_for_status()
        await roll_up(self.here.store, self.clock() + 120)

    async def _somebody(self, number: int) -> None:
        if number % 7 == 3:
            await self._in_discord(number)
        elif number % 7 == 5:
            await self._program(number)
        else:
            await self._in_telegram(number)

    async def _in_telegram(self, number: int) -> None:
        chat, asked = 9001 + number * 5 % 17, IN_TELEGRAM
        self.telegram.say(asked[number % len(asked)], chat=chat)
        self._answered[chat] += 1
        await self.telegram.wait_sent(chat, self._answered[chat])

    async def _in_discord(self, number: int) -> None:
        asked, before = IN_DISCORD, len(self.discord.sent())
        self.discord.say(asked[number % len(asked)], user=BORIS, mention=True)
        await self.discord.wait_for(lambda: len(self.discord.sent()) > before)

    async def _program(self, number: int) -> None:
        text = TOO_MUCH if number % 28 == 5 else BY_PROGRAMS[number % len(BY_PROGRAMS)]
        await self.ask("online shop", text)

    async def ask(self, key: str, text: str) -> None:
        """A program asks with a key of this name."""
        async with AsyncOpenAI(
            base_url=f"{self.here.url}/v1", api_key=self.secrets[key], max_retries=0, timeout=PATIENCE
        ) as client:
            with suppress(APIStatusError):
                await client.chat.completions.create(
                    model="helpdesk", messages=[{"role": "user", "content": text}], extra_body={"session_id": "week"}
                )

    async def _save(self, kind: str, **what: Any) -> int:
        async with self.here.http() as client:
            answer = await client.post(f"/admin/{kind}/save", json=what)
        return answer.raise_for_status().json()["data"]["id"]

    async def _key(self, name: str, more: dict[str, Any]) -> str:
        secret = keys.new_secret("sk-")
        await self.here.store.write(
            lambda connection: keys.create(connection, secret, name=name, now=self.clock(), **more)
        )
        return secret

    async def _is(self, channel: str, state: str) -> bool:
        found = await self.here.store.read(of_channels)
        return channel in found and found[channel].state == state

    async def _refused(self) -> bool:
        return await self.here.store.read(lambda connection: deadletters.count(connection, None)) > 0


def answers(clock: Days) -> Callable[[Request], Step]:
    """What the model says, and how long it takes for it."""

    def answer(request: Request) -> Step:
        text = request.last_text
        if TOO_MUCH in text:
            return fail(400, "This model's maximum context length is 8192 tokens.")
        said = next((said for asked, said in ANSWERS.items() if asked in text), "I shall ask a colleague.")
        clock.forward(0.3 + len(said) / SPEED)
        if "sold out" in text and request.body["messages"][-1]["role"] == "user":
            post = {"content": POST, "channel": "web", "chat_id": "lobby"}
            return Answer(calls=(Call("message", json.dumps(post)),))
        return say(said)

    return answer


@asynccontextmanager
async def told(folder: Path) -> AsyncGenerator[Story]:
    """A hub in this folder with its day behind it, until the block ends."""
    clock = Days(DAY * 3600.0)
    async with (
        TelegramServer(clock=clock) as telegram,
        DiscordServer(clock=clock) as discord,
        Upstream(default=answers(clock), models=("small-chat",)) as upstream,
        running_hub(folder, _config(telegram, discord, upstream), clock=clock) as here,
    ):
        story = Story(here, clock, telegram, discord, upstream.base_url)
        await story.begin()
        await story.live()
        await story.end()
        yield story


def _config(telegram: TelegramServer, discord: DiscordServer, upstream: Upstream) -> dict[str, Any]:
    model = {"provider": "openai", "base_url": upstream.base_url, "api_key": "none", "model": "small-chat"}
    return demo_config(
        bus={"lease": "48h"},  # longer than what the clock skips
        models={
            "small-chat": {**model, "price_in": "15", "price_out": "75", "multiple": True},
            "demo": {"provider": "demo"},
        },
        agents={
            "helpdesk": {
                "model": "small-chat",
                "system_prompt": PROMPT,
                "tools": ["message"],
                "posts_to": ["web:lobby"],
            },
            "assistant": {"model": "demo", "tools": ["message"], "posts_to": ["*"]},
        },
        channels={
            "support": telegram_channel(telegram.base_url, telegram.token, agent="helpdesk"),
            "community": discord_channel(discord, agent="helpdesk", direct="pairing"),
            "web": {"kind": "web", "agent": "helpdesk"},
        },
    )
