"""The `llm` command: a hub's agents and models stand in its extra-openai-models.yaml."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from tests.clients.serving import Serving
from tests.platforms.openai import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="package")


class Llm:
    """The command, with a folder of its own."""

    def __init__(self, folder: Path, url: str, key: str) -> None:
        self._folder = folder
        models = [
            {"model_id": name, "model_name": name, "api_base": url, "api_key_name": "bothub"}
            for name in ("assistant", "gpt")
        ]
        (folder / "extra-openai-models.yaml").write_text(yaml.safe_dump(models))
        (folder / "keys.json").write_text(json.dumps({"bothub": key}))  # what `llm keys set bothub` writes

    async def __call__(self, *words: str, said: str = "") -> str:
        """What it prints; fails with that if it fails."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "llm", *words),
            env={"PATH": os.environ["PATH"], "LLM_USER_PATH": str(self._folder)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate(said.encode())
        assert process.returncode == 0, out.decode()
        return out.decode().strip()


@pytest.fixture
def llm(tmp_path: Path, hub: Serving, key: str) -> Llm:
    return Llm(tmp_path, hub.url, key)


async def test_an_agent_answers_and_remembers(llm: Llm) -> None:
    assert await llm("-m", "assistant", "count to 3") == "1 2 3"
    assert await llm("-m", "assistant", "--no-stream", "what did I say") == "- count to 3\n- what did I say"


async def test_a_conversation_with_a_model_goes_on(llm: Llm, upstream: Upstream) -> None:
    upstream.script("Hello, you.", "As I said.")
    assert await llm("-m", "gpt", "-s", "Be brief.", said="hi") == "Hello, you."
    assert await llm("-c", "And now?") == "As I said."
    said = [message["content"] for message in upstream.requests[1].body["messages"]]
    assert said == ["Be brief.", "hi", "Hello, you.", "And now?"]
