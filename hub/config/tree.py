"""Plain values as YAML and JSON have them: mappings, lists and scalars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

Key = tuple[str, ...]
"""Where a value stands: ("channels", "support", "token")."""


def is_mapping(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def look(value: object, key: Key) -> object:
    """The value at a key, or None."""
    for name in key:
        if is_list(value) and name.isdecimal():
            value = value[int(name)]
        else:
            value = value.get(name) if is_mapping(value) else None
    return value


def upwards(key: Key) -> Iterator[Key]:
    """The key, then what it is a part of."""
    return (key[:length] for length in range(len(key), 0, -1))


def without(value: dict[str, Any], key: Key) -> dict[str, Any]:
    """The mapping without what stands at a key; a list goes as a whole, and a key that is not there is no change."""
    name, rest = key[0], key[1:]
    inner = value.get(name)
    if rest and is_mapping(inner):
        return {**value, name: without(inner, rest)}
    return {other: kept for other, kept in value.items() if other != name}


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both, mapping by mapping; what is above wins."""
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        merged[name] = merge(old, value) if is_mapping(old) and is_mapping(value) else value
    return merged
