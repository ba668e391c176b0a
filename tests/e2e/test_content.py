"""Pictures, documents and sound through a real hub, on both engines: the official SDK, an upstream that looks on."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from docx import Document
from openai import AsyncOpenAI

from tests.api.content import PNG, audio, data_url, doc, file, image
from tests.e2e.hub import HubProcess, demo_config
from tests.patience import PATIENCE
from tests.platforms.openai import Upstream

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
CAT = image(data_url(PNG, "image/png"))


def docx(text: str) -> bytes:
    document, out = Document(), io.BytesIO()
    document.add_paragraph(text)
    document.save(out)
    return out.getvalue()


@pytest.fixture
async def hub(tmp_path: Path, store_url: str, upstream: Upstream) -> AsyncIterator[HubProcess]:
    gpt = {"provider": "openai", "base_url": upstream.base_url, "model": "gpt-test", "multiple": True}
    models = {"demo": {"provider": "demo"}, "gpt": gpt}
    agents = {"assistant": {"model": "demo", "transcribe": "demo"}, "watcher": {"model": "gpt"}}
    async with HubProcess(tmp_path, demo_config(models=models, agents=agents, store={"url": store_url})) as process:
        yield process


@pytest.fixture
async def client(hub: HubProcess) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{hub.url}/v1", api_key=hub.key, max_retries=0, timeout=PATIENCE) as client:
        yield client


async def ask(client: AsyncOpenAI, model: str, *content: Any) -> str:
    answer = await client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": list(content)}], extra_body={"session_id": "s"}
    )
    return answer.choices[0].message.content or ""


@pytest.mark.slow
async def test_N4_N5_B1_an_agent_reads_and_remembers_what_it_is_shown(client: AsyncOpenAI, upstream: Upstream) -> None:
    words = docx("Tea costs 3.50.")
    read = "Tea costs 3.50."
    assert read in await ask(client, "assistant", doc(dict(enumerate(words)), "menu", "docx"))
    assert read in await ask(client, "assistant", file(filename="menu.docx", file_data=data_url(words, WORD)))
    assert "[voice] milk, please" in await ask(client, "assistant", audio(b64encode(b"milk, please").decode()))
    text = {"type": "text", "text": "What is this?"}
    await ask(client, "watcher", text, CAT)
    await ask(client, "watcher", {"type": "text", "text": "And again?"})
    shown = [message["content"] for message in upstream.requests[1].body["messages"] if message["role"] == "user"]
    assert shown[0][-1] == CAT
    assert shown[1] == "And again?"


@pytest.mark.slow
async def test_N5_a_form_reaches_agent_and_model(hub: HubProcess, client: AsyncOpenAI) -> None:
    headers = {"Authorization": f"Bearer {hub.key}"}
    async with httpx.AsyncClient(base_url=hub.url, headers=headers, timeout=PATIENCE) as http:
        for model in ("assistant", "demo"):
            answer = await http.post(
                "/v1/chat/completions",
                data={"message": "hello", "model": model, "session_id": "f"},
                files=[("files", ("menu.docx", docx("Tea costs 3.50."))), ("files", ("more.csv", b"milk;1.20"))],
            )
            said = answer.json()["choices"][0]["message"]["content"]
            assert said.startswith("You said: hello"), said
            assert said.index("Tea costs 3.50.") < said.index("milk;1.20")
    with pytest.raises(openai.BadRequestError, match="not fetched"):
        await ask(client, "gpt", image(f"{hub.url}/health"))


@pytest.mark.slow
async def test_characters_that_a_database_cannot_hold_do_no_harm(client: AsyncOpenAI) -> None:
    for model in ("assistant", "demo"):
        assert "a" in await ask(client, model, {"type": "text", "text": "a\x00b"})
