"""Agents: the runner, and those of other packages, named by strings so that nothing is imported before it is used.

How to write one: docs/agents/write-your-own.md.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.agent import Agent

GROUP = "bothub.agents"
"""The entry points by which other packages add kinds: `name = "module:MyAgent"`."""
RUNNER = "runner"
"""The kind that is a model with tools; it is ours."""


class Unusable(Exception):
    """What a kind names is no agent; the text says why."""


def names() -> list[str]:
    """The short names of kinds: ours, then those that installed packages add."""
    return [RUNNER, *added()]


@cache
def added() -> Mapping[str, tuple[str, ...]]:
    """What installed packages add: references by name; nothing is imported yet, and our name stays ours."""
    found: dict[str, tuple[str, ...]] = {}
    for point in entry_points(group=GROUP):
        if re.fullmatch(r"[a-z0-9_-]+", point.name) and point.name != RUNNER:
            found[point.name] = (*found.get(point.name, ()), point.value)
    return found


def own(kind: str) -> Callable[..., Agent]:
    """What makes an agent of a kind that is not ours, called with `name`, `settings` and `model`; raises Unusable."""
    reference, *others = added().get(kind, (kind,))
    if others:
        references = " and ".join((reference, *others))
        raise Unusable(f"is added by more than one package, as {references}: uninstall all but one")
    try:
        made = pkgutil.resolve_name(reference)
    except Exception as error:
        raise Unusable(f"'{reference}' cannot be imported ({type(error).__name__}: {error})") from error
    if not isinstance(made, type) or not callable(getattr(made, "answer", None)):
        raise Unusable(f"'{reference}' is no class with a method 'answer'")
    return made
