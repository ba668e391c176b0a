"""Finds the sentences that the panel says, by their marks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from jinja2 import nodes

from api.panel.render import environment

PANEL = Path(__file__).parents[2] / "api" / "panel"
SAYS, COUNTS = {"_", "N_", "say"}, {"_n", "count"}


def used() -> dict[str, str]:
    """Every sentence, and a file that has it."""
    found: dict[str, str] = {}
    for path in sorted(PANEL.rglob("*.py")):
        found |= dict.fromkeys(_in_python(path.read_text()), path.name)
    for path in sorted(PANEL.glob("templates/*.html")):
        found |= dict.fromkeys(_in_template(path.read_text()), path.name)
    return found


def _in_python(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        place = 0 if name in SAYS else 1 if name in COUNTS else None
        if place is None or len(node.args) <= place:
            continue
        said = node.args[place]
        if isinstance(said, ast.Constant) and isinstance(said.value, str):
            yield said.value


def _in_template(text: str) -> Iterator[str]:
    for node in environment("en").parse(text).find_all(nodes.Call):
        name = node.node.name if isinstance(node.node, nodes.Name) else ""
        place = 0 if name in SAYS else 1 if name in COUNTS else None
        if place is not None and isinstance(said := node.args[place], nodes.Const):
            yield said.value
