"""What we were told, as long as there is room."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

V = TypeVar("V")
KNOWN = 5000


class Known(OrderedDict[str, V]):
    """The last things we were told; the oldest are forgotten."""

    def note(self, key: str, value: V) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > KNOWN:
            self.popitem(last=False)
