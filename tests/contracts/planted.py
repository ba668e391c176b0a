"""Who tests the tests: plants one bug at a time in a copy of the bus and shows which test catches it.

`python -m tests.contracts.planted [word…]` runs the bugs whose name holds one of the words, or all (some minutes).
"""

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).parents[2]
HASTE = """
from hypothesis import Phase
settings.register_profile("haste", deadline=None, phases=[Phase.generate])
settings.load_profile("haste")
"""


def catch(bug: dict[str, str]) -> list[str]:
    """The first tests that fail with the bug."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copy = Path(folder)
        for name in ("hub", "tests"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        with (copy / "tests/conftest.py").open("a") as conftest:
            conftest.write(HASTE)
        text = (copy / bug["file"]).read_text()
        if text.count(bug["old"]) < 1:
            raise SystemExit(f"'{bug['name']}' fits {bug['file']} no more")
        (copy / bug["file"]).write_text(text.replace(bug["old"], bug["new"]))
        laws = _failing(copy, "test_bus.py", bug.get("engine", "sqlite"), "--timeout=15", "--maxfail=4")
        return laws + _failing(copy, "test_bus_machine.py", bug.get("engine", "sqlite"), "--timeout=110")


def _failing(copy: Path, file: str, engine: str, *options: str) -> list[str]:
    arguments = ["-q", "--tb=no", "-p", "no:cacheprovider", "-k", engine, f"tests/contracts/{file}"]
    command = [sys.executable, "-m", "pytest", *options, *arguments]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    found = re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)\S*(.*Timeout)?", done.stdout, re.MULTILINE)
    failed = [f"{test} (never ends)" if endless else test for test, endless in found]
    return failed or ([] if done.returncode == 0 else [f"{file} ends with {done.returncode}"])


def main(words: list[str]) -> int:
    """Print a line for each; 1 when a bug was not caught."""
    console = Console()
    bugs = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())["bug"]
    bugs = [bug for bug in bugs if not words or any(word in bug["name"] for word in words)]
    missed = 0
    for bug in bugs:
        caught = catch(bug)
        missed += not caught
        console.print(f"[bold]{bug['name']}:[/bold] {', '.join(caught) or '[red]not caught[/red]'}")
    console.print(f"{len(bugs) - missed} of {len(bugs)} caught")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
