"""A model that is imported late answers as it would by itself."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from agents.models.late import Late
from hub.model import Completion, Loads

REQUEST = Completion(messages=[{"role": "user", "content": "count to 3"}])


async def answer(model: Late) -> str:
    return "".join([chunk.text async for chunk in model.complete(REQUEST)])


async def test_it_is_made_once_however_many_ask() -> None:
    model = Late("agents.models.demo:Demo")
    assert isinstance(model, Loads)
    assert await asyncio.gather(*(answer(model) for _ in range(3))) == ["1 2 3"] * 3
    await model.close()


async def test_closing_what_was_never_asked_makes_nothing() -> None:
    await Late("there.is.no:Model").close()


def test_naming_a_provider_imports_nothing_of_it() -> None:
    program = """
import sys
from agents.models.config import ModelSettings
from hub.app import make_model
make_model(ModelSettings(provider="anthropic", model="m", api_key="k"))
make_model(ModelSettings(provider="bedrock-converse", model="m", region="r"))
sys.exit(", ".join({"anthropic", "boto3", "pydantic_ai"} & set(sys.modules)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
