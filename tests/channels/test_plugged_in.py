"""A channel from another package: the one that docs/channels/write-your-own.md shows is built, installed and used."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import channels
from hub.config import load
from hub.errors import ConfigError
from tests.e2e.hub import HubProcess, demo_config
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/channels/write-your-own.md"
SHOWN = re.compile(r"^```\w+\n# (?P<path>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PIP = ["pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]


def files() -> dict[str, str]:
    """What the document shows, by the path in each block's first line."""
    return {block["path"]: block["text"] for block in SHOWN.finditer(DOCUMENT.read_text())}


def beside(path: Path | None) -> dict[str, str]:
    """Where Python looks: there, then in this checkout."""
    return {"PYTHONPATH": os.pathsep.join(str(place) for place in (path, ROOT) if place)}


def run(*arguments: object, path: Path | None = None) -> str:
    environ = {**os.environ, **beside(path)}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package installed, as `pip install .` does it, without a network."""
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for name, text in files().items():
        path = source / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    run("-m", *PIP, "--target", site, source)
    return site


@pytest.fixture
def fresh() -> Iterator[None]:
    """Kinds are looked for again, before the test and after it."""
    channels.added.cache_clear()
    yield
    channels.added.cache_clear()


def test_what_one_writes_for_a_channel_is_less_than_a_hundred_lines() -> None:
    shown = files()
    assert list(shown) == ["bothub_folder/__init__.py", "pyproject.toml", "config.yaml", "test_laws.py"]
    del shown["test_laws.py"]
    assert sum(len(text.splitlines()) + 1 for text in shown.values()) < 100


@pytest.mark.slow
async def test_a_line_in_an_answer_out(site: Path, tmp_path: Path) -> None:
    config = demo_config()
    config["channels"] |= yaml.safe_load(files()["config.yaml"])["channels"]
    chat = tmp_path / "chat"
    chat.mkdir()
    (chat / "said.txt").write_text("anna: hello there\n")
    async with HubProcess(tmp_path, config, beside(site)) as hub:
        assert await answers(chat, 1) == ["to anna: You said: hello there"]
        with (chat / "said.txt").open("a") as file:
            file.write("nonsense\nbert: count to 3\n")
        assert (await answers(chat, 2))[1:] == ["to bert: 1 2 3"]
        await hub.stop()
        await hub.start()
        with (chat / "said.txt").open("a") as file:
            file.write("anna: what did I say\n")
        said = await answers(chat, 4)
    assert said[2:] == ["to anna: - hello there", "- what did I say"], "nothing is heard twice"


async def answers(chat: Path, count: int) -> list[str]:
    path = chat / "answers.txt"
    async with asyncio.timeout(PATIENCE):
        while True:
            lines = path.read_text().splitlines() if path.exists() else []
            if len(lines) >= count:
                return lines
            await asyncio.sleep(0.05)


@pytest.mark.slow
def test_it_keeps_the_laws(site: Path, tmp_path: Path) -> None:
    for name in ("test_laws.py", "pyproject.toml"):
        (tmp_path / name).write_text(files()[name])
    said = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path, path=site)
    assert re.search(r"\b11 passed, 1 skipped\b", said), said


def offer(folder: Path, monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    """Install a package for each of these kinds; `_` at the end of a name is the package's only."""
    for name, value in points.items():
        package = f"package-{name}"
        info = folder / f"{package.replace('-', '_')}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[{channels.GROUP}]\n{name.rstrip('_')} = {value}\n")
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])


def problems(folder: Path, kind: str) -> list[str]:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(demo_config(channels={"x": {"kind": kind}})))
    with pytest.raises(ConfigError) as raised:
        load(path, {})
    return [problem.partition(": ")[2] for problem in raised.value.problems]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("nowhere:KIND", "'nowhere:KIND', which cannot be imported (ModuleNotFoundError: No module named 'nowhere')"),
        ("not a reference", "'not a reference', which cannot be imported (…)"),
        ("crashing:KIND", "'crashing:KIND', which cannot be imported (RuntimeError: no luck)"),
        ("channels:GROUP", "'channels:GROUP', which is no channels.Kind"),
        (
            "odd:LOST",
            (
                "'odd:LOST', whose settings 'odd:Lost' cannot be imported "
                "(AttributeError: module 'odd' has no attribute 'Lost')"
            ),
        ),
        ("odd:WRONG", "'odd:WRONG', whose settings 'odd:Kind' are no channels.config.ChannelSettings"),
        ("odd:EMPTY", "'odd:EMPTY', whose adapter 'odd.inside:Channel' cannot be found"),
    ],
)
@pytest.mark.usefixtures("fresh")
def test_a_broken_one_is_a_mistake_in_the_configuration(
    value: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crashing.py").write_text("raise RuntimeError('no luck')\n")
    (tmp_path / "odd.py").write_text(
        "from channels import Kind\n"
        "LOST = Kind(config='odd:Lost', channel=None)\n"
        "WRONG = Kind(config='odd:Kind', channel=None)\n"
        "EMPTY = Kind(config='channels.web.config:Web', channel='odd.inside:Channel')\n"
    )
    offer(tmp_path, monkeypatch, broken=value)
    [problem] = problems(tmp_path, "broken")
    expected = re.escape(f"channels.x.kind: cannot be used: 'package-broken' adds it as {why}").replace("…", ".*")
    assert re.fullmatch(expected, problem), problem


@pytest.mark.usefixtures("fresh")
def test_a_broken_one_that_is_not_used_disturbs_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(tmp_path, monkeypatch, broken="nowhere:KIND")
    config: dict[str, Any] = demo_config()
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    assert load(path, {}).channels["web"].kind == "web"
    assert problems(tmp_path, "brocken") == ["channels.x.kind: no such kind; did you mean 'broken'?"]


@pytest.mark.usefixtures("fresh")
def test_a_kind_of_two_packages_is_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(tmp_path, monkeypatch, irc="a:KIND", irc_="b:KIND")
    [problem] = problems(tmp_path, "irc")
    assert problem == (
        "channels.x.kind: is added by more than one package, 'package-irc' and 'package-irc_': uninstall all but one"
    )


@pytest.mark.usefixtures("fresh")
def test_our_names_stay_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(tmp_path, monkeypatch, web="nowhere:KIND", api="nowhere:KIND", irc="nowhere:KIND")
    assert channels.names() == [*channels.KINDS, "irc"]
    assert channels.kind("web") is channels.KINDS["web"]
