"""Where the values of a configuration came from: lines of the file, or variables of the environment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.config.problems import MUST_BE_LIST, Problem
from hub.config.tree import Key, is_list, is_mapping, upwards


@dataclass(frozen=True, kw_only=True)
class Origins:
    """The file and the environment as they were read, secrets and all."""

    path: Path = Path("config.yaml")
    lines: Mapping[Key, int] = field(default_factory=dict[Key, int])
    variables: Mapping[Key, str] = field(default_factory=dict[Key, str])
    dotenv: Collection[str] = ()
    """The variables that the file `.env` beside it gave."""
    file: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    environment: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)

    def tell(self, problems: Iterable[Problem]) -> list[str]:
        """All problems as lines to read, in the file's order and one a key."""
        first: dict[tuple[Key, int | None], Problem] = {}
        for problem in problems:
            first.setdefault((problem.key, problem.line), problem)
        return [self._sentence(problem) for problem in sorted(first.values(), key=self._order)]

    def variable(self, key: Key) -> str | None:
        """The environment variable that gave a value, itself or as a part of a larger one."""
        return next((self.variables[up] for up in upwards(key) if up in self.variables), None)

    def line(self, key: Key) -> int | None:
        """The line of the file where a value stands, itself or as a part of a larger one."""
        return next((self.lines[up] for up in upwards(key) if up in self.lines), None)

    def _sentence(self, problem: Problem) -> str:
        where = ": ".join(filter(None, [".".join(problem.key), problem.text]))
        if problem.line is None and (variable := self.variable(problem.key)):
            hint = """; write a list as JSON: ["a", "b"]""" if problem.text == MUST_BE_LIST else ""
            return f"environment variable {variable}: {where}{hint}"
        line = problem.line or self.line(problem.key)
        return f"{self.path}:{line}: {where}" if line else f"{self.path}: {where}"

    def _order(self, problem: Problem) -> tuple[bool, int]:
        return self.variable(problem.key) is not None, problem.line or self.line(problem.key) or 0


def stated(tree: object, key: Key) -> tuple[object] | None:
    """What a tree says at a key, or at the part of it that stands for all below it; None where it says nothing."""
    for name in key:
        if is_list(tree) and name.isdecimal():
            tree = tree[int(name)] if int(name) < len(tree) else None
        elif is_mapping(tree):
            tree = tree.get(name)
        else:
            break
        if tree is None:
            return None
    return (tree,)
