"""Read a YAML file into plain values, and remember on which line each key stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hub.config.problems import Problem
from hub.config.tree import Key, is_mapping
from hub.errors import ConfigError

_TAGS = "tag:yaml.org,2002:"
_WORDS = [
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?(0|[1-9][0-9]*)", [*"-+0123456789"]),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?", [*"-+.0123456789"]),
    ("merge", r"<<", ["<"]),
]
"""Kinds of unquoted words, by form and first letter; the first kind that fits is it."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2's words: `off`, `no` and 2026-11-20 are texts, as people expect of `direct: off`."""

    yaml_implicit_resolvers = {
        first: [(f"{_TAGS}{kind}", re.compile(rf"(?:{form})\Z")) for kind, form, letters in _WORDS if first in letters]
        for first in {letter for _, _, letters in _WORDS for letter in letters}
    }


@dataclass(kw_only=True)
class Document:
    """A file's values, the lines of its keys by path, and what is wrong with it as YAML."""

    tree: dict[str, Any]
    lines: dict[Key, int] = field(default_factory=dict[Key, int])
    problems: list[Problem] = field(default_factory=list[Problem])


def read(path: Path) -> Document:
    """Read a file; raises ConfigError when there is none or it is not YAML."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError([f"{path}: there is no such file; name yours with --config PATH or BOTHUB_CONFIG"]) from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError([f"{path}: cannot be read: {why}"]) from None
    try:
        root = yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_malformed(path, error)]) from None
    except yaml.YAMLError as error:
        raise ConfigError([f"{path}: is not YAML: {str(error).splitlines()[0]}"]) from None
    if root is not None and not isinstance(root, yaml.MappingNode):
        raise ConfigError([f"{path}:{_line(root)}: the file must hold keys such as 'agents:'"])
    document = Document(tree={})
    if root is not None:
        document.tree = _Reader(document).mapping(root, ())
    return document


def _malformed(path: Path, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
    what = ", ".join(part for part in (error.context, error.problem) if part)
    return f"{where}: is not YAML: {what}{_hint(what)}"


def _hint(what: str) -> str:
    if "'\\t'" in what:
        return "; YAML indents with spaces, not tabs"
    return "; inside {...}, ${NAME} needs quotes" if "got '{'" in what else ""


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


class _Reader:
    """Turns nodes into values."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._open: list[yaml.Node] = []
        self._scalars = yaml.SafeLoader("")

    def value(self, node: yaml.Node, key: Key) -> Any:
        if node in self._open:
            self._document.problems.append(Problem(key, "holds itself (an alias inside its own anchor)"))
            return None
        self._open.append(node)
        try:
            return self._value(node, key)
        finally:
            self._open.pop()

    def _value(self, node: yaml.Node, key: Key) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, key)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(child, (*key, str(index))) for index, child in enumerate(node.value)]
        return self._scalar(node, key)

    def _item(self, node: yaml.Node, key: Key) -> Any:
        self._document.lines[key] = _line(node)
        return self.value(node, key)

    def _scalar(self, node: yaml.Node, key: Key) -> Any:
        kind = node.tag.removeprefix(_TAGS)
        if kind not in ("null", "bool", "int", "float", "str"):
            self._document.problems.append(Problem(key, f"has a YAML tag that means nothing here: {node.tag}"))
            return None
        try:
            return getattr(self._scalars, f"construct_yaml_{kind}")(node)
        except ValueError:
            self._document.problems.append(Problem(key, f"is not a YAML {kind}"))
            return None

    def mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        inherited: dict[str, Any] = {}
        values: dict[str, Any] = {}
        seen: dict[str, int] = {}
        for name_node, child in node.value:
            if name_node.tag == f"{_TAGS}merge":
                inherited = {**self._merged(child, key), **inherited}
                continue
            if not isinstance(name_node, yaml.ScalarNode):
                text = "holds a mapping or list where a key belongs; put {{...}} in quotes"
                self._document.problems.append(Problem(key, text, line=None if key else _line(name_node)))
                continue
            name = str(name_node.value)
            path = (*key, name)
            if name in seen:
                text = f"is given twice (first on line {seen[name]})"
                self._document.problems.append(Problem(path, text, line=_line(name_node)))
                continue
            seen[name] = self._document.lines[path] = _line(name_node)
            values[name] = self.value(child, path)
        return {**inherited, **values}

    def _merged(self, node: yaml.Node, key: Key) -> dict[str, Any]:
        """What `<<: *anchor` brings, or a list of anchors, the first of which wins."""
        parts: Iterator[yaml.Node] = iter(node.value if isinstance(node, yaml.SequenceNode) else [node])
        merged: dict[str, Any] = {}
        for part in parts:
            value = self.value(part, key)
            if not is_mapping(value):
                self._document.problems.append(Problem((*key, "<<"), "must name a mapping", line=_line(part)))
                continue
            merged = {**value, **merged}
        return merged
