"""What a system's document shows is run as it stands there, but for our URL and key."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.clients.nodejs import FOLDER, NODE

ROOT = re.compile(r"http://(?:localhost|127\.0\.0\.1):\d+")


async def shell(text: str, root: str, words: Mapping[str, str] | None = None, folder: Path | None = None) -> str:
    """What a shell prints; `words` are ours for theirs."""
    return await _run("bash", "-ec", _ours(text, root, words), folder=folder)


async def python(text: str, root: str, words: Mapping[str, str] | None = None) -> str:
    """What a program prints."""
    return await _run(sys.executable, "-c", _ours(text, root, words))


async def node(text: str, root: str, words: Mapping[str, str] | None = None) -> str:
    """What a module for Node prints."""
    return await _run(str(NODE), "--input-type=module", "-e", _ours(text, root, words), folder=FOLDER)


def _ours(text: str, root: str, words: Mapping[str, str] | None) -> str:
    text = ROOT.sub(root, text)
    for theirs, ours in (words or {}).items():
        assert theirs in text, theirs
        text = text.replace(theirs, ours)
    return text


async def _run(*command: str, folder: Path | None = None) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return out.decode()
