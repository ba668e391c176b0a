"""Plain requests for chat completions, and what comes of them."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import httpx

CHAT = "/v1/chat/completions"
ASSISTANT = "6f1c2f0e-2d0b-4f6e-8d52-0a6b1c7d9e10"
"""The id of the agent `poet`."""
HERMIT = "6f1c2f0e-2d0b-4f6e-8d52-0a6b1c7d9e11"
"""The id of the agent `hermit`, which is not public."""
WHAT = "what did I say"
"""The demo model lists what was said in its session."""

PICTURES = {
    "png": b"\x89PNG\r\n\x1a\n rest",
    "jpeg": b"\xff\xd8\xff\xe0 rest",
    "gif": b"GIF89a rest",
    "webp": b"RIFF\x10\x00\x00\x00WEBPVP8 rest",
}
"""What a picture of each kind begins with."""


def inline(kind: str, content: bytes) -> str:
    """A `data:` URL."""
    return f"data:{kind};base64,{b64encode(content).decode()}"


def picture(kind: str = "png") -> dict[str, Any]:
    """A part with a picture."""
    return {"type": "image_url", "image_url": {"url": inline(f"image/{kind}", PICTURES[kind])}}


def content_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def asked(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


def events(text: str) -> list[Any]:
    """The data of a stream that ends as it should."""
    data = [line[6:] for line in text.split("\n\n") if line.startswith("data: ")]
    assert data.pop() == "[DONE]"
    return [json.loads(each) for each in data]
