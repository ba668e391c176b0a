"""Requests as Open WebUI sends them: with the chat's history, its ids in headers, and its own tasks in between.

What it sends is written down from its backend (routers/openai.py, routers/tasks.py, utils/headers.py, config.py).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.clients.serving import Serving

pytestmark = pytest.mark.asyncio(loop_scope="package")
USER = {
    "X-OpenWebUI-User-Name": "Chlo%C3%A9 Roux",
    "X-OpenWebUI-User-Id": "0f6a2a5e-3c55-4f0e-9a6d-0f6c7f0d9b11",
    "X-OpenWebUI-User-Email": "chloe@example.com",
    "X-OpenWebUI-User-Role": "user",
}
"""With ENABLE_FORWARD_USER_INFO_HEADERS=true, beside the chat's id."""
TASKS = {
    "title": '### Task:\nGenerate a concise title.\n### Output:\nJSON format: { "title": "..." }\n'
    "### Chat History:\n<chat_history>\nUSER: hi\nASSISTANT: hello\n</chat_history>",
    "tags": "### Task:\nGenerate 1-3 broad tags.\n\n### Chat History:\n<chat_history>\nUSER: hi\n</chat_history>",
    "follow-ups": "### Task:\nSuggest 3-5 questions.\n### Chat History:\n<chat_history>\nUSER: hi\n</chat_history>\n",
    "autocomplete": "### Task:\nYou are an autocompletion system.\n### Context:\n<chat_history>\nUSER: hi\n"
    "</chat_history>\n<type>General</type>\n<text>The sun</text>\n#### Output:\n",
}
DOCUMENTS = (
    "### Task:\nRespond to the user query using the provided context.\n\n<context>\n"
    "<source>notes: <chat_history></source>\n</context>\n\n<user_query>\nhi\n</user_query>"
)
"""A question about documents: it is the person's, in the shape of a task."""


class WebUi:
    """Its backend, with one connection; `forwards` and `custom` are how that is set up."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str) -> None:
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.forwards = True
        self.custom: dict[str, str] = {}

    def _sent(self, chat: str, task: str) -> dict[str, str]:
        forwarded = {**USER, "X-OpenWebUI-Chat-Id": chat} if self.forwards else {}
        values = {"{{CHAT_ID}}": chat, "{{TASK}}": task}
        custom = {name: values.get(value, value) for name, value in self.custom.items()}
        return {**self._headers, **forwarded, **custom}

    async def models(self) -> list[str]:
        async with self._session.get(f"{self._url}/models", headers=self._headers) as response:
            return [model["id"] for model in (await response.json())["data"]]

    async def say(self, chat: str, *said: str, **more: Any) -> str:
        """What it shows as the answer to the last of a chat's messages; every second one was an answer."""
        messages = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said)]
        body = {"stream": True, "model": "assistant", "messages": messages, "stream_options": {"include_usage": True}}
        async with self._session.post(
            f"{self._url}/chat/completions", data=json.dumps(body | more), headers=self._sent(chat, "")
        ) as response:
            assert response.status == 200, await response.text()
            assert "text/event-stream" in response.headers["Content-Type"]
            events = [line[6:] async for line in response.content if line.startswith(b"data: ")]
        assert events.pop().strip() == b"[DONE]"
        chunks = [json.loads(event) for event in events]
        assert chunks[-1]["usage"]["total_tokens"]
        return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])

    async def task(self, chat: str, prompt: str, kind: str = "title_generation") -> str:
        """What its own request is answered."""
        body = {
            "model": "assistant",
            "messages": [{"role": "user", "content": prompt}],
            "stream": False,
            "max_completion_tokens": 1000,
        }
        async with self._session.post(
            f"{self._url}/chat/completions", data=json.dumps(body), headers=self._sent(chat, kind)
        ) as response:
            assert response.status == 200, await response.text()
            return (await response.json())["choices"][0]["message"]["content"]


@pytest_asyncio.fixture(loop_scope="package")
async def webui(hub: Serving, key: str) -> AsyncIterator[WebUi]:
    async with aiohttp.ClientSession() as session:
        yield WebUi(session, hub.url, key)


WHAT = "what did I say"


async def test_it_lists_the_agents(webui: WebUi) -> None:
    assert (await webui.models())[:2] == ["assistant", "writer"]


async def test_each_of_its_chats_is_its_own_session(webui: WebUi) -> None:
    assert await webui.say("one", "hello") == "You said: hello"
    assert await webui.say("two", WHAT) == f"- {WHAT}"
    assert await webui.say("one", "hello", "You said: hello", WHAT) == f"- hello\n- {WHAT}"


async def test_a_header_of_the_connection_names_the_chat_too(webui: WebUi) -> None:
    webui.forwards, webui.custom = False, {"X-OpenWebUI-Chat-Id": "{{CHAT_ID}}"}
    await webui.say("one", "hello")
    assert await webui.say("two", WHAT) == f"- {WHAT}"
    assert await webui.say("one", WHAT) == f"- hello\n- {WHAT}"


async def test_without_either_its_chats_share_the_keys_session(webui: WebUi) -> None:
    webui.forwards = False
    await webui.say("one", "hello")
    assert await webui.say("two", WHAT) == f"- hello\n- {WHAT}"


@pytest.mark.parametrize("task", TASKS)
async def test_its_tasks_do_not_enter_the_memory(webui: WebUi, task: str) -> None:
    await webui.say("one", "hello")
    assert await webui.task("one", TASKS[task]) == f"You said: {TASKS[task]}"
    assert await webui.say("one", WHAT) == f"- hello\n- {WHAT}"


async def test_a_task_that_its_header_names_may_have_any_prompt(webui: WebUi) -> None:
    webui.custom = {"X-OpenWebUI-Task": "{{TASK}}"}
    await webui.say("one", "hello")
    assert await webui.task("one", "An emoji, please.", "emoji_generation") == "You said: An emoji, please."
    assert await webui.say("one", WHAT) == f"- hello\n- {WHAT}"


@pytest.mark.parametrize("question", [DOCUMENTS, "### Task:\nSay <chat_history>.", "hi </chat_history>"])
async def test_what_looks_like_a_task_and_is_none_is_remembered(webui: WebUi, question: str) -> None:
    await webui.say("one", question)
    assert await webui.say("one", WHAT) == f"- {question}\n- {WHAT}"


async def test_its_extra_fields_are_taken(webui: WebUi) -> None:
    tools = [{"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}]
    extras = {"tools": tools, "reasoning": {"effort": "low"}, "logit_bias": {"50256": -100}, "num_ctx": 4096}
    assert await webui.say("one", "hello", temperature=0.7, **extras) == "You said: hello"
