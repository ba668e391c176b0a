"""What the documents say works is run; what they point at is there.

Every `sh`, `python` and `js` block of a document is run, in one shell and in order, in the folder of a hub with the
shipped settings; a `text` block behind it is what must come out, `…` is any text. Every `yaml` block is loaded on top
of the shipped settings. A comment in front of a block says otherwise: `not run: WHY`, or `until Ctrl-C`.

What docs/channels/write-your-own.md shows is run by tests/channels/test_plugged_in.py.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents.config import AgentSettings
from agents.models.config import ModelSettings
from channels import KINDS
from channels import load as load_kind
from hub.config import ApiSettings, BusSettings, OtelSettings, load
from tests.clients.nodejs import NODE
from tests.e2e.hub import HubProcess

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SHIPPED: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text())
ENVIRON = {
    "ANTHROPIC_API_KEY": "x",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "DB_PASSWORD": "x",
    "OPENAI_API_KEY": "x",
    "TELEGRAM_TOKEN": "123456:x",
    "WIKI_TOKEN": "x",
    "MOONSHOT_API_KEY": "x",
}
HUB = "http://127.0.0.1:8080"
NEXT = "\x1e"
BLOCK = re.compile(
    r"(?:^ *<!-- (?P<hint>[^\n]*) -->\n)?^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
INDEX = re.compile(r"https?://\S*(?:pypi|/simple\b)|(?<!emit-)index-url\s*=")
MACHINE = re.compile(r"(?<![\w.*])/(?:work|root|home|Users)/\w")


@dataclass
class Block:
    """One fenced block of a document; `expected` is what the block behind it shows."""

    language: str
    text: str
    hint: str
    expected: str | None = None

    @property
    def runs(self) -> bool:
        return not self.hint.startswith("not run: ")


def blocks(document: Path) -> Iterator[Block]:
    text = document.read_text()
    found = list(BLOCK.finditer(text))
    for this, following in zip_longest(found, found[1:]):
        body = re.sub(f"^{this['indent']}", "", this["text"], flags=re.MULTILINE)
        block = Block(language=this["language"], text=body, hint=this["hint"] or "")
        if following and following["language"] == "text" and not text[this.end() : following.start()].strip():
            block.expected = re.sub(f"^{following['indent']}", "", following["text"], flags=re.MULTILINE)
        yield block


def runnable(document: Path) -> list[Block]:
    return [b for b in blocks(document) if b.language in ("sh", "python", "js") and b.runs]


def script(block: Block) -> str:
    """The block as a shell would be given it."""
    if block.language == "python":
        return f".venv/bin/python - <<'PYTHON'\n{block.text}PYTHON\n"
    if block.language == "js":  # among the packages of tests/clients/node
        return f"(cd .venv/node && {NODE} --input-type=module - <<'JS'\n{block.text}JS\n)\n"
    if block.hint == "until Ctrl-C":
        return f"timeout --signal=INT 3 bash <<'SHELL' || test $? = 124\n{block.text}SHELL\n"
    return block.text


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if runnable(d)], ids=named)
async def test_what_can_be_pasted_works(document: Path, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    pasted = runnable(document)
    async with HubProcess(tmp_path, {**SHIPPED, "api": {**SHIPPED["api"], "port": 0}}) as hub:
        await hub.logged("channel up")
        whole = "set -eua\n" + "".join(f"printf '{NEXT}'\n{script(block)}" for block in pasted)
        shell = await asyncio.create_subprocess_exec(
            *("bash", "-c", whole.replace(HUB, hub.url)),
            cwd=tmp_path,
            env={"PATH": f"{sys.prefix}/bin:{os.environ['PATH']}", "HOME": os.environ.get("HOME", "")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await shell.communicate())[0].decode()
    outputs = said.split(NEXT)[1:]
    assert shell.returncode == 0, said
    for block, output in zip(pasted, outputs, strict=True):
        if block.expected is not None:
            pattern = re.escape(block.expected.strip()).replace("…", ".*?")
            assert re.fullmatch(pattern, output.strip(), re.DOTALL), f"{block.text}\nprinted\n{output}"


def test_settings_that_can_be_pasted_load(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    shown = [block for document in DOCUMENTS for block in blocks(document) if block.language == "yaml" and block.runs]
    for block in shown:
        path.write_text(yaml.safe_dump(merged(SHIPPED, yaml.safe_load(block.text)), sort_keys=False))
        load(path, ENVIRON)
    assert shown


def merged(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    both: dict[str, Any] = {**below, **above}  # pyright: ignore[reportUnknownVariableType] - YAML
    return {name: merged(below[name], above[name]) if name in below and name in above else both[name] for name in both}


def sections(document: Path) -> dict[str, str]:
    """The text of each chapter by its title, subsections included."""
    parts = re.split(r"^## (.+)$", document.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def keys(section: str) -> set[str]:
    """Keys that a section has a row or a word for, the outermost name of each."""
    return {key.partition(".")[0] for key in re.findall(r"`([a-z_.]+)`", section)}


def test_every_setting_is_described() -> None:
    described = sections(ROOT / "docs/configuration.md")
    kinds: list[Any] = [load_kind(kind.config) for kind in KINDS.values()]
    assert keys(described["api"]) >= ApiSettings.model_fields.keys()
    assert keys(described["bus"]) >= BusSettings.model_fields.keys()
    assert keys(described["otel"]) >= OtelSettings.model_fields.keys()
    assert keys(described["models"]) >= ModelSettings.model_fields.keys()
    assert keys(described["agents"]) >= AgentSettings.model_fields.keys()
    for kind in kinds:
        assert keys(described["channels"]) >= kind.model_fields.keys()


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_lead_somewhere(document: Path) -> None:
    prose = BLOCK.sub("", document.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = (document.parent / path).resolve() if path else document
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def anchors(document: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", BLOCK.sub("", document.read_text()), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_what_is_named_exists(document: Path) -> None:
    words = re.findall(r"`([^`\n]+)`", BLOCK.sub("", document.read_text()))
    source = "\n".join(path.read_text() for path in sources())
    for word in words:
        if re.fullmatch(r"[\w./]+/[\w.]*\.py", word):
            assert (ROOT / word).is_file(), word
        elif method := re.fullmatch(r"([A-Z]\w+)\.([a-z_]\w*)", word):
            assert re.search(rf"class {method[1]}\b(?:(?!\nclass ).)*?\b{method[2]}\b", source, re.DOTALL), word


def sources() -> Iterator[Path]:
    for folder in ("hub", "channels", "agents", "api"):
        yield from (ROOT / folder).rglob("*.py")


def test_no_file_names_a_package_index_or_a_path_of_somebodys_machine() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    for path in (ROOT / os.fsdecode(name) for name in tracked if name):
        text = path.read_text(errors="replace") if path.is_file() else ""
        for pattern in (INDEX, MACHINE):
            found = pattern.search(text)
            assert found is None, f"{named(path)} has {found and found[0]!r}"
