"""An agent from another package: the one that docs/agents/write-your-own.md shows is built, installed and asked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from openai import AsyncOpenAI

import agents
from hub.config import load
from hub.errors import ConfigError
from tests.e2e.hub import HubProcess, demo_config

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/agents/write-your-own.md"
SHOWN = re.compile(r"^```\w+\n# (?P<path>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PIP = ["pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]


def files() -> dict[str, str]:
    """What the document shows, by the path in each block's first line."""
    return {block["path"]: block["text"] for block in SHOWN.finditer(DOCUMENT.read_text())}


def test_the_document_is_less_than_a_hundred_lines() -> None:
    assert list(files()) == ["bothub_words/__init__.py", "pyproject.toml", "config.yaml"]
    assert len(DOCUMENT.read_text().splitlines()) < 100


def installed(folder: Path) -> Path:
    """A folder with the package in it, as `pip install .` does it, without a network."""
    source, site = folder / "source", folder / "site"
    for name, text in files().items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    command = [sys.executable, "-m", *PIP, "--target", str(site), str(source)]
    subprocess.run(command, capture_output=True, timeout=100, check=True)
    return site


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["words", "bothub_words:Words"])
async def test_it_answers(tmp_path: Path, kind: str) -> None:
    site = installed(tmp_path)
    config = demo_config()
    config["agents"]["counter"] = yaml.safe_load(files()["config.yaml"])["agents"]["counter"] | {"kind": kind}
    beside = {"PYTHONPATH": os.pathsep.join((str(site), str(ROOT)))}
    async with (
        HubProcess(tmp_path / "hub", config, beside) as hub,
        AsyncOpenAI(base_url=f"{hub.url}/v1", api_key=hub.key, max_retries=0, timeout=60) as client,
    ):
        answer = await client.chat.completions.create(
            model="counter", messages=[{"role": "user", "content": "count my words"}]
        )
    assert answer.choices[0].message.content == "3 words.\n\nYou said: count my words"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that Python imports from; kinds are looked for again, before the test and after it."""
    (tmp_path / "odd_agents.py").write_text("class Mute: ...\nclass Fine:\n    async def answer(self, turn): ...\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    agents.added.cache_clear()
    yield tmp_path
    agents.added.cache_clear()
    sys.modules.pop("odd_agents", None)


def offer(folder: Path, **points: str) -> None:
    """Install a package for each of these kinds; `_` at the end of a name is the package's only."""
    for name, value in points.items():
        info = folder / f"package_{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: package-{name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[{agents.GROUP}]\n{name.rstrip('_')} = {value}\n")


def problems(folder: Path, **agent: Any) -> list[str]:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(demo_config(agents={"assistant": {"model": "demo"}, "x": agent}), sort_keys=False))
    try:
        load(path, {})
    except ConfigError as error:
        return [problem.partition(": ")[2] for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("agent", "why"),
    [
        ({"kind": "odd_agents:Fine"}, None),
        ({"kind": "short"}, None),
        ({"kind": "nowhere:Agent", "enabled": False}, None),
        (
            {"kind": "nowhere:Agent"},
            "kind: 'nowhere:Agent' cannot be imported (ModuleNotFoundError: No module named 'nowhere')",
        ),
        (
            {"kind": "odd_agents:Lost"},
            "kind: 'odd_agents:Lost' cannot be imported (AttributeError: module 'odd_agents' has no attribute 'Lost')",
        ),
        ({"kind": "odd_agents:Mute"}, "kind: 'odd_agents:Mute' is no class with a method 'answer'"),
        (
            {"kind": "shirt"},
            "kind: no such kind; did you mean 'short'?",
        ),
        (
            {"kind": "twice"},
            ("kind: is added by more than one package, as odd_agents:Fine and odd_agents:Fine: uninstall all but one"),
        ),
        (
            {"kind": "short", "history": "client"},
            "history: must be server: only the runner answers callers that keep the history themselves",
        ),
    ],
)
def test_what_is_wrong_with_one_is_told_when_the_settings_are_read(
    package: Path, agent: dict[str, Any], why: str | None
) -> None:
    offer(package, short="odd_agents:Fine", twice="odd_agents:Fine", twice_="odd_agents:Fine", runner="nowhere:X")
    assert problems(package, **agent) == ([] if why is None else [f"agents.x.{why}"])
